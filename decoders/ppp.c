/* PPP, PPPoE and Cisco HDLC.
 *
 * RFC 1661 2 (PPP), RFC 1662 3 (HDLC-like framing), RFC 1661 6.5 and 6.6 (protocol, address and
 * control field compression), RFC 2516 4 (PPPoE), RFC 3518 4 (bridging control protocol),
 * RFC 1547 4.3 (Cisco HDLC).
 *
 *     PPP      | FF | 03 |  protocol (8 or 16)   |   FF 03 may be left out; protocol's low bit
 *                                                    of its first byte set: only one byte
 *     PPPoE    |V|T| code | session | length |
 *     cHDLC    | address | control |  EtherType (or Cisco's own)  |
 */
#include "decoders/decode_internal.h"

enum {
	PPP_ADDRESS = 0xff,
	HDLC_UNICAST = 0x0f,
	HDLC_MULTICAST = 0x8f,
	BCP_LAN_ID = 0x20,
	BCP_ETHERNET = 1,
};

static enum decode_next ppp_control(struct decode *d, const char *name)
{
	decode_trace_at(d, name, d->cursor.at, cursor_left(&d->cursor));
	d->record->layers |= LAYER_L2_CONTROL;
	return NEXT_END;
}

/* RFC 3518 4.2: | F I Z 0 padding | MAC type | LAN id if I | frame */
static enum decode_next ppp_bridged(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 2, STATUS_MALFORMED_L2);

	if (header == NULL || header[1] != BCP_ETHERNET)
		return NEXT_END;
	if ((header[0] & BCP_LAN_ID) && !decode_skip(d, 4, STATUS_MALFORMED_L2))
		return NEXT_END;
	decode_trace_at(d, "Bridged PDU", offset, d->cursor.at - offset);
	return NEXT_ETHERNET;
}

static enum decode_next ppp_protocol(struct decode *d, uint16_t protocol)
{
	switch (protocol) {
	case 0x0021:
		return NEXT_IPV4;
	case 0x0057:
		return NEXT_IPV6;
	case 0x0281:
	case 0x0283:
		return NEXT_MPLS;
	case 0x0031:
		return ppp_bridged(d);
	case 0xc021:
		return ppp_control(d, "LCP");
	case 0xc023:
		return ppp_control(d, "PAP");
	case 0xc223:
		return ppp_control(d, "CHAP");
	case 0xc227:
		return ppp_control(d, "EAP");
	case 0x8021:
		return ppp_control(d, "IPCP");
	case 0x8057:
		return ppp_control(d, "IPV6CP");
	case 0x80fd:
		return ppp_control(d, "CCP");
	default:
		return NEXT_END;
	}
}

enum decode_next decode_ppp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *bytes = cursor_look(&d->cursor, 1);
	uint16_t protocol;

	/* Both framings come with the PPP link types. */
	if (bytes != NULL && offset == 0 && (bytes[0] == HDLC_UNICAST || bytes[0] == HDLC_MULTICAST))
		return NEXT_CISCO_HDLC;
	if (bytes != NULL && bytes[0] == PPP_ADDRESS && !decode_skip(d, 2, STATUS_MALFORMED_L2))
		return NEXT_END;
	bytes = decode_take(d, 1, STATUS_MALFORMED_L2);
	if (bytes == NULL)
		return NEXT_END;
	protocol = bytes[0];
	if (!(protocol & 1)) {
		bytes = decode_take(d, 1, STATUS_MALFORMED_L2);
		if (bytes == NULL)
			return NEXT_END;
		protocol = (uint16_t)(protocol << 8 | bytes[0]);
	}
	decode_trace_at(d, "PPP", offset, d->cursor.at - offset);
	d->record->layers |= LAYER_PPP;
	return ppp_protocol(d, protocol);
}

/* LINKTYPE_PPP_PPPD: a direction byte takes the address byte's place. */
enum decode_next decode_ppp_pppd(struct decode *d)
{
	const uint8_t *bytes = decode_take(d, 1, STATUS_MALFORMED_L2);

	if (bytes == NULL)
		return NEXT_END;
	d->record->status |= (bytes[0] == 0 ? DIRECTION_IN : DIRECTION_OUT) << STATUS_DIRECTION_SHIFT;
	bytes = cursor_look(&d->cursor, 1);
	if (bytes != NULL && bytes[0] == 0x03 && !decode_skip(d, 1, STATUS_MALFORMED_L2))
		return NEXT_END;
	return NEXT_PPP;
}

enum decode_next decode_pppoe_discovery(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 6, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "PPPoE discovery", offset, 6);
	d->record->layers |= LAYER_L2_CONTROL;
	if (header[0] != 0x11)
		d->record->status |= STATUS_MALFORMED_L2;
	decode_claim(d, d->cursor.at, load_be16(header + 4));
	return NEXT_END;
}

enum decode_next decode_pppoe(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 6, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "PPPoE session", offset, 6);
	if (header[0] != 0x11)
		d->record->status |= STATUS_MALFORMED_L2;
	decode_claim(d, d->cursor.at, load_be16(header + 4));
	return NEXT_PPP;
}

enum decode_next decode_cisco_hdlc(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 4, STATUS_MALFORMED_L2);
	uint16_t protocol;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "Cisco HDLC", offset, 4);
	protocol = load_be16(header + 2);
	if (protocol == 0x8035) /* not RARP here */
		return ppp_control(d, "SLARP");
	return decode_ethertype(d, protocol);
}
