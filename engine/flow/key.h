/* What makes two packets the same flow or connection, whichever way they go.
 *
 * The endpoints are put in order (low, high), so that both directions have one key. VLANs belong to the
 * key, because address spaces repeat behind them; so does the network of a tunnel whose identifier is
 * the same both ways (VXLAN, Geneve, NVGRE). GTP-U's TEIDs and L2TP's sessions differ by direction
 * and do not belong to it. Pure: any thread.
 */
#ifndef WEIR_ENGINE_FLOW_KEY_H
#define WEIR_ENGINE_FLOW_KEY_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "decoders/record.h"

#define FLOW_NO_VLAN 0xffffu

struct flow_key {
	uint8_t low_ip[16], high_ip[16];
	uint16_t low_port, high_port; /* ICMP: in both the identifier, or flow_key_icmp */
	uint16_t vlan, inner_vlan;    /* VID, FLOW_NO_VLAN: untagged */
	uint32_t network;             /* VNI or VSID, 0: none */
	uint8_t protocol;
	uint8_t version;              /* 4 or 6 */
	uint8_t tunnelled;
	uint8_t zero;                 /* no unnamed padding: keys are compared and hashed as bytes */
};
_Static_assert(sizeof(struct flow_key) == 48, "six words");

static inline bool flow_key_less(const uint8_t *a, const uint8_t *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	if (x == y) {
		memcpy(&x, a + 8, 8);
		memcpy(&y, b + 8, 8);
	}
	return be64toh(x) < be64toh(y);
}

/* One number for a request and its answer: v4 9 and 10, v6 130 and 131, 133 and 134, 135 and 136, 139 and
 * 140, 144 and 145; other types stand for themselves. */
static inline uint16_t flow_key_icmp(const struct record *record)
{
	uint8_t type = record->icmp_type;

	if (record->layers & LAYER_ICMP)
		return type == 10 ? 9 : type;
	return type == 131 || type == 134 || type == 136 || type == 140 || type == 145 ? type - 1 : type;
}

/* Fills *key. The record must have an IP layer. Returns true when the packet goes from low to high. */
static inline bool flow_key_of(struct flow_key *key, const struct record *record)
{
	uint16_t src_port = record->src_port, dst_port = record->dst_port;
	bool forward;

	if (record_has_icmp_id(record))
		src_port = dst_port = record->icmp_id;
	else if (record->layers & (LAYER_ICMP | LAYER_ICMPV6))
		src_port = dst_port = flow_key_icmp(record);
	if (memcmp(record->src_ip, record->dst_ip, 16) == 0)
		forward = src_port <= dst_port;
	else
		forward = flow_key_less(record->src_ip, record->dst_ip);
	memcpy(key->low_ip, forward ? record->src_ip : record->dst_ip, 16);
	memcpy(key->high_ip, forward ? record->dst_ip : record->src_ip, 16);
	key->low_port = forward ? src_port : dst_port;
	key->high_port = forward ? dst_port : src_port;
	key->vlan = record->layers & LAYER_VLAN ? record->vlan_tci & 0xfff : FLOW_NO_VLAN;
	key->inner_vlan = record->layers & LAYER_VLAN_INNER ? record->inner_vlan_tci & 0xfff : FLOW_NO_VLAN;
	key->network = 0;
	if (record->layers & LAYER_TUNNEL_ID) {
		uint8_t type = record->tunnel_type;

		if (type == TUNNEL_VXLAN || type == TUNNEL_VXLAN_GPE || type == TUNNEL_GENEVE ||
		    type == TUNNEL_NVGRE)
			key->network = record->tunnel_id;
	}
	key->protocol = record->ip_protocol;
	key->version = record->layers & LAYER_IPV6 ? 6 : 4;
	key->tunnelled = record->tunnel_depth != 0;
	key->zero = 0;
	return forward;
}

static inline bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* Multiply-fold of the key's words under a secret, so that nobody outside can choose colliding keys.
 * After W. Yi's wyhash: each round multiplies two words to 128 bits and folds the halves. */
static inline uint64_t flow_key_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t flow_key_hash(const struct flow_key *key, const uint64_t secret[2])
{
	uint64_t words[6];

	memcpy(words, key, sizeof words);
	return flow_key_fold(flow_key_fold(words[0] ^ secret[0], words[1] ^ secret[1]) ^ words[4] ^ secret[1],
			     flow_key_fold(words[2] ^ secret[1], words[3] ^ secret[0]) ^ words[5] ^
				     secret[0]);
}

#endif
