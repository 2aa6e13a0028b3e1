/* What the decoders of one packet share.
 *
 * decode.c runs a loop: each header's decoder consumes its header through struct decode's
 * cursor, stores what the record holds of it, and names the next header. There is no recursion,
 * no function pointer and no state besides struct decode, which lives on the caller's stack.
 *
 * Levels. The record describes one IP level. decode_level() starts a level when an IP header
 * has really been read: what the record said of an outer level is cleared, what it says of the
 * link layer stays. With tunnel outer, deeper levels are decoded into a scratch record, so that
 * the tunnel depth is counted all the same. Headers that only a tunnel's inside has (a second
 * Ethernet, an ARP) leave the outer level described.
 *
 * Ends. wire_end is where the enclosing headers, or the frame, say that the packet ends;
 * cursor.end is the nearer of that and of what was captured. A header that does not fit is
 * judged by decode_missed(): cut by the snap length, or claimed and not there, or malformed.
 */
#ifndef WEIR_DECODERS_DECODE_INTERNAL_H
#define WEIR_DECODERS_DECODE_INTERNAL_H

#include "decoders/cursor.h"
#include "decoders/decode.h"

/* Headers per packet, tags, labels and extension headers included: a packet with more is
 * malformed, and its decoding ends there. */
#define DECODE_HEADER_BOUND 64

/* Frames are decoded up to here; far above jumbograms that a ring or a file can hold. */
#define DECODE_FRAME_BOUND (UINT32_C(1) << 28)

/* The next header to decode, in four ranges: decode.c has one switch for each. */
enum decode_next {
	NEXT_END = 0,
	NEXT_ETHERNET,
	NEXT_LLC,
	NEXT_L2_CONTROL,
	NEXT_VLAN,
	NEXT_TAG_OTHER,
	NEXT_PBB,
	NEXT_MACSEC,
	NEXT_MPLS,
	NEXT_PPPOE_DISCOVERY,
	NEXT_PPPOE,
	NEXT_PPP,
	NEXT_CISCO_HDLC,
	NEXT_SLL,
	NEXT_SLL2,
	NEXT_ARP,

	NEXT_IP, /* by the version nibble */
	NEXT_FIRST_L3 = NEXT_IP,
	NEXT_IPV4,
	NEXT_IPV6,
	NEXT_IPV6_OPTIONS,
	NEXT_IPV6_ROUTING,
	NEXT_IPV6_FRAGMENT,
	NEXT_IPV6_MOBILITY,
	NEXT_AH,
	NEXT_ESP,

	NEXT_TCP,
	NEXT_FIRST_L4 = NEXT_TCP,
	NEXT_UDP,
	NEXT_UDPLITE,
	NEXT_SCTP,
	NEXT_DCCP,
	NEXT_ICMP,
	NEXT_ICMPV6,
	NEXT_IGMP,
	NEXT_L4_OTHER,

	NEXT_IPIP, /* d->protocol says which */
	NEXT_FIRST_TUNNEL = NEXT_IPIP,
	NEXT_GRE,
	NEXT_ERSPAN,
	NEXT_ETHERIP,
	NEXT_ETHERNET_IP,
	NEXT_MPLS_IP,
	NEXT_VXLAN,
	NEXT_VXLAN_GPE,
	NEXT_GENEVE,
	NEXT_GTPU,
	NEXT_L2TP_UDP,
	NEXT_L2TP_IP,
	NEXT_TEREDO,
	NEXT_AYIYA,
	NEXT_ESP_UDP,
	NEXT_NSH,
	NEXT_MPLS_UDP,
};

struct decode {
	struct cursor cursor;
	uint32_t wire_end;         /* offset at which the packet ends, as far as is known here */
	const struct decode_options *options;
	struct record *described;  /* the caller's */
	struct record *record;     /* of the level being decoded: the caller's, or the scratch */
	struct record *scratch;    /* with tunnel outer: for what lies inside the first tunnel */
	struct decode_trace *trace;
	uint32_t levels;           /* IP levels met */
	uint32_t level_at;         /* offset of the IPv6 header at hand */
	uint32_t tunnels;          /* tunnel headers met */
	uint16_t ethertype;        /* announced the header at hand; valid with ethertype_known */
	uint8_t protocol;          /* IP protocol of the header at hand */
	uint8_t hash_protocol;     /* what all fragments of a datagram have in common */
	uint8_t final_dst[16];     /* for checksums: behind a routing header; record's, unless routed */
	bool routed;               /* final_dst is valid */
	bool checksum_unknowable;  /* the pseudo header's addresses are not the ones at hand */
	bool ethertype_known;
	bool tags_open;            /* a tag met now belongs to the outermost Ethernet */
	bool claimed;              /* wire_end comes from a length field, not from the frame's end */
	bool in_fragment;          /* an enclosing level is a fragment: lengths inside it reach out */
};

/* ---- decode.c: for all decoders ---- */

/* Lists a header for `weir decode`. length: bytes. Only when d->trace. */
void decode_trace_header(struct decode *d, const char *name, uint32_t offset, uint32_t length, uint32_t below);

static inline void decode_trace_at(struct decode *d, const char *name, uint32_t offset, uint32_t length)
{
	if (d->trace != NULL)
		decode_trace_header(d, name, offset, length, 0);
}

/* As above for what lies inside the header that was listed last: options. */
static inline void decode_trace_part(struct decode *d, const char *name, uint32_t offset, uint32_t length)
{
	if (d->trace != NULL)
		decode_trace_header(d, name, offset, length, 1);
}

/* Flags the record for a header of which length bytes from here are needed and not there.
 * malformed: the STATUS_MALFORMED_* bit of the header's layer. Returns NEXT_END. */
enum decode_next decode_missed(struct decode *d, uint32_t length, uint32_t malformed);

/* Takes the fixed part of a header (length is a constant), or flags the record and returns NULL. */
static inline const uint8_t *decode_take(struct decode *d, uint32_t length, uint32_t malformed)
{
	const uint8_t *bytes = cursor_take(&d->cursor, length);

	if (bytes == NULL)
		decode_missed(d, length, malformed);
	return bytes;
}

/* Steps over the variable part of a header, or flags the record and returns false. */
static inline bool decode_skip(struct decode *d, uint32_t length, uint32_t malformed)
{
	if (cursor_skip(&d->cursor, length))
		return true;
	decode_missed(d, length, malformed);
	return false;
}

/* A length field says that the packet ends length bytes behind the offset from. Draws the ends
 * in; beyond the end already known, flags STATUS_SHORT instead. */
void decode_claim(struct decode *d, uint32_t from, uint32_t length);

/* Starts an IP level: clears what the record says of an outer one. Returns the record to fill. */
struct record *decode_level(struct decode *d);

/* Ends the description of the level at hand: its flow hash. */
void decode_level_done(struct decode *d);

/* A tunnel header was read. id: as in the record, valid with has_id. False, and flagged, when
 * the nesting is beyond DECODE_TUNNEL_BOUND: decoding ends. */
bool decode_tunnel(struct decode *d, enum tunnel_type type, bool has_id, uint32_t id);

/* The last tunnel header turned out to be of a more special kind. */
void decode_tunnel_is(struct decode *d, enum tunnel_type type, bool has_id, uint32_t id);

/* The header that an EtherType announces; remembers it for the record. type: host order. */
enum decode_next decode_ethertype(struct decode *d, uint16_t type);

/* The field behind addresses and tags: an EtherType, or (up to 1500) the length of an LLC frame. */
enum decode_next decode_type_or_length(struct decode *d, uint16_t type);

/* The header that an IP protocol number announces, below the level at hand. */
enum decode_next decode_protocol(struct decode *d, uint8_t protocol);

static inline uint16_t decode_offset16(uint32_t offset)
{
	return offset > UINT16_MAX ? UINT16_MAX : (uint16_t)offset;
}

/* Sets payload_offset to here and payload_length to the bytes until the end of the packet. */
static inline void decode_payload(struct decode *d)
{
	uint32_t at = d->cursor.at;

	d->record->payload_offset = decode_offset16(at);
	d->record->payload_length = at < d->wire_end ? d->wire_end - at : 0;
}

/* ---- one per header; each consumes it at d->cursor ---- */

enum decode_next decode_ethernet(struct decode *d);
enum decode_next decode_llc(struct decode *d);
enum decode_next decode_l2_control(struct decode *d);
enum decode_next decode_vlan(struct decode *d);
enum decode_next decode_tag_other(struct decode *d);
enum decode_next decode_pbb(struct decode *d);
enum decode_next decode_macsec(struct decode *d);
enum decode_next decode_mpls(struct decode *d);
enum decode_next decode_pppoe_discovery(struct decode *d);
enum decode_next decode_pppoe(struct decode *d);
enum decode_next decode_ppp(struct decode *d);
enum decode_next decode_ppp_pppd(struct decode *d);
enum decode_next decode_cisco_hdlc(struct decode *d);
enum decode_next decode_ppp_direction(struct decode *d);
enum decode_next decode_slip(struct decode *d);
enum decode_next decode_ppi(struct decode *d);
enum decode_next decode_pktap(struct decode *d);
enum decode_next decode_pflog(struct decode *d);
enum decode_next decode_enc(struct decode *d);
enum decode_next decode_nflog(struct decode *d);
enum decode_next decode_ipnet(struct decode *d);
enum decode_next decode_ipoib(struct decode *d);
enum decode_next decode_juniper(struct decode *d);
enum decode_next decode_frame_relay(struct decode *d);
enum decode_next decode_wlan(struct decode *d);
enum decode_next decode_radiotap(struct decode *d);
enum decode_next decode_fddi(struct decode *d);
enum decode_next decode_token_ring(struct decode *d);
enum decode_next decode_dsa(struct decode *d);
enum decode_next decode_edsa(struct decode *d);
enum decode_next decode_broadcom(struct decode *d);
enum decode_next decode_broadcom_prepend(struct decode *d);
enum decode_next decode_isl(struct decode *d);
enum decode_next decode_sll(struct decode *d);
enum decode_next decode_sll2(struct decode *d);
enum decode_next decode_null(struct decode *d, bool network_order);
enum decode_next decode_arp(struct decode *d);
enum decode_next decode_ip(struct decode *d);
enum decode_next decode_ipv4(struct decode *d);
enum decode_next decode_ipv6(struct decode *d);
enum decode_next decode_ipv6_options(struct decode *d);
enum decode_next decode_ipv6_routing(struct decode *d);
enum decode_next decode_ipv6_fragment(struct decode *d);
enum decode_next decode_ipv6_mobility(struct decode *d);
enum decode_next decode_ah(struct decode *d);
enum decode_next decode_esp(struct decode *d);
enum decode_next decode_tcp(struct decode *d);
enum decode_next decode_udp(struct decode *d);
enum decode_next decode_udplite(struct decode *d);
enum decode_next decode_sctp(struct decode *d);
enum decode_next decode_dccp(struct decode *d);
enum decode_next decode_icmp(struct decode *d);
enum decode_next decode_icmpv6(struct decode *d);
enum decode_next decode_igmp(struct decode *d);
enum decode_next decode_l4_other(struct decode *d);
enum decode_next decode_ipip(struct decode *d);
enum decode_next decode_gre(struct decode *d);
enum decode_next decode_erspan(struct decode *d);
enum decode_next decode_etherip(struct decode *d);
enum decode_next decode_ethernet_ip(struct decode *d);
enum decode_next decode_mpls_ip(struct decode *d);
enum decode_next decode_vxlan(struct decode *d);
enum decode_next decode_vxlan_gpe(struct decode *d);
enum decode_next decode_geneve(struct decode *d);
enum decode_next decode_gtpu(struct decode *d);
enum decode_next decode_l2tp_udp(struct decode *d);
enum decode_next decode_l2tp_ip(struct decode *d);
enum decode_next decode_teredo(struct decode *d);
enum decode_next decode_ayiya(struct decode *d);
enum decode_next decode_esp_udp(struct decode *d);
enum decode_next decode_nsh(struct decode *d);
enum decode_next decode_mpls_udp(struct decode *d);

/* The tunnel that a UDP datagram's ports announce, or NEXT_END. */
enum decode_next decode_udp_ports(const struct decode_options *options, uint16_t src_port, uint16_t dst_port);

/* tcp.c: STATUS_TCP_* bits (and STATUS_MALFORMED_L4) of the TCP options that a cursor spans. */
uint32_t decode_tcp_options(struct cursor options);

#endif
