#include "decoders/decode.h"

#include "decoders/checksum.h"
#include "decoders/decode_fast.h"
#include "decoders/decode_internal.h"
#include "decoders/flow_hash.h"

/* What a deeper IP level replaces; the rest describes the link layer or the whole packet. */
#define LEVEL_LAYERS                                                                           \
	(LAYER_ARP | LAYERS_IP | LAYER_IPV6_EXT | LAYER_IPV6_FRAG | LAYER_AH | LAYER_ESP |     \
	 LAYERS_L4 | LAYER_PORTS | LAYER_ETHERTYPE)
#define LEVEL_STATUS                                                                           \
	(STATUS_MALFORMED_L3 | STATUS_MALFORMED_L4 | STATUS_FRAGMENT | STATUS_MORE_FRAGMENTS | \
	 STATUS_DONT_FRAGMENT | STATUS_CHECKSUMS_CHECKED | STATUS_IP_CHECKSUM_BAD |            \
	 STATUS_L4_CHECKSUM_BAD | STATUS_TCP_AE | STATUS_TCP_MSS | STATUS_TCP_WINDOW_SCALE |   \
	 STATUS_TCP_SACK_PERMITTED | STATUS_TCP_SACK | STATUS_TCP_TIMESTAMPS)

/* What the levels below the described one still say about the packet as a whole. */
#define PACKET_STATUS (STATUS_CUT | STATUS_TUNNEL_BOUND)

void decode_trace_header(struct decode *d, const char *name, uint32_t offset, uint32_t length, uint32_t below)
{
	struct decode_trace *trace = d->trace;

	if (trace->count >= DECODE_TRACE_LAYERS)
		return;
	trace->layers[trace->count] = (struct decode_layer){
		.name = name, .offset = offset, .length = length, .depth = d->tunnels + below,
	};
	trace->count++;
}

/* Whether what is missing here is in another fragment. */
static bool reaches_out(const struct decode *d)
{
	return d->in_fragment || (d->record->status & STATUS_FRAGMENT);
}

enum decode_next decode_missed(struct decode *d, uint32_t length, uint32_t malformed)
{
	uint32_t left = d->cursor.at < d->wire_end ? d->wire_end - d->cursor.at : 0;

	if (length <= left)
		d->record->status |= STATUS_CUT;
	else if (reaches_out(d))
		return NEXT_END;
	else if (d->claimed)
		d->record->status |= malformed;
	else
		d->record->status |= STATUS_SHORT;
	return NEXT_END;
}

void decode_claim(struct decode *d, uint32_t from, uint32_t length)
{
	if (from <= d->wire_end && length <= d->wire_end - from) {
		d->wire_end = from + length;
		cursor_limit(&d->cursor, d->wire_end);
		d->claimed = true;
	} else if (!reaches_out(d)) {
		d->record->status |= STATUS_SHORT;
	}
}

void decode_level_done(struct decode *d)
{
	struct record *record = d->record;
	bool ports = (record->layers & LAYER_PORTS) && !(record->status & STATUS_FRAGMENT);

	if (!(record->layers & LAYERS_IP))
		return;
	record->flow_hash = flow_hash(record->src_ip, record->dst_ip, ports ? record->src_port : 0,
				      ports ? record->dst_port : 0,
				      record->status & STATUS_FRAGMENT ? d->hash_protocol : record->ip_protocol);
}

/* The link layer, the lengths and the tunnel stay; all else of the record is the level's. */
static void level_clear(struct record *record)
{
	record->layers &= ~(uint32_t)LEVEL_LAYERS;
	record->status &= ~(uint32_t)LEVEL_STATUS;
	__builtin_memset(record->src_ip, 0, sizeof record->src_ip);
	__builtin_memset(record->dst_ip, 0, sizeof record->dst_ip);
	record->src_port = 0;
	record->dst_port = 0;
	record->payload_length = 0;
	record->flow_hash = 0;
	record->ethertype = 0;
	record->ip_protocol = 0;
	record->tcp_flags = 0;
	record->tcp_seq = 0;
	record->tcp_ack = 0;
	record->ip_id = 0;
	record->l3_offset = 0;
	record->l4_offset = 0;
	record->payload_offset = 0;
	record->fragment_offset = 0;
	record->tcp_window = 0;
	record->ip_ttl = 0;
	record->ip_tos = 0;
}

struct record *decode_level(struct decode *d)
{
	if (d->levels > 0) {
		d->in_fragment = reaches_out(d);
		level_clear(d->record);
	}
	d->levels++;
	d->routed = false;
	d->checksum_unknowable = false;
	d->tags_open = false;
	if (d->ethertype_known) {
		d->record->layers |= LAYER_ETHERTYPE;
		d->record->ethertype = d->ethertype;
	}
	return d->record;
}

bool decode_tunnel(struct decode *d, enum tunnel_type type, bool has_id, uint32_t id)
{
	if (d->tunnels >= DECODE_TUNNEL_BOUND) {
		d->record->status |= STATUS_TUNNEL_BOUND;
		return false;
	}
	d->tunnels++;
	d->ethertype_known = false;
	d->tags_open = false;
	decode_tunnel_is(d, type, has_id, id);
	if (d->options->tunnel == DECODE_TUNNEL_OUTER && d->levels == 1 && d->record == d->described) {
		d->in_fragment = reaches_out(d);
		decode_level_done(d);
		d->record = d->scratch;
	}
	return true;
}

void decode_tunnel_is(struct decode *d, enum tunnel_type type, bool has_id, uint32_t id)
{
	struct record *record = d->described;

	if (d->options->tunnel == DECODE_TUNNEL_OUTER && d->tunnels > 1)
		return;
	record->tunnel_type = (uint8_t)type;
	record->layers |= LAYER_TUNNEL;
	record->layers &= ~(uint32_t)LAYER_TUNNEL_ID;
	record->tunnel_id = 0;
	if (has_id) {
		record->layers |= LAYER_TUNNEL_ID;
		record->tunnel_id = id;
	}
}

/* Link types that few captures have: a header of the capturing system or of a switch, and other links. */
static enum decode_next decode_link_rare(struct decode *d, uint16_t link_type)
{
	switch (link_type) {
	case LINK_SLIP:
		return decode_slip(d);
	case LINK_PPI:
		return decode_ppi(d);
	case LINK_PKTAP:
		return decode_pktap(d);
	case LINK_PFLOG:
		return decode_pflog(d);
	case LINK_ENC:
		return decode_enc(d);
	case LINK_NFLOG:
		return decode_nflog(d);
	case LINK_IPNET:
		return decode_ipnet(d);
	case LINK_IPOIB:
		return decode_ipoib(d);
	case LINK_JUNIPER_ETHERNET:
		return decode_juniper(d);
	case LINK_PPP_WITH_DIRECTION:
		return decode_ppp_direction(d);
	case LINK_FRAME_RELAY:
		return decode_frame_relay(d);
	case LINK_IEEE802_11:
		return decode_wlan(d);
	case LINK_IEEE802_11_RADIOTAP:
		return decode_radiotap(d);
	case LINK_FDDI:
		return decode_fddi(d);
	case LINK_TOKEN_RING:
		return decode_token_ring(d);
	case LINK_DSA_TAG:
		return decode_dsa(d);
	case LINK_EDSA_TAG:
		return decode_edsa(d);
	case LINK_BROADCOM_TAG:
		return decode_broadcom(d);
	case LINK_BROADCOM_TAG_PREPEND:
		return decode_broadcom_prepend(d);
	default:
		return NEXT_END;
	}
}

static enum decode_next decode_link(struct decode *d, uint16_t link_type)
{
	switch (link_type) {
	case LINK_ETHERNET:
		return NEXT_ETHERNET;
	case LINK_RAW:
	case LINK_RAW_OLD12:
	case LINK_RAW_OLD14:
		return NEXT_IP;
	case LINK_IPV4:
		return NEXT_IPV4;
	case LINK_IPV6:
		return NEXT_IPV6;
	case LINK_NULL:
		return decode_null(d, false);
	case LINK_LOOP:
		return decode_null(d, true);
	case LINK_LINUX_SLL:
		return NEXT_SLL;
	case LINK_LINUX_SLL2:
		return NEXT_SLL2;
	case LINK_PPP:
	case LINK_PPP_HDLC:
		return NEXT_PPP;
	case LINK_PPP_PPPD:
		return decode_ppp_pppd(d);
	case LINK_PPPOE:
		return NEXT_PPPOE;
	case LINK_CISCO_HDLC:
		return NEXT_CISCO_HDLC;
	case LINK_MPLS:
		return NEXT_MPLS;
	case LINK_ATM_RFC1483:
		return NEXT_LLC;
	default:
		return decode_link_rare(d, link_type);
	}
}

static enum decode_next decode_l2(struct decode *d, enum decode_next next)
{
	switch (next) {
	case NEXT_ETHERNET:
		return decode_ethernet(d);
	case NEXT_LLC:
		return decode_llc(d);
	case NEXT_L2_CONTROL:
		return decode_l2_control(d);
	case NEXT_VLAN:
		return decode_vlan(d);
	case NEXT_TAG_OTHER:
		return decode_tag_other(d);
	case NEXT_PBB:
		return decode_pbb(d);
	case NEXT_MACSEC:
		return decode_macsec(d);
	case NEXT_MPLS:
		return decode_mpls(d);
	case NEXT_PPPOE_DISCOVERY:
		return decode_pppoe_discovery(d);
	case NEXT_PPPOE:
		return decode_pppoe(d);
	case NEXT_PPP:
		return decode_ppp(d);
	case NEXT_CISCO_HDLC:
		return decode_cisco_hdlc(d);
	case NEXT_SLL:
		return decode_sll(d);
	case NEXT_SLL2:
		return decode_sll2(d);
	case NEXT_ARP:
		return decode_arp(d);
	default:
		return NEXT_END;
	}
}

static enum decode_next decode_l3(struct decode *d, enum decode_next next)
{
	switch (next) {
	case NEXT_IP:
		return decode_ip(d);
	case NEXT_IPV4:
		return decode_ipv4(d);
	case NEXT_IPV6:
		return decode_ipv6(d);
	case NEXT_IPV6_OPTIONS:
		return decode_ipv6_options(d);
	case NEXT_IPV6_ROUTING:
		return decode_ipv6_routing(d);
	case NEXT_IPV6_FRAGMENT:
		return decode_ipv6_fragment(d);
	case NEXT_IPV6_MOBILITY:
		return decode_ipv6_mobility(d);
	case NEXT_AH:
		return decode_ah(d);
	case NEXT_ESP:
		return decode_esp(d);
	default:
		return NEXT_END;
	}
}

static enum decode_next decode_l4(struct decode *d, enum decode_next next)
{
	switch (next) {
	case NEXT_TCP:
		return decode_tcp(d);
	case NEXT_UDP:
		return decode_udp(d);
	case NEXT_UDPLITE:
		return decode_udplite(d);
	case NEXT_SCTP:
		return decode_sctp(d);
	case NEXT_DCCP:
		return decode_dccp(d);
	case NEXT_ICMP:
		return decode_icmp(d);
	case NEXT_ICMPV6:
		return decode_icmpv6(d);
	case NEXT_IGMP:
		return decode_igmp(d);
	case NEXT_L4_OTHER:
		return decode_l4_other(d);
	default:
		return NEXT_END;
	}
}

static enum decode_next decode_tunnels(struct decode *d, enum decode_next next)
{
	switch (next) {
	case NEXT_IPIP:
		return decode_ipip(d);
	case NEXT_GRE:
		return decode_gre(d);
	case NEXT_ERSPAN:
		return decode_erspan(d);
	case NEXT_ETHERIP:
		return decode_etherip(d);
	case NEXT_ETHERNET_IP:
		return decode_ethernet_ip(d);
	case NEXT_MPLS_IP:
		return decode_mpls_ip(d);
	case NEXT_VXLAN:
		return decode_vxlan(d);
	case NEXT_VXLAN_GPE:
		return decode_vxlan_gpe(d);
	case NEXT_GENEVE:
		return decode_geneve(d);
	case NEXT_GTPU:
		return decode_gtpu(d);
	case NEXT_L2TP_UDP:
		return decode_l2tp_udp(d);
	case NEXT_L2TP_IP:
		return decode_l2tp_ip(d);
	case NEXT_TEREDO:
		return decode_teredo(d);
	case NEXT_AYIYA:
		return decode_ayiya(d);
	case NEXT_ESP_UDP:
		return decode_esp_udp(d);
	case NEXT_NSH:
		return decode_nsh(d);
	case NEXT_MPLS_UDP:
		return decode_mpls_udp(d);
	default:
		return NEXT_END;
	}
}

static enum decode_next decode_step(struct decode *d, enum decode_next next)
{
	if (next < NEXT_FIRST_L3)
		return decode_l2(d, next);
	if (next < NEXT_FIRST_L4)
		return decode_l3(d, next);
	if (next < NEXT_FIRST_TUNNEL)
		return decode_l4(d, next);
	return decode_tunnels(d, next);
}

static __attribute__((noinline)) void decode_all(const struct decode_options *options, const uint8_t *data,
						 uint32_t captured_length, uint32_t wire_length,
						 uint16_t link_type, struct record *record,
						 struct decode_trace *trace)
{
	struct record scratch;
	struct decode d;
	enum decode_next next;

	__builtin_memset(record, 0, sizeof *record);
	record->captured_length = captured_length;
	record->wire_length = wire_length;
	record->packet_offset = RECORD_NO_OFFSET;
	if (options->checksum_not_ready)
		record->status = STATUS_CHECKSUM_NOT_READY;
	if (captured_length > DECODE_FRAME_BOUND)
		captured_length = DECODE_FRAME_BOUND;
	if (wire_length > DECODE_FRAME_BOUND)
		wire_length = DECODE_FRAME_BOUND;

	__builtin_memset(&scratch, 0, sizeof scratch);
	__builtin_memset(&d, 0, sizeof d);
	d.cursor = cursor_over(data, captured_length);
	d.wire_end = wire_length;
	d.options = options;
	d.record = record;
	d.described = record;
	d.scratch = &scratch;
	d.trace = trace;
	d.tags_open = true;
	if (trace != NULL)
		trace->count = 0;

	next = decode_link(&d, link_type);
	for (uint32_t header = 0; next != NEXT_END; header++) {
		if (header == DECODE_HEADER_BOUND) {
			d.record->status |= STATUS_MALFORMED_L3;
			break;
		}
		next = decode_step(&d, next);
	}

	decode_level_done(&d);
	if (d.record != record)
		record->status |= scratch.status & PACKET_STATUS;
	if (d.levels == 0 && d.ethertype_known) {
		record->layers |= LAYER_ETHERTYPE;
		record->ethertype = d.ethertype;
	}
	record->tunnel_depth = (uint8_t)d.tunnels;
}

void decode_packet(const struct decode_options *options, const uint8_t *data,
		   uint32_t captured_length, uint32_t wire_length, uint16_t link_type,
		   struct record *record, struct decode_trace *trace)
{
	if (wire_length < captured_length)
		wire_length = captured_length;
	if (__builtin_expect(link_type == LINK_ETHERNET && trace == NULL, 1) &&
	    decode_fast(options, data, captured_length, wire_length, record))
		return;
	decode_all(options, data, captured_length, wire_length, link_type, record, trace);
}
