/* Which packets a generator makes: headers, sizes, flows, as templates that are filled in.
 *
 * A shape is the whole plan: `slots` header templates (one for each entry of --mix, repeated with
 * other source addresses while there are flows to use them) times the distinct sizes. Flow f uses
 * slot f % slots and the ports number f / slots. A packet differs from its template in its ports,
 * sequence number, timestamp and L4 checksum only, which is what shape_fill writes; the BPF program
 * of the live-frames method does the same from the same tables.
 *
 * Addresses: 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180), the ranges kept for benchmarks;
 * destination port 9, discard. Byte order on the wire is big endian; big-endian hosts work,
 * since the checksum is summed and stored in memory order throughout.
 *
 * Built once, read-only after; a cursor belongs to the sending thread.
 */
#ifndef WEIR_ENGINE_GEN_SHAPE_H
#define WEIR_ENGINE_GEN_SHAPE_H

#include <stdint.h>

#include "engine/error.h"
#include "engine/gen/stamp.h"

#define SHAPE_SLOTS 64          /* a power of two */
#define SHAPE_SIZES 4           /* distinct sizes; a power of two */
#define SHAPE_HEADER 128        /* bytes of a template kept: headers and stamp of every kind */
#define SHAPE_LENGTH_MIN 60
#define SHAPE_LENGTH_MAX 9014
#define SHAPE_FLOWS_MAX (1u << 22)
#define SHAPE_SIZE_STEPS 12     /* IMIX: 7 small, 4 middle, 1 large */
#define SHAPE_PORT_FIRST 1024
#define SHAPE_PORTS 64512       /* source ports 1024 to 65535, then the next destination port */
#define SHAPE_PORT_DISCARD 9

enum shape_kind {
	SHAPE_UDP,
	SHAPE_TCP,
	SHAPE_UDP6,
	SHAPE_TCP6,
	SHAPE_ICMP,
	SHAPE_VLAN,  /* 802.1Q, UDP/IPv4 */
	SHAPE_QINQ,  /* 802.1ad over 802.1Q, UDP/IPv4 */
	SHAPE_VXLAN, /* UDP/IPv4 in Ethernet in VXLAN, outer checksum 0 (RFC 7348 section 5) */
	SHAPE_KINDS,
};

/* One header at one size. 256 bytes, so that a BPF program finds it by a shift. */
struct shape_template {
	uint8_t header[SHAPE_HEADER];
	uint32_t length;          /* of the frame, without FCS */
	uint32_t stamp_offset;    /* of the magic */
	uint32_t ports_offset;    /* two 16-bit words that tell the flow: ports, or ICMP id and sequence */
	uint32_t checksum_offset; /* of the L4 checksum that covers the stamp */
	uint32_t base_sum;        /* ones' complement sum of all it covers with ports and stamp zero, magic in */
	uint32_t checksum_zero;   /* what a computed checksum of 0 is written as: 0xffff for UDP, else 0 */
	uint32_t flow_in_stamp;   /* 1: the payload has room for the flow number */
	uint8_t reserved[256 - SHAPE_HEADER - 28];
};

struct shape {
	struct shape_template templates[SHAPE_SLOTS * SHAPE_SIZES]; /* [slot * SHAPE_SIZES + size] */
	uint32_t slots;
	uint32_t sizes;
	uint32_t flows;
	uint32_t longest;                        /* frame of all templates */
	uint8_t size_of_step[SHAPE_SIZE_STEPS];
	uint32_t raised;                         /* templates that had to be longer than asked to hold the stamp */
};

/* Where a run stands. */
struct shape_cursor {
	uint64_t sequence;
	uint32_t flow, slot, port, step, rounds;
};

struct shape_options {
	const char *mix;        /* "udp", "tcp:3,vlan:1", ...; NULL: "udp" */
	const char *size;       /* "60" to "9014" or "imix"; NULL: "60" */
	uint32_t flows;         /* 1 to SHAPE_FLOWS_MAX; raised to the number of mix entries */
	uint8_t src_mac[6], dst_mac[6];
};

/* Builds the plan. shape: about 64 KiB, the caller's. Errors: -EINVAL with the word that is wrong. */
int shape_build(struct shape *shape, const struct shape_options *options, struct error *error);

/* The next packet's template; steps the cursor behind it. The ports and flow that belong to it come
 * through the pointers. */
const struct shape_template *shape_next(const struct shape *shape, struct shape_cursor *cursor,
					uint32_t *flow, uint32_t *port);

/* Bytes of a frame that no template writes: told by their offset from the frame's start alone, so that
 * a buffer once filled serves every template. */
static inline uint8_t shape_filler(uint32_t offset)
{
	return (uint8_t)(offset * 37 + 11);
}

/* Fills frame (at least shape->longest bytes, filler already in it) with the cursor's next packet.
 * timestamp_ns: UNIX epoch. Returns its length. */
uint32_t shape_fill(const struct shape *shape, struct shape_cursor *cursor, uint64_t timestamp_ns,
		    uint8_t *frame);

#endif
