/* Tags that a switch's chip puts between itself and the CPU, by link type; Cisco's ISL.
 *
 * https://www.tcpdump.org/linktypes.html: LINKTYPE_DSA_TAG_DSA, _EDSA, _BRCM, _BRCM_PREPEND; Cisco, Inter-Switch
 * Link and IEEE 802.1Q Frame Format.
 *
 *     DSA     | destination, source (12) | tag (4) | type |
 *     EDSA    | destination, source (12) | DA DA 00 00 | tag (4) | type |
 *                tag: | mode, tagged (20), device | port, CFI (01) | priority (E0), VID 11..8 | VID 7..0 |
 *     BRCM    | destination, source (12) | tag (4) | type |      or the tag first, then Ethernet
 *     ISL     | 01000C0000, type and user (1) | source (6) | length | AA AA 03 | 00000C | VLAN, BPDU | index | .. |
 *                26 bytes; type 0: then an Ethernet frame with its FCS, which the length does not tell apart
 *
 * With "tagged", a DSA tag holds the place and the content of the frame's 802.1Q tag. MACs and tags of the record
 * are those of the Ethernet frame; ISL's addresses are the trunk's.
 */
#include "decoders/decode_internal.h"

enum {
	DSA_TAGGED = 0x20,
	DSA_CFI = 0x01,
	TCI_DEI = 0x1000,
	TCI_PRIORITY = 0xe000,
	TCI_VID = 0x0fff,
};

static void addresses(struct decode *d, const uint8_t *header)
{
	d->record->layers |= LAYER_ETH;
	__builtin_memcpy(d->record->dst_mac, header, sizeof d->record->dst_mac);
	__builtin_memcpy(d->record->src_mac, header + 6, sizeof d->record->src_mac);
}

static enum decode_next tagged(struct decode *d, const char *name, uint32_t offset, const uint8_t *tag)
{
	uint16_t low = load_be16(tag + 2);

	decode_trace_at(d, name, offset, d->cursor.at - offset);
	if (tag[0] & DSA_TAGGED) {
		d->record->layers |= LAYER_VLAN;
		d->record->vlan_tci = (low & (TCI_PRIORITY | TCI_VID)) | (tag[1] & DSA_CFI ? TCI_DEI : 0);
	}
	return decode_type_or_length(d, load_be16(tag + 4));
}

enum decode_next decode_dsa(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 18, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	addresses(d, header);
	return tagged(d, "Ethernet, DSA", offset, header + 12);
}

enum decode_next decode_edsa(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 22, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	addresses(d, header);
	return tagged(d, "Ethernet, EDSA", offset, header + 16);
}

enum decode_next decode_broadcom(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 18, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	addresses(d, header);
	decode_trace_at(d, "Ethernet, Broadcom tag", offset, 18);
	return decode_type_or_length(d, load_be16(header + 16));
}

enum decode_next decode_broadcom_prepend(struct decode *d)
{
	uint32_t offset = d->cursor.at;

	if (!decode_skip(d, 4, STATUS_MALFORMED_L2))
		return NEXT_END;
	decode_trace_at(d, "Broadcom tag", offset, 4);
	return NEXT_ETHERNET;
}

/* decode_ethernet() took the first 14 bytes and knew them for ISL's. */
enum decode_next decode_isl(struct decode *d)
{
	uint32_t offset = d->cursor.at;

	if (!decode_skip(d, 12, STATUS_MALFORMED_L2))
		return NEXT_END;
	decode_trace_at(d, "ISL", offset - 14, 26);
	return NEXT_ETHERNET;
}
