#include "engine/sinks/text_names.h"

#include <stddef.h>

static const char *lookup(const char *const *names, size_t count, unsigned value)
{
	return value < count ? names[value] : NULL;
}

#define LOOKUP(names, value) lookup(names, sizeof names / sizeof *names, value)

const char *text_icmp_name(uint8_t type, uint8_t code)
{
	static const char *const types[] = {
		[0] = "echo reply", [4] = "source quench", [8] = "echo request", [9] = "router advertisement",
		[10] = "router solicitation", [12] = "parameter problem", [13] = "time stamp query",
		[14] = "time stamp reply", [15] = "information request", [16] = "information reply",
		[17] = "address mask request", [18] = "address mask reply",
	};
	static const char *const unreachable[] = {
		"net unreachable", "host unreachable", "protocol unreachable", "port unreachable",
		"unreachable - need to frag", "source route failed", "net unreachable - unknown",
		"host unreachable - unknown", "source host isolated", "net unreachable - admin prohibited",
		"host unreachable - admin prohibited", "net unreachable - tos prohibited",
		"host unreachable - tos prohibited", "communication admin prohibited filter",
		"host precedence violation", "precedence cutoff",
	};
	static const char *const redirect[] = {
		"redirect for net", "redirect for host", "redirect for tos and net", "redirect for tos and host",
	};
	static const char *const exceeded[] = { "time exceeded in-transit", "ip reassembly time exceeded" };

	switch (type) {
	case 3:
		return LOOKUP(unreachable, code);
	case 5:
		return LOOKUP(redirect, code);
	case 11:
		return LOOKUP(exceeded, code);
	default:
		return LOOKUP(types, type);
	}
}

const char *text_icmpv6_name(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {
		"destination unreachable, no route", "destination unreachable, admin prohibited",
		"destination unreachable, beyond scope", "destination unreachable, address",
		"destination unreachable, port", "destination unreachable, source policy",
		"destination unreachable, reject route",
	};
	static const char *const exceeded[] = { "time exceeded in-transit", "time exceeded in-reassembly" };
	static const char *const problem[] = {
		"parameter problem, erroneous field", "parameter problem, next header", "parameter problem, option",
	};
	static const char *const informational[] = {
		"echo request", "echo reply", "multicast listener query", "multicast listener report",
		"multicast listener done", "router solicitation", "router advertisement", "neighbor solicitation",
		"neighbor advertisement", "redirect", "router renumbering", "node information query",
		"node information reply", NULL, NULL, "multicast listener report v2",
	};

	switch (type) {
	case 1:
		return LOOKUP(unreachable, code);
	case 2:
		return "packet too big";
	case 3:
		return LOOKUP(exceeded, code);
	case 4:
		return LOOKUP(problem, code);
	default:
		return type < 128 ? NULL : LOOKUP(informational, type - 128u);
	}
}

const char *text_igmp_name(uint8_t type)
{
	switch (type) {
	case 0x11:
		return "query";
	case 0x12:
		return "v1 report";
	case 0x16:
		return "v2 report";
	case 0x17:
		return "leave";
	case 0x22:
		return "v3 report";
	default:
		return NULL;
	}
}

const char *text_protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case 0:
		return "HBH";
	case 1:
		return "ICMP";
	case 2:
		return "IGMP";
	case 4:
		return "IPIP";
	case 6:
		return "TCP";
	case 8:
		return "EGP";
	case 17:
		return "UDP";
	case 27:
		return "RDP";
	case 33:
		return "DCCP";
	case 41:
		return "IPv6";
	case 46:
		return "RSVP";
	case 47:
		return "GRE";
	case 50:
		return "ESP";
	case 51:
		return "AH";
	case 58:
		return "ICMP6";
	case 59:
		return "no next header";
	case 88:
		return "EIGRP";
	case 89:
		return "OSPF";
	case 97:
		return "EtherIP";
	case 103:
		return "PIM";
	case 108:
		return "IPComp";
	case 112:
		return "VRRP";
	case 115:
		return "L2TPv3";
	case 132:
		return "SCTP";
	case 136:
		return "UDPLite";
	default:
		return NULL;
	}
}

const char *text_ethertype_name(uint16_t ethertype)
{
	switch (ethertype) {
	case 0x0800:
		return "IPv4";
	case 0x0806:
		return "ARP";
	case 0x0842:
		return "Wake-on-LAN";
	case 0x8035:
		return "RARP";
	case 0x809b:
		return "AppleTalk";
	case 0x8100:
		return "802.1Q";
	case 0x86dd:
		return "IPv6";
	case 0x8808:
		return "MAC control";
	case 0x8809:
		return "slow protocols";
	case 0x8847:
	case 0x8848:
		return "MPLS";
	case 0x8863:
		return "PPPoE discovery";
	case 0x8864:
		return "PPPoE";
	case 0x888e:
		return "EAPOL";
	case 0x88a8:
		return "802.1ad";
	case 0x88cc:
		return "LLDP";
	case 0x88e5:
		return "MACsec";
	case 0x88e7:
		return "PBB";
	case 0x88f7:
		return "PTP";
	case 0x8902:
		return "CFM";
	case 0x8906:
		return "FCoE";
	case 0x8915:
		return "RoCE";
	case 0x894f:
		return "NSH";
	case 0x9000:
		return "loopback test";
	default:
		return NULL;
	}
}
