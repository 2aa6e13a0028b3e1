/* The chunks of one AF_XDP queue: who has them, and how descs become frames.
 *
 * The UMEM is cut into chunks. A chunk is, at any time, in exactly one of these places:
 *
 *	fill ring ─► kernel ─► rx ring ─► held (a frame points into it) ─► fill ring
 *
 * We own the chunk while it is held. The fill ring has twice as many entries as there are chunks: the
 * kernel publishes late what it has consumed, and a chunk must always find room there.
 *
 * Spans. One call of afxdp_pool_rx hands out one span: the chunks of its frames, chained through next[], in
 * any order with other spans. The span's id is the number of its first chunk, so that spans need no table.
 *
 * The bounded share. Frames that are saved hold their chunks until the writer is done. At most `share`
 * chunks may be held; beyond, a frame is copied to a slot of the side pool and its chunk goes straight
 * back, and when the side pool is spent no desc is taken any more: then the rx ring fills, and the kernel
 * counts what does not fit (rx_ring_full). The fill ring never starves because of a slow writer.
 *
 * Frames of several descs (XDP_USE_SG: options has XDP_PKT_CONTD on all but the last) are handed out by
 * their first fragment when no sink needs more (headers_only), else put together in a side slot.
 *
 * Pure over memory: rings and area may be any memory, so that all of it is tested without root. Owner: the
 * worker. libxdp's xsk.h does the ring accesses and their barriers. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_POOL_H
#define WEIR_ENGINE_SOURCES_AFXDP_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <xdp/xsk.h>

#include "engine/bpf/afxdp_shared.h"
#include "engine/source.h"

#define AFXDP_POOL_NONE UINT32_MAX

/* Turns stamps of a clock into UNIX time: the offset is sampled again when the stamps have gone on by
 * AFXDP_CLOCK_PERIOD_NS, so that a step of the wall clock is followed. */
struct afxdp_clock {
	clockid_t clock;
	int64_t offset_ns;
	uint64_t sampled_ns; /* by `clock` */
	uint64_t oldest_ns;  /* stamps from here on, for so long, need no new sample */
	uint64_t window_ns;
};
#define AFXDP_CLOCK_PERIOD_NS UINT64_C(100000000)

void afxdp_clock_sample(struct afxdp_clock *clock);

struct afxdp_pool {
	/* Const after afxdp_pool_init. */
	uint8_t *area;           /* chunk_count * chunk_size bytes */
	uint32_t chunk_size;     /* bytes; aligned mode: a power of two */
	unsigned chunk_shift;    /* chunk_size's power of two, set by afxdp_pool_init; 0: none */
	uint32_t chunk_count;
	uint32_t share;          /* chunks held at most */
	uint8_t *side;           /* side_count * side_stride bytes */
	size_t side_stride;
	uint32_t side_count;
	uint32_t snap_length;    /* bytes */
	bool headers_only;
	uint16_t interface;
	uint8_t mac[6];          /* of the interface: tells IN from OTHER */
	struct afxdp_clock clock;

	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	uint32_t *next;          /* chunk_count + side_count: the chain of a span */
	uint32_t *side_free;     /* a stack */
	uint32_t side_free_count;

	uint32_t held;
	uint32_t held_most;
	uint64_t handed_out;
	uint64_t side_copies;    /* frames copied because the share was spent */
	uint64_t joined;         /* frames of several descs put together */
	uint64_t unstamped;      /* frames without a stamp: their time is that of reading */
	uint64_t blocked;        /* calls that took no desc for want of room */
};

/* Allocates next[] and side_free[]; everything const above, and rx and fill, are set by the caller before.
 * 0 or -ENOMEM. */
int afxdp_pool_init(struct afxdp_pool *pool);

/* Forgets the rings, which are unmapped; another afxdp_pool_init may follow. */
void afxdp_pool_close(struct afxdp_pool *pool);

/* Puts all chunks on the fill ring. Once, before packets come. */
void afxdp_pool_fill(struct afxdp_pool *pool);

/* Hands out up to max (at most SOURCE_BURST) frames of one span. Returns how many; 0: no desc, or no room. */
unsigned afxdp_pool_rx(struct afxdp_pool *pool, struct frame *frames, unsigned max);

/* Gives a span's chunks back. */
void afxdp_pool_release(struct afxdp_pool *pool, uint32_t span);

/* True when the rx ring has descs that are not handed out. */
bool afxdp_pool_waiting(struct afxdp_pool *pool);

/* True when afxdp_pool_rx could hand out a frame: there is room for it. */
static inline bool afxdp_pool_has_room(const struct afxdp_pool *pool)
{
	return pool->held < pool->share || pool->side_free_count > 0;
}

#endif
