/* TCP reassembly by sequence numbers alone: what of a direction's bytes is new, in order, held back or lost.
 *
 * Thread owner: the writer. No payload is kept: a held-back segment is a range of 12 bytes, joined with its
 * neighbours. The bounds, which keep memory and waiting finite whatever comes:
 *   ASSEMBLY_RANGES ranges in one direction, the pool's limit over all, ASSEMBLY_AHEAD bytes ahead of
 *   the first missing one, and ASSEMBLY_PATIENCE_NS of packet time since the gap opened.
 * When one is met the gap is given up: reported as missing, and delivery goes on behind it. What was given
 * up and comes later is a duplicate.
 * A direction starts with the first segment seen: its SYN, or in the middle. Sequence numbers are compared
 * modulo 2^32 (RFC 9293, 3.4). A segment more than 1 GiB ahead (the largest window, RFC 7323, 2.3) is
 * no part of the stream.
 */
#ifndef WEIR_ENGINE_FLOW_ASSEMBLY_H
#define WEIR_ENGINE_FLOW_ASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>

#define ASSEMBLY_RANGES 256u
#define ASSEMBLY_AHEAD (16u << 20)
#define ASSEMBLY_PATIENCE_NS UINT64_C(10000000000)
#define ASSEMBLY_WINDOW (1u << 30)

struct assembly_range {
	uint32_t seq, length;
	uint32_t next; /* number + 1, 0: the last */
};

struct assembly_pool {
	struct assembly_range *ranges;
	uint32_t limit, touched, free_head, used, most;
};

/* One direction. All zero: nothing seen yet. */
struct assembly {
	uint64_t offset;     /* of next_seq in the stream: bytes delivered and missing so far */
	uint64_t gap_ns;     /* when the gap in front of the held ranges opened */
	uint32_t next_seq;   /* the first byte not yet delivered */
	uint32_t fin_seq;    /* with fin: the sequence number of the FIN */
	uint32_t held;       /* first held range, number + 1 */
	uint16_t held_count;
	bool started, fin;
};
_Static_assert(sizeof(struct assembly) == 32, "two of them fill a cache line");

/* What comes out; any may be NULL. */
struct assembly_events {
	void (*run)(void *context, uint32_t bytes);     /* so many bytes became deliverable, in order */
	void (*missing)(void *context, uint32_t bytes); /* so many were given up */
	/* bytes [from, from + length) of the segment's payload are seen for the first time; they belong at
	 * offset */
	void (*piece)(void *context, uint32_t from, uint32_t length, uint64_t offset);
	void *context;
};

struct assembly_counts {
	uint64_t duplicate_bytes;
	uint64_t out_of_window; /* segments */
};

/* limit: ranges over all directions. 0 or -ENOMEM. */
int assembly_pool_create(struct assembly_pool *pool, uint32_t limit);
void assembly_pool_close(struct assembly_pool *pool);

/* A segment: seq of its first byte (of the SYN, if syn), length of its payload. */
void assembly_segment(struct assembly_pool *pool, struct assembly *direction, uint32_t seq, uint32_t length,
		      bool syn, bool fin, uint64_t now_ns, const struct assembly_events *events,
		      struct assembly_counts *counts);

/* The direction ends: held ranges are delivered behind the gaps in front of them. */
void assembly_end(struct assembly_pool *pool, struct assembly *direction,
		  const struct assembly_events *events);

/* All bytes up to the FIN were delivered. */
static inline bool assembly_complete(const struct assembly *direction)
{
	return direction->fin && direction->next_seq == direction->fin_seq;
}

/* The sequence number of the stream's byte 0. */
static inline uint32_t assembly_base(const struct assembly *direction)
{
	return direction->next_seq - (uint32_t)direction->offset;
}

#endif
