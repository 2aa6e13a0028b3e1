/* The XDP program of the xdp-records backend: decodes plain packets into records, for the rest sends the
 * header bytes. Every packet goes on as it came (XDP_PASS).
 *
 * Plain is what decoders/decode_fast.h calls so, and a little more: Ethernet, up to two tags, IPv4 without
 * options or fragments, IPv6 without extension headers, TCP with the usual options, UDP that cannot be a
 * tunnel, ICMP; complete and well-formed. For those the record is decode_packet's, bit by bit
 * (tests/unit/xdprecords compares); all else is decided in user space, where the decoders are. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "decoders/flow_hash.h"
#include "decoders/record.h"
#include "engine/bpf/xdprecords_shared.h"

/* Set before loading. */
const volatile _Bool use_tai;
const volatile _Bool extra_ports;                /* some of ports are not 0 */
const volatile __u16 ports[XDPRECORDS_PORTS];

/* Wall clock less the program's clock, kept by user space. */
__u64 clock_offset;

/* Of the interface, as its six bytes lie in memory; another one when it was made again. */
__u64 mac;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* CPUs, set before loading */
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 65536);
	});
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdprecords_counters);
} counters SEC(".maps");

#define INLINE static __always_inline

struct packet {
	__u8 *data;
	__u8 *end;          /* of the first fragment */
	__u32 wire_length;
	__u32 l3, l4, stop; /* offsets; stop: where the IP packet ends */
	_Bool last;         /* the IP header is the last one: a fragment's */
};

INLINE __u16 be16(const __u8 *bytes)
{
	return bpf_ntohs(*(const __u16 *)bytes);
}

INLINE __u32 be32(const __u8 *bytes)
{
	return bpf_ntohl(*(const __u32 *)bytes);
}

INLINE __u64 wall_clock(void)
{
	return (use_tai ? bpf_ktime_get_tai_ns() : bpf_ktime_get_ns()) + clock_offset;
}

INLINE __u32 direction(const __u8 *data)
{
	__u64 to = *(const __u32 *)data | (__u64) * (const __u16 *)(data + 4) << 32;

	return (data[0] & 1) || to == mac ? DIRECTION_IN : DIRECTION_OTHER;
}

/* --- layers: each returns false for what is not plain ------------------------------------------- */

INLINE _Bool is_tag(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

INLINE __u32 tpid_of(__u16 type)
{
	return type == 0x8100 ? TPID_8100 : type == 0x88a8 ? TPID_88A8 : type == 0x9100 ? TPID_9100 : TPID_9200;
}

INLINE _Bool ethernet(struct packet *packet, struct record *record)
{
	__u8 *data = packet->data;
	__u16 type;

	if (data + 22 > packet->end)
		return 0;
	__builtin_memcpy(record->dst_mac, data, 6);
	__builtin_memcpy(record->src_mac, data + 6, 6);
	record->layers = LAYER_ETH | LAYER_ETHERTYPE;
	type = be16(data + 12);
	packet->l3 = 14;
	if (is_tag(type)) {
		record->layers |= LAYER_VLAN;
		record->vlan_tci = be16(data + 14);
		record->status |= tpid_of(type) << STATUS_OUTER_TPID_SHIFT;
		type = be16(data + 16);
		packet->l3 = 18;
		if (is_tag(type)) {
			record->layers |= LAYER_VLAN_INNER;
			record->inner_vlan_tci = be16(data + 18);
			record->status |= tpid_of(type) << STATUS_INNER_TPID_SHIFT;
			type = be16(data + 20);
			packet->l3 = 22;
		}
	}
	record->ethertype = type;
	return 1;
}

INLINE _Bool ipv4(struct packet *packet, struct record *record)
{
	__u8 *header = packet->data + packet->l3;
	__u32 total, fragment;

	if (header + 20 > packet->end || header[0] != 0x45)
		return 0;
	total = be16(header + 2);
	fragment = be16(header + 6);
	packet->last = (fragment & 0x1fff) != 0;
	if (total < 20 || total > packet->wire_length - packet->l3 || (fragment & 0x3fff))
		return 0;
	packet->stop = packet->l3 + total;
	packet->l4 = packet->l3 + 20;
	record->layers |= LAYER_IPV4;
	if (fragment & 0x4000)
		record->status |= STATUS_DONT_FRAGMENT;
	record->ip_tos = header[1];
	record->ip_id = be16(header + 4);
	record->ip_ttl = header[8];
	record->ip_protocol = header[9];
	record->src_ip[10] = record->src_ip[11] = 0xff;
	__builtin_memcpy(record->src_ip + 12, header + 12, 4);
	record->dst_ip[10] = record->dst_ip[11] = 0xff;
	__builtin_memcpy(record->dst_ip + 12, header + 16, 4);
	return 1;
}

INLINE _Bool ipv6(struct packet *packet, struct record *record)
{
	__u8 *header = packet->data + packet->l3;
	__u32 length;

	if (header + 40 > packet->end || header[0] >> 4 != 6)
		return 0;
	length = be16(header + 4);
	if (length == 0 || packet->l3 + 40 + length > packet->wire_length)
		return 0;
	packet->stop = packet->l3 + 40 + length;
	packet->l4 = packet->l3 + 40;
	record->layers |= LAYER_IPV6;
	record->ip_tos = (__u8)(be16(header) >> 4);
	record->ip_ttl = header[7];
	record->ip_protocol = header[6];
	__builtin_memcpy(record->src_ip, header + 8, 16);
	__builtin_memcpy(record->dst_ip, header + 24, 16);
	return 1;
}

/* The options that most segments have, by their fixed forms; false: another form, for user space. */
INLINE _Bool tcp_options(struct packet *packet, const __u8 *options, __u32 length, __u32 *status)
{
	__u32 first;

	if (length == 0)
		return 1;
	if (options + 12 > packet->end || length < 12)
		return 0;
	first = be32(options);
	if (length == 12 && first == 0x0101080a) { /* NOP NOP timestamps */
		*status |= STATUS_TCP_TIMESTAMPS;
		return 1;
	}
	if ((length == 12 && first == 0x0101050a) || (length == 20 && first == 0x01010512)) { /* NOP NOP SACK */
		*status |= STATUS_TCP_SACK;
		return 1;
	}
	if (length != 20 || options + 20 > packet->end)
		return 0;
	/* MSS, SACK permitted, timestamps, NOP, window scale: Linux' SYN. */
	if (first >> 16 != 0x0204 || be32(options + 4) != 0x0402080a || be16(options + 16) != 0x0103 ||
	    options[18] != 3)
		return 0;
	*status |= STATUS_TCP_MSS | STATUS_TCP_SACK_PERMITTED | STATUS_TCP_TIMESTAMPS | STATUS_TCP_WINDOW_SCALE;
	return 1;
}

INLINE _Bool tcp(struct packet *packet, struct record *record, __u32 *header_length)
{
	__u8 *header = packet->data + packet->l4;
	__u32 length, status = 0;

	if (header + 20 > packet->end)
		return 0;
	length = (header[12] >> 4) * 4;
	if (length < 20 || length > packet->stop - packet->l4)
		return 0;
	if (!tcp_options(packet, header + 20, length - 20, &status))
		return 0;
	if (header[12] & 1)
		status |= STATUS_TCP_AE;
	record->status |= status;
	record->layers |= LAYER_TCP | LAYER_PORTS;
	record->src_port = be16(header);
	record->dst_port = be16(header + 2);
	record->tcp_seq = be32(header + 4);
	record->tcp_ack = be32(header + 8);
	record->tcp_flags = header[13];
	record->tcp_window = be16(header + 14);
	*header_length = length;
	return 1;
}

/* A port that decode_udp_ports() may take for a tunnel's. */
INLINE _Bool may_be_tunnel(__u16 port)
{
	if (port >= 1701 && port <= 6635) {
		switch (port) {
		case 1701:
		case 2152:
		case 3544:
		case 4500:
		case 4754:
		case 4789:
		case 4790:
		case 5072:
		case 6081:
		case 6635:
			return 1;
		}
	}
	if (extra_ports) {
		for (int i = 0; i < XDPRECORDS_PORTS; i++) {
			if (ports[i] != 0 && ports[i] == port)
				return 1;
		}
	}
	return 0;
}

INLINE _Bool udp(struct packet *packet, struct record *record, __u32 *header_length)
{
	__u8 *header = packet->data + packet->l4;
	__u32 length;

	if (header + 8 > packet->end)
		return 0;
	length = be16(header + 4);
	if (length < 8 || length > packet->stop - packet->l4)
		return 0;
	record->src_port = be16(header);
	record->dst_port = be16(header + 2);
	if (may_be_tunnel(record->src_port) || may_be_tunnel(record->dst_port))
		return 0;
	record->layers |= LAYER_UDP | LAYER_PORTS;
	*header_length = 8;
	return 1;
}

INLINE _Bool icmp(struct packet *packet, struct record *record, __u32 layer, __u32 *header_length)
{
	__u8 *header = packet->data + packet->l4;

	if (header + 8 > packet->end || packet->stop - packet->l4 < 8)
		return 0;
	record->layers |= layer;
	record->icmp_type = header[0];
	record->icmp_code = header[1];
	if (record_has_icmp_id(record)) {
		record->icmp_id = be16(header + 4);
		record->icmp_sequence = be16(header + 6);
	}
	*header_length = 8;
	return 1;
}

/* What became of a packet. */
enum outcome {
	PLAIN = 0,
	SHORT_CHAIN, /* for user space; its headers are few */
	LONG_CHAIN,  /* for user space; more tags or labels, extension headers, a tunnel over IP */
};

INLINE enum outcome transport(struct packet *packet, struct record *record, __u32 *header_length)
{
	_Bool plain;

	/* Padding must not be read as a header, nor a header go on behind what the lengths say. */
	switch (record->ip_protocol) {
	case 6:
		plain = packet->stop - packet->l4 >= 20 && tcp(packet, record, header_length);
		break;
	case 17:
		plain = packet->stop - packet->l4 >= 8 && udp(packet, record, header_length);
		break;
	case 1:
		plain = icmp(packet, record, LAYER_ICMP, header_length);
		break;
	case 58:
		plain = icmp(packet, record, LAYER_ICMPV6, header_length);
		break;
	default:
		return LONG_CHAIN;
	}
	return plain ? PLAIN : SHORT_CHAIN;
}

INLINE __u32 hash_of(const struct record *record)
{
	__u64 src[2], dst[2];

	__builtin_memcpy(src, record->src_ip, sizeof src);
	__builtin_memcpy(dst, record->dst_ip, sizeof dst);
	return flow_hash_join(flow_hash_endpoint(src[0], src[1], record->src_port),
			      flow_hash_endpoint(dst[0], dst[1], record->dst_port), record->ip_protocol);
}

INLINE enum outcome decode(struct packet *packet, struct record *record)
{
	enum outcome outcome;
	__u32 header_length;

	__builtin_memset(record, 0, sizeof *record);
	if (!ethernet(packet, record))
		return SHORT_CHAIN;
	if (record->ethertype == 0x0800) {
		if (!ipv4(packet, record))
			return packet->last ? SHORT_CHAIN : LONG_CHAIN;
	} else if (record->ethertype != 0x86dd || !ipv6(packet, record)) {
		return LONG_CHAIN;
	}
	outcome = transport(packet, record, &header_length);
	if (outcome != PLAIN)
		return outcome;
	record->wire_length = packet->wire_length;
	record->captured_length = packet->wire_length;
	record->packet_offset = RECORD_NO_OFFSET;
	record->l3_offset = (__u16)packet->l3;
	record->l4_offset = (__u16)packet->l4;
	record->payload_offset = (__u16)(packet->l4 + header_length);
	record->payload_length = packet->stop - packet->l4 - header_length;
	record->flow_hash = hash_of(record);
	record->status |= direction(packet->data) << STATUS_DIRECTION_SHIFT;
	return PLAIN;
}

/* --- sending ------------------------------------------------------------------------------------ */

INLINE void send_headers(struct xdp_md *context, const struct packet *packet, void *ring, __u64 now,
			 __u32 room, struct xdprecords_counters *count)
{
	struct xdprecords_headers *headers = bpf_ringbuf_reserve(ring, sizeof *headers + room, 0);
	__u32 length = packet->wire_length;

	if (!headers) {
		count->lost++;
		return;
	}
	if (length > room)
		length = room;
	/* 1 to room, said so that every verifier sees it: 6.1's learns no lower bound from a comparison, and the
	 * compiler must not take what it knows and bound another register. No frame has 0 bytes. */
	asm volatile("" : "+r"(length));
	length = ((length - 1) & (room - 1)) + 1;
	if (bpf_xdp_load_bytes(context, 0, headers->bytes, length) != 0)
		length = 0;
	headers->timestamp_ns = now;
	headers->wire_length = packet->wire_length;
	headers->length = length;
	headers->direction = length >= 6 ? direction(headers->bytes) : DIRECTION_UNKNOWN;
	headers->reserved = 0;
	bpf_ringbuf_submit(headers, 0);
}

SEC("xdp")
int accept(struct xdp_md *context)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	struct xdprecords_counters *count = bpf_map_lookup_elem(&counters, &zero);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	struct packet packet = { .data = (void *)(long)context->data, .end = (void *)(long)context->data_end };
	struct record *record;
	enum outcome outcome;
	__u64 now;

	if (!count)
		return XDP_PASS;
	if (!ring) {
		count->unread++;
		return XDP_PASS;
	}
	count->seen++;
	now = wall_clock();
	packet.wire_length = (__u32)bpf_xdp_get_buff_len(context);
	record = bpf_ringbuf_reserve(ring, sizeof *record, 0);
	if (!record) {
		count->lost++;
		return XDP_PASS;
	}
	outcome = decode(&packet, record);
	if (outcome == PLAIN) {
		record->timestamp_ns = now;
		count->plain++;
		bpf_ringbuf_submit(record, 0);
		return XDP_PASS;
	}
	/* kernel: wakes the reader only when it stands at this sample, so a discarded one must wake as well. */
	bpf_ringbuf_discard(record, 0);
	if (outcome == LONG_CHAIN && packet.wire_length > XDPRECORDS_BYTES)
		send_headers(context, &packet, ring, now, XDPRECORDS_LONG, count);
	else
		send_headers(context, &packet, ring, now, XDPRECORDS_BYTES, count);
	return XDP_PASS;
}

SEC("xdp")
int reject(struct xdp_md *context)
{
	__u32 zero = 0;
	struct xdprecords_counters *count = bpf_map_lookup_elem(&counters, &zero);

	if (count)
		count->passed++;
	return XDP_PASS;
}

const char license_of[] SEC("license") = "Dual MIT/GPL";
