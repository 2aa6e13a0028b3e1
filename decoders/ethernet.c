/* Ethernet II, IEEE 802.3 with LLC and SNAP, and the link-layer control protocols by name.
 *
 * IEEE 802.3-2022 3.2 (frames), 3.2.6 (length or type); IEEE 802.2 3 (LLC); RFC 1042 (SNAP).
 *
 *      0                   1                   2                   3
 *     +---------------------------------------------------------------+
 *     |                     destination address ...                   |
 *     |             ...               |       source address ...      |
 *     |                             ...                               |
 *     |      length or type           |  <= 1500: a length, then LLC  |
 *     +---------------------------------------------------------------+
 *     |     DSAP      |     SSAP      |    control    |  AA AA 03:    |
 *     +-----------------------------------------------+               |
 *     |                     OUI                       |  SNAP         |
 *     |       protocol identifier     |
 *
 * Destination comes first on the wire; the record keeps the source first.
 */
#include "decoders/decode_internal.h"

enum {
	LENGTH_MAX = 1500,
	TYPE_MIN = 0x0600,
	SAP_IPX = 0xe0,
	SAP_IP = 0x06,
	SAP_BPDU = 0x42,
	SAP_SNAP = 0xaa,
	SAP_OSI = 0xfe,
	CONTROL_UI = 0x03, /* unnumbered information: the only kind that carries a packet */
	OUI_ETHERNET = 0x000000,
	OUI_BRIDGE_TUNNEL = 0x0000f8, /* 802.1H: the same EtherTypes */
	OUI_CISCO = 0x00000c,
};

enum decode_next decode_type_or_length(struct decode *d, uint16_t type)
{
	if (type >= TYPE_MIN)
		return decode_ethertype(d, type);
	d->tags_open = false;
	if (type > LENGTH_MAX) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	d->ethertype_known = false;
	decode_claim(d, d->cursor.at, type);
	return NEXT_LLC;
}

/* ISL's header looks like an 802.3 frame to a multicast address of Cisco's, of type Ethernet. */
static bool is_isl(const struct decode *d, const uint8_t *header)
{
	const uint8_t *llc = cursor_look(&d->cursor, 6);

	return (header[0] & ~2u) == 0x01 && header[1] == 0x00 && load_be24(header + 2) == 0x0c0000 && header[5] < 0x10 &&
	       llc != NULL && load_be32(llc) == 0xaaaa0300 && load_be16(llc + 4) == 0x000c;
}

enum decode_next decode_ethernet(struct decode *d)
{
	struct record *record = d->record;
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 14, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	if (__builtin_expect(load_be16(header + 12) <= LENGTH_MAX && is_isl(d, header), 0))
		return decode_isl(d);
	decode_trace_at(d, "Ethernet", offset, 14);
	d->tags_open = false;
	if (!(record->layers & LAYER_ETH) && record == d->described) {
		record->layers |= LAYER_ETH;
		__builtin_memcpy(record->dst_mac, header, sizeof record->dst_mac);
		__builtin_memcpy(record->src_mac, header + 6, sizeof record->src_mac);
		d->tags_open = !(record->layers & LAYER_VLAN);
	}
	return decode_type_or_length(d, load_be16(header + 12));
}

/* name: for the trace. The protocol itself is not taken apart; length: its fixed part. */
static enum decode_next control(struct decode *d, const char *name, uint32_t length)
{
	uint32_t offset = d->cursor.at;

	if (!decode_skip(d, length, STATUS_MALFORMED_L2))
		return NEXT_END;
	decode_trace_at(d, name, offset, d->cursor.end - offset);
	d->record->layers |= LAYER_L2_CONTROL;
	return NEXT_END;
}

static enum decode_next cisco_snap(struct decode *d, uint16_t protocol)
{
	switch (protocol) {
	case 0x2000:
		return control(d, "CDP", 4);
	case 0x2003:
		return control(d, "VTP", 4);
	case 0x2004:
		return control(d, "DTP", 1);
	case 0x0104:
		return control(d, "PAgP", 2);
	case 0x0111:
		return control(d, "UDLD", 4);
	case 0x010b:
		return control(d, "PVST+", 4);
	default:
		return NEXT_END;
	}
}

static enum decode_next snap(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 5, STATUS_MALFORMED_L2);
	uint32_t oui;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "SNAP", offset, 5);
	oui = load_be24(header);
	if (oui == OUI_ETHERNET || oui == OUI_BRIDGE_TUNNEL)
		return decode_ethertype(d, load_be16(header + 3));
	if (oui == OUI_CISCO)
		return cisco_snap(d, load_be16(header + 3));
	return NEXT_END;
}

enum decode_next decode_llc(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = cursor_look(&d->cursor, 2);

	if (header != NULL && load_be16(header) == 0xffff) {
		decode_trace_at(d, "IPX over 802.3", offset, d->cursor.end - offset);
		return NEXT_END;
	}
	header = decode_take(d, 3, STATUS_MALFORMED_L2);
	if (header == NULL)
		return NEXT_END;
	/* Information and supervisory frames have a second control byte. */
	if ((header[2] & 3) != 3 && !decode_skip(d, 1, STATUS_MALFORMED_L2))
		return NEXT_END;
	decode_trace_at(d, "LLC", offset, d->cursor.at - offset);
	d->record->layers |= LAYER_LLC_SNAP;
	if (header[2] != CONTROL_UI)
		return NEXT_END;
	switch (header[0]) {
	case SAP_SNAP:
		return header[1] == SAP_SNAP ? snap(d) : NEXT_END;
	case SAP_IP:
		return NEXT_IPV4;
	case SAP_BPDU:
		return control(d, "STP", 4);
	case SAP_OSI:
		decode_trace_at(d, "OSI network layer", d->cursor.at, cursor_left(&d->cursor));
		return NEXT_END;
	case SAP_IPX:
		decode_trace_at(d, "IPX", d->cursor.at, cursor_left(&d->cursor));
		return NEXT_END;
	default:
		return NEXT_END;
	}
}

enum decode_next decode_l2_control(struct decode *d)
{
	switch (d->ethertype) {
	case 0x8808:
		return control(d, "MAC control", 2);
	case 0x8809:
		return control(d, "Slow protocols (LACP, OAM)", 1);
	case 0x888e:
		return control(d, "EAPOL", 4);
	case 0x88cc:
		return control(d, "LLDP", 2);
	case 0x8902:
		return control(d, "CFM", 4);
	case 0x88f5:
		return control(d, "MVRP", 1);
	case 0x88f6:
		return control(d, "MMRP", 1);
	case 0x9000:
		return control(d, "Loopback test", 2);
	case 0x2000:
		return control(d, "CDP", 4);
	default:
		return NEXT_END;
	}
}
