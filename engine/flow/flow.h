/* Flows: what two endpoints said to each other over one protocol, as one row.
 *
 * Thread owner: the writer, which sees all records in order of time. (A table for each worker, merged
 * later, would have to make the same look-ups, and the order of a flow's packets would no longer be
 * that of time when its two directions come in by different queues.) struct flow_state is an entry of a
 * flow_table; struct flow is the row that leaves.
 *
 * Forward is the direction of the initiator: who sent the first packet seen, or when that was a SYN-ACK, the
 * other. Retransmissions are segments whose bytes were all seen before, or that fill a gap later than
 * reordering explains (3 ms, as analysers use); out_of_order are those that fill it sooner.
 */
#ifndef WEIR_ENGINE_FLOW_FLOW_H
#define WEIR_ENGINE_FLOW_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/flow/table.h"

#define FLOW_REORDER_NS UINT64_C(3000000)

enum flow_end {
	FLOW_END_IDLE,    /* no packet for the idle timeout */
	FLOW_END_ACTIVE,  /* goes on, but has lasted for the active timeout: the rest is another row */
	FLOW_END_FIN,     /* FIN both ways */
	FLOW_END_RST,
	FLOW_END_EVICTED, /* the table was full */
	FLOW_END_RUN,     /* the capture ended */
};

/* The row. Index 0: forward, 1: reverse. */
struct flow {
	uint64_t start_ns, end_ns;
	uint8_t src_ip[16], dst_ip[16];
	uint64_t packets[2];
	uint64_t bytes[2];    /* of the frames, as on the wire */
	uint64_t ip_bytes[2]; /* of the described IP level */
	uint64_t handshake_rtt_ns; /* SYN to the ACK of the SYN-ACK */
	uint32_t retransmissions[2], out_of_order[2]; /* TCP segments */
	uint32_t tunnel_id, flow_hash;
	uint16_t src_port, dst_port;
	uint16_t vlan_id, inner_vlan_id, interface;
	uint8_t ip_version, ip_protocol, ip_tos; /* of the first packet */
	uint8_t tcp_flags[2]; /* all that were seen */
	uint8_t icmp_type, icmp_code;
	uint8_t tunnel_type, tunnel_depth;
	uint8_t end; /* enum flow_end */
	uint8_t has_ports, has_icmp, has_vlan, has_inner_vlan, has_tunnel_id, has_rtt;
	uint8_t unused[5];
	char end_reason[8];
	char community_id[32]; /* "1:" and 28 characters */
};

struct flow_track { /* one direction of TCP */
	uint32_t high_seq;             /* behind the highest byte seen */
	uint32_t hole_seq, hole_end;   /* the latest gap below it, empty: none */
	uint32_t hole_us;              /* when it opened: microseconds, wrapping */
};

/* The table's entry: three cache lines. Index: by the key's order, 0 from low. */
struct flow_state {
	struct flow_entry entry;
	uint64_t start_ns;
	uint64_t packets[2], bytes[2], ip_bytes[2];
	uint32_t retransmissions[2], out_of_order[2];
	uint64_t handshake_ns; /* the SYN's time; when the handshake is complete, its round trip */
	union {
		struct flow_track track[2];
		struct {
			uint8_t icmp_type, icmp_code;
		};
	};
	uint32_t flow_hash, tunnel_id;
	uint8_t tcp_flags[2];
	uint8_t tunnel_type, tunnel_depth, ip_tos;
	uint8_t state; /* FLOW_* */
	uint16_t interface;
	uint64_t unused;
};
_Static_assert(sizeof(struct flow_state) == 192, "three cache lines");

enum {
	FLOW_REVERSED = 1 << 0,   /* the initiator is high */
	FLOW_SYN = 1 << 1,        /* its SYN was seen */
	FLOW_SYN_ACK = 1 << 2,    /* and then the answer */
	FLOW_HANDSHAKE = 1 << 3,  /* and then the ACK: handshake_ns is a round trip */
	FLOW_RST = 1 << 4,
	FLOW_PORTS = 1 << 5,
	FLOW_TUNNEL_ID = 1 << 6,
	FLOW_ICMP = 1 << 7,
};

/* Counts the record in. direction: flow_key_of's. A fresh entry starts with it. */
void flow_update(struct flow_state *state, const struct record *record, bool from_low);

/* TCP that has ended: FIN both ways, or RST. */
static inline bool flow_closed(const struct flow_state *state)
{
	return (state->state & FLOW_RST) || ((state->tcp_flags[0] & state->tcp_flags[1]) & 1);
}

/* SHA-1, made ready once: OpenSSL's look-up by name costs more than the digest of a few dozen bytes. */
struct flow_digest;

/* 0 or -errno: a provider without SHA-1 gives -ENOSYS. */
int flow_digest_create(struct flow_digest **digest);
void flow_digest_close(struct flow_digest *digest);

/* Fills the row, Community ID and all. */
void flow_export(const struct flow_state *state, enum flow_end end, struct flow_digest *digest,
		 struct flow *flow);

/* After the active timeout: the counters begin anew, what is known of sequence numbers stays. */
void flow_restart(struct flow_state *state, uint64_t start_ns);

/* The Community ID of the flow, version 1, seed 0: "1:" and 28 characters and NUL into id.
 * Source: Corelight, Community ID flow hashing specification, version 1. */
void flow_community_id(const struct flow *flow, struct flow_digest *digest, char id[32]);

#endif
