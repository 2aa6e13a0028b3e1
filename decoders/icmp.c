/* ICMP, ICMPv6 and IGMP.
 *
 * RFC 792 and 950 (ICMP), RFC 4443 2.1 (ICMPv6), RFC 2236 2 and 9776 4 (IGMP).
 *
 *      0                   1                   2                   3
 *     |     type      |     code      |           checksum            |
 *     |  identifier (echo and alike)  |           sequence            |
 *
 * The packet that an error message quotes is payload: it is someone else's flow, and is not
 * looked at.
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

static const uint8_t *message(struct decode *d, uint32_t layer, const char *name)
{
	struct record *record = d->record;
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);

	if (header == NULL)
		return NULL;
	decode_trace_at(d, name, offset, 8);
	record->layers |= layer;
	record->l4_offset = decode_offset16(offset);
	record->icmp_type = header[0];
	decode_payload(d);
	return header;
}

static void icmp_record(struct record *record, const uint8_t *header)
{
	record->icmp_code = header[1];
	if (record_has_icmp_id(record)) {
		record->icmp_id = load_be16(header + 4);
		record->icmp_sequence = load_be16(header + 6);
	}
}

enum decode_next decode_icmp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = message(d, LAYER_ICMP, "ICMP");

	if (header == NULL)
		return NEXT_END;
	icmp_record(d->record, header);
	if (d->options->verify_checksums)
		checksum_transport(d, offset, d->wire_end - offset, 1, false);
	return NEXT_END;
}

enum decode_next decode_icmpv6(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = message(d, LAYER_ICMPV6, "ICMPv6");

	if (header == NULL)
		return NEXT_END;
	icmp_record(d->record, header);
	if (d->options->verify_checksums)
		checksum_transport(d, offset, d->wire_end - offset, 58, true);
	return NEXT_END;
}

enum decode_next decode_igmp(struct decode *d)
{
	uint32_t offset = d->cursor.at;

	if (message(d, LAYER_IGMP, "IGMP") != NULL && d->options->verify_checksums)
		checksum_transport(d, offset, d->wire_end - offset, 2, false);
	return NEXT_END;
}
