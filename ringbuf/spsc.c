#include "ringbuf/spsc.h"

bool spsc_init(struct spsc *queue, void *slots, uint32_t slot_size, uint32_t capacity, uint32_t start)
{
	if (slots == NULL || slot_size == 0 || capacity == 0 || capacity > UINT32_C(1) << 31 ||
	    (capacity & (capacity - 1)) != 0)
		return false;

	queue->slots = slots;
	queue->slot_size = slot_size;
	queue->mask = capacity - 1;
	queue->head_seen = start;
	queue->tail_seen = start;
	/* No other thread has the queue yet: the hand-over to it is the caller's (pthread_create). */
	atomic_init(&queue->tail, start);
	atomic_init(&queue->head, start);
	return true;
}

uint32_t spsc_used(struct spsc *queue)
{
	/* head first: it can only grow towards tail, so that the difference read is never negative;
	 * it can exceed the capacity when the consumer moves in between, hence the clamp.
	 * pairs with: spsc_release, spsc_commit. */
	uint32_t head = atomic_load_acquire(&queue->head);
	uint32_t used = atomic_load_acquire(&queue->tail) - head;

	return used > queue->mask + 1 ? queue->mask + 1 : used;
}
