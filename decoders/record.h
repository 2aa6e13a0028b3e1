/* The record: what a packet was, in 128 bytes.
 *
 * Two cache lines, little-endian, naturally aligned, no unnamed padding. It is the unit that
 * workers push through the queues and the on-disk unit of .weir files; the same names are
 * NDJSON keys, CSV headers, Arrow and ClickHouse columns and NumPy fields (engine/schema.h).
 *
 * MACs and VLANs describe the outermost Ethernet. Everything else describes one IP level,
 * "the described level": the innermost that could be decoded, or with tunnel outer the first.
 * A layers bit is set only when that header's fixed part was captured and stored. Whether a
 * field holds a value is told by the predicates below and by nothing else; a field that has no
 * value is zero in memory and null in every output.
 */
#ifndef WEIR_DECODERS_RECORD_H
#define WEIR_DECODERS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the record is little-endian in memory; a big-endian port needs swapping accessors"
#endif

#define RECORD_VERSION 1
#define RECORD_SIZE 128
#define RECORD_NO_OFFSET UINT64_MAX

struct record {
	uint64_t timestamp_ns;    /* UNIX epoch */
	uint32_t wire_length;     /* bytes on the wire, without FCS */
	uint32_t captured_length; /* bytes that were captured */
	uint8_t src_ip[16];       /* IPv4 as ::ffff:a.b.c.d; ARP: sender */
	uint8_t dst_ip[16];       /* ARP: target */
	uint16_t src_port;
	uint16_t dst_port;
	uint32_t payload_length; /* behind the L4 header, from the IP lengths, without padding */
	uint32_t flow_hash;      /* symmetric */
	uint16_t ethertype;      /* after tags, host order */
	uint8_t ip_protocol;     /* final, after extension headers */
	uint8_t tcp_flags;       /* CWR..FIN */
	uint64_t packet_offset;  /* in the store segment beside it; RECORD_NO_OFFSET: null.
	                            While a record is in a queue: the address of its frame, see engine/sink.h */
	union {
		uint32_t tcp_seq;
		struct {
			uint16_t icmp_id;
			uint16_t icmp_sequence;
		};
	};
	uint32_t tcp_ack;
	uint32_t tunnel_id; /* VNI, TEID, key, session */
	uint32_t ip_id;     /* IPv6: of the fragment header */
	uint32_t layers;    /* LAYER_* */
	uint32_t status;    /* STATUS_* */
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint16_t vlan_tci;       /* PCP, DEI, VID as on the wire, host order */
	uint16_t inner_vlan_tci;
	uint16_t l3_offset;      /* from the start of the frame, bytes */
	uint16_t l4_offset;
	uint16_t payload_offset;
	uint16_t fragment_offset; /* bytes */
	union {
		uint16_t tcp_window;
		struct {
			uint8_t icmp_type;
			uint8_t icmp_code;
		};
		uint16_t arp_operation;
	};
	uint8_t ip_ttl;
	uint8_t ip_tos;
	uint8_t tunnel_type; /* enum tunnel_type */
	uint8_t tunnel_depth;
	uint16_t interface; /* index into the run's (and file header's) table */
};

enum {
	LAYER_ETH = 1u << 0,
	LAYER_ETHERTYPE = 1u << 1,
	LAYER_LLC_SNAP = 1u << 2,
	LAYER_VLAN = 1u << 3,
	LAYER_VLAN_INNER = 1u << 4,
	LAYER_PBB = 1u << 5,
	LAYER_MACSEC = 1u << 6,
	LAYER_MPLS = 1u << 7,
	LAYER_PPP = 1u << 8,
	LAYER_ARP = 1u << 9,
	LAYER_IPV4 = 1u << 10,
	LAYER_IPV6 = 1u << 11,
	LAYER_IPV6_EXT = 1u << 12,
	LAYER_IPV6_FRAG = 1u << 13,
	LAYER_AH = 1u << 14,
	LAYER_ESP = 1u << 15,
	LAYER_TCP = 1u << 16,
	LAYER_UDP = 1u << 17,
	LAYER_UDPLITE = 1u << 18,
	LAYER_SCTP = 1u << 19,
	LAYER_DCCP = 1u << 20,
	LAYER_ICMP = 1u << 21,
	LAYER_ICMPV6 = 1u << 22,
	LAYER_IGMP = 1u << 23,
	LAYER_L4_OTHER = 1u << 24,
	LAYER_L2_CONTROL = 1u << 25,
	LAYER_NSH = 1u << 26,
	LAYER_TUNNEL = 1u << 27,
	LAYER_TUNNEL_ID = 1u << 28,
	LAYER_PORTS = 1u << 29,
};

#define LAYERS_IP (LAYER_IPV4 | LAYER_IPV6)
#define LAYERS_L4                                                                              \
	(LAYER_TCP | LAYER_UDP | LAYER_UDPLITE | LAYER_SCTP | LAYER_DCCP | LAYER_ICMP |        \
	 LAYER_ICMPV6 | LAYER_IGMP | LAYER_L4_OTHER)

/* Status: two bits of direction, two of each tag's TPID, then single bits. */
#define STATUS_DIRECTION_SHIFT 0
#define STATUS_DIRECTION_MASK (3u << 0)
#define STATUS_OUTER_TPID_SHIFT 2
#define STATUS_INNER_TPID_SHIFT 4
#define STATUS_TPID_MASK 3u
enum {
	STATUS_CUT = 1u << 6,              /* by the snap length: the decoder could have read further */
	STATUS_SHORT = 1u << 7,            /* shorter than its headers claim */
	STATUS_MALFORMED_L2 = 1u << 8,
	STATUS_MALFORMED_L3 = 1u << 9,
	STATUS_MALFORMED_L4 = 1u << 10,
	STATUS_FRAGMENT = 1u << 11,
	STATUS_MORE_FRAGMENTS = 1u << 12,
	STATUS_DONT_FRAGMENT = 1u << 13,
	STATUS_CHECKSUMS_CHECKED = 1u << 14,
	STATUS_IP_CHECKSUM_BAD = 1u << 15,
	STATUS_L4_CHECKSUM_BAD = 1u << 16,
	STATUS_CHECKSUM_NOT_READY = 1u << 17, /* offload: the NIC would have filled it in */
	STATUS_TCP_AE = 1u << 18,
	STATUS_TCP_MSS = 1u << 19,
	STATUS_TCP_WINDOW_SCALE = 1u << 20,
	STATUS_TCP_SACK_PERMITTED = 1u << 21,
	STATUS_TCP_SACK = 1u << 22,
	STATUS_TCP_TIMESTAMPS = 1u << 23,
	STATUS_TUNNEL_BOUND = 1u << 24, /* nested deeper than the bound of 8 */
	STATUS_AGGREGATED = 1u << 25,   /* GRO: one frame stands for several on the wire */
	STATUS_TIME_HARDWARE = 1u << 26,
	STATUS_LATE = 1u << 27,         /* written behind a later one: it came after the lag */
	STATUS_TAG_RESTORED = 1u << 28, /* the kernel had taken the VLAN tag out */
};
#define STATUS_CONTROL (UINT32_C(1) << 31) /* control slot, never reaches a sink */

enum record_direction {
	DIRECTION_UNKNOWN = 0,
	DIRECTION_IN = 1,
	DIRECTION_OUT = 2,
	DIRECTION_OTHER = 3, /* seen in promiscuous mode, for another host */
};

enum record_tpid {
	TPID_8100 = 0,
	TPID_88A8 = 1,
	TPID_9100 = 2,
	TPID_9200 = 3, /* 0x9200 and any other that was configured */
};

enum tunnel_type {
	TUNNEL_NONE = 0,
	TUNNEL_IPIP = 1,  /* IPv4 in IPv4 */
	TUNNEL_6IN4 = 2,
	TUNNEL_4IN6 = 3,
	TUNNEL_6IN6 = 4,
	TUNNEL_GRE = 5,
	TUNNEL_PPTP = 6,  /* GRE v1 */
	TUNNEL_NVGRE = 7,
	TUNNEL_ERSPAN1 = 8,
	TUNNEL_ERSPAN2 = 9,
	TUNNEL_ERSPAN3 = 10,
	TUNNEL_VXLAN = 11,
	TUNNEL_VXLAN_GPE = 12,
	TUNNEL_GENEVE = 13,
	TUNNEL_GTPU = 14,
	TUNNEL_L2TPV2 = 15,
	TUNNEL_L2TPV3 = 16,
	TUNNEL_TEREDO = 17,
	TUNNEL_AYIYA = 18,
	TUNNEL_ESP_UDP = 19,
	TUNNEL_NSH = 20,
	TUNNEL_MPLS_UDP = 21,
	TUNNEL_MPLS_GRE = 22,
	TUNNEL_ETHERIP = 23,
	TUNNEL_ETHERNET = 24, /* directly in IP: SRv6, RFC 8986 4.9 */
};

#define RECORD_AT(field, offset)                                                               \
	_Static_assert(offsetof(struct record, field) == (offset), #field " moved")
RECORD_AT(timestamp_ns, 0);
RECORD_AT(wire_length, 8);
RECORD_AT(captured_length, 12);
RECORD_AT(src_ip, 16);
RECORD_AT(dst_ip, 32);
RECORD_AT(src_port, 48);
RECORD_AT(dst_port, 50);
RECORD_AT(payload_length, 52);
RECORD_AT(flow_hash, 56);
RECORD_AT(ethertype, 60);
RECORD_AT(ip_protocol, 62);
RECORD_AT(tcp_flags, 63);
RECORD_AT(packet_offset, 64);
RECORD_AT(tcp_seq, 72);
RECORD_AT(icmp_id, 72);
RECORD_AT(icmp_sequence, 74);
RECORD_AT(tcp_ack, 76);
RECORD_AT(tunnel_id, 80);
RECORD_AT(ip_id, 84);
RECORD_AT(layers, 88);
RECORD_AT(status, 92);
RECORD_AT(src_mac, 96);
RECORD_AT(dst_mac, 102);
RECORD_AT(vlan_tci, 108);
RECORD_AT(inner_vlan_tci, 110);
RECORD_AT(l3_offset, 112);
RECORD_AT(l4_offset, 114);
RECORD_AT(payload_offset, 116);
RECORD_AT(fragment_offset, 118);
RECORD_AT(tcp_window, 120);
RECORD_AT(icmp_type, 120);
RECORD_AT(icmp_code, 121);
RECORD_AT(arp_operation, 120);
RECORD_AT(ip_ttl, 122);
RECORD_AT(ip_tos, 123);
RECORD_AT(tunnel_type, 124);
RECORD_AT(tunnel_depth, 125);
RECORD_AT(interface, 126);
_Static_assert(sizeof(struct record) == RECORD_SIZE, "the record is two cache lines");
_Static_assert(_Alignof(struct record) == 8, "natural alignment");

/* Whether the ICMP or ICMPv6 message is one that carries identifier and sequence:
 * echo, and for ICMPv4 timestamp, information and address mask (RFC 792, 950), RFC 4443 4. */
static inline bool record_has_icmp_id(const struct record *record)
{
	uint8_t type = record->icmp_type;

	if (record->layers & LAYER_ICMP)
		return type == 0 || type == 8 || (type >= 13 && type <= 18);
	if (record->layers & LAYER_ICMPV6)
		return type == 128 || type == 129;
	return false;
}

static inline enum record_direction record_direction(const struct record *record)
{
	return (enum record_direction)(record->status & STATUS_DIRECTION_MASK);
}

#endif
