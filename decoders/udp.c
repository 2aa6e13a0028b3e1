/* UDP and UDP-Lite.
 *
 * RFC 768; RFC 2675 4 (length 0 in a jumbogram); RFC 6935 (no checksum for tunnels over IPv6);
 * RFC 3828 3.1 (UDP-Lite: checksum coverage in the place of the length).
 *
 *      0                   1                   2                   3
 *     |          source port          |       destination port        |
 *     |  length (UDP-Lite: coverage)  |           checksum            |
 *
 * payload_length comes from the IP lengths. A UDP length that says less bounds what a tunnel
 * inside may read; one that says more is malformed.
 */
#include "decoders/checksum.h"
#include "decoders/decode_internal.h"

static bool among(const uint16_t ports[DECODE_TUNNEL_PORTS], uint16_t port)
{
	bool found = false;

	for (uint32_t i = 0; i < DECODE_TUNNEL_PORTS; i++)
		found = found || (ports[i] == port && port != 0);
	return found;
}

static enum decode_next by_option(const struct decode_ports *ports, uint16_t port)
{
	if (among(ports->vxlan, port))
		return NEXT_VXLAN;
	if (among(ports->vxlan_gpe, port))
		return NEXT_VXLAN_GPE;
	if (among(ports->geneve, port))
		return NEXT_GENEVE;
	if (among(ports->gtpu, port))
		return NEXT_GTPU;
	if (among(ports->l2tp, port))
		return NEXT_L2TP_UDP;
	if (among(ports->teredo, port))
		return NEXT_TEREDO;
	return NEXT_END;
}

static enum decode_next by_port(uint16_t port)
{
	switch (port) {
	case 1701:
		return NEXT_L2TP_UDP;
	case 2152:
		return NEXT_GTPU;
	case 3544:
		return NEXT_TEREDO;
	case 4500:
		return NEXT_ESP_UDP;
	case 4754:
		return NEXT_GRE;
	case 4789:
		return NEXT_VXLAN;
	case 4790:
		return NEXT_VXLAN_GPE;
	case 5072:
		return NEXT_AYIYA;
	case 6081:
		return NEXT_GENEVE;
	case 6635:
		return NEXT_MPLS_UDP;
	default:
		return NEXT_END;
	}
}

/* Services below the tunnels' ports that are as likely to talk to an arbitrary port. */
static bool service(uint16_t port)
{
	switch (port) {
	case 1194: /* OpenVPN */
	case 1645: /* RADIUS */
	case 1646:
	case 1812:
	case 1813:
	case 1900: /* SSDP */
	case 2055: /* NetFlow */
	case 2123: /* GTP-C */
	case 3478: /* STUN */
	case 3702: /* WS-Discovery */
	case 3784: /* BFD */
	case 4739: /* IPFIX */
	case 5060: /* SIP */
	case 5353: /* mDNS */
	case 5355: /* LLMNR */
		return true;
	default:
		return port < 1024;
	}
}

/* A tunnel's port may be on either side: answers (L2TP, GTP-U echoes, Teredo, ESP through a NAT)
 * come from it. But it may also be the port from which a client happened to ask a resolver. So
 * the lower port decides where it is a service, as it does in other analysers. */
enum decode_next decode_udp_ports(const struct decode_options *options, uint16_t src_port, uint16_t dst_port)
{
	uint16_t low = src_port < dst_port ? src_port : dst_port;
	uint16_t high = src_port < dst_port ? dst_port : src_port;
	enum decode_next next = by_option(&options->ports, dst_port);

	if (next == NEXT_END)
		next = by_option(&options->ports, src_port);
	if (next == NEXT_END)
		next = by_port(low);
	if (next == NEXT_END && !service(low))
		next = by_port(high);
	return next;
}

static void udp_checksum(struct decode *d, uint32_t offset, uint16_t checksum, bool tunnel)
{
	if (checksum != 0)
		checksum_transport(d, offset, d->wire_end - offset, 17, true);
	else if (d->record->layers & LAYER_IPV4 || tunnel)
		checksum_none(d);
	else if (!(d->record->status & STATUS_FRAGMENT))
		d->record->status |= STATUS_CHECKSUMS_CHECKED | STATUS_L4_CHECKSUM_BAD;
}

enum decode_next decode_udp(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	struct record *record = d->record;
	enum decode_next next;
	uint32_t length;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "UDP", offset, 8);
	record->layers |= LAYER_UDP | LAYER_PORTS;
	record->l4_offset = decode_offset16(offset);
	record->src_port = load_be16(header);
	record->dst_port = load_be16(header + 2);
	decode_payload(d);

	length = load_be16(header + 4);
	if (length == 0 && d->wire_end - offset > UINT16_MAX)
		length = d->wire_end - offset;
	if (length < 8) {
		record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	if (length <= d->wire_end - offset)
		decode_claim(d, offset, length);
	else if (!(record->status & (STATUS_FRAGMENT | STATUS_SHORT)) && !d->in_fragment)
		record->status |= STATUS_MALFORMED_L4;
	next = decode_udp_ports(d->options, record->src_port, record->dst_port);
	if (d->options->verify_checksums)
		udp_checksum(d, offset, load_be16(header + 6), next != NEXT_END);
	return next;
}

enum decode_next decode_udplite(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L4);
	struct record *record = d->record;
	uint32_t coverage, left;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "UDP-Lite", offset, 8);
	record->layers |= LAYER_UDPLITE | LAYER_PORTS;
	record->l4_offset = decode_offset16(offset);
	record->src_port = load_be16(header);
	record->dst_port = load_be16(header + 2);
	decode_payload(d);

	left = d->wire_end - offset;
	coverage = load_be16(header + 4);
	if (coverage == 0)
		coverage = left;
	if (coverage < 8 || (coverage > left && !(record->status & (STATUS_FRAGMENT | STATUS_SHORT)))) {
		record->status |= STATUS_MALFORMED_L4;
		return NEXT_END;
	}
	if (d->options->verify_checksums)
		checksum_transport(d, offset, coverage, 136, true);
	return NEXT_END;
}
