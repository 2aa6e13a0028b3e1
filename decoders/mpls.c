/* MPLS label stacks, and the usual guess at what lies below.
 *
 * RFC 3032 2.1 (the stack), RFC 4385 3 (control word), RFC 4448 4 (Ethernet pseudowire),
 * RFC 4928 (why the first nibble tells), RFC 5586 (G-ACh), RFC 4023 and 7510 (in IP and in UDP).
 *
 *      0                   1                   2                   3
 *     |                label (20)             | TC  |S|      TTL      |   S: bottom of stack
 *
 * Nothing in the packet names the payload. The first nibble below the stack is 4 or 6 for IP,
 * 1 for an associated channel, and 0 for a pseudowire's control word; anything else can only be
 * an Ethernet pseudowire without control word, whose address happens to start so.
 */
#include "decoders/decode_internal.h"

#define MPLS_STACK_BOUND 16

enum {
	LABEL_OAM_ALERT = 14,
	MPLS_BOTTOM = 0x01,
};

/* Whether an Ethernet header at the offset ahead from here announces something that exists.
 * A guess has to be strict: a wrong one makes up addresses. */
static bool plausible_ethernet(const uint8_t *type)
{
	switch (load_be16(type)) {
	case 0x0800:
	case 0x86dd:
	case 0x0806:
	case 0x8100:
	case 0x88a8:
	case 0x8847:
	case 0x8848:
	case 0x8863:
	case 0x8864:
	case 0x88cc:
	case 0x88e7:
		return true;
	default:
		return false;
	}
}

static enum decode_next below_stack(struct decode *d)
{
	const uint8_t *bytes = cursor_look(&d->cursor, 1);
	uint8_t nibble;

	if (bytes == NULL) {
		if (d->cursor.at < d->wire_end)
			return decode_missed(d, 1, STATUS_MALFORMED_L2);
		return NEXT_END;
	}
	nibble = bytes[0] >> 4;
	if (nibble == 4)
		return NEXT_IPV4;
	if (nibble == 6)
		return NEXT_IPV6;
	if (nibble == 1) {
		decode_trace_at(d, "Associated channel", d->cursor.at, cursor_left(&d->cursor));
		return NEXT_END;
	}
	if (nibble == 0) {
		bytes = cursor_look(&d->cursor, 18);
		if (bytes != NULL && plausible_ethernet(bytes + 16)) {
			decode_trace_at(d, "Control word", d->cursor.at, 4);
			if (!decode_skip(d, 4, STATUS_MALFORMED_L2))
				return NEXT_END;
			return NEXT_ETHERNET;
		}
	}
	bytes = cursor_look(&d->cursor, 14);
	if (bytes != NULL && plausible_ethernet(bytes + 12))
		return NEXT_ETHERNET;
	return NEXT_END;
}

enum decode_next decode_mpls(struct decode *d)
{
	for (uint32_t i = 0; i < MPLS_STACK_BOUND; i++) {
		uint32_t offset = d->cursor.at;
		const uint8_t *entry = decode_take(d, 4, STATUS_MALFORMED_L2);

		if (entry == NULL)
			return NEXT_END;
		decode_trace_at(d, "MPLS", offset, 4);
		d->record->layers |= LAYER_MPLS;
		if (load_be24(entry) >> 4 == LABEL_OAM_ALERT)
			return NEXT_END;
		if (entry[2] & MPLS_BOTTOM)
			return below_stack(d);
	}
	d->record->status |= STATUS_MALFORMED_L2;
	return NEXT_END;
}

enum decode_next decode_mpls_ip(struct decode *d)
{
	return decode_tunnel(d, TUNNEL_MPLS_GRE, false, 0) ? NEXT_MPLS : NEXT_END;
}

enum decode_next decode_mpls_udp(struct decode *d)
{
	return decode_tunnel(d, TUNNEL_MPLS_UDP, false, 0) ? NEXT_MPLS : NEXT_END;
}
