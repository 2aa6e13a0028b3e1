/* L2TP versions 2 and 3.
 *
 * RFC 2661 3.1 (version 2), RFC 3931 3.2, 4.1.1 and 4.1.2 (version 3 over IP and over UDP),
 * RFC 4719 (Ethernet pseudowires). UDP port 1701, IP protocol 115.
 *
 *     version 2   |T|L|.|.|S|.|O|P|.... ver | length (L) | tunnel | session | Ns, Nr (S) | offset (O)
 *     3 in UDP    |T|........ ver | reserved | session (4) | cookie, sublayer | payload
 *     3 in IP     | session (4); 0: a control message follows | cookie, sublayer | payload
 *
 * What a version 3 session carries, and how long its cookie is, was agreed on before: the
 * payload is looked at only where it can be told from its bytes.
 */
#include "decoders/decode_internal.h"

enum {
	L2TP_CONTROL = 0x8000,
	L2TP_LENGTH = 0x4000,
	L2TP_SEQUENCE = 0x0800,
	L2TP_OFFSET = 0x0200,
	L2TP_VERSION = 0x000f,
};

static enum decode_next l2tpv2(struct decode *d, uint32_t offset, uint16_t flags)
{
	uint32_t length = 0;
	const uint8_t *bytes;
	bool control = flags & L2TP_CONTROL;

	if (flags & L2TP_LENGTH) {
		bytes = decode_take(d, 2, STATUS_MALFORMED_L4);
		if (bytes == NULL)
			return NEXT_END;
		length = load_be16(bytes);
	}
	bytes = decode_take(d, 4, STATUS_MALFORMED_L4);
	if (bytes == NULL || !decode_tunnel(d, TUNNEL_L2TPV2, true, load_be16(bytes + 2)))
		return NEXT_END;
	if ((flags & L2TP_SEQUENCE) && !decode_skip(d, 4, STATUS_MALFORMED_L4))
		return NEXT_END;
	if (flags & L2TP_OFFSET) {
		bytes = decode_take(d, 2, STATUS_MALFORMED_L4);
		if (bytes == NULL || !decode_skip(d, load_be16(bytes), STATUS_MALFORMED_L4))
			return NEXT_END;
	}
	decode_trace_at(d, control ? "L2TPv2 control" : "L2TPv2", offset, d->cursor.at - offset);
	if (flags & L2TP_LENGTH) {
		if (length < d->cursor.at - offset) {
			d->record->status |= STATUS_MALFORMED_L4;
			return NEXT_END;
		}
		decode_claim(d, offset, length);
	}
	return control || d->cursor.at >= d->wire_end ? NEXT_END : NEXT_PPP;
}

enum decode_next decode_l2tp_udp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *bytes = decode_take(d, 2, STATUS_MALFORMED_L4);
	uint16_t flags;

	if (bytes == NULL)
		return NEXT_END;
	flags = load_be16(bytes);
	if ((flags & L2TP_VERSION) == 2)
		return l2tpv2(d, offset, flags);
	if ((flags & L2TP_VERSION) != 3)
		return NEXT_END;
	bytes = decode_take(d, 6, STATUS_MALFORMED_L4);
	if (bytes == NULL)
		return NEXT_END;
	decode_trace_at(d, flags & L2TP_CONTROL ? "L2TPv3 control" : "L2TPv3", offset, 8);
	decode_tunnel(d, TUNNEL_L2TPV3, true, load_be32(bytes + 2));
	return NEXT_END;
}

enum decode_next decode_l2tp_ip(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *bytes = decode_take(d, 4, STATUS_MALFORMED_L4);

	if (bytes == NULL)
		return NEXT_END;
	decode_trace_at(d, load_be32(bytes) == 0 ? "L2TPv3 control" : "L2TPv3", offset, 4);
	decode_tunnel(d, TUNNEL_L2TPV3, true, load_be32(bytes));
	return NEXT_END;
}
