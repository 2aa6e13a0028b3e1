/* IEEE 802.11 data frames, alone and behind a radiotap header. Management and control frames, and what is
 * encrypted, have a record without layers.
 *
 * IEEE 802.11-2020 9.2.3 and 9.2.4 (frame, frame control, sequence and QoS control), 9.3.2.1 (data frames);
 * https://www.radiotap.org (header, and its flags field).
 *
 *      0                   1                   2                   3
 *     |version, type, subtype| flags |           duration             |  little-endian
 *     |                     three addresses (18) ...                  |
 *     |  ...  | sequence and fragment | [fourth address (6)] | [QoS control (2)] | [HT control (4)] |
 *     then LLC
 *
 *     radiotap  | 0 | pad | length LE (2) | present LE (4), bit 31: another | fields, each aligned to its size
 */
#include "decoders/decode_internal.h"

#define PRESENT_BOUND 8

enum {
	TYPE_DATA = 2,
	SUBTYPE_QOS = 0x08,
	SUBTYPE_NO_DATA = 0x04,
	FLAG_TO_DS = 0x01,
	FLAG_FROM_DS = 0x02,
	FLAG_PROTECTED = 0x40,
	FLAG_ORDER = 0x80,
	QOS_AGGREGATE = 0x80,
	FRAGMENT_MASK = 0x0f,
	PRESENT_TIME = 0x01,
	PRESENT_FLAGS = 0x02,
	PRESENT_MORE = 0x80, /* in the last byte */
	RADIO_FCS = 0x10,
	RADIO_PADDED = 0x20,
	FCS_LENGTH = 4,
};

static enum decode_next wlan(struct decode *d, bool padded)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 2, STATUS_MALFORMED_L2);
	const uint8_t *sequence, *qos;
	uint8_t control, flags;
	uint32_t length = 24;

	if (header == NULL)
		return NEXT_END;
	control = header[0];
	flags = header[1];
	if ((control & 3) != 0 || (control >> 2 & 3) != TYPE_DATA) {
		decode_trace_at(d, "802.11", offset, cursor_left(&d->cursor) + 2);
		return NEXT_END;
	}
	if (!decode_skip(d, 20, STATUS_MALFORMED_L2))
		return NEXT_END;
	sequence = decode_take(d, 2, STATUS_MALFORMED_L2);
	if (sequence == NULL)
		return NEXT_END;
	if ((flags & FLAG_TO_DS) && (flags & FLAG_FROM_DS)) {
		length += 6;
		if (!decode_skip(d, 6, STATUS_MALFORMED_L2))
			return NEXT_END;
	}
	if (control >> 4 & SUBTYPE_QOS) {
		length += 2;
		qos = decode_take(d, 2, STATUS_MALFORMED_L2);
		if (qos == NULL || (qos[0] & QOS_AGGREGATE))
			return NEXT_END;
		if (flags & FLAG_ORDER) {
			length += 4;
			if (!decode_skip(d, 4, STATUS_MALFORMED_L2))
				return NEXT_END;
		}
	}
	if (padded && (length & 3) != 0) {
		length += 2;
		if (!decode_skip(d, 2, STATUS_MALFORMED_L2))
			return NEXT_END;
	}
	decode_trace_at(d, "802.11 data", offset, length);
	if ((control >> 4 & SUBTYPE_NO_DATA) || (flags & FLAG_PROTECTED) || (sequence[0] & FRAGMENT_MASK) != 0)
		return NEXT_END;
	return NEXT_LLC;
}

enum decode_next decode_wlan(struct decode *d)
{
	return wlan(d, false);
}

/* The flags of a radiotap header, whose first present word is given; fields begins behind it. */
static uint8_t radio_flags(struct cursor fields, uint32_t offset, const uint8_t *first)
{
	bool more = first[3] & PRESENT_MORE;
	const uint8_t *bytes;

	if (!(first[0] & PRESENT_FLAGS))
		return 0;
	for (uint32_t i = 0; i < PRESENT_BOUND; i++) {
		if (!more)
			break;
		bytes = cursor_take(&fields, 4);
		if (bytes == NULL)
			return 0;
		more = bytes[3] & PRESENT_MORE;
	}
	if (first[0] & PRESENT_TIME) {
		if ((fields.at - offset) & 7)
			cursor_skip(&fields, 4);
		cursor_skip(&fields, 8);
	}
	bytes = cursor_take(&fields, 1);
	return bytes == NULL ? 0 : bytes[0];
}

enum decode_next decode_radiotap(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L2);
	struct cursor fields = d->cursor;
	uint32_t length;
	uint8_t flags;

	if (header == NULL)
		return NEXT_END;
	length = (uint32_t)header[3] << 8 | header[2];
	if (header[0] != 0 || length < 8) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	decode_trace_at(d, "Radiotap", offset, length);
	if (!decode_skip(d, length - 8, STATUS_MALFORMED_L2))
		return NEXT_END;
	cursor_limit(&fields, d->cursor.at);
	flags = radio_flags(fields, offset, header + 4);
	if ((flags & RADIO_FCS) && d->wire_end >= FCS_LENGTH && d->cursor.at <= d->wire_end - FCS_LENGTH) {
		d->wire_end -= FCS_LENGTH;
		cursor_limit(&d->cursor, d->wire_end);
	}
	return wlan(d, flags & RADIO_PADDED);
}
