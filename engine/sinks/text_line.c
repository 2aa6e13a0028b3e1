/* The default line, in tcpdump's spirit:
 *
 *	16:10:47.123456 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 1, win 502, length 100
 *
 * Sequence numbers are those on the wire. With several interfaces the name and the direction stand in front.
 * Only the record is read, so that the kernel need not copy payload for it.
 */
#include "engine/sinks/text.h"
#include "engine/sinks/text_names.h"

#define COLOUR_TIME "\x1b[2m"
#define COLOUR_TCP "\x1b[32m"
#define COLOUR_TCP_END "\x1b[33m" /* SYN, FIN */
#define COLOUR_UDP "\x1b[36m"
#define COLOUR_ICMP "\x1b[35m"
#define COLOUR_ARP "\x1b[34m"
#define COLOUR_BAD "\x1b[1;31m"
#define COLOUR_OFF "\x1b[0m"

static inline char *put_colour(const struct text_state *state, char *p, const char *colour)
{
	return state->colour ? format_string(p, colour) : p;
}

static inline char *put_length(char *p, uint32_t length)
{
	return format_u32(FORMAT_LITERAL(p, ", length "), length);
}

static char *put_time(struct text_state *state, char *p, uint64_t timestamp_ns)
{
	const struct text_clock *clock = text_clock_at(&state->clock, timestamp_ns);

	p = put_colour(state, p, COLOUR_TIME);
	p = mempcpy(p, clock->time, sizeof clock->time);
	*p++ = '.';
	p = format_fixed(p, (uint32_t)(timestamp_ns % 1000000000) / 1000, 6);
	p = put_colour(state, p, COLOUR_OFF);
	*p++ = ' ';
	return p;
}

static char *put_interface(const struct text_state *state, char *p, const struct record *record)
{
	static const char directions[4][8] = { "", "In ", "Out ", "P " };
	const struct interface *interface = interface_table_get(state->interfaces, record->interface);

	if (interface != NULL) {
		/* A name from a file may hold anything: nothing of it shall steer a terminal. */
		for (const char *c = interface->name; *c != '\0'; c++)
			*p++ = (unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f ? *c : '?';
		*p++ = ' ';
	}
	return format_string(p, directions[record_direction(record)]);
}

static char *put_tag(char *p, uint16_t tci)
{
	p = format_u32(FORMAT_LITERAL(p, "vlan "), tci & 0xfff);
	if (tci >> 13 != 0)
		p = format_u32(FORMAT_LITERAL(p, ", p "), tci >> 13);
	return FORMAT_LITERAL(p, ", ");
}

/* What lies between Ethernet and the described level: tags, labels, tunnels. */
static char *put_encapsulation(char *p, const struct record *record)
{
	uint32_t layers = record->layers;

	if (layers & LAYER_VLAN)
		p = put_tag(p, record->vlan_tci);
	if (layers & LAYER_VLAN_INNER)
		p = put_tag(p, record->inner_vlan_tci);
	if (layers & LAYER_PBB)
		p = FORMAT_LITERAL(p, "PBB, ");
	if (layers & LAYER_MACSEC)
		p = FORMAT_LITERAL(p, "MACsec, ");
	if (layers & LAYER_MPLS)
		p = FORMAT_LITERAL(p, "MPLS, ");
	if (layers & LAYER_PPP)
		p = FORMAT_LITERAL(p, "PPP, ");
	if (layers & LAYER_NSH)
		p = FORMAT_LITERAL(p, "NSH, ");
	if (!(layers & LAYER_TUNNEL))
		return p;
	if (record->tunnel_type < SCHEMA_TUNNEL_TYPES)
		p = format_string(p, schema_tunnel_names[record->tunnel_type]);
	else
		p = FORMAT_LITERAL(p, "tunnel");
	if (layers & LAYER_TUNNEL_ID)
		p = format_u32(FORMAT_LITERAL(p, " id "), record->tunnel_id);
	if (record->tunnel_depth > 1)
		p = format_u32(FORMAT_LITERAL(p, " depth "), record->tunnel_depth);
	return FORMAT_LITERAL(p, ", ");
}

static char *put_tcp_options(char *p, uint32_t status)
{
	static const struct {
		uint32_t bit;
		char name[12];
	} options[] = {
		{ STATUS_TCP_MSS, "mss," }, { STATUS_TCP_SACK_PERMITTED, "sackOK," }, { STATUS_TCP_SACK, "sack," },
		{ STATUS_TCP_TIMESTAMPS, "TS," }, { STATUS_TCP_WINDOW_SCALE, "wscale," },
	};

	p = FORMAT_LITERAL(p, ", options [");
	for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
		if (status & options[i].bit)
			p = format_string(p, options[i].name);
	}
	p[-1] = ']';
	return p;
}

static char *put_tcp(char *p, const struct record *record)
{
	/* As tcpdump writes them, in its order. */
	static const char marks[8] = { 'F', 'S', 'R', 'P', '.', 'U', 'E', 'W' };
	static const uint8_t order[8] = { 0, 1, 2, 3, 5, 6, 7, 4 };
	const uint32_t options = STATUS_TCP_MSS | STATUS_TCP_WINDOW_SCALE | STATUS_TCP_SACK_PERMITTED |
				 STATUS_TCP_SACK | STATUS_TCP_TIMESTAMPS;

	p = FORMAT_LITERAL(p, "Flags [");
	for (unsigned i = 0; i < 8; i++) {
		*p = marks[order[i]];
		p += record->tcp_flags >> order[i] & 1;
	}
	if (record->tcp_flags == 0)
		p = FORMAT_LITERAL(p, "none");
	p = format_u32(FORMAT_LITERAL(p, "], seq "), record->tcp_seq);
	if (record->payload_length > 0) {
		*p++ = ':';
		p = format_u32(p, record->tcp_seq + record->payload_length);
	}
	if (record->tcp_flags & 0x10)
		p = format_u32(FORMAT_LITERAL(p, ", ack "), record->tcp_ack);
	p = format_u32(FORMAT_LITERAL(p, ", win "), record->tcp_window);
	if (record->status & options)
		p = put_tcp_options(p, record->status);
	return put_length(p, record->payload_length);
}

/* Bytes from the transport header on. */
static uint32_t message_length(const struct record *record)
{
	return (uint32_t)(record->payload_offset - record->l4_offset) + record->payload_length;
}

static char *put_icmp(char *p, const struct record *record)
{
	bool six = record->layers & LAYER_ICMPV6;
	const char *name = six ? text_icmpv6_name(record->icmp_type, record->icmp_code) :
				 text_icmp_name(record->icmp_type, record->icmp_code);

	p = six ? FORMAT_LITERAL(p, "ICMP6, ") : FORMAT_LITERAL(p, "ICMP ");
	if (name != NULL) {
		p = format_string(p, name);
	} else {
		p = format_u32(FORMAT_LITERAL(p, "type "), record->icmp_type);
		p = format_u32(FORMAT_LITERAL(p, " code "), record->icmp_code);
	}
	if (record_has_icmp_id(record)) {
		p = format_u32(FORMAT_LITERAL(p, ", id "), record->icmp_id);
		p = format_u32(FORMAT_LITERAL(p, ", seq "), record->icmp_sequence);
	}
	return put_length(p, message_length(record));
}

static char *put_igmp(char *p, const struct record *record)
{
	const char *name = text_igmp_name(record->icmp_type);

	p = FORMAT_LITERAL(p, "igmp ");
	if (name != NULL)
		p = format_string(p, name);
	else
		p = format_u32(FORMAT_LITERAL(p, "type "), record->icmp_type);
	return put_length(p, message_length(record));
}

static char *put_protocol(char *p, const struct record *record)
{
	const char *name = text_protocol_name(record->ip_protocol);

	if (name != NULL)
		p = format_string(p, name);
	else
		p = format_u32(FORMAT_LITERAL(p, "ip-proto-"), record->ip_protocol);
	return put_length(p, record->layers & LAYERS_L4 ? message_length(record) : record->payload_length);
}

static char *put_fragment(char *p, const struct record *record)
{
	p = format_u32(FORMAT_LITERAL(p, "frag (id "), record->ip_id);
	p = format_u32(FORMAT_LITERAL(p, ", offset "), record->fragment_offset);
	if (record->status & STATUS_MORE_FRAGMENTS)
		p = FORMAT_LITERAL(p, ", more");
	return FORMAT_LITERAL(p, "), ");
}

static const char *ip_colour(const struct record *record)
{
	if (record->layers & LAYER_TCP)
		return record->tcp_flags & 0x04 ? COLOUR_BAD : record->tcp_flags & 0x03 ? COLOUR_TCP_END : COLOUR_TCP;
	if (record->layers & (LAYER_UDP | LAYER_UDPLITE))
		return COLOUR_UDP;
	return COLOUR_ICMP;
}

static char *put_host(char *p, const struct record *record, const uint8_t *address, uint16_t port)
{
	p = text_address(p, record, address);
	if (!(record->layers & LAYER_PORTS))
		return p;
	*p++ = '.';
	return format_u32(p, port);
}

static char *put_ip(const struct text_state *state, char *p, const struct record *record)
{
	p = record->layers & LAYER_IPV6 ? FORMAT_LITERAL(p, "IP6 ") : FORMAT_LITERAL(p, "IP ");
	p = put_host(p, record, record->src_ip, record->src_port);
	p = FORMAT_LITERAL(p, " > ");
	p = put_host(p, record, record->dst_ip, record->dst_port);
	p = FORMAT_LITERAL(p, ": ");
	p = put_colour(state, p, ip_colour(record));
	if (record->layers & LAYER_AH)
		p = FORMAT_LITERAL(p, "AH, ");
	if (record->status & STATUS_FRAGMENT)
		p = put_fragment(p, record);
	if (record->layers & LAYER_TCP)
		p = put_tcp(p, record);
	else if (record->layers & LAYER_UDP)
		p = put_length(FORMAT_LITERAL(p, "UDP"), record->payload_length);
	else if (record->layers & (LAYER_ICMP | LAYER_ICMPV6))
		p = put_icmp(p, record);
	else if (record->layers & LAYER_IGMP)
		p = put_igmp(p, record);
	else
		p = put_protocol(p, record);
	return put_colour(state, p, COLOUR_OFF);
}

/* Who answers is told by the Ethernet source: the sender's hardware address is not in the record. */
static char *put_arp(const struct text_state *state, char *p, const struct record *record)
{
	uint32_t length = record->wire_length > record->l3_offset ? record->wire_length - record->l3_offset : 0;

	p = put_colour(state, p, COLOUR_ARP);
	p = FORMAT_LITERAL(p, "ARP, ");
	switch (record->arp_operation) {
	case 1:
		p = format_ipv4(FORMAT_LITERAL(p, "Request who-has "), record->dst_ip + 12);
		p = format_ipv4(FORMAT_LITERAL(p, " tell "), record->src_ip + 12);
		break;
	case 2:
		p = format_ipv4(FORMAT_LITERAL(p, "Reply "), record->src_ip + 12);
		if (record->layers & LAYER_ETH)
			p = format_mac(FORMAT_LITERAL(p, " from "), record->src_mac);
		break;
	default:
		p = format_u32(FORMAT_LITERAL(p, "operation "), record->arp_operation);
		p = format_ipv4(FORMAT_LITERAL(p, " from "), record->src_ip + 12);
		p = format_ipv4(FORMAT_LITERAL(p, " to "), record->dst_ip + 12);
	}
	return put_colour(state, put_length(p, length), COLOUR_OFF);
}

static char *put_other(char *p, const struct record *record)
{
	if (record->layers & LAYER_ETH) {
		p = format_mac(p, record->src_mac);
		p = format_mac(FORMAT_LITERAL(p, " > "), record->dst_mac);
		p = FORMAT_LITERAL(p, ", ");
	}
	if (record->layers & LAYER_ETHERTYPE) {
		const char *name = text_ethertype_name(record->ethertype);

		p = FORMAT_LITERAL(p, "ethertype ");
		if (name != NULL)
			p = format_string(format_string(p, name), " ");
		p = format_hex16(FORMAT_LITERAL(p, "(0x"), record->ethertype);
		*p++ = ')';
	} else if (record->layers & LAYER_L2_CONTROL) {
		p = FORMAT_LITERAL(p, "link control");
	} else {
		p = record->layers & LAYER_LLC_SNAP ? FORMAT_LITERAL(p, "LLC") : FORMAT_LITERAL(p, "link data");
	}
	return put_length(p, record->wire_length);
}

/* What a person should know of this packet beyond its headers. */
static char *put_remarks(const struct text_state *state, char *p, uint32_t status)
{
	static const struct {
		uint32_t bits;
		char text[20];
	} remarks[] = {
		{ STATUS_CUT, " [cut]" },
		{ STATUS_SHORT, " [short]" },
		{ STATUS_MALFORMED_L2 | STATUS_MALFORMED_L3 | STATUS_MALFORMED_L4, " [malformed]" },
		{ STATUS_IP_CHECKSUM_BAD, " [bad ip cksum]" },
		{ STATUS_L4_CHECKSUM_BAD, " [bad cksum]" },
		{ STATUS_TUNNEL_BOUND, " [nested too deep]" },
		{ STATUS_AGGREGATED, " [aggregated]" },
		{ STATUS_LATE, " [late]" },
	};

	p = put_colour(state, p, COLOUR_BAD);
	for (unsigned i = 0; i < sizeof remarks / sizeof *remarks; i++) {
		if (status & remarks[i].bits)
			p = format_string(p, remarks[i].text);
	}
	return put_colour(state, p, COLOUR_OFF);
}

#define REMARKABLE                                                                                             \
	(STATUS_CUT | STATUS_SHORT | STATUS_MALFORMED_L2 | STATUS_MALFORMED_L3 | STATUS_MALFORMED_L4 |         \
	 STATUS_IP_CHECKSUM_BAD | STATUS_L4_CHECKSUM_BAD | STATUS_TUNNEL_BOUND | STATUS_AGGREGATED | STATUS_LATE)

char *text_line(struct text_state *state, char *p, const struct record *record)
{
	const uint32_t encapsulated = LAYER_VLAN | LAYER_VLAN_INNER | LAYER_PBB | LAYER_MACSEC | LAYER_MPLS |
				      LAYER_PPP | LAYER_NSH | LAYER_TUNNEL;

	p = put_time(state, p, record->timestamp_ns);
	if (state->many_interfaces)
		p = put_interface(state, p, record);
	if (record->layers & encapsulated)
		p = put_encapsulation(p, record);
	if (record->layers & LAYERS_IP)
		p = put_ip(state, p, record);
	else if (record->layers & LAYER_ARP)
		p = put_arp(state, p, record);
	else
		p = put_other(p, record);
	if (record->status & REMARKABLE)
		p = put_remarks(state, p, record->status);
	*p++ = '\n';
	return p;
}
