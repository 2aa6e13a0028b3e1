/* The SPSC queue against its invariant, single-threaded: every boundary of every small capacity, from every
 * phase of the array, and across the wrap of the 32-bit counters. The two-thread part is stress_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ringbuf/spsc.h"

#define CAPACITY_MAX 64u

/* Starts from which counters wrap within a few operations, and the plain one. */
static const uint32_t starts[] = { 0,
				   1,
				   UINT32_MAX,
				   UINT32_MAX - 1,
				   UINT32_MAX - 7,
				   UINT32_MAX - 63,
				   UINT32_C(1) << 31,
				   (UINT32_C(1) << 31) - 3 };
#define START_COUNT (sizeof starts / sizeof starts[0])

struct fixture {
	struct spsc queue;
	uint32_t slots[CAPACITY_MAX];
	uint32_t next_in;  /* value of the next slot to be written */
	uint32_t next_out; /* and read */
};

static void fixture_start(struct fixture *fixture, uint32_t capacity, uint32_t start)
{
	memset(fixture, 0, sizeof *fixture);
	assert_true(spsc_init(&fixture->queue, fixture->slots, sizeof fixture->slots[0], capacity, start));
}

/* Writes up to count slots through as many reservations as it takes; returns how many fit. */
static uint32_t put(struct fixture *fixture, uint32_t count)
{
	uint32_t done = 0;

	while (done < count) {
		void *span;
		uint32_t got = spsc_reserve(&fixture->queue, count - done, &span);
		uint32_t *slots = span;

		if (got == 0)
			break;
		if (got > count - done)
			got = count - done;
		for (uint32_t i = 0; i < got; i++)
			slots[i] = fixture->next_in++;
		spsc_commit(&fixture->queue, got);
		done += got;
	}
	return done;
}

/* Reads and checks up to count slots; returns how many there were. */
static uint32_t get(struct fixture *fixture, uint32_t count)
{
	uint32_t done = 0;

	while (done < count) {
		void *span;
		uint32_t got = spsc_peek(&fixture->queue, count - done, &span);
		const uint32_t *slots = span;

		if (got == 0)
			break;
		if (got > count - done)
			got = count - done;
		for (uint32_t i = 0; i < got; i++)
			assert_int_equal(slots[i], fixture->next_out++);
		spsc_release(&fixture->queue, got);
		done += got;
	}
	return done;
}

static void test_init_refuses(void **state)
{
	struct spsc queue;
	uint32_t slot;

	(void)state;
	memset(&queue, 0xa5, sizeof queue);
	assert_false(spsc_init(&queue, NULL, 4, 4, 0));
	assert_false(spsc_init(&queue, &slot, 0, 4, 0));
	assert_false(spsc_init(&queue, &slot, 4, 0, 0));
	assert_false(spsc_init(&queue, &slot, 4, 3, 0));
	assert_false(spsc_init(&queue, &slot, 4, 6, 0));
	assert_false(spsc_init(&queue, &slot, 4, (UINT32_C(1) << 31) + 1, 0));
	assert_false(spsc_init(&queue, &slot, 4, UINT32_MAX, 0));
	for (size_t i = 0; i < sizeof queue; i++)
		assert_int_equal(((unsigned char *)&queue)[i], 0xa5); /* and touches nothing */
	/* The largest capacity is one; no slot of it is touched. */
	assert_true(spsc_init(&queue, &slot, 4, UINT32_C(1) << 31, 0));
	assert_true(spsc_capacity(&queue) == UINT32_C(1) << 31);
	assert_true(spsc_init(&queue, &slot, 4, 1, 0));
}

/* Every capacity x every phase x every fill level: fills to it, sees exactly that much, drains. */
static void test_levels(void **state)
{
	struct fixture fixture;
	void *span;

	(void)state;
	for (uint32_t capacity = 1; capacity <= CAPACITY_MAX; capacity *= 2) {
		for (size_t s = 0; s < START_COUNT; s++) {
			fixture_start(&fixture, capacity, starts[s]);
			for (uint32_t level = 0; level <= capacity; level++) {
				assert_int_equal(spsc_used(&fixture.queue), 0);
				assert_int_equal(spsc_peek(&fixture.queue, 1, &span), 0);
				assert_int_equal(put(&fixture, level), level);
				assert_int_equal(spsc_used(&fixture.queue), level);
				assert_int_equal(put(&fixture, capacity), capacity - level);
				assert_int_equal(spsc_reserve(&fixture.queue, 1, &span), 0);
				assert_int_equal(spsc_used(&fixture.queue), capacity);
				assert_int_equal(get(&fixture, capacity), capacity);
				/* The next level starts in another phase of the array. */
				assert_int_equal(put(&fixture, 1), 1);
				assert_int_equal(get(&fixture, 1), 1);
			}
		}
	}
}

/* A span never crosses the array's edge, and what lies behind the edge comes with the next call. */
static void test_spans_end_at_the_edge(void **state)
{
	struct fixture fixture;
	void *first, *second;

	(void)state;
	for (uint32_t capacity = 2; capacity <= CAPACITY_MAX; capacity *= 2) {
		for (uint32_t phase = 1; phase < capacity; phase++) {
			fixture_start(&fixture, capacity,
				      0u - phase); /* the counters wrap where the array does */
			assert_int_equal(spsc_reserve(&fixture.queue, capacity, &first), phase);
			assert_ptr_equal(first, &fixture.slots[capacity - phase]);
			spsc_commit(&fixture.queue, phase);
			assert_int_equal(spsc_reserve(&fixture.queue, capacity, &second), capacity - phase);
			assert_ptr_equal(second, &fixture.slots[0]);
			spsc_commit(&fixture.queue, capacity - phase);
			assert_int_equal(spsc_reserve(&fixture.queue, 1, &second), 0);

			assert_int_equal(spsc_peek(&fixture.queue, capacity, &first), phase);
			assert_ptr_equal(first, &fixture.slots[capacity - phase]);
			assert_int_equal(spsc_peek_from(&fixture.queue, phase, capacity, &second),
					 capacity - phase);
			assert_ptr_equal(second, &fixture.slots[0]);
		}
	}
}

static void test_partial_commit_and_release(void **state)
{
	struct fixture fixture;
	void *span;

	(void)state;
	for (size_t s = 0; s < START_COUNT; s++) {
		fixture_start(&fixture, 8, 0); /* phase 0, so that spans are whole */
		fixture.queue.head_seen = fixture.queue.tail_seen = starts[s] & ~7u;
		atomic_init(&fixture.queue.head, starts[s] & ~7u);
		atomic_init(&fixture.queue.tail, starts[s] & ~7u);

		assert_int_equal(spsc_reserve(&fixture.queue, 8, &span), 8);
		for (uint32_t i = 0; i < 8; i++)
			((uint32_t *)span)[i] = i;
		spsc_commit(&fixture.queue, 3);
		assert_int_equal(spsc_used(&fixture.queue), 3);
		/* What was written but not committed is not seen, and is reserved again at the same place. */
		assert_int_equal(spsc_peek(&fixture.queue, 8, &span), 3);
		assert_int_equal(spsc_reserve(&fixture.queue, 8, &span), 5);
		assert_ptr_equal(span, &fixture.slots[3]);
		spsc_commit(&fixture.queue, 0); /* nothing: nothing changes */
		assert_int_equal(spsc_used(&fixture.queue), 3);
		spsc_commit(&fixture.queue, 5);

		assert_int_equal(spsc_peek(&fixture.queue, 8, &span), 8);
		spsc_release(&fixture.queue, 2);
		assert_int_equal(spsc_used(&fixture.queue), 6);
		assert_int_equal(spsc_peek(&fixture.queue, 8, &span), 6);
		assert_ptr_equal(span, &fixture.slots[2]);
		assert_int_equal(((uint32_t *)span)[0], 2);
		spsc_release(&fixture.queue, 0);
		assert_int_equal(spsc_reserve(&fixture.queue, 8, &span), 2); /* only what was given back */
		assert_ptr_equal(span, &fixture.slots[0]);
	}
}

/* A reader that looks further while it holds slots back sees what is committed meanwhile, and no more. */
static void test_peek_from(void **state)
{
	struct fixture fixture;
	void *span;

	(void)state;
	for (size_t s = 0; s < START_COUNT; s++) {
		uint32_t held = 0;

		fixture_start(&fixture, 16, starts[s]);
		for (uint32_t round = 0; round < 16; round++) {
			assert_int_equal(spsc_peek_from(&fixture.queue, held, 1, &span), 0);
			assert_int_equal(put(&fixture, 1), 1);
			assert_int_equal(spsc_peek_from(&fixture.queue, held, 1, &span), 1);
			assert_int_equal(*(uint32_t *)span, held);
			held++;
		}
		assert_int_equal(put(&fixture, 1), 0); /* looking gives nothing back */
		assert_int_equal(spsc_peek_from(&fixture.queue, 16, 1, &span), 0);
		assert_int_equal(get(&fixture, 16), 16);
	}
}

/* want is only about when to look at the shared line: what is known already is handed out without a look. */
static void test_cached_view(void **state)
{
	struct fixture fixture;
	void *span;

	(void)state;
	fixture_start(&fixture, 8, 0);
	assert_int_equal(put(&fixture, 4), 4);
	assert_int_equal(spsc_peek(&fixture.queue, 1, &span), 4);
	assert_int_equal(put(&fixture, 4), 4);
	assert_int_equal(spsc_peek(&fixture.queue, 4, &span), 4); /* enough is known: no look */
	assert_int_equal(spsc_peek(&fixture.queue, 5, &span), 8);
	assert_int_equal(spsc_reserve(&fixture.queue, 1, &span), 0);
	spsc_release(&fixture.queue, 4);
	assert_int_equal(spsc_reserve(&fixture.queue, 1, &span), 4);
	spsc_release(&fixture.queue, 4);
	assert_int_equal(spsc_reserve(&fixture.queue, 4, &span), 4);
	assert_int_equal(spsc_reserve(&fixture.queue, 5, &span), 8);
}

/* Random moves against a model that counts in 64 bits, for every capacity and start. */
static void test_model(void **state)
{
	(void)state;
	for (uint32_t capacity = 1; capacity <= CAPACITY_MAX; capacity *= 2) {
		for (size_t s = 0; s < START_COUNT; s++) {
			struct fixture fixture;
			uint64_t in = 0, out = 0;
			unsigned seed = capacity * 31 + (unsigned)s;

			fixture_start(&fixture, capacity, starts[s]);
			for (int step = 0; step < 2000; step++) {
				uint32_t count = (uint32_t)rand_r(&seed) % (capacity + 2);
				uint64_t room = capacity - (in - out);

				if (rand_r(&seed) & 1) {
					uint32_t done = put(&fixture, count);

					assert_int_equal(done, count < room ? count : room);
					in += done;
				} else {
					uint32_t done = get(&fixture, count);

					assert_int_equal(done, count < in - out ? count : in - out);
					out += done;
				}
				assert_int_equal(spsc_used(&fixture.queue), in - out);
			}
		}
	}
}

/* Slots of any size keep their bytes, and the neighbour's. */
static void test_slot_sizes(void **state)
{
	static const uint32_t sizes[] = { 1, 3, 4, 8, 12, 64, 100, 128, 4096 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint32_t size = sizes[i];
		unsigned char *memory = malloc(8u * size);
		struct spsc queue;
		void *span;

		assert_non_null(memory);
		assert_true(spsc_init(&queue, memory, size, 8, UINT32_MAX - 5));
		for (uint32_t n = 0; n < 40; n++) {
			assert_true(spsc_reserve(&queue, 1, &span) >= 1);
			memset(span, (int)(n & 0xff), size);
			spsc_commit(&queue, 1);
			if (n % 5 < 3)
				continue;
			while (spsc_peek(&queue, 1, &span) > 0) {
				const unsigned char *bytes = span;

				for (uint32_t b = 1; b < size; b++)
					assert_int_equal(bytes[b], bytes[0]);
				spsc_release(&queue, 1);
			}
		}
		free(memory);
	}
}

/* The producer's, the consumer's and the read-only state are on lines of their own. */
static void test_layout(void **state)
{
	(void)state;
	assert_true(offsetof(struct spsc, tail) / RINGBUF_ISOLATION !=
		    offsetof(struct spsc, mask) / RINGBUF_ISOLATION);
	assert_true(offsetof(struct spsc, head) / RINGBUF_ISOLATION !=
		    offsetof(struct spsc, tail) / RINGBUF_ISOLATION);
	assert_true(offsetof(struct spsc, head_seen) / RINGBUF_ISOLATION ==
		    offsetof(struct spsc, tail) / RINGBUF_ISOLATION);
	assert_true(offsetof(struct spsc, tail_seen) / RINGBUF_ISOLATION ==
		    offsetof(struct spsc, head) / RINGBUF_ISOLATION);
	assert_int_equal(sizeof(struct spsc) % RINGBUF_ISOLATION, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_refuses),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_spans_end_at_the_edge),
		cmocka_unit_test(test_partial_commit_and_release),
		cmocka_unit_test(test_peek_from),
		cmocka_unit_test(test_cached_view),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_slot_sizes),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
