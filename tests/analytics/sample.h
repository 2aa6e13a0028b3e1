/* Records for the tests of analytics: random, but by a fixed seed, and such that every predicate is met both
 * ways: what a layer does not cover is zero, as the decoders leave it. */
#ifndef WEIR_TESTS_ANALYTICS_SAMPLE_H
#define WEIR_TESTS_ANALYTICS_SAMPLE_H

#include <string.h>

#include "decoders/record.h"

static inline uint64_t sample_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline void sample_l4(struct record *record, uint64_t a, uint64_t b)
{
	static const uint32_t layers[] = { LAYER_TCP | LAYER_PORTS, LAYER_UDP | LAYER_PORTS, LAYER_ICMP, 0 };
	unsigned kind = (unsigned)(a & 3);

	record->layers |= layers[kind];
	record->ip_protocol = (uint8_t[]){ 6, 17, 1, 89 }[kind];
	if (layers[kind]) {
		record->l4_offset = record->l3_offset + 20;
		record->payload_offset = record->l4_offset + 20;
	}
	if (layers[kind] & LAYER_PORTS) {
		record->src_port = (uint16_t)(a >> 8);
		record->dst_port = (uint16_t)(a >> 24);
	}
	if (kind == 0) {
		record->tcp_flags = (uint8_t)(a >> 40);
		record->tcp_seq = (uint32_t)b;
		record->tcp_ack = (uint32_t)(b >> 32);
		record->tcp_window = (uint16_t)(a >> 48);
	} else if (kind == 2) {
		if (record->layers & LAYER_IPV6) {
			record->layers = (record->layers & ~(uint32_t)LAYER_ICMP) | LAYER_ICMPV6;
			record->icmp_type = 128;
		} else {
			record->icmp_type = (uint8_t[]){ 0, 8, 3, 11 }[a >> 8 & 3];
		}
		record->icmp_code = (uint8_t)(a >> 16 & 3);
		if (record_has_icmp_id(record)) {
			record->icmp_id = (uint16_t)(a >> 24);
			record->icmp_sequence = (uint16_t)(a >> 40);
		}
	}
}

static inline void sample_ip(struct record *record, uint64_t *state)
{
	uint64_t a = sample_random(state), b = sample_random(state);

	record->l3_offset = 14;
	record->payload_offset = 34;
	record->ip_ttl = (uint8_t)a;
	record->ip_tos = (uint8_t)(a >> 8);
	record->payload_length = (uint32_t)(a >> 16 & 0xffff);
	record->flow_hash = (uint32_t)(a >> 32);
	if (b & 1) {
		record->layers |= LAYER_IPV4;
		memset(record->src_ip + 10, 0xff, 2);
		memset(record->dst_ip + 10, 0xff, 2);
		memcpy(record->src_ip + 12, &a, 4);
		memcpy(record->dst_ip + 12, &b, 4);
		record->ip_id = (uint16_t)(b >> 16);
	} else {
		record->layers |= LAYER_IPV6;
		memcpy(record->src_ip, "\x20\x01\x0d\xb8", 4);
		memcpy(record->src_ip + 8, &a, 8);
		memcpy(record->dst_ip + 8 * (b >> 1 & 1), &b, 8);
	}
	sample_l4(record, sample_random(state), sample_random(state));
}

/* Fills *record with the number-th packet of the seed's sequence. */
static inline void sample_record(struct record *record, uint64_t *state, uint64_t number)
{
	uint64_t a = sample_random(state);

	memset(record, 0, sizeof *record);
	record->packet_offset = RECORD_NO_OFFSET;
	record->timestamp_ns = UINT64_C(1510680780123456789) + number * 1001;
	record->wire_length = 60 + (uint32_t)(a & 0x3ff);
	record->captured_length = 60;
	record->interface = (uint16_t)(a >> 10 & 1);
	record->status = (uint32_t)(a >> 12 & 3);
	if ((a >> 16 & 7) == 0)
		return; /* a frame that nobody understood */
	record->layers = LAYER_ETH | LAYER_ETHERTYPE;
	record->ethertype = 0x0800;
	memcpy(record->src_mac, &a, 6);
	record->dst_mac[5] = (uint8_t)(a >> 20);
	if (a >> 24 & 1) {
		record->layers |= LAYER_VLAN;
		record->vlan_tci = (uint16_t)(a >> 28);
	}
	if (a >> 25 & 1) {
		record->layers |= LAYER_TUNNEL | LAYER_TUNNEL_ID;
		record->tunnel_type = TUNNEL_VXLAN;
		record->tunnel_depth = 1;
		record->tunnel_id = (uint32_t)(a >> 40);
	}
	if ((a >> 26 & 3) == 0) {
		record->layers |= LAYER_ARP;
		record->arp_operation = 1 + (a >> 44 & 1);
		record->l3_offset = 14;
		memset(record->src_ip + 10, 0xff, 2);
		record->src_ip[12] = 10;
		return;
	}
	sample_ip(record, state);
}

#endif
