/* Tags between the addresses and the EtherType: 802.1Q, 802.1ad, and the rarer ones that only
 * have to be stepped over; 802.1ah; MACsec.
 *
 * IEEE 802.1Q-2022 9.6 (VLAN tag), 9.7 (I-TAG); IEEE 802.1AE-2018 9.3 (SecTAG); 802.1BR E-TAG;
 * VN-Tag; 802.1CB R-TAG; IEC 62439-3 HSR. Each is announced by the EtherType before it and
 * ends in the next one.
 *
 *     FabricPath (Cisco, 8903)  | tree (10), TTL (6) |  then Ethernet
 *     VLAN     | PCP |D|        VID            |         type          |
 *     I-TAG    | PCP |D|..|        I-SID (24)          |  C-DA, C-SA, type
 *     SecTAG   |V ES SC SCB E C AN|  SL  |     packet number (32)      | SCI (64) if SC | ...
 *
 * Only the tags of the outermost Ethernet go into the record; MACs of an I-TAG's customer frame and
 * of the frame inside FabricPath do not, since the backbone's are outermost.
 */
#include "decoders/decode_internal.h"

enum {
	MACSEC_SCI = 0x20,
	MACSEC_ENCRYPTED = 0x08,
	MACSEC_CHANGED = 0x04,
	MACSEC_ICV_LENGTH = 16,
};

static uint32_t tpid_of(uint16_t type)
{
	switch (type) {
	case 0x8100:
		return TPID_8100;
	case 0x88a8:
		return TPID_88A8;
	case 0x9100:
		return TPID_9100;
	default:
		return TPID_9200;
	}
}

enum decode_next decode_vlan(struct decode *d)
{
	struct record *record = d->record;
	uint32_t offset = d->cursor.at;
	const uint8_t *tag = decode_take(d, 4, STATUS_MALFORMED_L2);
	uint16_t tci;

	if (tag == NULL)
		return NEXT_END;
	tci = load_be16(tag);
	decode_trace_at(d, d->ethertype == 0x8100 ? "802.1Q" : "802.1ad", offset, 4);
	if (d->tags_open && !(record->layers & LAYER_VLAN)) {
		record->layers |= LAYER_VLAN;
		record->vlan_tci = tci;
		record->status |= tpid_of(d->ethertype) << STATUS_OUTER_TPID_SHIFT;
	} else if (d->tags_open && !(record->layers & LAYER_VLAN_INNER)) {
		record->layers |= LAYER_VLAN_INNER;
		record->inner_vlan_tci = tci;
		record->status |= tpid_of(d->ethertype) << STATUS_INNER_TPID_SHIFT;
	}
	return decode_type_or_length(d, load_be16(tag + 2));
}

enum decode_next decode_tag_other(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *tag;

	if (d->ethertype == 0x893f) {
		tag = decode_take(d, 8, STATUS_MALFORMED_L2);
		if (tag == NULL)
			return NEXT_END;
		decode_trace_at(d, "802.1BR E-TAG", offset, 8);
		return decode_type_or_length(d, load_be16(tag + 6));
	}
	if (d->ethertype == 0x8903) {
		if (!decode_skip(d, 2, STATUS_MALFORMED_L2))
			return NEXT_END;
		decode_trace_at(d, "FabricPath", offset, 2);
		return NEXT_ETHERNET;
	}
	tag = decode_take(d, 6, STATUS_MALFORMED_L2);
	if (tag == NULL)
		return NEXT_END;
	decode_trace_at(d, d->ethertype == 0x8926 ? "VN-Tag" : d->ethertype == 0x892f ? "HSR" : "802.1CB R-TAG",
			offset, 6);
	return decode_type_or_length(d, load_be16(tag + 4));
}

enum decode_next decode_pbb(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *tag = decode_take(d, 18, STATUS_MALFORMED_L2);

	if (tag == NULL)
		return NEXT_END;
	decode_trace_at(d, "802.1ah I-TAG", offset, 4);
	decode_trace_at(d, "Ethernet (customer)", offset + 4, 14);
	d->record->layers |= LAYER_PBB;
	return decode_type_or_length(d, load_be16(tag + 16));
}

enum decode_next decode_macsec(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *tag = decode_take(d, 6, STATUS_MALFORMED_L2);
	uint8_t control;

	if (tag == NULL)
		return NEXT_END;
	control = tag[0];
	if ((control & MACSEC_SCI) && !decode_skip(d, 8, STATUS_MALFORMED_L2))
		return NEXT_END;
	decode_trace_at(d, "MACsec", offset, d->cursor.at - offset);
	d->record->layers |= LAYER_MACSEC;
	if (control & (MACSEC_ENCRYPTED | MACSEC_CHANGED))
		return NEXT_END;
	/* Integrity only: the frame goes on in clear, with the check value behind it. */
	tag = decode_take(d, 2, STATUS_MALFORMED_L2);
	if (tag == NULL)
		return NEXT_END;
	if (d->wire_end >= MACSEC_ICV_LENGTH && d->cursor.at <= d->wire_end - MACSEC_ICV_LENGTH) {
		d->wire_end -= MACSEC_ICV_LENGTH;
		cursor_limit(&d->cursor, d->wire_end);
	}
	return decode_type_or_length(d, load_be16(tag));
}
