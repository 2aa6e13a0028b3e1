/* A bounded single-producer single-consumer queue of fixed-size slots, by value.
 *
 * The invariant, before any code:
 *
 *   Two 32-bit counters run freely and wrap at 2^32. `tail` counts the slots that the
 *   producer has ever committed, `head` the slots that the consumer has ever released.
 *   At every instant, seen by whoever reads them in any order that acquire allows,
 *
 *       0 <= tail - head <= capacity          (arithmetic modulo 2^32)
 *
 *   Slot number n lives at index n & (capacity - 1). Slots [head, tail) belong to the
 *   consumer, slots [tail, head + capacity) belong to the producer, and no slot belongs
 *   to both. Capacity is a power of two of at most 2^31, so that the difference of two
 *   counters is never ambiguous.
 *
 *   The producer alone writes `tail`, the consumer alone writes `head`. A slot changes
 *   owner only by one of these two stores: commit (release store of tail, paired with
 *   the acquire load in peek) hands written slots over; release (release store of head,
 *   paired with the acquire load in reserve) hands read slots back. Each side keeps its
 *   last view of the other's counter and reads the shared line again only when that
 *   view does not suffice: in the steady state a line crosses the cores once for many
 *   slots, not once for each.
 *
 * reserve and peek return *contiguous* spans: a span ends at the array's edge, and what
 * lies behind the edge comes with the next call. A reserved span may be committed in
 * part, a peeked span may be released in part.
 *
 * This file knows nothing of packets. It allocates nothing: the caller owns the memory.
 * It never waits: an empty or full queue is a count of 0, and waiting is the engine's.
 */
#ifndef WEIR_RINGBUF_SPSC_H
#define WEIR_RINGBUF_SPSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ringbuf/atomics.h"

struct spsc {
	/* Read-only after spsc_init. */
	_Alignas(RINGBUF_ISOLATION) unsigned char *slots;
	uint32_t slot_size; /* bytes */
	uint32_t mask;      /* capacity - 1 */

	/* Producer's line. */
	_Alignas(RINGBUF_ISOLATION) _Atomic uint32_t tail; /* (producer) writes, (consumer) reads */
	uint32_t head_seen;                                /* (producer) last view of head */

	/* Consumer's line. */
	_Alignas(RINGBUF_ISOLATION) _Atomic uint32_t head; /* (consumer) writes, (producer) reads */
	uint32_t tail_seen;                                /* (consumer) last view of tail */
};

/* Prepares a queue over memory that the caller owns and keeps until both sides are done.
 * slots: capacity * slot_size bytes, aligned as the slot's type wants (and best to a cache line).
 * slot_size: bytes, at least 1. capacity: a power of two, 1 to 2^31.
 * start: the value at which both counters begin; 0 but for tests of the wrap.
 * Returns false, and touches nothing, when an argument is out of range. */
bool spsc_init(struct spsc *queue, void *slots, uint32_t slot_size, uint32_t capacity, uint32_t start);

static inline uint32_t spsc_capacity(const struct spsc *queue)
{
	return queue->mask + 1;
}

static inline void *spsc_slot(const struct spsc *queue, uint32_t index)
{
	return queue->slots + (size_t)(index & queue->mask) * queue->slot_size;
}

/* The run from index to the array's edge, no longer than available. */
static inline uint32_t spsc_contiguous(const struct spsc *queue, uint32_t index, uint32_t available)
{
	uint32_t to_edge = queue->mask + 1 - (index & queue->mask);

	return available < to_edge ? available : to_edge;
}

/* (producer) A contiguous span of free slots to write into, nothing published yet.
 * want: how many would be useful, at least 1; the shared line is read again only when
 * fewer are known to be free. Returns how many slots *span points at, 0 when full. */
static inline uint32_t spsc_reserve(struct spsc *queue, uint32_t want, void **span)
{
	uint32_t tail = atomic_load_own(&queue->tail);
	uint32_t capacity = queue->mask + 1;
	uint32_t available = capacity - (tail - queue->head_seen);

	if (available < want) {
		/* pairs with: spsc_release. The consumer's reads of a slot are over
		 * before we write it again. */
		queue->head_seen = atomic_load_acquire(&queue->head);
		available = capacity - (tail - queue->head_seen);
	}
	*span = spsc_slot(queue, tail);
	return spsc_contiguous(queue, tail, available);
}

/* (producer) Publishes the first count slots of the span that was reserved last. */
static inline void spsc_commit(struct spsc *queue, uint32_t count)
{
	/* pairs with: spsc_peek. What was written into the slots is seen with the index. */
	atomic_store_release(&queue->tail, atomic_load_own(&queue->tail) + count);
}

/* (consumer) A contiguous span of committed slots to read; they stay the consumer's until
 * spsc_release. want: as in spsc_reserve. Returns how many, 0 when empty. */
static inline uint32_t spsc_peek(struct spsc *queue, uint32_t want, void **span)
{
	uint32_t head = atomic_load_own(&queue->head);
	uint32_t available = queue->tail_seen - head;

	if (available < want) {
		/* pairs with: spsc_commit. */
		queue->tail_seen = atomic_load_acquire(&queue->tail);
		available = queue->tail_seen - head;
	}
	*span = spsc_slot(queue, head);
	return spsc_contiguous(queue, head, available);
}

/* (consumer) As spsc_peek, but starts `skip` slots behind the head: for a reader that holds
 * slots back while it looks further. skip is at most what has been peeked so far. */
static inline uint32_t spsc_peek_from(struct spsc *queue, uint32_t skip, uint32_t want, void **span)
{
	uint32_t start = atomic_load_own(&queue->head) + skip;
	uint32_t available = queue->tail_seen - start;

	if (available < want) {
		/* pairs with: spsc_commit. */
		queue->tail_seen = atomic_load_acquire(&queue->tail);
		available = queue->tail_seen - start;
	}
	*span = spsc_slot(queue, start);
	return spsc_contiguous(queue, start, available);
}

/* (consumer) Gives the oldest count slots back to the producer. */
static inline void spsc_release(struct spsc *queue, uint32_t count)
{
	/* pairs with: spsc_reserve. Our reads are over before the slots are reused. */
	atomic_store_release(&queue->head, atomic_load_own(&queue->head) + count);
}

/* (either side, or an observer) How many slots are committed and not yet released: exact for
 * neither side while the other moves, always within 0..capacity. */
uint32_t spsc_used(struct spsc *queue);

#endif
