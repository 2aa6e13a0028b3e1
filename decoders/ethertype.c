/* Which header an EtherType announces.
 *
 * IEEE 802 numbers (https://www.iana.org/assignments/ieee-802-numbers). One switch for all that
 * carry EtherTypes: Ethernet, tags, SNAP, cooked captures, Cisco HDLC, Geneve.
 */
#include "decoders/decode_internal.h"

enum decode_next decode_ethertype(struct decode *d, uint16_t type)
{
	d->ethertype = type;
	d->ethertype_known = true;
	switch (type) {
	case 0x8100:
	case 0x88a8:
	case 0x9100:
	case 0x9200:
		return NEXT_VLAN;
	case 0x893f:
	case 0x8926:
	case 0xf1c1:
	case 0x892f:
	case 0x8903:
		return NEXT_TAG_OTHER;
	case 0x88e5:
		return NEXT_MACSEC;
	default:
		break;
	}
	d->tags_open = false;
	switch (type) {
	case 0x0800:
		return NEXT_IPV4;
	case 0x86dd:
		return NEXT_IPV6;
	case 0x0806:
	case 0x8035:
		return NEXT_ARP;
	case 0x88e7:
		return NEXT_PBB;
	case 0x8847:
	case 0x8848:
		return NEXT_MPLS;
	case 0x8863:
		return NEXT_PPPOE_DISCOVERY;
	case 0x8864:
		return NEXT_PPPOE;
	case 0x6558:
		return NEXT_ETHERNET;
	case 0x8870: /* an LLC frame longer than a length field can say (802.1AC) */
		return NEXT_LLC;
	case 0x880b:
		return NEXT_PPP;
	case 0x894f:
		return NEXT_NSH;
	case 0x2000:
	case 0x8808:
	case 0x8809:
	case 0x888e:
	case 0x88cc:
	case 0x8902:
	case 0x88f5:
	case 0x88f6:
	case 0x9000:
		return NEXT_L2_CONTROL;
	default:
		return NEXT_END;
	}
}
