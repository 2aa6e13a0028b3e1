/* The straight way for most packets: Ethernet, at most one 802.1Q tag, IPv4 without options or
 * IPv6 without extensions, TCP or UDP without a tunnel; complete and well-formed.
 *
 * It only ever says "this one is plain, here is its record" or "not for me". Wire diagrams are
 * in the families' files; decode.c's loop gives the same record for every packet that this
 * takes, and a test compares the two. Each field is stored once, in memory order, so that the
 * stores of a record stream.
 */
#include "decoders/decode_internal.h"
#include "decoders/flow_hash.h"

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_VLAN = 0x8100,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	IPV4_DONT_FRAGMENT = 0x4000,
	IPV4_FRAGMENT = 0x3fff,
	TUNNEL_PORT_MIN = 1701, /* of decode_udp_ports() */
	TUNNEL_PORT_MAX = 6635,
};

/* What was learnt on the way, in registers until the record is stored. */
struct plain {
	uint64_t src_high, src_low, dst_high, dst_low; /* addresses as they lie in the record */
	uint32_t layers, status;
	uint32_t l3, l4, payload, end; /* offsets */
	uint16_t ethertype, vlan_tci;
	uint16_t ip_id;
	uint8_t ttl, tos, protocol;
};

static inline uint64_t load64(const uint8_t *bytes)
{
	uint64_t value;

	__builtin_memcpy(&value, bytes, sizeof value);
	return value;
}

static inline uint64_t mapped_ipv4(const uint8_t *bytes)
{
	uint32_t address;

	__builtin_memcpy(&address, bytes, sizeof address);
	return (uint64_t)address << 32 | UINT32_C(0xffff0000);
}

static inline bool plain_ipv4(struct plain *p, struct cursor *cursor, uint32_t wire_length)
{
	const uint8_t *header = cursor_take(cursor, 20);
	uint32_t total, fragment;

	if (header == NULL || header[0] != 0x45)
		return false;
	total = load_be16(header + 2);
	fragment = load_be16(header + 6);
	if (total < 20 || total > wire_length - p->l3 || (fragment & IPV4_FRAGMENT))
		return false;
	p->end = p->l3 + total;
	p->layers |= LAYER_IPV4;
	if (fragment & IPV4_DONT_FRAGMENT)
		p->status |= STATUS_DONT_FRAGMENT;
	p->tos = header[1];
	p->ip_id = load_be16(header + 4);
	p->ttl = header[8];
	p->protocol = header[9];
	p->src_high = 0;
	p->src_low = mapped_ipv4(header + 12);
	p->dst_high = 0;
	p->dst_low = mapped_ipv4(header + 16);
	return true;
}

static inline bool plain_ipv6(struct plain *p, struct cursor *cursor, uint32_t wire_length)
{
	const uint8_t *header = cursor_take(cursor, 40);
	uint32_t length;

	if (header == NULL || header[0] >> 4 != 6)
		return false;
	length = load_be16(header + 4);
	if (length == 0 || length > wire_length - p->l3 - 40)
		return false;
	p->end = p->l3 + 40 + length;
	p->layers |= LAYER_IPV6;
	p->tos = (uint8_t)(load_be16(header) >> 4);
	p->ip_id = 0;
	p->ttl = header[7];
	p->protocol = header[6];
	p->src_high = load64(header + 8);
	p->src_low = load64(header + 16);
	p->dst_high = load64(header + 24);
	p->dst_low = load64(header + 32);
	return true;
}

/* The options that nearly every segment of a connection has: two NOPs and the timestamps. */
static inline uint32_t tcp_options(const struct cursor *cursor, uint32_t length)
{
	struct cursor options = *cursor;
	const uint8_t *bytes = cursor_look(cursor, 12);

	if (length == 12 && bytes != NULL && load_be32(bytes) == UINT32_C(0x0101080a))
		return STATUS_TCP_TIMESTAMPS;
	cursor_limit(&options, options.at + length);
	return decode_tcp_options(options);
}

static inline bool tunnel_port(uint16_t port)
{
	return port >= TUNNEL_PORT_MIN && port <= TUNNEL_PORT_MAX;
}

static inline bool extra_ports(const struct decode_ports *ports)
{
	uint64_t words[6];

	_Static_assert(sizeof *ports == sizeof words, "all of them");
	__builtin_memcpy(words, ports, sizeof words);
	return (words[0] | words[1] | words[2] | words[3] | words[4] | words[5]) != 0;
}

static inline void store(struct record *record, const struct plain *p, const uint8_t *macs,
			 uint32_t captured_length, uint32_t wire_length, uint16_t src_port, uint16_t dst_port)
{
	uint64_t src = flow_hash_endpoint(p->src_high, p->src_low, src_port);
	uint64_t dst = flow_hash_endpoint(p->dst_high, p->dst_low, dst_port);

	record->timestamp_ns = 0;
	record->wire_length = wire_length;
	record->captured_length = captured_length;
	__builtin_memcpy(record->src_ip, &p->src_high, 8);
	__builtin_memcpy(record->src_ip + 8, &p->src_low, 8);
	__builtin_memcpy(record->dst_ip, &p->dst_high, 8);
	__builtin_memcpy(record->dst_ip + 8, &p->dst_low, 8);
	record->src_port = src_port;
	record->dst_port = dst_port;
	record->payload_length = p->end - p->payload;
	record->flow_hash = flow_hash_join(src, dst, p->protocol);
	record->ethertype = p->ethertype;
	record->ip_protocol = p->protocol;
	record->packet_offset = RECORD_NO_OFFSET;
	record->tunnel_id = 0;
	record->ip_id = p->ip_id;
	record->layers = p->layers;
	record->status = p->status;
	__builtin_memcpy(record->src_mac, macs + 6, 6);
	__builtin_memcpy(record->dst_mac, macs, 6);
	record->vlan_tci = p->vlan_tci;
	record->inner_vlan_tci = 0;
	record->l3_offset = (uint16_t)p->l3;
	record->l4_offset = (uint16_t)p->l4;
	record->payload_offset = (uint16_t)p->payload;
	record->fragment_offset = 0;
	record->ip_ttl = p->ttl;
	record->ip_tos = p->tos;
	record->tunnel_type = TUNNEL_NONE;
	record->tunnel_depth = 0;
	record->interface = 0;
}

static inline bool plain_tcp(struct plain *p, struct cursor *cursor, const uint8_t *macs,
			     uint32_t captured_length, uint32_t wire_length, struct record *record)
{
	const uint8_t *header = cursor_take(cursor, 20);
	uint32_t length;

	if (header == NULL)
		return false;
	length = (header[12] >> 4) * UINT32_C(4);
	if (length < 20 || length > p->end - p->l4)
		return false;
	if (length > 20) {
		if (!cursor_has(cursor, length - 20))
			return false;
		p->status |= tcp_options(cursor, length - 20);
	}
	p->layers |= LAYER_TCP | LAYER_PORTS;
	if (header[12] & 1)
		p->status |= STATUS_TCP_AE;
	p->payload = p->l4 + length;
	store(record, p, macs, captured_length, wire_length, load_be16(header), load_be16(header + 2));
	record->tcp_flags = header[13];
	record->tcp_seq = load_be32(header + 4);
	record->tcp_ack = load_be32(header + 8);
	record->tcp_window = load_be16(header + 14);
	return true;
}

static inline bool plain_udp(struct plain *p, struct cursor *cursor, const struct decode_options *options,
			     const uint8_t *macs, uint32_t captured_length, uint32_t wire_length,
			     struct record *record)
{
	const uint8_t *header = cursor_take(cursor, 8);
	uint16_t src_port, dst_port;
	uint32_t length;

	if (header == NULL)
		return false;
	src_port = load_be16(header);
	dst_port = load_be16(header + 2);
	length = load_be16(header + 4);
	if (length < 8 || length > p->end - p->l4)
		return false;
	if ((tunnel_port(src_port) || tunnel_port(dst_port) || extra_ports(&options->ports)) &&
	    decode_udp_ports(options, src_port, dst_port) != NEXT_END)
		return false;
	p->layers |= LAYER_UDP | LAYER_PORTS;
	p->payload = p->l4 + 8;
	store(record, p, macs, captured_length, wire_length, src_port, dst_port);
	record->tcp_flags = 0;
	record->tcp_seq = 0;
	record->tcp_ack = 0;
	record->tcp_window = 0;
	return true;
}

bool decode_fast(const struct decode_options *options, const uint8_t *data, uint32_t captured_length,
		 uint32_t wire_length, struct record *record)
{
	struct cursor cursor = cursor_over(data, captured_length);
	const uint8_t *macs = cursor_take(&cursor, 14);
	const uint8_t *tag;
	struct plain p = { 0 };

	if (macs == NULL || options->verify_checksums || wire_length > DECODE_FRAME_BOUND)
		return false;
	p.layers = LAYER_ETH | LAYER_ETHERTYPE;
	p.status = options->checksum_not_ready ? STATUS_CHECKSUM_NOT_READY : 0;
	p.ethertype = load_be16(macs + 12);
	p.l3 = 14;
	if (p.ethertype == TYPE_VLAN) {
		tag = cursor_take(&cursor, 4);
		if (tag == NULL)
			return false;
		p.vlan_tci = load_be16(tag);
		p.ethertype = load_be16(tag + 2);
		p.layers |= LAYER_VLAN;
		p.l3 = 18;
	}
	if (p.ethertype == TYPE_IPV4) {
		if (!plain_ipv4(&p, &cursor, wire_length))
			return false;
	} else if (p.ethertype == TYPE_IPV6) {
		if (!plain_ipv6(&p, &cursor, wire_length))
			return false;
	} else {
		return false;
	}
	/* The lengths are checked against the wire; padding must not be read as a header. */
	p.l4 = cursor.at;
	cursor_limit(&cursor, p.end);
	if (p.protocol == PROTOCOL_TCP)
		return plain_tcp(&p, &cursor, macs, captured_length, wire_length, record);
	if (p.protocol == PROTOCOL_UDP)
		return plain_udp(&p, &cursor, options, macs, captured_length, wire_length, record);
	return false;
}
