/* The straight way for most packets: Ethernet, at most one 802.1Q tag, IPv4 without options or
 * IPv6 without extensions, TCP or UDP without a tunnel; complete and well-formed.
 *
 * It only ever says "this one is plain, here is its record" or "not for me". Wire diagrams are
 * in the families' files; decode.c's loop gives the same record for every packet that this
 * takes, and a test compares the two.
 *
 * The record is stored as sixteen 64-bit words, each put together in a register and stored as soon as
 * its header is read (a packet that turns out not to be plain is decoded anew by the loop, which
 * clears the record first). Storing its 40 fields one by one took twice the instructions, and keeping
 * them all until the end spilt registers. Word offsets are those of record.h, asserted there.
 *
 * The functions are always inlined into decode_packet: IPv4 and IPv6, tagged and not, become straight lines
 * of constants without a common tail.
 */
#ifndef WEIR_DECODERS_DECODE_FAST_H
#define WEIR_DECODERS_DECODE_FAST_H

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

#define HOT static inline __attribute__((always_inline))

/* What the headers above have told and the words of the last header need. */
struct plain {
	struct record *record;
	struct cursor cursor;
	uint32_t layers, status;
	uint32_t l3, l4, end; /* offsets */
	uint16_t ethertype;
	uint32_t ttl_tos;     /* as in the record: TTL in the low byte. 32 bits wide, as it is read: a narrower store that is
				 spilled and read back as a word waits for all stores before it (7 ns live) */
	uint8_t protocol;
	uint64_t src_high, src_low, dst_high, dst_low; /* addresses as they lie in the record */
};

HOT void store_word(struct record *record, uint32_t offset, uint64_t word)
{
	__builtin_memcpy((uint8_t *)record + offset, &word, sizeof word);
}

HOT uint64_t load64(const uint8_t *bytes)
{
	uint64_t value;

	__builtin_memcpy(&value, bytes, sizeof value);
	return value;
}

HOT uint64_t mapped_ipv4(const uint8_t *bytes)
{
	uint32_t address;

	__builtin_memcpy(&address, bytes, sizeof address);
	return (uint64_t)address << 32 | UINT32_C(0xffff0000);
}

HOT void store_addresses(const struct plain *p, uint32_t ip_id)
{
	store_word(p->record, 16, p->src_high);
	store_word(p->record, 24, p->src_low);
	store_word(p->record, 32, p->dst_high);
	store_word(p->record, 40, p->dst_low);
	store_word(p->record, 80, (uint64_t)ip_id << 32);
}

HOT bool plain_ipv4(struct plain *p, uint32_t wire_length)
{
	const uint8_t *header = cursor_take(&p->cursor, 20);
	uint32_t total, fragment;

	if (header == NULL || header[0] != 0x45)
		return false;
	total = load_be16(header + 2);
	fragment = load_be16(header + 6);
	if (total < 20 || total > wire_length - p->l3 || (fragment & IPV4_FRAGMENT))
		return false;
	p->end = p->l3 + total;
	p->layers |= LAYER_IPV4;
	p->status |= (fragment & IPV4_DONT_FRAGMENT) / IPV4_DONT_FRAGMENT * STATUS_DONT_FRAGMENT;
	p->ttl_tos = header[8] | (uint32_t)header[1] << 8;
	p->protocol = header[9];
	p->src_high = 0;
	p->src_low = mapped_ipv4(header + 12);
	p->dst_high = 0;
	p->dst_low = mapped_ipv4(header + 16);
	store_addresses(p, load_be16(header + 4));
	return true;
}

HOT bool plain_ipv6(struct plain *p, uint32_t wire_length)
{
	const uint8_t *header = cursor_take(&p->cursor, 40);
	uint32_t length;

	if (header == NULL || header[0] >> 4 != 6)
		return false;
	length = load_be16(header + 4);
	if (length == 0 || length > wire_length - p->l3 - 40)
		return false;
	p->end = p->l3 + 40 + length;
	p->layers |= LAYER_IPV6;
	p->ttl_tos = header[7] | (uint32_t)(uint8_t)(load_be16(header) >> 4) << 8;
	p->protocol = header[6];
	p->src_high = load64(header + 8);
	p->src_low = load64(header + 16);
	p->dst_high = load64(header + 24);
	p->dst_low = load64(header + 32);
	store_addresses(p, 0);
	return true;
}

/* The options that nearly every segment of a connection has: two NOPs and the timestamps. */
HOT uint32_t tcp_options(const struct cursor *cursor, uint32_t length)
{
	struct cursor options = *cursor;
	const uint8_t *bytes = cursor_look(cursor, 12);

	if (length == 12 && bytes != NULL && load_be32(bytes) == UINT32_C(0x0101080a))
		return STATUS_TCP_TIMESTAMPS;
	cursor_limit(&options, options.at + length);
	return decode_tcp_options(options);
}

HOT bool tunnel_port(uint32_t port)
{
	return port - TUNNEL_PORT_MIN <= TUNNEL_PORT_MAX - TUNNEL_PORT_MIN;
}

HOT bool extra_ports(const struct decode_ports *ports)
{
	const uint8_t *bytes = (const uint8_t *)ports;

	/* An array that the words are copied into first goes through the stack: 5 ns a packet. */
	_Static_assert(sizeof *ports == 6 * sizeof(uint64_t), "all of them");
	return (load64(bytes) | load64(bytes + 8) | load64(bytes + 16) | load64(bytes + 24) | load64(bytes + 32) |
		load64(bytes + 40)) != 0;
}

/* The words that the transport header completes. */
HOT void store_rest(const struct plain *p, uint32_t header_length, uint32_t src_port, uint32_t dst_port,
		    uint32_t flags, uint32_t window, uint64_t seq_ack)
{
	uint64_t src = flow_hash_endpoint(p->src_high, p->src_low, (uint16_t)src_port);
	uint64_t dst = flow_hash_endpoint(p->dst_high, p->dst_low, (uint16_t)dst_port);
	uint32_t payload = p->l4 + header_length;
	uint32_t kinds = (uint32_t)p->ethertype | (uint32_t)p->protocol << 16 | flags << 24;

	store_word(p->record, 48, (uint64_t)(p->end - payload) << 32 | dst_port << 16 | src_port);
	store_word(p->record, 56, (uint64_t)kinds << 32 | flow_hash_join(src, dst, p->protocol));
	store_word(p->record, 72, seq_ack);
	store_word(p->record, 88, (uint64_t)p->status << 32 | p->layers);
	store_word(p->record, 112, (uint64_t)payload << 32 | p->l4 << 16 | p->l3);
	store_word(p->record, 120, p->ttl_tos << 16 | window);
}

HOT bool plain_tcp(struct plain *p)
{
	const uint8_t *header = cursor_take(&p->cursor, 20);
	uint32_t length;

	if (header == NULL)
		return false;
	length = (header[12] >> 4) * UINT32_C(4);
	if (length < 20 || length > p->end - p->l4)
		return false;
	if (length > 20) {
		if (!cursor_has(&p->cursor, length - 20))
			return false;
		p->status |= tcp_options(&p->cursor, length - 20);
	}
	p->layers |= LAYER_TCP | LAYER_PORTS;
	if (header[12] & 1)
		p->status |= STATUS_TCP_AE;
	store_rest(p, length, load_be16(header), load_be16(header + 2), header[13], load_be16(header + 14),
		   (uint64_t)load_be32(header + 8) << 32 | load_be32(header + 4));
	return true;
}

HOT bool plain_udp(struct plain *p, const struct decode_options *options)
{
	const uint8_t *header = cursor_take(&p->cursor, 8);
	uint32_t src_port, dst_port, length;

	if (header == NULL)
		return false;
	src_port = load_be16(header);
	dst_port = load_be16(header + 2);
	length = load_be16(header + 4);
	if (length < 8 || length > p->end - p->l4)
		return false;
	if ((tunnel_port(src_port) || tunnel_port(dst_port) || extra_ports(&options->ports)) &&
	    decode_udp_ports(options, (uint16_t)src_port, (uint16_t)dst_port) != NEXT_END)
		return false;
	p->layers |= LAYER_UDP | LAYER_PORTS;
	store_rest(p, 8, src_port, dst_port, 0, 0, 0);
	return true;
}

HOT bool plain_l4(struct plain *p, const struct decode_options *options)
{
	/* The lengths are checked against the wire; padding must not be read as a header. */
	p->l4 = p->cursor.at;
	cursor_limit(&p->cursor, p->end);
	if (p->protocol == PROTOCOL_TCP)
		return plain_tcp(p);
	return p->protocol == PROTOCOL_UDP && plain_udp(p, options);
}

HOT void store_link(struct record *record, const uint8_t *macs, uint32_t captured_length, uint32_t wire_length,
		    uint32_t vlan_tci)
{
	uint64_t dst_mac = load64(macs), src_mac = load64(macs + 6);

	store_word(record, 0, 0);
	store_word(record, 8, (uint64_t)captured_length << 32 | wire_length);
	store_word(record, 64, RECORD_NO_OFFSET);
	store_word(record, 96, dst_mac << 48 | (src_mac & UINT64_C(0xffffffffffff)));
	store_word(record, 104, (uint64_t)vlan_tci << 32 | (uint32_t)(dst_mac >> 16));
}

/* The rest of a frame whose tag, or absence of one, is known: all offsets are constants then. */
HOT bool plain_packet(const struct decode_options *options, const uint8_t *data, uint32_t captured_length,
		      uint32_t wire_length, struct record *record, bool tagged)
{
	struct plain p = { .record = record, .cursor = cursor_over(data, captured_length) };
	const uint8_t *macs = cursor_take(&p.cursor, tagged ? 18 : 14);
	uint32_t vlan_tci;

	if (macs == NULL)
		return false;
	vlan_tci = tagged ? load_be16(macs + 14) : 0;
	p.l3 = tagged ? 18 : 14;
	p.ethertype = load_be16(macs + (tagged ? 16 : 12));
	p.layers = LAYER_ETH | LAYER_ETHERTYPE | (tagged ? LAYER_VLAN : 0);
	p.status = (uint32_t)options->checksum_not_ready * STATUS_CHECKSUM_NOT_READY;
	store_link(record, macs, captured_length, wire_length, vlan_tci);
	if (p.ethertype == TYPE_IPV4)
		return plain_ipv4(&p, wire_length) && plain_l4(&p, options);
	if (p.ethertype == TYPE_IPV6)
		return plain_ipv6(&p, wire_length) && plain_l4(&p, options);
	return false;
}

/* Fills *record and returns true, or returns false with *record in any state. */
HOT bool decode_fast(const struct decode_options *options, const uint8_t *data, uint32_t captured_length,
		 uint32_t wire_length, struct record *record)
{
	struct cursor cursor = cursor_over(data, captured_length);
	const uint8_t *macs = cursor_take(&cursor, 14);

	if (macs == NULL || options->verify_checksums || wire_length > DECODE_FRAME_BOUND)
		return false;
	if (load_be16(macs + 12) == TYPE_VLAN)
		return plain_packet(options, data, captured_length, wire_length, record, true);
	return plain_packet(options, data, captured_length, wire_length, record, false);
}

#endif
