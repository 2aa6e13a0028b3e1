/* TCP.
 *
 * RFC 9293 3.1 (header), 3.2 (options); RFC 7323 (window scale, timestamps); RFC 2018 (SACK);
 * RFC 3168 (CWR, ECE); draft-ietf-tcpm-accurate-ecn (AE).
 *
 *      0                   1                   2                   3
 *     |          source port          |       destination port        |
 *     |                        sequence number                        |
 *     |                    acknowledgment number                      |
 *     | offset|  0  |A|C|E|U|A|P|R|S|F|            window             |
 *     |           checksum            |         urgent pointer        |
 *     |                   options, up to offset * 4                   |
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

#define TCP_OPTION_BOUND 40

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WINDOW_SCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
};

static uint32_t option_status(uint8_t kind, uint8_t length)
{
	switch (kind) {
	case OPTION_MSS:
		return length == 4 ? STATUS_TCP_MSS : STATUS_MALFORMED_L4;
	case OPTION_WINDOW_SCALE:
		return length == 3 ? STATUS_TCP_WINDOW_SCALE : STATUS_MALFORMED_L4;
	case OPTION_SACK_PERMITTED:
		return length == 2 ? STATUS_TCP_SACK_PERMITTED : STATUS_MALFORMED_L4;
	case OPTION_SACK:
		return length >= 10 && length % 8 == 2 ? STATUS_TCP_SACK : STATUS_MALFORMED_L4;
	case OPTION_TIMESTAMPS:
		return length == 10 ? STATUS_TCP_TIMESTAMPS : STATUS_MALFORMED_L4;
	default:
		return 0;
	}
}

uint32_t decode_tcp_options(struct cursor options)
{
	uint32_t status = 0;

	for (uint32_t i = 0; i < TCP_OPTION_BOUND; i++) {
		const uint8_t *kind = cursor_take(&options, 1);
		const uint8_t *length;

		if (kind == NULL || kind[0] == OPTION_END)
			return status;
		if (kind[0] == OPTION_NOP)
			continue;
		length = cursor_take(&options, 1);
		if (length == NULL || length[0] < 2 || !cursor_skip(&options, length[0] - 2u))
			return status | STATUS_MALFORMED_L4;
		status |= option_status(kind[0], length[0]);
	}
	return status;
}

static void tcp_record(struct record *record, const uint8_t *header, uint32_t offset)
{
	record->layers |= LAYER_TCP | LAYER_PORTS;
	record->l4_offset = decode_offset16(offset);
	record->src_port = load_be16(header);
	record->dst_port = load_be16(header + 2);
	record->tcp_seq = load_be32(header + 4);
	record->tcp_ack = load_be32(header + 8);
	record->tcp_flags = header[13];
	record->tcp_window = load_be16(header + 14);
	if (header[12] & 1)
		record->status |= STATUS_TCP_AE;
}

enum decode_next decode_tcp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 20, STATUS_MALFORMED_L4);
	struct record *record = d->record;
	struct cursor options;
	uint32_t header_length, left;

	if (header == NULL)
		return NEXT_END;
	tcp_record(record, header, offset);
	decode_payload(d);
	header_length = (header[12] >> 4) * UINT32_C(4);
	decode_trace_at(d, "TCP", offset, header_length < 20 ? 20 : header_length);
	if (header_length < 20) {
		record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	options = d->cursor;
	if (cursor_skip(&d->cursor, header_length - 20)) {
		cursor_limit(&options, d->cursor.at);
		record->status |= decode_tcp_options(options);
		decode_payload(d);
	} else {
		decode_missed(d, header_length - 20, STATUS_MALFORMED_L4);
		record->status |= decode_tcp_options(options) & ~(uint32_t)STATUS_MALFORMED_L4;
		/* Cut inside the options: the lengths still tell where the payload begins. */
		left = d->wire_end - options.at;
		if (header_length - 20 <= left) {
			record->payload_offset = decode_offset16(offset + header_length);
			record->payload_length = left - (header_length - 20);
		}
	}
	if (header_length > 20)
		decode_trace_part(d, "options", offset + 20, header_length - 20);
	if (d->options->verify_checksums)
		checksum_transport(d, offset, d->wire_end - offset, 6, true);
	return NEXT_END;
}
