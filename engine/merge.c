#include "engine/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/slot.h"

#define PEEK_AGAIN 32 /* slots ahead that are worth reading the shared index for */
#define PREFETCH_AHEAD 8

struct merge_queue {
	struct spsc *queue;
	struct record *window; /* peeked and not yet consumed: the next slot */
	uint32_t window_count;
	uint32_t consumed;     /* slots of the current batch, given back by merge_release */
	uint64_t key;          /* running maximum; with a head: the head's key */
	uint64_t bound;        /* nothing older will come */
	bool live;
	bool ended;
	bool has_head; /* a record is at the window's front and key is its key */
};

struct merge {
	struct merge_queue *queues;
	unsigned count;
	unsigned ended;
	uint64_t lag_ns;
	bool unordered;
	uint64_t last_key;
	uint64_t late;

	unsigned *heap; /* queues with a head, the oldest first */
	unsigned heap_count;
};

int merge_create(struct spsc **queues, const bool *live, unsigned count, uint64_t lag_ns, bool unordered,
		 struct merge **out)
{
	struct merge *merge = calloc(1, sizeof *merge);

	if (merge == NULL)
		return -ENOMEM;
	merge->queues = calloc(count, sizeof *merge->queues);
	merge->heap = calloc(count, sizeof *merge->heap);
	if (merge->queues == NULL || merge->heap == NULL) {
		merge_close(merge);
		return -ENOMEM;
	}
	merge->count = count;
	merge->lag_ns = lag_ns;
	merge->unordered = unordered || count == 1;
	for (unsigned i = 0; i < count; i++) {
		merge->queues[i].queue = queues[i];
		merge->queues[i].live = live[i];
	}
	*out = merge;
	return 0;
}

void merge_close(struct merge *merge)
{
	if (merge == NULL)
		return;
	free(merge->heap);
	free(merge->queues);
	free(merge);
}

bool merge_ended(const struct merge *merge)
{
	return merge->ended == merge->count;
}

uint64_t merge_late(const struct merge *merge)
{
	return merge->late;
}

static bool refill_window(struct merge_queue *queue)
{
	void *span;

	queue->window_count = spsc_peek_from(queue->queue, queue->consumed, PEEK_AGAIN, &span);
	queue->window = span;
	return queue->window_count > 0;
}

static void consume(struct merge_queue *queue)
{
	queue->window++;
	queue->window_count--;
	queue->consumed++;
}

/* Takes in the control slot at the head. False: no room for another span end in this batch. */
static bool take_control(struct merge *merge, unsigned index, struct merge_batch *batch)
{
	struct merge_queue *queue = &merge->queues[index];
	const struct record *slot = queue->window;

	switch (slot_kind(slot)) {
	case SLOT_SPAN_END:
		if (batch->end_count == MERGE_SPAN_ENDS)
			return false;
		batch->ends[batch->end_count++] =
			(struct merge_span_end){ .queue = index, .span = slot_span(slot) };
		break;
	case SLOT_TIME:
		if (slot->timestamp_ns > queue->bound)
			queue->bound = slot->timestamp_ns;
		break;
	case SLOT_END:
		queue->ended = true;
		merge->ended++;
		break;
	}
	consume(queue);
	return true;
}

/* In the order of arrival: each queue's slots as they lie. */
static void collect_arrived(struct merge *merge, unsigned index, struct merge_batch *batch)
{
	struct merge_queue *queue = &merge->queues[index];

	while (batch->count < batch->max) {
		if (queue->window_count == 0 && !refill_window(queue))
			return;
		if (slot_is_control(queue->window)) {
			if (!take_control(merge, index, batch))
				return;
			continue;
		}
		/* Two lines a slot, fetched before they are asked for: the queue lies in the other core's cache. */
		__builtin_prefetch((const char *)(queue->window + PREFETCH_AHEAD) + 64);
		batch->records[batch->count++] = queue->window;
		consume(queue);
	}
}

static bool older(const struct merge *merge, unsigned a, unsigned b)
{
	uint64_t key_a = merge->queues[a].key, key_b = merge->queues[b].key;

	return key_a != key_b ? key_a < key_b : a < b;
}

static void heap_sift_down(struct merge *merge, unsigned at)
{
	unsigned *heap = merge->heap;

	for (;;) {
		unsigned child = 2 * at + 1, moved;

		if (child >= merge->heap_count)
			return;
		if (child + 1 < merge->heap_count && older(merge, heap[child + 1], heap[child]))
			child++;
		if (!older(merge, heap[child], heap[at]))
			return;
		moved = heap[at];
		heap[at] = heap[child];
		heap[child] = moved;
		at = child;
	}
}

static void heap_push(struct merge *merge, unsigned index)
{
	unsigned *heap = merge->heap;
	unsigned at = merge->heap_count++;

	while (at > 0 && older(merge, index, heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = index;
}

static void heap_pop(struct merge *merge)
{
	merge->heap[0] = merge->heap[--merge->heap_count];
	heap_sift_down(merge, 0);
}

/* Brings a record to the queue's head and sets its key. False: none there now. */
static bool find_head(struct merge *merge, unsigned index, struct merge_batch *batch)
{
	struct merge_queue *queue = &merge->queues[index];

	queue->has_head = false;
	for (;;) {
		if (queue->window_count == 0 && !refill_window(queue))
			return false;
		if (!slot_is_control(queue->window))
			break;
		if (!take_control(merge, index, batch))
			return false;
	}
	queue->has_head = true;
	if (queue->window->timestamp_ns > queue->key)
		queue->key = queue->window->timestamp_ns;
	if (queue->bound < queue->key)
		queue->bound = queue->key;
	return true;
}

/* What the queues without a head might still bring: nothing older than this. */
static uint64_t absent_bound(const struct merge *merge)
{
	uint64_t bound = UINT64_MAX;

	for (unsigned i = 0; i < merge->count; i++) {
		const struct merge_queue *queue = &merge->queues[i];

		if (!queue->has_head && !queue->ended && queue->bound < bound)
			bound = queue->bound;
	}
	return bound;
}

static bool waited_enough(const struct merge *merge, const struct merge_queue *queue, uint64_t wall_ns)
{
	if (!queue->live)
		return false;
	if (wall_ns > queue->key && wall_ns - queue->key > merge->lag_ns)
		return true;
	return queue->consumed == 0 && spsc_used(queue->queue) == spsc_capacity(queue->queue);
}

static void hand_out(struct merge *merge, struct merge_queue *queue, struct merge_batch *batch)
{
	if (queue->key < merge->last_key) {
		queue->window->status |= STATUS_LATE;
		merge->late++;
	} else {
		merge->last_key = queue->key;
	}
	__builtin_prefetch(queue->window + PREFETCH_AHEAD);
	__builtin_prefetch((const char *)(queue->window + PREFETCH_AHEAD) + 64);
	batch->records[batch->count++] = queue->window;
	consume(queue);
}

/* The key up to which the heap's first queue may go on without a look at the others. */
static uint64_t rival_key(const struct merge *merge)
{
	uint64_t rival = UINT64_MAX;

	for (unsigned child = 1; child <= 2 && child < merge->heap_count; child++) {
		uint64_t key = merge->queues[merge->heap[child]].key;

		if (key < rival)
			rival = key;
	}
	return rival;
}

static void collect_ordered(struct merge *merge, struct merge_batch *batch, uint64_t wall_ns)
{
	uint64_t bound;

	merge->heap_count = 0;
	for (unsigned i = 0; i < merge->count; i++) {
		if (!merge->queues[i].ended && find_head(merge, i, batch))
			heap_push(merge, i);
	}
	bound = absent_bound(merge);
	while (merge->heap_count > 0 && batch->count < batch->max) {
		unsigned first = merge->heap[0];
		struct merge_queue *queue = &merge->queues[first];
		uint64_t rival = rival_key(merge);
		bool has_head = true;

		if (queue->key > bound && !waited_enough(merge, queue, wall_ns))
			return;
		do {
			hand_out(merge, queue, batch);
			has_head = find_head(merge, first, batch);
		} while (has_head && queue->key < rival && queue->key <= bound && batch->count < batch->max);

		if (has_head) {
			heap_sift_down(merge, 0);
		} else {
			heap_pop(merge);
			bound = absent_bound(merge);
		}
	}
}

void merge_collect(struct merge *merge, struct merge_batch *batch, uint64_t wall_ns)
{
	batch->count = 0;
	batch->end_count = 0;
	if (!merge->unordered) {
		collect_ordered(merge, batch, wall_ns);
		return;
	}
	for (unsigned i = 0; i < merge->count; i++)
		collect_arrived(merge, i, batch);
}

void merge_release(struct merge *merge, void (*released)(void *context, unsigned queue), void *context)
{
	for (unsigned i = 0; i < merge->count; i++) {
		struct merge_queue *queue = &merge->queues[i];

		if (queue->consumed == 0)
			continue;
		spsc_release(queue->queue, queue->consumed);
		queue->consumed = 0;
		released(context, i);
	}
}

uint64_t merge_blocked(const struct merge *merge, void (*blocking)(void *context, unsigned queue), void *context)
{
	uint64_t oldest = UINT64_MAX;

	if (merge->unordered)
		return UINT64_MAX;
	for (unsigned i = 0; i < merge->count; i++) {
		const struct merge_queue *queue = &merge->queues[i];

		if (queue->has_head && queue->live && queue->key < oldest)
			oldest = queue->key;
	}
	if (oldest == UINT64_MAX)
		return UINT64_MAX;
	for (unsigned i = 0; i < merge->count; i++) {
		const struct merge_queue *queue = &merge->queues[i];

		if (!queue->has_head && !queue->ended && queue->live && queue->bound < oldest)
			blocking(context, i);
	}
	return oldest + merge->lag_ns;
}
