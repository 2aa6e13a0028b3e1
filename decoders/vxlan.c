/* VXLAN, VXLAN-GPE, Geneve: virtual networks over UDP.
 *
 * RFC 7348 5 (VXLAN, port 4789), draft-ietf-nvo3-vxlan-gpe 3 (port 4790), RFC 8926 3.4 (Geneve,
 * port 6081).
 *
 *      0                   1                   2                   3
 *     |R R R R I P B O|          reserved           | next (GPE)      |   VXLAN, VXLAN-GPE
 *     |                    VNI (24)                   |   reserved    |
 *
 *     |Ver| opt len/4 |O|C|  reserved |        protocol type          |   Geneve
 *     |                    VNI (24)                   |   reserved    |
 *     |                 options, opt len * 4                          |
 */
#include "decoders/decode_internal.h"

enum {
	VXLAN_VNI = 0x08,
	VXLAN_NEXT = 0x04,
	GPE_IPV4 = 1,
	GPE_IPV6 = 2,
	GPE_ETHERNET = 3,
	GPE_NSH = 4,
	GPE_MPLS = 5,
};

enum decode_next decode_vxlan(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "VXLAN", offset, 8);
	if (!decode_tunnel(d, TUNNEL_VXLAN, header[0] & VXLAN_VNI, load_be24(header + 4)))
		return NEXT_END;
	return NEXT_ETHERNET;
}

enum decode_next decode_vxlan_gpe(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "VXLAN-GPE", offset, 8);
	if (!decode_tunnel(d, TUNNEL_VXLAN_GPE, header[0] & VXLAN_VNI, load_be24(header + 4)))
		return NEXT_END;
	if (!(header[0] & VXLAN_NEXT))
		return NEXT_ETHERNET;
	switch (header[3]) {
	case GPE_IPV4:
		return NEXT_IPV4;
	case GPE_IPV6:
		return NEXT_IPV6;
	case GPE_ETHERNET:
		return NEXT_ETHERNET;
	case GPE_NSH:
		return NEXT_NSH;
	case GPE_MPLS:
		return NEXT_MPLS;
	default:
		return NEXT_END;
	}
}

enum decode_next decode_geneve(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	uint32_t options;

	if (header == NULL)
		return NEXT_END;
	if (header[0] >> 6 != 0) {
		d->record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	options = (header[0] & 0x3fu) * 4;
	decode_trace_at(d, "Geneve", offset, 8 + options);
	if (!decode_tunnel(d, TUNNEL_GENEVE, true, load_be24(header + 4)))
		return NEXT_END;
	if (!decode_skip(d, options, STATUS_MALFORMED_L4))
		return NEXT_END;
	return decode_ethertype(d, load_be16(header + 2));
}
