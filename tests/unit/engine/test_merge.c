/* The merge on queues that are filled by hand: order, bounds, lag, span ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/merge.h"
#include "engine/slot.h"

#define QUEUES 4
#define CAPACITY 16
#define LAG 1000

struct fixture {
	struct spsc spsc[QUEUES];
	struct spsc *queues[QUEUES];
	struct record slots[QUEUES][CAPACITY];
	bool live[QUEUES];
	struct merge *merge;
	const struct record *out[64];
	struct merge_batch batch;
	unsigned released[QUEUES];
	unsigned blocking;
};

static struct fixture *make(unsigned count, bool live, bool unordered)
{
	struct fixture *fixture = aligned_alloc(RINGBUF_ISOLATION, (sizeof *fixture + 127) / 128 * 128);

	memset(fixture, 0, sizeof *fixture);
	for (unsigned i = 0; i < count; i++) {
		assert_true(spsc_init(&fixture->spsc[i], fixture->slots[i], sizeof(struct record), CAPACITY,
				      UINT32_MAX - 3));
		fixture->queues[i] = &fixture->spsc[i];
		fixture->live[i] = live;
	}
	assert_int_equal(merge_create(fixture->queues, fixture->live, count, LAG, unordered, &fixture->merge), 0);
	fixture->batch.records = fixture->out;
	fixture->batch.max = 64;
	return fixture;
}

static void drop(struct fixture *fixture)
{
	merge_close(fixture->merge);
	free(fixture);
}

static struct record *push(struct fixture *fixture, unsigned queue)
{
	void *slot;

	assert_true(spsc_reserve(&fixture->spsc[queue], 1, &slot) > 0);
	memset(slot, 0, sizeof(struct record));
	return slot;
}

static void push_record(struct fixture *fixture, unsigned queue, uint64_t time)
{
	struct record *slot = push(fixture, queue);

	slot->timestamp_ns = time;
	slot->interface = (uint16_t)queue;
	spsc_commit(&fixture->spsc[queue], 1);
}

static void push_control(struct fixture *fixture, unsigned queue, enum slot_kind kind, uint32_t span, uint64_t time)
{
	slot_set_control(push(fixture, queue), kind, span, time);
	spsc_commit(&fixture->spsc[queue], 1);
}

static void count_release(void *context, unsigned queue)
{
	((struct fixture *)context)->released[queue]++;
}

static void count_blocking(void *context, unsigned queue)
{
	((struct fixture *)context)->blocking |= 1u << queue;
}

/* Collects once and checks the timestamps that came. */
static void expect(struct fixture *fixture, uint64_t wall, const uint64_t *times, unsigned count)
{
	merge_collect(fixture->merge, &fixture->batch, wall);
	assert_int_equal(fixture->batch.count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(fixture->out[i]->timestamp_ns, times[i]);
	merge_release(fixture->merge, count_release, fixture);
}

static void test_interleaves_by_time(void **state)
{
	struct fixture *fixture = make(3, false, false);

	push_record(fixture, 0, 10);
	push_record(fixture, 0, 40);
	push_record(fixture, 1, 20);
	push_record(fixture, 1, 30);
	push_record(fixture, 2, 25);
	for (unsigned i = 0; i < 3; i++)
		push_control(fixture, i, SLOT_END, 0, 0);
	expect(fixture, 0, (uint64_t[]){ 10, 20, 25, 30, 40 }, 5);
	assert_true(merge_ended(fixture->merge));
	assert_int_equal(merge_late(fixture->merge), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(spsc_used(fixture->queues[i]), 0);
	drop(fixture);
}

static void test_waits_for_a_file_for_ever(void **state)
{
	struct fixture *fixture = make(2, false, false);

	push_record(fixture, 0, 10);
	push_record(fixture, 0, 20);
	expect(fixture, 1u << 30, NULL, 0);
	assert_int_equal(merge_blocked(fixture->merge, count_blocking, fixture), UINT64_MAX);
	push_record(fixture, 1, 15);
	/* 20 must wait for what queue 1 may still bring between 15 and 20. */
	expect(fixture, 1u << 30, (uint64_t[]){ 10, 15 }, 2);
	push_control(fixture, 1, SLOT_END, 0, 0);
	expect(fixture, 0, (uint64_t[]){ 20 }, 1);
	drop(fixture);
}

static void test_time_slot_lets_go(void **state)
{
	struct fixture *fixture = make(2, true, false);

	push_record(fixture, 0, 100);
	push_record(fixture, 0, 300);
	expect(fixture, 350, NULL, 0);
	assert_int_equal(merge_blocked(fixture->merge, count_blocking, fixture), 100 + LAG);
	assert_int_equal(fixture->blocking, 2);
	push_control(fixture, 1, SLOT_TIME, 0, 200);
	expect(fixture, 350, (uint64_t[]){ 100 }, 1);
	expect(fixture, 350, NULL, 0);
	push_control(fixture, 1, SLOT_TIME, 0, 300);
	expect(fixture, 350, (uint64_t[]){ 300 }, 1);
	drop(fixture);
}

static void test_lag_lets_go_and_marks_the_late(void **state)
{
	struct fixture *fixture = make(2, true, false);

	push_record(fixture, 0, 1000);
	expect(fixture, 1000 + LAG, NULL, 0);
	expect(fixture, 1001 + LAG, (uint64_t[]){ 1000 }, 1);
	push_record(fixture, 1, 900);
	push_record(fixture, 1, 1001);
	merge_collect(fixture->merge, &fixture->batch, 5000);
	assert_int_equal(fixture->batch.count, 2);
	assert_true(fixture->out[0]->status & STATUS_LATE);
	assert_false(fixture->out[1]->status & STATUS_LATE);
	merge_release(fixture->merge, count_release, fixture);
	assert_int_equal(merge_late(fixture->merge), 1);
	drop(fixture);
}

static void test_full_queue_goes_at_once(void **state)
{
	struct fixture *fixture = make(2, true, false);

	for (unsigned i = 0; i < CAPACITY; i++)
		push_record(fixture, 0, 100 + i);
	merge_collect(fixture->merge, &fixture->batch, 100);
	assert_true(fixture->batch.count >= 1);
	merge_release(fixture->merge, count_release, fixture);
	assert_true(spsc_used(fixture->queues[0]) < CAPACITY);
	drop(fixture);
}

static void test_one_queue_never_swaps(void **state)
{
	struct fixture *fixture = make(2, false, false);

	/* The clock of queue 0 steps back: its records keep their order. */
	push_record(fixture, 0, 50);
	push_record(fixture, 0, 20);
	push_record(fixture, 1, 30);
	push_record(fixture, 1, 60);
	push_control(fixture, 0, SLOT_END, 0, 0);
	push_control(fixture, 1, SLOT_END, 0, 0);
	expect(fixture, 0, (uint64_t[]){ 30, 50, 20, 60 }, 4);
	drop(fixture);
}

static void test_span_ends_come_with_their_batch(void **state)
{
	struct fixture *fixture = make(2, false, false);

	push_record(fixture, 0, 10);
	push_control(fixture, 0, SLOT_SPAN_END, 7, 0);
	push_record(fixture, 0, 30);
	push_record(fixture, 1, 20);
	merge_collect(fixture->merge, &fixture->batch, 0);
	assert_int_equal(fixture->batch.count, 2);
	assert_int_equal(fixture->batch.end_count, 1);
	assert_int_equal(fixture->batch.ends[0].queue, 0);
	assert_int_equal(fixture->batch.ends[0].span, 7);
	/* Held until released: the slot that follows is not given back. */
	assert_int_equal(spsc_used(fixture->queues[0]), 3);
	merge_release(fixture->merge, count_release, fixture);
	assert_int_equal(spsc_used(fixture->queues[0]), 1);
	assert_int_equal(fixture->released[0], 1);
	drop(fixture);
}

static void test_unordered_takes_what_is_there(void **state)
{
	struct fixture *fixture = make(2, true, true);

	push_record(fixture, 1, 5);
	push_record(fixture, 0, 50);
	expect(fixture, 0, (uint64_t[]){ 50, 5 }, 2);
	assert_int_equal(merge_late(fixture->merge), 0);
	drop(fixture);
}

/* Random queues, random batch sizes: the output is the sorted input. */
static void test_random_orders(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct fixture *fixture = make(QUEUES, false, false);
		uint64_t clock[QUEUES] = { 0 }, last = 0;
		unsigned pushed = 0, taken = 0, random = seed * 2654435761u;
		bool ended[QUEUES] = { false };

		while (!merge_ended(fixture->merge)) {
			for (unsigned i = 0; i < QUEUES; i++) {
				random = random * 1664525u + 1013904223u;
				if (ended[i] || random >> 30 == 0 || spsc_used(fixture->queues[i]) == CAPACITY)
					continue;
				if (pushed > 400) {
					push_control(fixture, i, SLOT_END, 0, 0);
					ended[i] = true;
					continue;
				}
				clock[i] += (random >> 8) % 20;
				push_record(fixture, i, clock[i]);
				pushed++;
			}
			fixture->batch.max = 1 + (random >> 16) % 64;
			merge_collect(fixture->merge, &fixture->batch, 0);
			for (unsigned i = 0; i < fixture->batch.count; i++) {
				assert_true(fixture->out[i]->timestamp_ns >= last);
				last = fixture->out[i]->timestamp_ns;
			}
			taken += fixture->batch.count;
			merge_release(fixture->merge, count_release, fixture);
		}
		assert_int_equal(taken, pushed);
		assert_int_equal(merge_late(fixture->merge), 0);
		drop(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interleaves_by_time),
		cmocka_unit_test(test_waits_for_a_file_for_ever),
		cmocka_unit_test(test_time_slot_lets_go),
		cmocka_unit_test(test_lag_lets_go_and_marks_the_late),
		cmocka_unit_test(test_full_queue_goes_at_once),
		cmocka_unit_test(test_one_queue_never_swaps),
		cmocka_unit_test(test_span_ends_come_with_their_batch),
		cmocka_unit_test(test_unordered_takes_what_is_there),
		cmocka_unit_test(test_random_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
