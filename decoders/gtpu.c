/* GTP-U: the user plane of mobile networks, over UDP port 2152.
 *
 * 3GPP TS 29.281 5.1 (header), 5.2 (extension headers), 6.1 (message types).
 *
 *      0                   1                   2                   3
 *     |Ver=1|PT|*|E|S|PN| message type|   length behind these 8 bytes |
 *     |                            TEID                               |
 *     |      sequence (E, S or PN)    |  N-PDU number | next extension|
 *     | length / 4    |     ...                       | next extension|
 *
 * Only a T-PDU (255) carries a packet, and nothing says which kind: the first nibble does.
 */
#include "decoders/decode_internal.h"

#define GTPU_EXTENSION_BOUND 16

enum {
	GTPU_VERSION_MASK = 0xe0,
	GTPU_VERSION1 = 0x20,
	GTPU_GTP = 0x10,
	GTPU_OPTIONAL = 0x07,
	GTPU_EXTENSION = 0x04,
	MESSAGE_TPDU = 255,
};

static bool gtpu_extensions(struct decode *d, uint8_t next)
{
	for (uint32_t i = 0; i < GTPU_EXTENSION_BOUND && next != 0; i++) {
		const uint8_t *bytes = decode_take(d, 1, STATUS_MALFORMED_L4);

		if (bytes == NULL)
			return false;
		if (bytes[0] == 0) {
			d->record->status |= STATUS_MALFORMED_L4;
			return false;
		}
		if (!decode_skip(d, bytes[0] * UINT32_C(4) - 2, STATUS_MALFORMED_L4))
			return false;
		bytes = decode_take(d, 1, STATUS_MALFORMED_L4);
		if (bytes == NULL)
			return false;
		next = bytes[0];
	}
	if (next != 0)
		d->record->status |= STATUS_MALFORMED_L4;
	return next == 0;
}

enum decode_next decode_gtpu(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	const uint8_t *bytes;
	uint8_t next = 0;

	if (header == NULL)
		return NEXT_END;
	if ((header[0] & (GTPU_VERSION_MASK | GTPU_GTP)) != (GTPU_VERSION1 | GTPU_GTP))
		return NEXT_END;
	if (!decode_tunnel(d, TUNNEL_GTPU, true, load_be32(header + 4)))
		return NEXT_END;
	decode_claim(d, offset + 8, load_be16(header + 2));
	if (header[0] & GTPU_OPTIONAL) {
		bytes = decode_take(d, 4, STATUS_MALFORMED_L4);
		if (bytes == NULL)
			return NEXT_END;
		if (header[0] & GTPU_EXTENSION)
			next = bytes[3];
	}
	if (!gtpu_extensions(d, next))
		return NEXT_END;
	decode_trace_at(d, "GTP-U", offset, d->cursor.at - offset);
	if (header[1] != MESSAGE_TPDU)
		return NEXT_END;
	bytes = cursor_look(&d->cursor, 1);
	if (bytes == NULL)
		return d->cursor.at < d->wire_end ? decode_missed(d, 1, STATUS_MALFORMED_L4) : NEXT_END;
	if (bytes[0] >> 4 == 4)
		return NEXT_IPV4;
	if (bytes[0] >> 4 == 6)
		return NEXT_IPV6;
	return NEXT_END;
}
