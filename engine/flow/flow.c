#include "engine/flow/flow.h"

#include "engine/schema.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

static uint32_t micros(uint64_t ns)
{
	return (uint32_t)(ns / 1000);
}

/* A segment below the highest byte: new bytes for the gap, or old ones again. */
static void track_old(struct flow_state *state, struct flow_track *track, unsigned direction, uint32_t seq,
		      uint32_t end, uint64_t now_ns)
{
	bool fills = track->hole_end != track->hole_seq && (int32_t)(seq - track->hole_seq) >= 0 &&
		     (int32_t)(end - track->hole_end) <= 0;

	if (fills && micros(now_ns) - track->hole_us <= micros(FLOW_REORDER_NS))
		state->out_of_order[direction]++;
	else
		state->retransmissions[direction]++;
	if (!fills)
		return;
	/* What is filled from its front or its back shrinks it; from the middle it is left to count once
	 * more. */
	if (seq == track->hole_seq)
		track->hole_seq = end;
	else if (end == track->hole_end)
		track->hole_end = seq;
}

static void track_segment(struct flow_state *state, const struct record *record, unsigned direction)
{
	struct flow_track *track = &state->track[direction];
	uint8_t flags = record->tcp_flags;
	uint32_t length = record->payload_length + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
	uint32_t seq = record->tcp_seq, end = seq + length;

	if (length == 0 || (flags & TCP_RST))
		return;
	if (state->tcp_flags[direction] == 0 || track->high_seq == 0) {
		track->high_seq = end;
		return;
	}
	/* A keep-alive probe is one old byte (RFC 9293, 3.8.4): nothing was lost. */
	if (length == 1 && seq == track->high_seq - 1 && !(flags & (TCP_SYN | TCP_FIN)))
		return;
	if ((int32_t)(end - track->high_seq) <= 0) {
		track_old(state, track, direction, seq, end, record->timestamp_ns);
		return;
	}
	if ((int32_t)(seq - track->high_seq) > 0) {
		track->hole_seq = track->high_seq;
		track->hole_end = seq;
		track->hole_us = micros(record->timestamp_ns);
	} else if (seq != track->high_seq) {
		state->retransmissions[direction]++; /* with new bytes behind the old ones */
	}
	track->high_seq = end;
}

static void track_handshake(struct flow_state *state, const struct record *record, unsigned direction)
{
	uint8_t flags = record->tcp_flags;
	unsigned initiator = state->state & FLOW_REVERSED ? 1 : 0;

	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && direction == initiator &&
	    !(state->state & FLOW_SYN_ACK)) {
		state->state |= FLOW_SYN;
		state->handshake_ns = record->timestamp_ns; /* of the last, if it was sent again */
	} else if ((flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && direction != initiator) {
		if (state->state & FLOW_SYN)
			state->state |= FLOW_SYN_ACK;
	} else if ((state->state & (FLOW_SYN_ACK | FLOW_HANDSHAKE)) == FLOW_SYN_ACK &&
		   direction == initiator && (flags & TCP_ACK) && !(flags & (TCP_SYN | TCP_RST))) {
		state->state |= FLOW_HANDSHAKE;
		state->handshake_ns = record->timestamp_ns - state->handshake_ns;
	}
}

static void begin(struct flow_state *state, const struct record *record, bool from_low)
{
	bool answer = (record->layers & LAYER_TCP) &&
		      (record->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);

	state->start_ns = record->timestamp_ns;
	state->flow_hash = record->flow_hash;
	state->tunnel_type = record->tunnel_type;
	state->tunnel_depth = record->tunnel_depth;
	state->tunnel_id = record->tunnel_id;
	state->ip_tos = record->ip_tos;
	state->interface = record->interface;
	if (from_low == answer)
		state->state |= FLOW_REVERSED;
	if (record->layers & LAYER_PORTS)
		state->state |= FLOW_PORTS;
	if (record->layers & LAYER_TUNNEL_ID)
		state->state |= FLOW_TUNNEL_ID;
	if (record->layers & (LAYER_ICMP | LAYER_ICMPV6)) {
		state->state |= FLOW_ICMP;
		state->icmp_type = record->icmp_type;
		state->icmp_code = record->icmp_code;
	}
}

void flow_update(struct flow_state *state, const struct record *record, bool from_low)
{
	unsigned direction = from_low ? 0 : 1;

	if (state->packets[0] + state->packets[1] == 0 && state->start_ns == 0)
		begin(state, record, from_low);
	if (record->timestamp_ns > state->entry.last_ns)
		state->entry.last_ns = record->timestamp_ns;
	state->packets[direction]++;
	state->bytes[direction] += record->wire_length;
	state->ip_bytes[direction] += schema_ip_length(record);
	if (!(record->layers & LAYER_TCP))
		return;
	track_handshake(state, record, direction);
	track_segment(state, record, direction);
	state->tcp_flags[direction] |= record->tcp_flags;
	if (record->tcp_flags & TCP_RST)
		state->state |= FLOW_RST;
}

void flow_restart(struct flow_state *state, uint64_t start_ns)
{
	state->start_ns = start_ns;
	for (unsigned i = 0; i < 2; i++) {
		state->packets[i] = state->bytes[i] = state->ip_bytes[i] = 0;
		state->retransmissions[i] = state->out_of_order[i] = 0;
	}
}

void flow_export(const struct flow_state *state, enum flow_end end, struct flow_digest *digest,
		 struct flow *flow)
{
	static const char reasons[][8] = {
		[FLOW_END_IDLE] = "idle", [FLOW_END_ACTIVE] = "active",   [FLOW_END_FIN] = "fin",
		[FLOW_END_RST] = "rst",   [FLOW_END_EVICTED] = "evicted", [FLOW_END_RUN] = "end",
	};
	const struct flow_key *key = &state->entry.key;
	unsigned first = state->state & FLOW_REVERSED ? 1 : 0;

	*flow = (struct flow){
		.start_ns = state->start_ns,
		.end_ns = state->entry.last_ns,
		.tunnel_id = state->tunnel_id,
		.flow_hash = state->flow_hash,
		.vlan_id = key->vlan,
		.inner_vlan_id = key->inner_vlan,
		.interface = state->interface,
		.ip_version = key->version,
		.ip_protocol = key->protocol,
		.ip_tos = state->ip_tos,
		.tunnel_type = state->tunnel_type,
		.tunnel_depth = state->tunnel_depth,
		.has_ports = !!(state->state & FLOW_PORTS),
		.has_icmp = !!(state->state & FLOW_ICMP),
		.has_vlan = key->vlan != FLOW_NO_VLAN,
		.has_inner_vlan = key->inner_vlan != FLOW_NO_VLAN,
		.has_tunnel_id = !!(state->state & FLOW_TUNNEL_ID),
		.has_rtt = !!(state->state & FLOW_HANDSHAKE),
		.end = (uint8_t)end,
	};
	memcpy(flow->src_ip, first ? key->high_ip : key->low_ip, 16);
	memcpy(flow->dst_ip, first ? key->low_ip : key->high_ip, 16);
	flow->src_port = first ? key->high_port : key->low_port;
	flow->dst_port = first ? key->low_port : key->high_port;
	for (unsigned i = 0; i < 2; i++) {
		unsigned from = i ^ first;

		flow->packets[i] = state->packets[from];
		flow->bytes[i] = state->bytes[from];
		flow->ip_bytes[i] = state->ip_bytes[from];
		flow->retransmissions[i] = state->retransmissions[from];
		flow->out_of_order[i] = state->out_of_order[from];
		flow->tcp_flags[i] = state->tcp_flags[from];
	}
	if (flow->has_rtt)
		flow->handshake_rtt_ns = state->handshake_ns;
	if (flow->has_icmp) {
		flow->icmp_type = state->icmp_type;
		flow->icmp_code = state->icmp_code;
	}
	memcpy(flow->end_reason, reasons[end], sizeof flow->end_reason);
	flow_community_id(flow, digest, flow->community_id);
}
