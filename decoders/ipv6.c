/* IPv6 and its extension headers.
 *
 * RFC 8200 3 (the header), 4 (extension headers); RFC 2675 2 (jumbo payload); RFC 8754 2
 * (segment routing); RFC 6275 6.1, 6.3 and 6.4 (mobility, home address, type 2 routing);
 * RFC 4302 2 (authentication header, also over IPv4); RFC 4303 2 (ESP).
 *
 *      0                   1                   2                   3
 *     |Version| traffic class |              flow label               |
 *     |        payload length         |  next header  |   hop limit   |
 *     |                       source address (16)                     |
 *     |                    destination address (16)                   |
 *
 *     options, routing   | next header | length / 8 - 1 | ...
 *     fragment           | next header | 0 | offset / 8, 0, M | identification (4) |
 *     authentication     | next header | length / 4 - 2 | 0 | SPI (4) | sequence (4) | ...
 *
 * The chain is walked one header a step; the loop in decode.c bounds it.
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

#define IPV6_OPTION_BOUND 256

enum {
	HEADER_HOP_BY_HOP = 0,
	HEADER_NONE = 59,
	OPTION_PAD1 = 0x00,
	OPTION_JUMBO = 0xc2,
	OPTION_HOME_ADDRESS = 0xc9,
	ROUTING_SOURCE = 0,
	ROUTING_MOBILE = 2,
	ROUTING_SEGMENTS = 4,
	FRAGMENT_MORE = 0x0001,
	FRAGMENT_OFFSET = 0xfff8,
};

enum decode_next decode_ipv6(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 40, STATUS_MALFORMED_L3);
	struct record *record;
	uint32_t payload_length;

	if (header == NULL)
		return NEXT_END;
	if (header[0] >> 4 != 6) {
		d->record->status |= STATUS_MALFORMED_L3;
		return NEXT_END;
	}
	record = decode_level(d);
	d->level_at = offset;
	payload_length = load_be16(header + 4);
	/* 0 with hop-by-hop options: the jumbo option may still say. 0 with more behind it than the
	 * field could count: an aggregated frame without that option. */
	if (payload_length != 0 ||
	    (header[6] != HEADER_HOP_BY_HOP && d->wire_end - offset <= UINT16_MAX + UINT32_C(40)))
		decode_claim(d, offset + 40, payload_length);
	record->layers |= LAYER_IPV6;
	record->l3_offset = decode_offset16(offset);
	record->ip_tos = (uint8_t)(load_be16(header) >> 4);
	record->ip_ttl = header[7];
	__builtin_memcpy(record->src_ip, header + 8, 16);
	__builtin_memcpy(record->dst_ip, header + 24, 16);
	d->hash_protocol = header[6];
	decode_trace_at(d, "IPv6", offset, 40);
	decode_payload(d);
	return decode_protocol(d, header[6]);
}

/* RFC 2675 3: only in a packet whose payload length is 0, and above what that could say. */
static void jumbo(struct decode *d, uint32_t length)
{
	struct cursor header = d->cursor;
	const uint8_t *field;

	header.at = d->level_at;
	field = cursor_look(&header, 6);
	if (field == NULL || load_be16(field + 4) != 0 || length <= UINT16_MAX) {
		d->record->status |= STATUS_MALFORMED_L3;
		return;
	}
	decode_claim(d, d->level_at + 40, length);
}

static void ipv6_option_list(struct decode *d, struct cursor options)
{
	for (uint32_t i = 0; i < IPV6_OPTION_BOUND; i++) {
		const uint8_t *kind = cursor_take(&options, 1);
		const uint8_t *length, *value;

		if (kind == NULL)
			return;
		if (kind[0] == OPTION_PAD1)
			continue;
		length = cursor_take(&options, 1);
		value = cursor_look(&options, 4);
		if (length == NULL || !cursor_skip(&options, length[0])) {
			d->record->status |= STATUS_MALFORMED_L3;
			return;
		}
		if (kind[0] == OPTION_JUMBO && length[0] == 4 && value != NULL && d->protocol == HEADER_HOP_BY_HOP)
			jumbo(d, load_be32(value));
		if (kind[0] == OPTION_HOME_ADDRESS)
			d->checksum_unknowable = true;
	}
}

/* Hop-by-hop and destination options; d->protocol says which. */
enum decode_next decode_ipv6_options(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	struct cursor options;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L3);
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	d->record->layers |= LAYER_IPV6_EXT;
	length = (header[1] + UINT32_C(1)) * 8;
	decode_trace_at(d, d->protocol == HEADER_HOP_BY_HOP ? "IPv6 hop-by-hop options" : "IPv6 destination options",
			offset, length);
	d->record->ip_protocol = header[0]; /* known, also when the rest is missing */
	options = d->cursor;
	options.at = offset + 2;
	if (!decode_skip(d, length - 8, STATUS_MALFORMED_L3))
		return NEXT_END;
	cursor_limit(&options, d->cursor.at);
	ipv6_option_list(d, options);
	decode_payload(d);
	return decode_protocol(d, header[0]);
}

/* With segments left, checksums are over the last address of the route (RFC 8200 8.1): the last
 * listed for types 0 and 2, the first listed for a segment routing header. */
static void route_end(struct decode *d, uint32_t offset, uint32_t length, uint8_t type)
{
	struct cursor address = d->cursor;
	const uint8_t *bytes;

	d->checksum_unknowable = true;
	if (length < 24 || (type != ROUTING_SOURCE && type != ROUTING_MOBILE && type != ROUTING_SEGMENTS))
		return;
	address.at = type == ROUTING_SEGMENTS ? offset + 8 : offset + length - 16;
	bytes = cursor_look(&address, 16);
	if (bytes == NULL)
		return;
	__builtin_memcpy(d->final_dst, bytes, sizeof d->final_dst);
	d->routed = true;
	d->checksum_unknowable = false;
}

enum decode_next decode_ipv6_routing(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L3);
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	d->record->layers |= LAYER_IPV6_EXT;
	length = (header[1] + UINT32_C(1)) * 8;
	decode_trace_at(d, header[2] == ROUTING_SEGMENTS ? "IPv6 segment routing" : "IPv6 routing", offset, length);
	d->record->ip_protocol = header[0];
	if (!decode_skip(d, length - 8, STATUS_MALFORMED_L3))
		return NEXT_END;
	if (header[3] != 0)
		route_end(d, offset, length, header[2]);
	decode_payload(d);
	return decode_protocol(d, header[0]);
}

enum decode_next decode_ipv6_fragment(struct decode *d)
{
	struct record *record = d->record;
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L3);
	uint16_t fragment;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "IPv6 fragment", offset, 8);
	fragment = load_be16(header + 2);
	record->layers |= LAYER_IPV6_EXT | LAYER_IPV6_FRAG;
	record->ip_id = load_be32(header + 4);
	record->fragment_offset = fragment & FRAGMENT_OFFSET;
	if (fragment & FRAGMENT_MORE)
		record->status |= STATUS_MORE_FRAGMENTS;
	if (fragment & (FRAGMENT_MORE | FRAGMENT_OFFSET))
		record->status |= STATUS_FRAGMENT;
	d->hash_protocol = header[0];
	record->ip_protocol = header[0];
	decode_payload(d);
	if (record->fragment_offset != 0)
		return NEXT_END;
	return decode_protocol(d, header[0]);
}

/* Mobility, HIP and Shim6 have the form of an extension header, and are the last header when
 * they say so: then they, not "none", are the packet's protocol. */
enum decode_next decode_ipv6_mobility(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L3);
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	d->record->layers |= LAYER_IPV6_EXT;
	length = (header[1] + UINT32_C(1)) * 8;
	decode_trace_at(d, d->protocol == 135 ? "Mobility" : d->protocol == 139 ? "HIP" : "Shim6", offset, length);
	if (header[0] != HEADER_NONE)
		d->record->ip_protocol = header[0];
	if (!decode_skip(d, length - 8, STATUS_MALFORMED_L3))
		return NEXT_END;
	decode_payload(d);
	return header[0] == HEADER_NONE ? NEXT_END : decode_protocol(d, header[0]);
}

enum decode_next decode_ah(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 12, STATUS_MALFORMED_L3);
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	d->record->ip_protocol = header[0];
	length = (header[1] + UINT32_C(2)) * 4;
	if (length < 12) {
		d->record->status |= STATUS_MALFORMED_L3;
		return NEXT_END;
	}
	d->record->layers |= LAYER_AH;
	decode_trace_at(d, "AH", offset, length);
	if (!decode_skip(d, length - 12, STATUS_MALFORMED_L3))
		return NEXT_END;
	decode_payload(d);
	return decode_protocol(d, header[0]);
}

/* Encrypted: what follows is not looked at. */
enum decode_next decode_esp(struct decode *d)
{
	uint32_t offset = d->cursor.at;

	if (decode_take(d, 8, STATUS_MALFORMED_L3) == NULL)
		return NEXT_END;
	decode_trace_at(d, "ESP", offset, 8);
	d->record->layers |= LAYER_ESP;
	checksum_none(d);
	return NEXT_END;
}
