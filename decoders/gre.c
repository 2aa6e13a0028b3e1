/* GRE and what it carries: PPTP, NVGRE, ERSPAN, MPLS; and EtherIP.
 *
 * RFC 2784 2 and RFC 2890 2 (version 0), RFC 1701 (routing), RFC 2637 4.1 (version 1, PPTP),
 * RFC 7637 3.2 (NVGRE), draft-foschiano-erspan (ERSPAN), RFC 4023 (MPLS), RFC 8086 (in UDP),
 * RFC 3378 (EtherIP).
 *
 *      0                   1                   2                   3
 *     |C|R|K|S|s|recur|A|flags| ver |         protocol type           |
 *     |      checksum (C or R)        |        offset (C or R)        |
 *     |             key (K); version 1: length, call id               |
 *     |                         sequence (S)                          |
 *     |                acknowledgment (version 1, A)                  |
 *
 *     ERSPAN II    | ver 1 | VLAN | COS |En|T| session (10) |  reserved | index (20) |    8
 *     ERSPAN III   | ver 2 | VLAN | COS |BSO|T| session | time (4) | SGT |P|..|O| + 8 if O |  12
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

#define GRE_ROUTE_BOUND 32

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_ACK = 0x0080,
	GRE_VERSION = 0x0007,
	ERSPAN_VERSION2 = 1,
	ERSPAN_VERSION3 = 2,
	ERSPAN_SESSION = 0x03ff,
	ERSPAN_SUBHEADER = 0x01,
};

/* RFC 1701: source route entries | address family | offset | length | ..., until family 0, length 0. */
static bool gre_routes(struct decode *d)
{
	for (uint32_t i = 0; i < GRE_ROUTE_BOUND; i++) {
		const uint8_t *entry = decode_take(d, 4, STATUS_MALFORMED_L4);

		if (entry == NULL || !decode_skip(d, entry[3], STATUS_MALFORMED_L4))
			return false;
		if (load_be16(entry) == 0 && entry[3] == 0)
			return true;
	}
	d->record->status |= STATUS_MALFORMED_L4;
	return false;
}

static enum decode_next gre_payload(struct decode *d, uint16_t flags, uint16_t protocol, uint32_t key)
{
	const uint8_t *first;
	bool keyed = flags & GRE_KEY;

	d->ethertype = protocol;
	d->ethertype_known = true;
	switch (protocol) {
	case 0x0800:
		return NEXT_IPV4;
	case 0x86dd:
		return NEXT_IPV6;
	case 0x0806:
		return NEXT_ARP;
	case 0x6558:
		if (keyed && !(flags & (GRE_CHECKSUM | GRE_SEQUENCE)))
			decode_tunnel_is(d, TUNNEL_NVGRE, true, key >> 8);
		return NEXT_ETHERNET;
	case 0x6400:
		return NEXT_ETHERNET;
	case 0x8847:
	case 0x8848:
		decode_tunnel_is(d, TUNNEL_MPLS_GRE, keyed, key);
		return NEXT_MPLS;
	case 0x88be:
		if (flags & GRE_SEQUENCE)
			return NEXT_ERSPAN;
		decode_tunnel_is(d, TUNNEL_ERSPAN1, false, 0);
		return NEXT_ETHERNET;
	case 0x22eb:
		return NEXT_ERSPAN;
	case 0x880b:
	case 0x8881: /* CDMA2000, byte stream */
	case 0x88d2: /* CDMA2000, segmented */
		return NEXT_PPP;
	case 0x894f:
		return NEXT_NSH;
	case 0x883e: /* WCCP: version 2 puts a redirect header of 4 bytes before the packet */
		first = cursor_look(&d->cursor, 1);
		if (first != NULL && first[0] >> 4 != 4) {
			if (!decode_skip(d, 4, STATUS_MALFORMED_L4))
				return NEXT_END;
			first = cursor_look(&d->cursor, 1);
		}
		return first != NULL && first[0] >> 4 == 4 ? NEXT_IPV4 : NEXT_END;
	default:
		return NEXT_END;
	}
}

/* PPTP. Its key field is the length of the payload and the call id. */
static enum decode_next gre1(struct decode *d, uint32_t offset, uint16_t flags)
{
	const uint8_t *key = decode_take(d, 4, STATUS_MALFORMED_L4);
	uint32_t rest = (flags & GRE_SEQUENCE ? 4u : 0u) + (flags & GRE_ACK ? 4u : 0u);
	uint32_t length;

	if (key == NULL || !decode_skip(d, rest, STATUS_MALFORMED_L4))
		return NEXT_END;
	decode_trace_at(d, "GRE (PPTP)", offset, d->cursor.at - offset);
	length = load_be16(key);
	if (!decode_tunnel(d, TUNNEL_PPTP, true, load_be16(key + 2)))
		return NEXT_END;
	if (!(flags & GRE_SEQUENCE) || length == 0)
		return NEXT_END;
	decode_claim(d, d->cursor.at, length);
	return NEXT_PPP;
}

enum decode_next decode_gre(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 4, STATUS_MALFORMED_L4);
	const uint8_t *bytes;
	uint16_t flags, protocol;
	uint32_t key = 0;

	if (header == NULL)
		return NEXT_END;
	checksum_none(d);
	flags = load_be16(header);
	protocol = load_be16(header + 2);
	if ((flags & GRE_VERSION) == 1 && protocol == 0x880b)
		return gre1(d, offset, flags);
	if ((flags & GRE_VERSION) != 0) {
		d->record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	if ((flags & (GRE_CHECKSUM | GRE_ROUTING)) && !decode_skip(d, 4, STATUS_MALFORMED_L4))
		return NEXT_END;
	if (flags & GRE_KEY) {
		bytes = decode_take(d, 4, STATUS_MALFORMED_L4);
		if (bytes == NULL)
			return NEXT_END;
		key = load_be32(bytes);
	}
	if ((flags & GRE_SEQUENCE) && !decode_skip(d, 4, STATUS_MALFORMED_L4))
		return NEXT_END;
	if ((flags & GRE_ROUTING) && !gre_routes(d))
		return NEXT_END;
	decode_trace_at(d, "GRE", offset, d->cursor.at - offset);
	if (!decode_tunnel(d, TUNNEL_GRE, flags & GRE_KEY, key))
		return NEXT_END;
	return gre_payload(d, flags, protocol, key);
}

enum decode_next decode_erspan(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	uint32_t session;

	if (header == NULL)
		return NEXT_END;
	session = load_be16(header + 2) & ERSPAN_SESSION;
	d->ethertype_known = false;
	if (header[0] >> 4 == ERSPAN_VERSION2) {
		decode_trace_at(d, "ERSPAN II", offset, 8);
		decode_tunnel_is(d, TUNNEL_ERSPAN2, true, session);
		return NEXT_ETHERNET;
	}
	if (header[0] >> 4 != ERSPAN_VERSION3) {
		d->record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	header = decode_take(d, 4, STATUS_MALFORMED_L4);
	if (header == NULL)
		return NEXT_END;
	if ((header[3] & ERSPAN_SUBHEADER) && !decode_skip(d, 8, STATUS_MALFORMED_L4))
		return NEXT_END;
	decode_trace_at(d, "ERSPAN III", offset, d->cursor.at - offset);
	decode_tunnel_is(d, TUNNEL_ERSPAN3, true, session);
	return NEXT_ETHERNET;
}

enum decode_next decode_etherip(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 2, STATUS_MALFORMED_L4);

	if (header == NULL)
		return NEXT_END;
	checksum_none(d);
	if (header[0] >> 4 != 3) {
		d->record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	decode_trace_at(d, "EtherIP", offset, 2);
	return decode_tunnel(d, TUNNEL_ETHERIP, false, 0) ? NEXT_ETHERNET : NEXT_END;
}
