/* IPv4.
 *
 * RFC 791 3.1; RFC 2474 and 3168 (the TOS byte); RFC 6864 (identification).
 *
 *      0                   1                   2                   3
 *     |Version|  IHL  |      TOS      |          total length         |
 *     |         identification        |0 DF MF|   fragment offset / 8 |
 *     |      TTL      |   protocol    |        header checksum        |
 *     |                        source address                         |
 *     |                     destination address                       |
 *     |                    options, up to IHL * 4                     |
 *
 * A header that cannot be trusted (version, IHL, a total length below the header's) is
 * malformed and not described. A total length of 0 is what a host captures of a segment that
 * its NIC is still to cut (TSO, GRO above 64 KiB): the frame's end counts.
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

#define IPV4_OPTION_BOUND 40

enum {
	FRAGMENT_DONT = 0x4000,
	FRAGMENT_MORE = 0x2000,
	FRAGMENT_OFFSET = 0x1fff,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_LOOSE_ROUTE = 0x83,
	OPTION_STRICT_ROUTE = 0x89,
};

/* Checks the lengths of the options that the cursor spans. */
static void ipv4_options(struct decode *d, struct cursor options)
{
	for (uint32_t i = 0; i < IPV4_OPTION_BOUND; i++) {
		const uint8_t *kind = cursor_take(&options, 1);
		const uint8_t *length;

		if (kind == NULL || kind[0] == OPTION_END)
			return;
		if (kind[0] == OPTION_NOP)
			continue;
		length = cursor_take(&options, 1);
		if (length == NULL || length[0] < 2 || !cursor_skip(&options, length[0] - 2u)) {
			d->record->status |= STATUS_MALFORMED_L3;
			return;
		}
		/* The checksums below are over the last address of the route. */
		if (kind[0] == OPTION_LOOSE_ROUTE || kind[0] == OPTION_STRICT_ROUTE)
			d->checksum_unknowable = true;
	}
}

static void ipv4_checksum(struct decode *d, uint32_t offset)
{
	struct cursor header = d->cursor;

	cursor_limit(&header, d->cursor.at);
	header.at = offset;
	if (checksum_fold(checksum_add(0, header)) != UINT16_MAX)
		d->record->status |= STATUS_IP_CHECKSUM_BAD;
}

static void ipv4_record(struct record *record, const uint8_t *header, uint32_t offset)
{
	uint16_t fragment = load_be16(header + 6);

	record->layers |= LAYER_IPV4;
	record->l3_offset = decode_offset16(offset);
	record->ip_tos = header[1];
	record->ip_id = load_be16(header + 4);
	record->fragment_offset = (uint16_t)((fragment & FRAGMENT_OFFSET) * 8u);
	if (fragment & FRAGMENT_DONT)
		record->status |= STATUS_DONT_FRAGMENT;
	if (fragment & FRAGMENT_MORE)
		record->status |= STATUS_MORE_FRAGMENTS;
	if (fragment & (FRAGMENT_MORE | FRAGMENT_OFFSET))
		record->status |= STATUS_FRAGMENT;
	record->ip_ttl = header[8];
	record->ip_protocol = header[9];
	record->src_ip[10] = 0xff;
	record->src_ip[11] = 0xff;
	__builtin_memcpy(record->src_ip + 12, header + 12, 4);
	record->dst_ip[10] = 0xff;
	record->dst_ip[11] = 0xff;
	__builtin_memcpy(record->dst_ip + 12, header + 16, 4);
}

enum decode_next decode_ipv4(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = cursor_look(&d->cursor, 1);
	uint32_t header_length, total_length;
	struct cursor options;
	struct record *record;

	if (header != NULL && header[0] >> 4 == 6) /* announced as IPv4 by a sender that mixes both */
		return NEXT_IPV6;
	header = decode_take(d, 20, STATUS_MALFORMED_L3);
	if (header == NULL)
		return NEXT_END;
	header_length = (header[0] & 15u) * 4;
	total_length = load_be16(header + 2);
	if (header[0] >> 4 != 4 || header_length < 20 || (total_length != 0 && total_length < header_length)) {
		d->record->status |= STATUS_MALFORMED_L3;
		return NEXT_END;
	}
	record = decode_level(d);
	if (total_length != 0)
		decode_claim(d, offset, total_length);
	ipv4_record(record, header, offset);
	d->hash_protocol = header[9];
	decode_trace_at(d, "IPv4", offset, header_length);
	options = d->cursor;
	if (!decode_skip(d, header_length - 20, STATUS_MALFORMED_L3)) {
		decode_payload(d);
		return NEXT_END;
	}
	if (header_length > 20) {
		decode_trace_part(d, "options", offset + 20, header_length - 20);
		cursor_limit(&options, d->cursor.at);
		ipv4_options(d, options);
	}
	decode_payload(d);
	if (d->options->verify_checksums)
		ipv4_checksum(d, offset);
	if (record->fragment_offset != 0)
		return NEXT_END;
	return decode_protocol(d, header[9]);
}

enum decode_next decode_ip(struct decode *d)
{
	const uint8_t *first = cursor_look(&d->cursor, 1);

	if (first == NULL)
		return decode_missed(d, 1, STATUS_MALFORMED_L3);
	if (first[0] >> 4 == 4)
		return NEXT_IPV4;
	if (first[0] >> 4 == 6)
		return NEXT_IPV6;
	d->record->status |= STATUS_MALFORMED_L3;
	return NEXT_END;
}
