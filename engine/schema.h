/* The schema: the one table of the record's columns, for every format that writes or describes them.
 *
 * SCHEMA_COLUMNS lists each column once: X(name, type, validity, layers, what it is). The order is that of
 * NDJSON keys, CSV headers, Arrow and ClickHouse columns. A column of the record has its own bytes there
 * (union members overlap: tcp_seq and icmp_id, ...); SCHEMA_DERIVED are columns that formats for
 * people and databases add, computed from others. Whether a column holds a value is told by
 * schema_valid and nothing else; one that does not is null in every format, never a made-up 0.
 *
 * Pure data and inline functions: any thread.
 */
#ifndef WEIR_ENGINE_SCHEMA_H
#define WEIR_ENGINE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decoders/record.h"

enum schema_type {
	SCHEMA_U8,
	SCHEMA_U16,
	SCHEMA_U32,
	SCHEMA_U64,
	SCHEMA_TIME_NS, /* u64, nanoseconds since the UNIX epoch */
	SCHEMA_IP,      /* 16 bytes, network order; IPv4 as ::ffff:a.b.c.d */
	SCHEMA_MAC,     /* 6 bytes */
	SCHEMA_DIRECTION, /* derived only: enum record_direction, text "in", "out", "other" */
};

enum schema_validity {
	VALID_ALWAYS,
	VALID_LAYERS,    /* any of schema_column.layers is set */
	VALID_OFFSET,    /* packet_offset is not all ones */
	VALID_ICMP_ID,   /* record_has_icmp_id */
	VALID_DIRECTION, /* known */
};

/* X(name, type, validity, layers, description) */
#define SCHEMA_COLUMNS(X)                                                                                     \
	X(timestamp_ns, TIME_NS, ALWAYS, 0, "arrival, nanoseconds since the UNIX epoch")                      \
	X(wire_length, U32, ALWAYS, 0, "bytes on the wire, without FCS")                                      \
	X(captured_length, U32, ALWAYS, 0, "bytes that were captured")                                        \
	X(src_ip, IP, LAYERS, LAYERS_IP | LAYER_ARP, "source address; IPv4 as ::ffff:a.b.c.d; ARP: sender")   \
	X(dst_ip, IP, LAYERS, LAYERS_IP | LAYER_ARP, "destination address; ARP: target")                      \
	X(src_port, U16, LAYERS, LAYER_PORTS, "source port")                                                  \
	X(dst_port, U16, LAYERS, LAYER_PORTS, "destination port")                                             \
	X(payload_length, U32, LAYERS, LAYERS_IP, "bytes behind the L4 header, by the IP lengths")            \
	X(flow_hash, U32, LAYERS, LAYERS_IP, "symmetric hash of addresses, ports and protocol")               \
	X(ethertype, U16, LAYERS, LAYER_ETHERTYPE, "EtherType after tags")                                    \
	X(ip_protocol, U8, LAYERS, LAYERS_IP, "final protocol, after extension headers")                      \
	X(tcp_flags, U8, LAYERS, LAYER_TCP, "CWR..FIN")                                                       \
	X(packet_offset, U64, OFFSET, 0, "where the packet lies in the store segment beside it")              \
	X(tcp_seq, U32, LAYERS, LAYER_TCP, "sequence number")                                                 \
	X(icmp_id, U16, ICMP_ID, 0, "identifier of echo and its kin")                                         \
	X(icmp_sequence, U16, ICMP_ID, 0, "sequence number of echo and its kin")                              \
	X(tcp_ack, U32, LAYERS, LAYER_TCP, "acknowledgement number")                                          \
	X(tunnel_id, U32, LAYERS, LAYER_TUNNEL_ID, "VNI, TEID, key or session")                               \
	X(ip_id, U32, LAYERS, LAYER_IPV4 | LAYER_IPV6_FRAG, "IPv4 identification, or of the fragment header") \
	X(layers, U32, ALWAYS, 0, "which headers were there: bits, see layer_bits")                           \
	X(status, U32, ALWAYS, 0, "what else is known: bits, see status_bits")                                \
	X(src_mac, MAC, LAYERS, LAYER_ETH, "outermost Ethernet source")                                       \
	X(dst_mac, MAC, LAYERS, LAYER_ETH, "outermost Ethernet destination")                                  \
	X(vlan_tci, U16, LAYERS, LAYER_VLAN, "outer tag: PCP, DEI, VID")                                      \
	X(inner_vlan_tci, U16, LAYERS, LAYER_VLAN_INNER, "inner tag: PCP, DEI, VID")                          \
	X(l3_offset, U16, LAYERS, LAYERS_IP | LAYER_ARP, "network header, bytes from the frame's start")      \
	X(l4_offset, U16, LAYERS, LAYERS_L4, "transport header, bytes from the frame's start")                \
	X(payload_offset, U16, LAYERS, LAYERS_IP, "payload, bytes from the frame's start")                    \
	X(fragment_offset, U16, LAYERS, LAYER_IPV4 | LAYER_IPV6_FRAG, "bytes")                                \
	X(tcp_window, U16, LAYERS, LAYER_TCP, "as in the header, not scaled")                                 \
	X(icmp_type, U8, LAYERS, LAYER_ICMP | LAYER_ICMPV6 | LAYER_IGMP, "message type")                      \
	X(icmp_code, U8, LAYERS, LAYER_ICMP | LAYER_ICMPV6, "message code")                                   \
	X(arp_operation, U16, LAYERS, LAYER_ARP, "1 request, 2 reply")                                        \
	X(ip_ttl, U8, LAYERS, LAYERS_IP, "time to live or hop limit")                                         \
	X(ip_tos, U8, LAYERS, LAYERS_IP, "TOS or traffic class")                                              \
	X(tunnel_type, U8, LAYERS, LAYER_TUNNEL, "innermost tunnel, see tunnel_types")                        \
	X(tunnel_depth, U8, ALWAYS, 0, "tunnels around the described level")                                  \
	X(interface, U16, ALWAYS, 0, "index into the table of interfaces")

/* As above, but computed by schema_NAME below. */
#define SCHEMA_DERIVED(X)                                                              \
	X(ip_version, U8, LAYERS, LAYERS_IP, "4 or 6")                                 \
	X(direction, DIRECTION, DIRECTION, 0, "in, out, or other: for another host")   \
	X(vlan_id, U16, LAYERS, LAYER_VLAN, "VID of the outer tag")                    \
	X(inner_vlan_id, U16, LAYERS, LAYER_VLAN_INNER, "VID of the inner tag")

enum schema_id {
#define X(name, type, validity, layers, description) COLUMN_##name,
	SCHEMA_COLUMNS(X)
	SCHEMA_RECORD_COLUMNS,
	SCHEMA_BEFORE_DERIVED = SCHEMA_RECORD_COLUMNS - 1,
	SCHEMA_DERIVED(X)
#undef X
	SCHEMA_ALL_COLUMNS
};

struct schema_column {
	const char *name;
	const char *description;
	uint32_t layers; /* with VALID_LAYERS */
	uint16_t offset; /* in the record; 0 for a derived column */
	uint16_t size;   /* bytes of a value */
	uint8_t type;    /* enum schema_type */
	uint8_t valid;   /* enum schema_validity */
	bool derived;
};

/* By enum schema_id: first the record's own columns, then the derived ones. */
extern const struct schema_column schema_columns[SCHEMA_ALL_COLUMNS];

/* Names of bits of record.layers and record.status, by bit number, NULL where there is none; and of enum
 * tunnel_type. */
extern const char *const schema_layer_names[32];
extern const char *const schema_status_names[32];
#define SCHEMA_TUNNEL_TYPES (TUNNEL_ETHERNET + 1)
extern const char *const schema_tunnel_names[SCHEMA_TUNNEL_TYPES];

/* "in", "out", "other"; NULL for unknown. */
extern const char *const schema_direction_names[4];

/* With constant arguments the compiler leaves one test of the layers. */
static inline bool schema_valid_as(enum schema_validity valid, uint32_t layers, const struct record *record)
{
	switch (valid) {
	case VALID_ALWAYS:
		return true;
	case VALID_LAYERS:
		return record->layers & layers;
	case VALID_OFFSET:
		return record->packet_offset != RECORD_NO_OFFSET;
	case VALID_ICMP_ID:
		return record_has_icmp_id(record);
	case VALID_DIRECTION:
		return record_direction(record) != DIRECTION_UNKNOWN;
	}
	return false;
}

/* Whether the column holds a value in this record. */
static inline bool schema_valid(const struct schema_column *column, const struct record *record)
{
	return schema_valid_as((enum schema_validity)column->valid, column->layers, record);
}

/* The derived columns, by name. */
static inline uint8_t schema_ip_version(const struct record *record)
{
	return record->layers & LAYER_IPV6 ? 6 : record->layers & LAYER_IPV4 ? 4 : 0;
}

static inline uint8_t schema_direction(const struct record *record)
{
	return (uint8_t)record_direction(record);
}

static inline uint16_t schema_vlan_id(const struct record *record)
{
	return record->vlan_tci & 0xfff;
}

static inline uint16_t schema_inner_vlan_id(const struct record *record)
{
	return record->inner_vlan_tci & 0xfff;
}

/* The value of a numeric column, record's or derived, whether valid or not. Not for SCHEMA_IP and
 * SCHEMA_MAC. */
static inline uint64_t schema_number(const struct schema_column *column, const struct record *record)
{
	const uint8_t *at = (const uint8_t *)record + column->offset;
	uint64_t value = 0;

	if (!column->derived) {
		__builtin_memcpy(&value, at, column->size <= sizeof value ? column->size : 0);
		return value;
	}
	switch ((enum schema_id)(column - schema_columns)) {
	case COLUMN_ip_version:
		return schema_ip_version(record);
	case COLUMN_direction:
		return schema_direction(record);
	case COLUMN_vlan_id:
		return schema_vlan_id(record);
	case COLUMN_inner_vlan_id:
		return schema_inner_vlan_id(record);
	default:
		return 0;
	}
}

/* Bytes of the described IP packet from its header on, by its own length field; 0 when there is no IP. */
static inline uint32_t schema_ip_length(const struct record *record)
{
	if (!(record->layers & LAYERS_IP))
		return 0;
	return (uint32_t)(record->payload_offset - record->l3_offset) + record->payload_length;
}

/* The column of that name, NULL: none. */
const struct schema_column *schema_find(const char *name);

/* The predicate as text, for descriptions: "always", "layers & 0xe00", ... At most size bytes, always
 * ended. */
void schema_describe_validity(const struct schema_column *column, char *text, size_t size);

/* How NumPy calls the column's type: "<u4", "(16,)u1"; static string. */
const char *schema_numpy_type(const struct schema_column *column);

/* A short word for the type: "u16", "time_ns", "ip", "mac"; static string. */
const char *schema_type_name(enum schema_type type);

#endif
