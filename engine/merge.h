/* The merge: records of many queues into one order of time.
 *
 * Owner: the writer thread, the consumer of every queue. It moves no record: it hands out pointers
 * into the slots, which stay the writer's until merge_release.
 *
 * Order. A queue's key is the running maximum of its timestamps, so that records of one queue
 * never swap even when its clock steps back. A record may go when every other live queue is known
 * to have nothing older: by its own head, or by the bound that its last key or a TIME slot gives.
 * Two things end the waiting: a queue that is full (order never costs a packet), and for live
 * queues a head older than the stated lag. What is then found to be older than what already went
 * is handed out all the same, flagged STATUS_LATE and counted.
 *
 * It knows neither sinks nor sources and makes no syscall; the caller passes the time.
 */
#ifndef WEIR_ENGINE_MERGE_H
#define WEIR_ENGINE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/record.h"
#include "ringbuf/spsc.h"

struct merge;

/* A span that its queue is done with, once the batch that it came with is written. */
struct merge_span_end {
	uint32_t queue;
	uint32_t span;
};

#define MERGE_SPAN_ENDS 256 /* of one batch at most: the collection pauses when they are used up */

struct merge_batch {
	const struct record **records; /* room for max pointers; caller's */
	unsigned max;
	unsigned count;
	struct merge_span_end ends[MERGE_SPAN_ENDS];
	unsigned end_count;
};

/* queues: count of them, the caller's, outliving the merge. live[i]: whether queue i's source follows
 * the wall clock (its heads go after lag_ns). unordered: hand out in the order of arrival.
 * 0 or -ENOMEM. */
int merge_create(struct spsc **queues, const bool *live, unsigned count, uint64_t lag_ns, bool unordered,
		 struct merge **merge);

void merge_close(struct merge *merge);

/* Fills batch->records with what may go now, in order, and batch->ends. Slots stay valid until merge_release.
 * wall_ns: the wall clock, for the lag. Call again only after merge_release. */
void merge_collect(struct merge *merge, struct merge_batch *batch, uint64_t wall_ns);

/* Gives every slot that the last merge_collect consumed back to its queue. released(context, queue) is
 * called for each queue that got slots back, after it did. */
void merge_release(struct merge *merge, void (*released)(void *context, unsigned queue), void *context);

/* All queues have sent END and are drained. */
bool merge_ended(const struct merge *merge);

/* After a collect that gave nothing: whether records wait for a quieter queue. blocking(context, queue) is called
 * for each empty live queue that they wait for. Returns the wall-clock time at which the oldest goes anyway,
 * UINT64_MAX when nothing waits or only ends of files are waited for. */
uint64_t merge_blocked(const struct merge *merge, void (*blocking)(void *context, unsigned queue), void *context);

/* Records that were handed out behind a later one. */
uint64_t merge_late(const struct merge *merge);

#endif
