/* The formats of hand-written sniffers, byte for byte: scripts that read those can read these.
 *
 * What each leaves out: addresses prints TCP and UDP with their ports, line, ip and brief every IPv4 and
 * IPv6 packet, tcp the segments that carry data, arp ARP. Behind tunnels they all show the described level.
 */
#include "decoders/cursor.h"
#include "engine/sinks/text.h"

#define PAYLOAD_SHOWN 50u

/* 10.0.0.1:80, [2001:db8::1]:80, or the address alone where there are no ports. */
static char *put_endpoint(char *p, const struct record *record, const uint8_t *address, uint16_t port)
{
	bool bracket = record->layers & LAYER_IPV6;

	if (!(record->layers & LAYER_PORTS))
		return text_address(p, record, address);
	if (bracket)
		*p++ = '[';
	p = text_address(p, record, address);
	if (bracket)
		*p++ = ']';
	*p++ = ':';
	return format_u32(p, port);
}

static char *put_source(char *p, const struct record *record)
{
	return put_endpoint(p, record, record->src_ip, record->src_port);
}

static char *put_destination(char *p, const struct record *record)
{
	return put_endpoint(p, record, record->dst_ip, record->dst_port);
}

/* incoming src=100.100.25.3:80, dst=10.112.13.6:21077, packet len= 40
 * What is not known to have been sent by us came in. */
char *text_addresses(struct text_state *state, char *p, const struct record *record)
{
	if (!(record->layers & (LAYER_TCP | LAYER_UDP)) || !(record->layers & LAYER_PORTS))
		return p;
	p = record_direction(record) == DIRECTION_OUT ? FORMAT_LITERAL(p, "outgoing src=") :
							FORMAT_LITERAL(p, "incoming src=");
	p = put_source(p, record);
	p = FORMAT_LITERAL(p, ", dst=");
	p = put_destination(p, record);
	p = FORMAT_LITERAL(p, ", packet len= ");
	p = format_u32(p, schema_ip_length(record));
	*p++ = '\n';
	return p;
}

/* Bytes behind the IP header: its options are of the header, IPv6 extension headers and AH are not. Where
 * AH hides how long an IPv4 header was it is taken to have no options. */
static uint32_t ip_payload_length(const struct record *record)
{
	uint32_t length = schema_ip_length(record);
	uint32_t header = 40;

	if (record->layers & LAYER_IPV4 && record->layers & LAYER_AH)
		header = 20;
	else if (record->layers & LAYER_IPV4)
		header = (record->layers & LAYERS_L4 ? record->l4_offset : record->payload_offset) -
			 (uint32_t)record->l3_offset;
	return length > header ? length - header : 0;
}

/* 2017-11-14 16:10:47 10.112.13.6:22 -> 10.100.27.113:61913 228 */
char *text_connection(struct text_state *state, char *p, const struct record *record)
{
	const struct text_clock *clock;

	if (!(record->layers & LAYERS_IP))
		return p;
	clock = text_clock_at(&state->clock, record->timestamp_ns);
	p = mempcpy(p, clock->date, sizeof clock->date);
	*p++ = ' ';
	p = mempcpy(p, clock->time, sizeof clock->time);
	*p++ = ' ';
	p = put_source(p, record);
	p = FORMAT_LITERAL(p, " -> ");
	p = put_destination(p, record);
	*p++ = ' ';
	p = format_u32(p, ip_payload_length(record));
	*p++ = '\n';
	return p;
}

/* ICMP: 127.0.0.1 -> 127.0.0.1 */
char *text_ip(struct text_state *state, char *p, const struct record *record)
{
	if (!(record->layers & LAYERS_IP))
		return p;
	switch (record->ip_protocol) {
	case 1:
		p = FORMAT_LITERAL(p, "ICMP");
		break;
	case 2:
		p = FORMAT_LITERAL(p, "IGMP");
		break;
	case 6:
		p = FORMAT_LITERAL(p, "TCP");
		break;
	case 17:
		p = FORMAT_LITERAL(p, "UDP");
		break;
	case 27:
		p = FORMAT_LITERAL(p, "RDP");
		break;
	default:
		p = format_u8(FORMAT_LITERAL(p, "Unknown("), record->ip_protocol);
		*p++ = ')';
	}
	p = text_address(FORMAT_LITERAL(p, ": "), record, record->src_ip);
	p = text_address(FORMAT_LITERAL(p, " -> "), record, record->dst_ip);
	*p++ = '\n';
	return p;
}

/* 10.0.0.1:80 -> 10.0.0.2:1234 */
char *text_brief(struct text_state *state, char *p, const struct record *record)
{
	if (!(record->layers & LAYERS_IP))
		return p;
	p = put_source(p, record);
	p = put_destination(FORMAT_LITERAL(p, " -> "), record);
	*p++ = '\n';
	return p;
}

/* As Python's repr() of a bytes object: double quotes only around what has single ones and no double ones. */
static char *put_python_bytes(char *p, const uint8_t *bytes, uint32_t length)
{
	bool single = memchr(bytes, '\'', length) != NULL, twice = memchr(bytes, '"', length) != NULL;
	char quote = single && !twice ? '"' : '\'';

	*p++ = 'b';
	*p++ = quote;
	for (uint32_t i = 0; i < length; i++) {
		uint8_t byte = bytes[i];

		if (byte == quote || byte == '\\') {
			*p++ = '\\';
			*p++ = (char)byte;
		} else if (byte == '\t' || byte == '\n' || byte == '\r') {
			*p++ = '\\';
			*p++ = byte == '\t' ? 't' : byte == '\n' ? 'n' : 'r';
		} else if (byte < 0x20 || byte > 0x7e) {
			p = format_hex8(FORMAT_LITERAL(p, "\\x"), byte);
		} else {
			*p++ = (char)byte;
		}
	}
	*p++ = quote;
	return p;
}

static char *put_flags(char *p, uint8_t flags)
{
	static const char names[6][4] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG" };
	bool first = true;

	for (unsigned i = 0; i < 6; i++) {
		if (!(flags & 1u << i))
			continue;
		if (!first)
			*p++ = ',';
		p = mempcpy(p, names[i], 3);
		first = false;
	}
	return p;
}

/* Port 22 -> 61913 [PSH,ACK] Seq=1234
 * Data: b'SSH-2.0'...
 * The data ends where the IP length says; of it, what was captured. */
char *text_tcp(struct text_state *state, char *p, const struct record *record)
{
	struct cursor cursor = cursor_over(sink_packet(record), record->captured_length);
	uint32_t length = record->payload_length < PAYLOAD_SHOWN ? record->payload_length : PAYLOAD_SHOWN;
	const uint8_t *payload;

	if (!(record->layers & LAYER_TCP) || record->payload_length == 0)
		return p;
	if (cursor_take(&cursor, record->payload_offset) == NULL)
		length = 0;
	else if (cursor_left(&cursor) < length)
		length = cursor_left(&cursor);
	payload = cursor_look(&cursor, length);
	p = format_u32(FORMAT_LITERAL(p, "Port "), record->src_port);
	p = format_u32(FORMAT_LITERAL(p, " -> "), record->dst_port);
	p = put_flags(FORMAT_LITERAL(p, " ["), record->tcp_flags);
	p = format_u32(FORMAT_LITERAL(p, "] Seq="), record->tcp_seq);
	p = put_python_bytes(FORMAT_LITERAL(p, "\nData: "), payload, length);
	return FORMAT_LITERAL(p, "...\n");
}

static char *put_hex(char *p, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		p = format_hex8(p, bytes[i]);
	return p;
}

/* Hardware addresses are printed as plain hex, four-byte protocol addresses with dots. */
static char *put_arp_party(char *p, const char *who, const uint8_t *addresses, uint32_t hardware_length,
			   uint32_t protocol_length)
{
	p = format_string(FORMAT_LITERAL(p, " "), who);
	p = put_hex(FORMAT_LITERAL(p, " MAC: "), addresses, hardware_length);
	p = format_string(FORMAT_LITERAL(p, "\n "), who);
	p = FORMAT_LITERAL(p, " IP: ");
	p = protocol_length == 4 ? format_ipv4(p, addresses + hardware_length) :
				   put_hex(p, addresses + hardware_length, protocol_length);
	*p++ = '\n';
	return p;
}

static char *put_arp_header(char *p, const uint8_t *header)
{
	uint16_t operation = load_be16(header + 6);

	p = FORMAT_LITERAL(p, "ARP HEADER\n Hardware: ");
	p = format_hex16(p, load_be16(header));
	p = format_hex16(FORMAT_LITERAL(p, "\n Protocol: "), load_be16(header + 2));
	p = format_hex16(FORMAT_LITERAL(p, "\n Opcode: "), operation);
	if (operation == 1)
		return FORMAT_LITERAL(p, " (Request)\n");
	if (operation == 2)
		return FORMAT_LITERAL(p, " (Reply)\n");
	return FORMAT_LITERAL(p, " (Unknown)\n");
}

/* A block for each ARP packet: Ethernet header, then RFC 826's fields as they are on the wire. */
char *text_arp(struct text_state *state, char *p, const struct record *record)
{
	struct cursor cursor = cursor_over(sink_packet(record), record->captured_length);
	const uint8_t *header, *sender, *target;
	uint32_t party;

	if (!(record->layers & LAYER_ARP) || cursor_take(&cursor, record->l3_offset) == NULL)
		return p;
	header = cursor_take(&cursor, 8);
	if (header == NULL)
		return p;
	party = (uint32_t)header[4] + header[5];
	sender = cursor_take(&cursor, party);
	target = cursor_take(&cursor, party);
	if (sender == NULL || target == NULL)
		return p;
	memset(p, '=', 50);
	p = FORMAT_LITERAL(p + 50, "\nETHERNET FRAME\n Dest MAC: ");
	p = put_hex(p, record->dst_mac, record->layers & LAYER_ETH ? 6 : 0);
	p = FORMAT_LITERAL(p, "\n Source MAC: ");
	p = put_hex(p, record->src_mac, record->layers & LAYER_ETH ? 6 : 0);
	*p++ = '\n';
	p = put_arp_header(p, header);
	p = put_arp_party(p, "Sender", sender, header[4], header[5]);
	return put_arp_party(p, "Target", target, header[4], header[5]);
}
