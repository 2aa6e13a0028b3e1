/* Rings: FDDI and token ring.
 *
 * ISO 9314-2 7.3 (FDDI frame), IEEE 802.5 3.2 (token ring frame), Annex C of 802.1D (source routing).
 *
 *     FDDI         | frame control | destination (6) | source (6) |                         then LLC
 *     Token ring   | access control | frame control | destination (6) | source (6) | [routing] |  then LLC
 *                    first bit of the source: routing information, whose first byte's low five bits are its length
 *
 * The addresses are no Ethernet's, and on FDDI in either bit order: the record has none.
 */
#include "decoders/decode_internal.h"

enum {
	FDDI_KIND = 0xf0,
	FDDI_LLC = 0x50,
	RING_KIND = 0xc0,
	RING_LLC = 0x40,
	RING_ROUTED = 0x80,
	RING_ROUTE_LENGTH = 0x1f,
};

enum decode_next decode_fddi(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 13, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "FDDI", offset, 13);
	return (header[0] & FDDI_KIND) == FDDI_LLC ? NEXT_LLC : NEXT_END;
}

enum decode_next decode_token_ring(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 14, STATUS_MALFORMED_L2);
	const uint8_t *route;
	uint8_t kind;

	if (header == NULL)
		return NEXT_END;
	kind = header[1] & RING_KIND;
	if (header[8] & RING_ROUTED) {
		route = decode_take(d, 2, STATUS_MALFORMED_L2);
		if (route == NULL)
			return NEXT_END;
		if ((route[0] & RING_ROUTE_LENGTH) < 2) {
			d->record->status |= STATUS_MALFORMED_L2;
			return NEXT_END;
		}
		if (!decode_skip(d, (route[0] & (uint32_t)RING_ROUTE_LENGTH) - 2, STATUS_MALFORMED_L2))
			return NEXT_END;
	}
	decode_trace_at(d, "Token ring", offset, d->cursor.at - offset);
	return kind == RING_LLC ? NEXT_LLC : NEXT_END;
}
