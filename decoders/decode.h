/* The entry to the decoders: bytes in, record out.
 *
 * Pure: no I/O, no allocation, no errno, no state between calls; safe to call from any number
 * of threads. A plain switch over link types, EtherTypes and protocols, no registry: adding a
 * protocol is one file, one case, one vector, one proof line (CONTRIBUTING.md).
 */
#ifndef WEIR_DECODERS_DECODE_H
#define WEIR_DECODERS_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/record.h"

/* Link types, by their LINKTYPE_ values (https://www.tcpdump.org/linktypes.html). */
enum link_type {
	LINK_NULL = 0,        /* BSD loopback, host byte order of the capturing machine */
	LINK_ETHERNET = 1,
	LINK_TOKEN_RING = 6,
	LINK_SLIP = 8,
	LINK_PPP = 9,
	LINK_FDDI = 10,
	LINK_RAW_OLD12 = 12,  /* DLT_RAW on Linux, seen in old files */
	LINK_RAW_OLD14 = 14,
	LINK_PPP_HDLC = 50,
	LINK_PPPOE = 51,
	LINK_ATM_RFC1483 = 100,
	LINK_RAW = 101,
	LINK_CISCO_HDLC = 104,
	LINK_IEEE802_11 = 105,
	LINK_FRAME_RELAY = 107,
	LINK_LOOP = 108,      /* OpenBSD loopback, network byte order */
	LINK_ENC = 109,       /* OpenBSD, IPsec */
	LINK_LINUX_SLL = 113,
	LINK_PFLOG = 117,
	LINK_IEEE802_11_RADIOTAP = 127,
	LINK_PPP_PPPD = 166,
	LINK_JUNIPER_ETHERNET = 178,
	LINK_PPI = 192,
	LINK_PPP_WITH_DIRECTION = 204,
	LINK_MPLS = 219,
	LINK_IPNET = 226,     /* Solaris */
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_NFLOG = 239,
	LINK_IPOIB = 242,
	LINK_PKTAP = 258,     /* Darwin */
	LINK_LINUX_SLL2 = 276,
	LINK_BROADCOM_TAG = 281,
	LINK_BROADCOM_TAG_PREPEND = 282,
	LINK_DSA_TAG = 284,   /* Marvell switches */
	LINK_EDSA_TAG = 285,
};

#define DECODE_TUNNEL_BOUND 8   /* nested tunnels */
#define DECODE_TUNNEL_PORTS 4   /* extra ports per tunnel kind */

enum decode_tunnel {
	DECODE_TUNNEL_INNER = 0, /* describe the innermost decodable IP level */
	DECODE_TUNNEL_OUTER = 1, /* describe the first; tunnel_type and tunnel_id are still named */
};

/* Extra UDP ports on which a tunnel is expected, besides its standard one; 0: none. */
struct decode_ports {
	uint16_t vxlan[DECODE_TUNNEL_PORTS];
	uint16_t vxlan_gpe[DECODE_TUNNEL_PORTS];
	uint16_t geneve[DECODE_TUNNEL_PORTS];
	uint16_t gtpu[DECODE_TUNNEL_PORTS];
	uint16_t l2tp[DECODE_TUNNEL_PORTS];
	uint16_t teredo[DECODE_TUNNEL_PORTS];
};

/* Read-only while decoding; one may serve all threads. All zero: the defaults. */
struct decode_options {
	enum decode_tunnel tunnel;
	bool verify_checksums;
	bool checksum_not_ready; /* this frame's L4 checksum is still to be filled by the NIC */
	struct decode_ports ports;
};

/* One header that was met, for `weir decode`. */
struct decode_layer {
	const char *name;  /* static string: "Ethernet", "IPv4", "UDP", "VXLAN", ... */
	uint32_t offset;   /* first byte, from the start of the frame */
	uint32_t length;   /* bytes */
	uint32_t depth;    /* nesting, for the tree */
};

#define DECODE_TRACE_LAYERS 64
struct decode_trace {
	uint32_t count; /* entries used; headers beyond the array are not listed */
	struct decode_layer layers[DECODE_TRACE_LAYERS];
};

/* Decodes one frame in place and fills every byte of *record except what the caller knows
 * better and sets after: timestamp_ns and interface are set to 0, packet_offset to
 * RECORD_NO_OFFSET, and of status the direction, TIME_HARDWARE, AGGREGATED, LATE and
 * TAG_RESTORED bits are 0 (the SLL link types do set the direction, from their header).
 * data: captured_length readable bytes (may be 0). wire_length: at least captured_length, or
 * it is taken as captured_length. link_type: enum link_type; an unknown one gives a record
 * without layers. trace: NULL on the hot path; else filled, count set first to 0.
 * No errors: what is truncated or malformed is a bit of record->status. */
void decode_packet(const struct decode_options *options, const uint8_t *data,
		   uint32_t captured_length, uint32_t wire_length, uint16_t link_type,
		   struct record *record, struct decode_trace *trace);

#endif
