/* Memory orderings of the lock-free structures, by their meaning.
 *
 * One header answers "which barrier, and why". Every use names its partner in a
 * "pairs with:" comment. C11 atomics only: what holds on x86 by luck is written down
 * so that it also holds on arm64.
 */
#ifndef WEIR_RINGBUF_ATOMICS_H
#define WEIR_RINGBUF_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

/* Destructive interference size. 64 on every x86 and most arm64; the adjacent-line
 * prefetcher of Intel parts pulls pairs of lines, so shared state is kept two apart. */
#define RINGBUF_CACHELINE 64
#define RINGBUF_ISOLATION 128

/* Own index: no one else writes it, so no ordering is needed to read it back. */
#define atomic_load_own(p) atomic_load_explicit((p), memory_order_relaxed)

/* The other side's index: all that it wrote before publishing is visible after. */
#define atomic_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)

/* Publish: all that was written before is visible to who acquires this value. */
#define atomic_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)

/* A statistic that one thread writes and others only look at. */
#define atomic_load_statistic(p) atomic_load_explicit((p), memory_order_relaxed)
#define atomic_store_statistic(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

/* Store-to-load fence for the announce-then-look-again pattern of sleepers: a relaxed
 * store of "I sleep" must be visible before the look at the queue, on both sides. */
#define atomic_fence_sleep() atomic_thread_fence(memory_order_seq_cst)

#endif
