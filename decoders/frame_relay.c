/* Frame relay.
 *
 * ITU-T Q.922 Annex A (address), RFC 2427 4 to 6 (multiprotocol encapsulation), 4.2 (bridged frames); Cisco's own
 * encapsulation has an EtherType where the control field would be.
 *
 *     | address (2 to 4, the last byte is odd) | 03 | [00] | NLPID | ...
 *     | address                                | EtherType | ...                           Cisco
 *     NLPID 80: | OUI (3) | protocol (2) |  as in SNAP; OUI 0080C2: bridged, protocols 1 and 7 Ethernet
 */
#include "decoders/decode_internal.h"

#define ADDRESS_BOUND 4

enum {
	TYPE_MIN = 0x0600,
	CONTROL_UI = 0x03,
	NLPID_PAD = 0x00,
	NLPID_SNAP = 0x80,
	NLPID_IPV6 = 0x8e,
	NLPID_IPV4 = 0xcc,
	NLPID_PPP = 0xcf,
	OUI_ETHERNET = 0x000000,
	OUI_BRIDGED = 0x0080c2,
	BRIDGED_ETHERNET_FCS = 0x0001,
	BRIDGED_ETHERNET = 0x0007,
};

static enum decode_next snap(struct decode *d)
{
	const uint8_t *header = decode_take(d, 5, STATUS_MALFORMED_L2);
	uint16_t protocol;

	if (header == NULL)
		return NEXT_END;
	protocol = load_be16(header + 3);
	if (load_be24(header) == OUI_ETHERNET)
		return decode_ethertype(d, protocol);
	if (load_be24(header) == OUI_BRIDGED && (protocol == BRIDGED_ETHERNET || protocol == BRIDGED_ETHERNET_FCS))
		return NEXT_ETHERNET;
	return NEXT_END;
}

enum decode_next decode_frame_relay(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *bytes;
	uint8_t nlpid;
	bool last = false;

	for (uint32_t i = 0; i < ADDRESS_BOUND; i++) {
		if (last)
			break;
		bytes = decode_take(d, 1, STATUS_MALFORMED_L2);
		if (bytes == NULL)
			return NEXT_END;
		last = bytes[0] & 1;
	}
	if (!last)
		return NEXT_END;
	bytes = cursor_look(&d->cursor, 2);
	if (bytes != NULL && bytes[0] != CONTROL_UI) {
		decode_trace_at(d, "Frame relay", offset, d->cursor.at + 2 - offset);
		return decode_skip(d, 2, STATUS_MALFORMED_L2) && load_be16(bytes) >= TYPE_MIN ?
			       decode_ethertype(d, load_be16(bytes)) :
			       NEXT_END;
	}
	bytes = decode_take(d, 2, STATUS_MALFORMED_L2);
	if (bytes == NULL)
		return NEXT_END;
	nlpid = bytes[1];
	if (nlpid == NLPID_PAD) {
		bytes = decode_take(d, 1, STATUS_MALFORMED_L2);
		if (bytes == NULL)
			return NEXT_END;
		nlpid = bytes[0];
	}
	decode_trace_at(d, "Frame relay", offset, d->cursor.at - offset);
	switch (nlpid) {
	case NLPID_IPV4:
		return NEXT_IPV4;
	case NLPID_IPV6:
		return NEXT_IPV6;
	case NLPID_PPP:
		return NEXT_PPP;
	case NLPID_SNAP:
		return snap(d);
	default:
		return NEXT_END;
	}
}
