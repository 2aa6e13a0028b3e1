/* SCTP and DCCP.
 *
 * RFC 9260 3.1 (SCTP common header); RFC 4340 5.1 (DCCP generic header), 9.2 (coverage).
 *
 *      0                   1                   2                   3
 *     |          source port          |       destination port        |
 *     |                   verification tag (SCTP)                     |
 *     |                       CRC32c (SCTP)                           |
 *
 *     |  offset / 4   | CCVal | CsCov |           checksum  (DCCP)    |
 *     | res | type  |X|               sequence ...                    |   16 bytes with X, else 12
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

enum {
	DCCP_EXTENDED = 0x01,
	DCCP_COVERAGE = 0x0f,
};

static void ports_record(struct record *record, uint32_t layer, const uint8_t *header, uint32_t offset)
{
	record->layers |= layer | LAYER_PORTS;
	record->l4_offset = decode_offset16(offset);
	record->src_port = load_be16(header);
	record->dst_port = load_be16(header + 2);
}

enum decode_next decode_sctp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 12, STATUS_MALFORMED_L4);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "SCTP", offset, 12);
	ports_record(d->record, LAYER_SCTP, header, offset);
	decode_payload(d);
	if (d->options->verify_checksums)
		checksum_sctp(d, offset);
	return NEXT_END;
}

enum decode_next decode_dccp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 12, STATUS_MALFORMED_L4);
	uint32_t header_length, coverage, left;

	if (header == NULL)
		return NEXT_END;
	ports_record(d->record, LAYER_DCCP, header, offset);
	decode_payload(d);
	left = d->wire_end - offset;
	header_length = header[4] * UINT32_C(4);
	decode_trace_at(d, "DCCP", offset, header_length < 12 ? 12 : header_length);
	if (header_length < (header[8] & DCCP_EXTENDED ? 16u : 12u)) {
		d->record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	if (!decode_skip(d, header_length - 12, STATUS_MALFORMED_L4))
		return NEXT_END;
	decode_payload(d);
	coverage = header[5] & DCCP_COVERAGE;
	coverage = coverage == 0 ? left : header_length + (coverage - 1) * 4;
	if (coverage > left && !(d->record->status & STATUS_FRAGMENT))
		d->record->status |= STATUS_MALFORMED_L4;
	else if (d->options->verify_checksums)
		checksum_transport(d, offset, coverage, 33, true);
	return NEXT_END;
}
