/* The flow's columns: one table for NDJSON, CSV, Arrow and ClickHouse. */
#include "engine/flow/flow.h"
#include "engine/sinks/row.h"

#define ALWAYS 1
#define FLOW_IS_TCP (flow->ip_protocol == 6)

/* X(name, member of struct flow, type, valid, description) */
#define FLOW_COLUMNS(X) \
	X(start_ns, start_ns, TIME_NS, ALWAYS, "first packet, nanoseconds since the UNIX epoch") \
	X(end_ns, end_ns, TIME_NS, ALWAYS, "last packet so far") \
	X(src_ip, src_ip, IP, ALWAYS, "the initiator's address") \
	X(dst_ip, dst_ip, IP, ALWAYS, "the responder's address") \
	X(src_port, src_port, U16, flow->has_ports, "the initiator's port") \
	X(dst_port, dst_port, U16, flow->has_ports, "the responder's port") \
	X(ip_protocol, ip_protocol, U8, ALWAYS, "final protocol, after extension headers") \
	X(ip_version, ip_version, U8, ALWAYS, "4 or 6") \
	X(packets_forward, packets[0], U64, ALWAYS, "packets from the initiator") \
	X(packets_reverse, packets[1], U64, ALWAYS, "packets to the initiator") \
	X(bytes_forward, bytes[0], U64, ALWAYS, "bytes on the wire from the initiator") \
	X(bytes_reverse, bytes[1], U64, ALWAYS, "bytes on the wire to the initiator") \
	X(ip_bytes_forward, ip_bytes[0], U64, ALWAYS, "of these, the described IP packets") \
	X(ip_bytes_reverse, ip_bytes[1], U64, ALWAYS, "the same, to the initiator") \
	X(tcp_flags_forward, tcp_flags[0], U8, FLOW_IS_TCP, "all flags from the initiator") \
	X(tcp_flags_reverse, tcp_flags[1], U8, FLOW_IS_TCP, "all flags to the initiator") \
	X(retransmissions_forward, retransmissions[0], U32, FLOW_IS_TCP, "segments sent again") \
	X(retransmissions_reverse, retransmissions[1], U32, FLOW_IS_TCP, "the same, to the initiator") \
	X(out_of_order_forward, out_of_order[0], U32, FLOW_IS_TCP, "segments that were overtaken") \
	X(out_of_order_reverse, out_of_order[1], U32, FLOW_IS_TCP, "the same, to the initiator") \
	X(handshake_rtt_ns, handshake_rtt_ns, U64, flow->has_rtt, "from the SYN to the ACK of its answer") \
	X(icmp_type, icmp_type, U8, flow->has_icmp, "of the first packet") \
	X(icmp_code, icmp_code, U8, flow->has_icmp, "of the first packet") \
	X(ip_tos, ip_tos, U8, ALWAYS, "TOS or traffic class of the first packet") \
	X(vlan_id, vlan_id, U16, flow->has_vlan, "VID of the outer tag") \
	X(inner_vlan_id, inner_vlan_id, U16, flow->has_inner_vlan, "VID of the inner tag") \
	X(tunnel_type, tunnel_type, U8, flow->tunnel_type != 0, "innermost tunnel, see tunnel_types") \
	X(tunnel_id, tunnel_id, U32, flow->has_tunnel_id, "VNI, TEID, key or session of the first packet") \
	X(tunnel_depth, tunnel_depth, U8, ALWAYS, "tunnels around the described level") \
	X(interface, interface, U16, ALWAYS, "index into the table of interfaces, of the first packet") \
	X(flow_hash, flow_hash, U32, ALWAYS, "the records' flow_hash") \
	X(community_id, community_id, TEXT, ALWAYS, "Community ID, version 1") \
	X(end_reason, end_reason, TEXT, ALWAYS, "fin, rst, idle, active, evicted, end")

enum flow_column {
#define X(name, member, type, valid, description) FLOW_COLUMN_##name,
	FLOW_COLUMNS(X)
#undef X
	FLOW_COLUMN_COUNT
};
_Static_assert(FLOW_COLUMN_COUNT <= ROW_COLUMNS, "one bit for each column");

#define NULLABLE(valid) (sizeof(#valid) != sizeof("1"))

static const struct row_column flow_columns[FLOW_COLUMN_COUNT] = {
#define X(column, member, column_type, is_valid, text) \
	[FLOW_COLUMN_##column] = { .name = #column, .description = text, \
				   .offset = offsetof(struct flow, member), \
				   .size = sizeof(((struct flow *)0)->member), .type = ROW_##column_type, \
				   .nullable = NULLABLE(is_valid) },
	FLOW_COLUMNS(X)
#undef X
};

static uint64_t flow_valid(const void *row)
{
	const struct flow *flow = row;
	uint64_t mask = 0;

#define X(column, member, column_type, is_valid, text) mask |= (uint64_t)(is_valid) << FLOW_COLUMN_##column;
	FLOW_COLUMNS(X)
#undef X
	return mask;
}

static bool flow_is_ipv6(const void *row)
{
	return ((const struct flow *)row)->ip_version == 6;
}

static uint32_t flow_flow_hash(const void *row)
{
	return ((const struct flow *)row)->flow_hash;
}

const struct row_kind row_flow = {
	.name = "flow",
	.table = "flows",
	.size = sizeof(struct flow),
	.columns = flow_columns,
	.count = FLOW_COLUMN_COUNT,
	.time = "start_ns",
	.valid = flow_valid,
	.is_ipv6 = flow_is_ipv6,
	.flow_hash = flow_flow_hash,
};
