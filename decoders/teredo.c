/* Teredo and AYIYA: IPv6 through NATs, over UDP.
 *
 * RFC 4380 5.1.1 (Teredo, port 3544); draft-massar-v6ops-ayiya 3 (AYIYA, port 5072).
 *
 *     Teredo   an IPv6 packet, after any of
 *              | 00 01 | id length | authentication length | id | value | nonce (8) | confirmation |
 *              | 00 00 | obfuscated port | obfuscated address (4) |
 *
 *     AYIYA    | id len |id type| sig len |hash | auth |opcode | next header | epoch (4) |
 *              | identity, 1 << id len | signature, sig len * 4 | payload
 */
#include "decoders/decode_internal.h"

enum {
	TEREDO_ORIGIN = 0x0000,
	TEREDO_AUTHENTICATION = 0x0001,
	AYIYA_FORWARD = 1,
	NEXT_HEADER_IPV4 = 4,
	NEXT_HEADER_IPV6 = 41,
};

/* Steps over the indicators; false when there is none that can be stepped over. */
static bool teredo_indicator(struct decode *d, uint16_t indicator)
{
	const uint8_t *bytes;

	if (indicator == TEREDO_ORIGIN)
		return decode_skip(d, 8, STATUS_MALFORMED_L4);
	bytes = decode_take(d, 4, STATUS_MALFORMED_L4);
	return bytes != NULL && decode_skip(d, bytes[2] + UINT32_C(9) + bytes[3], STATUS_MALFORMED_L4);
}

enum decode_next decode_teredo(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *bytes;

	/* Authentication comes first, origin second, each at most once. */
	for (uint32_t i = 0; i < 2; i++) {
		bytes = cursor_look(&d->cursor, 2);
		if (bytes == NULL || load_be16(bytes) > TEREDO_AUTHENTICATION)
			break;
		if (!teredo_indicator(d, load_be16(bytes)))
			return NEXT_END;
	}
	bytes = cursor_look(&d->cursor, 1);
	if (bytes == NULL || bytes[0] >> 4 != 6)
		return NEXT_END;
	if (d->cursor.at > offset)
		decode_trace_at(d, "Teredo", offset, d->cursor.at - offset);
	return decode_tunnel(d, TUNNEL_TEREDO, false, 0) ? NEXT_IPV6 : NEXT_END;
}

enum decode_next decode_ayiya(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	length = (UINT32_C(1) << (header[0] >> 4)) + (header[1] >> 4) * UINT32_C(4);
	if (!decode_skip(d, length, STATUS_MALFORMED_L4))
		return NEXT_END;
	decode_trace_at(d, "AYIYA", offset, 8 + length);
	if (!decode_tunnel(d, TUNNEL_AYIYA, false, 0) || (header[2] & 15) != AYIYA_FORWARD)
		return NEXT_END;
	if (header[3] == NEXT_HEADER_IPV6)
		return NEXT_IPV6;
	return header[3] == NEXT_HEADER_IPV4 ? NEXT_IPV4 : NEXT_END;
}
