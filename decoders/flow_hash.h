/* The flow hash: one 32-bit number for both directions of a flow.
 *
 * A function of the two addresses, the two ports and the protocol of the described IP level,
 * and of nothing else: it has no seed, so that the same flow hashes alike in every run, on
 * every worker and machine. It spreads flows over buckets; it is no defence against a peer who
 * picks addresses to collide.
 *
 * Each endpoint is mixed by itself and the two are added, which makes the order of source and
 * destination irrelevant. IPv4 addresses take part as ::ffff:a.b.c.d, so one formula serves
 * all:
 *
 *     endpoint(a, p) = fold(((a[0..7] * K0) ^ (a[8..15] + p * K1)) * K2)   fold(x) = x ^ x >> 32
 *     hash           = high half of (endpoint(src) + endpoint(dst) + protocol * K1) * K2
 *
 * with the address halves loaded as little-endian 64-bit numbers. Fragments, and protocols
 * without ports, hash with both ports 0, so that all fragments of a datagram hash alike.
 */
#ifndef WEIR_DECODERS_FLOW_HASH_H
#define WEIR_DECODERS_FLOW_HASH_H

#include <stdint.h>

#define FLOW_HASH_K0 UINT64_C(0x9e3779b97f4a7c15)
#define FLOW_HASH_K1 UINT64_C(0xd6e8feb86659fd93)
#define FLOW_HASH_K2 UINT64_C(0xff51afd7ed558ccd)

/* high, low: bytes 0..7 and 8..15 of the address, as loaded by a little-endian machine. */
static inline uint64_t flow_hash_endpoint(uint64_t high, uint64_t low, uint16_t port)
{
	uint64_t mixed = ((high * FLOW_HASH_K0) ^ (low + port * FLOW_HASH_K1)) * FLOW_HASH_K2;

	return mixed ^ mixed >> 32;
}

static inline uint32_t flow_hash_join(uint64_t source, uint64_t destination, uint8_t protocol)
{
	return (uint32_t)((source + destination + protocol * FLOW_HASH_K1) * FLOW_HASH_K2 >> 32);
}

/* The whole, over the record's 16-byte addresses and host-order ports. */
static inline uint32_t flow_hash(const uint8_t src_ip[16], const uint8_t dst_ip[16], uint16_t src_port,
				 uint16_t dst_port, uint8_t protocol)
{
	uint64_t src[2], dst[2];

	__builtin_memcpy(src, src_ip, sizeof src);
	__builtin_memcpy(dst, dst_ip, sizeof dst);
	return flow_hash_join(flow_hash_endpoint(src[0], src[1], src_port),
			      flow_hash_endpoint(dst[0], dst[1], dst_port), protocol);
}

#endif
