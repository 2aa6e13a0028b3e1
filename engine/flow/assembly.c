#include "engine/flow/assembly.h"

#include <errno.h>
#include <stdlib.h>

int assembly_pool_create(struct assembly_pool *pool, uint32_t limit)
{
	*pool = (struct assembly_pool){ .limit = limit };
	pool->ranges = calloc(limit, sizeof *pool->ranges); /* touched as it grows */
	return pool->ranges ? 0 : -ENOMEM;
}

void assembly_pool_close(struct assembly_pool *pool)
{
	free(pool->ranges);
	*pool = (struct assembly_pool){ 0 };
}

static struct assembly_range *range_of(const struct assembly_pool *pool, uint32_t number)
{
	return number ? &pool->ranges[number - 1] : NULL;
}

static uint32_t range_get(struct assembly_pool *pool)
{
	uint32_t number = pool->free_head;

	if (number)
		pool->free_head = range_of(pool, number)->next;
	else if (pool->touched < pool->limit)
		number = ++pool->touched;
	else
		return 0;
	if (++pool->used > pool->most)
		pool->most = pool->used;
	return number;
}

static void range_drop_first(struct assembly_pool *pool, struct assembly *direction)
{
	uint32_t number = direction->held;
	struct assembly_range *range = range_of(pool, number);

	direction->held = range->next;
	direction->held_count--;
	range->next = pool->free_head;
	pool->free_head = number;
	pool->used--;
}

static void advance(struct assembly *direction, uint32_t bytes)
{
	direction->next_seq += bytes;
	direction->offset += bytes;
}

/* Takes in the held ranges that now join, and reports all that was delivered since `before`. */
static void deliver(struct assembly_pool *pool, struct assembly *direction, uint64_t before, uint64_t now_ns,
		    const struct assembly_events *events)
{
	while (direction->held) {
		const struct assembly_range *range = range_of(pool, direction->held);

		if ((int32_t)(range->seq - direction->next_seq) > 0)
			break;
		if ((int32_t)(range->seq + range->length - direction->next_seq) > 0)
			advance(direction, range->seq + range->length - direction->next_seq);
		range_drop_first(pool, direction);
	}
	direction->gap_ns = now_ns;
	if (events->run && direction->offset > before)
		events->run(events->context, (uint32_t)(direction->offset - before));
}

/* Gives up the bytes in front of seq, which is ahead. */
static void give_up(struct assembly *direction, uint32_t seq, const struct assembly_events *events)
{
	uint32_t missing = seq - direction->next_seq;

	advance(direction, missing);
	if (events->missing)
		events->missing(events->context, missing);
}

static void give_up_first(struct assembly_pool *pool, struct assembly *direction, uint64_t now_ns,
			  const struct assembly_events *events)
{
	give_up(direction, range_of(pool, direction->held)->seq, events);
	deliver(pool, direction, direction->offset, now_ns, events);
}

/* Shows the parts of [from, to) (relative to next_seq, which the segment's payload starts at `start`) that no
 * held range covers. Returns the bytes that one does. */
static uint32_t show_pieces(const struct assembly_pool *pool, const struct assembly *direction, uint32_t from,
			    uint32_t to, int64_t start, const struct assembly_events *events)
{
	uint32_t covered = 0;
	const struct assembly_range *range = range_of(pool, direction->held);

	while (from < to) {
		uint32_t first = to, last = to;

		for (; range; range = range_of(pool, range->next)) {
			uint32_t seq = range->seq - direction->next_seq;

			if (seq + range->length <= from)
				continue;
			first = seq < to ? seq : to;
			last = seq + range->length < to ? seq + range->length : to;
			break;
		}
		if (first > from && events->piece)
			events->piece(events->context, (uint32_t)(from - start), first - from,
				      direction->offset + from);
		if (first < from)
			first = from;
		covered += last - first;
		from = last;
	}
	return covered;
}

/* Puts [seq, seq + length) among the held ranges, joined with those that it touches. False: no range was
 * left. */
static bool hold(struct assembly_pool *pool, struct assembly *direction, uint32_t seq, uint32_t length)
{
	uint32_t *link = &direction->held, base = direction->next_seq;
	uint32_t from = seq - base, to = from + length;
	struct assembly_range *range;

	while (*link && range_of(pool, *link)->seq - base + range_of(pool, *link)->length < from)
		link = &range_of(pool, *link)->next;
	range = range_of(pool, *link);
	if (!range || range->seq - base > to) {
		uint32_t number = direction->held_count < ASSEMBLY_RANGES ? range_get(pool) : 0;

		if (!number)
			return false;
		pool->ranges[number - 1] = (struct assembly_range){ seq, length, *link };
		*link = number;
		direction->held_count++;
		return true;
	}
	if (range->seq - base < from)
		from = range->seq - base;
	if (range->seq - base + range->length > to)
		to = range->seq - base + range->length;
	while (range->next && range_of(pool, range->next)->seq - base <= to) {
		uint32_t number = range->next;
		struct assembly_range *after = range_of(pool, number);

		if (after->seq - base + after->length > to)
			to = after->seq - base + after->length;
		range->next = after->next;
		after->next = pool->free_head;
		pool->free_head = number;
		pool->used--;
		direction->held_count--;
	}
	range->seq = base + from;
	range->length = to - from;
	return true;
}

/* A segment with bytes ahead of the first missing one. */
static void segment_ahead(struct assembly_pool *pool, struct assembly *direction, uint32_t seq,
			  uint32_t length, uint64_t now_ns, const struct assembly_events *events,
			  struct assembly_counts *counts)
{
	uint32_t ahead = seq - direction->next_seq;

	if (!direction->held)
		direction->gap_ns = now_ns;
	counts->duplicate_bytes += show_pieces(pool, direction, ahead, ahead + length, ahead, events);
	while (!hold(pool, direction, seq, length)) {
		if (direction->held) {
			give_up_first(pool, direction, now_ns, events);
			if ((int32_t)(seq - direction->next_seq) > 0)
				continue;
		} else {
			give_up(direction, seq, events); /* the whole pool is with others */
		}
		/* Giving up has brought delivery to the segment itself. */
		if ((int32_t)(seq + length - direction->next_seq) > 0) {
			uint64_t before = direction->offset;

			advance(direction, seq + length - direction->next_seq);
			deliver(pool, direction, before, now_ns, events);
		}
		return;
	}
	while (direction->held && seq + length - direction->next_seq > ASSEMBLY_AHEAD &&
	       (int32_t)(seq + length - direction->next_seq) > 0)
		give_up_first(pool, direction, now_ns, events);
}

void assembly_segment(struct assembly_pool *pool, struct assembly *direction, uint32_t seq, uint32_t length,
		      bool syn, bool fin, uint64_t now_ns, const struct assembly_events *events,
		      struct assembly_counts *counts)
{
	int32_t ahead;

	seq += syn;
	if (!direction->started) {
		direction->started = true;
		direction->next_seq = seq;
	}
	if (direction->held && now_ns - direction->gap_ns > ASSEMBLY_PATIENCE_NS &&
	    now_ns > direction->gap_ns)
		give_up_first(pool, direction, now_ns, events);
	ahead = (int32_t)(seq - direction->next_seq);
	if (ahead > (int32_t)ASSEMBLY_WINDOW) {
		counts->out_of_window++;
		return;
	}
	if (fin && !direction->fin && ahead + (int64_t)length >= 0) {
		direction->fin = true;
		direction->fin_seq = seq + length;
	}
	if (length == 0)
		return;
	if (ahead + (int64_t)length <= 0) {
		counts->duplicate_bytes += length;
	} else if (ahead <= 0) {
		uint32_t fresh = (uint32_t)(ahead + (int64_t)length);
		uint64_t before = direction->offset;

		counts->duplicate_bytes += (uint32_t)-ahead;
		counts->duplicate_bytes += show_pieces(pool, direction, 0, fresh, ahead, events);
		advance(direction, fresh);
		deliver(pool, direction, before, now_ns, events);
	} else {
		segment_ahead(pool, direction, seq, length, now_ns, events, counts);
	}
}

void assembly_end(struct assembly_pool *pool, struct assembly *direction,
		  const struct assembly_events *events)
{
	while (direction->held)
		give_up_first(pool, direction, direction->gap_ns, events);
}
