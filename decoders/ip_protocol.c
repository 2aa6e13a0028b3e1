/* Which header an IP protocol number announces, and the protocols that are only named.
 *
 * https://www.iana.org/assignments/protocol-numbers. One switch for IPv4's protocol field and
 * IPv6's next header; the extension headers exist only below IPv6.
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

static enum decode_next extension(uint8_t protocol)
{
	switch (protocol) {
	case 0:
	case 60:
		return NEXT_IPV6_OPTIONS;
	case 43:
		return NEXT_IPV6_ROUTING;
	case 44:
		return NEXT_IPV6_FRAGMENT;
	case 135:
	case 139:
	case 140:
		return NEXT_IPV6_MOBILITY;
	default:
		return NEXT_L4_OTHER;
	}
}

enum decode_next decode_protocol(struct decode *d, uint8_t protocol)
{
	d->protocol = protocol;
	d->record->ip_protocol = protocol;
	switch (protocol) {
	case 1:
		return NEXT_ICMP;
	case 2:
		return NEXT_IGMP;
	case 4:
	case 41:
		return NEXT_IPIP;
	case 6:
		return NEXT_TCP;
	case 17:
		return NEXT_UDP;
	case 33:
		return NEXT_DCCP;
	case 47:
		return NEXT_GRE;
	case 50:
		return NEXT_ESP;
	case 51:
		return NEXT_AH;
	case 58:
		return NEXT_ICMPV6;
	case 97:
		return NEXT_ETHERIP;
	case 115:
		return NEXT_L2TP_IP;
	case 132:
		return NEXT_SCTP;
	case 136:
		return NEXT_UDPLITE;
	case 137:
		return NEXT_MPLS_IP;
	case 143:
		return NEXT_ETHERNET_IP;
	default:
		return d->record->layers & LAYER_IPV6 ? extension(protocol) : NEXT_L4_OTHER;
	}
}

/* name, and the bytes of its fixed header. */
static const char *other_name(uint8_t protocol, uint32_t *length)
{
	switch (protocol) {
	case 8:
		*length = 10;
		return "EGP";
	case 9:
		*length = 12;
		return "IGRP";
	case 27:
		*length = 18;
		return "RDP";
	case 46:
		*length = 8;
		return "RSVP";
	case 88:
		*length = 20;
		return "EIGRP";
	case 89:
		*length = 16;
		return "OSPF";
	case 103:
		*length = 4;
		return "PIM";
	case 108:
		*length = 4;
		return "IPComp";
	case 112:
		*length = 8;
		return "VRRP";
	case 113:
		*length = 16;
		return "PGM";
	case 139:
		*length = 40;
		return "HIP";
	default:
		return NULL;
	}
}

/* The payload of a protocol that is only named is all of it: its header has no length here. */
enum decode_next decode_l4_other(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	uint32_t length = 0;
	const char *name = other_name(d->protocol, &length);

	if (name == NULL) {
		checksum_none(d);
		return NEXT_END;
	}
	if (!decode_skip(d, length, STATUS_MALFORMED_L4))
		return NEXT_END;
	decode_trace_at(d, name, offset, length);
	d->record->layers |= LAYER_L4_OTHER;
	d->record->l4_offset = decode_offset16(offset);
	checksum_none(d);
	return NEXT_END;
}

enum decode_next decode_ethernet_ip(struct decode *d)
{
	checksum_none(d);
	return decode_tunnel(d, TUNNEL_ETHERNET, false, 0) ? NEXT_ETHERNET : NEXT_END;
}

/* RFC 2003, RFC 4213 3, RFC 2473. */
enum decode_next decode_ipip(struct decode *d)
{
	bool over6 = d->record->layers & LAYER_IPV6;
	bool inner6 = d->protocol == 41;
	enum tunnel_type type = over6 ? (inner6 ? TUNNEL_6IN6 : TUNNEL_4IN6) : (inner6 ? TUNNEL_6IN4 : TUNNEL_IPIP);

	checksum_none(d);
	if (!decode_tunnel(d, type, false, 0))
		return NEXT_END;
	return inner6 ? NEXT_IPV6 : NEXT_IPV4;
}
