/* NSH: the network service header.
 *
 * RFC 8300 2.2 (base header), 2.3 (service path header). Over Ethernet (0x894f), GRE,
 * VXLAN-GPE.
 *
 *      0                   1                   2                   3
 *     |Ver|O|U|    TTL    |   Length  |U U U U|MD Type| Next Protocol |   length: 4-byte words
 *     |          service path identifier (24)         | service index |
 *     |                  context, metadata ...                        |
 */
#include "decoders/decode_internal.h"

enum {
	NSH_IPV4 = 1,
	NSH_IPV6 = 2,
	NSH_ETHERNET = 3,
	NSH_NSH = 4,
	NSH_MPLS = 5,
};

enum decode_next decode_nsh(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	length = (header[1] & 0x3fu) * 4;
	if (length < 8) {
		d->record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	decode_trace_at(d, "NSH", offset, length);
	if (!decode_tunnel(d, TUNNEL_NSH, true, load_be24(header + 4)))
		return NEXT_END;
	d->record->layers |= LAYER_NSH;
	if (!decode_skip(d, length - 8, STATUS_MALFORMED_L4))
		return NEXT_END;
	switch (header[3]) {
	case NSH_IPV4:
		return NEXT_IPV4;
	case NSH_IPV6:
		return NEXT_IPV6;
	case NSH_ETHERNET:
		return NEXT_ETHERNET;
	case NSH_NSH:
		return NEXT_NSH;
	case NSH_MPLS:
		return NEXT_MPLS;
	default:
		return NEXT_END;
	}
}
