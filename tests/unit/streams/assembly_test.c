/* Reassembly by sequence numbers against a plain model: an array with one flag for each byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/flow/assembly.h"
#include "tests/analytics/sample.h"

#define STREAM 4096u

struct model {
	uint8_t seen[STREAM]; /* how often a piece showed this byte */
	uint64_t run, missing;
	uint32_t seq_of_segment, base;
};

static void on_run(void *context, uint32_t bytes)
{
	((struct model *)context)->run += bytes;
}

static void on_missing(void *context, uint32_t bytes)
{
	((struct model *)context)->missing += bytes;
}

static void on_piece(void *context, uint32_t from, uint32_t length, uint64_t offset)
{
	struct model *model = context;

	/* The piece's place in the stream is that of its bytes in the segment. */
	assert_int_equal((uint32_t)offset, model->seq_of_segment + from - model->base);
	for (uint32_t i = 0; i < length; i++)
		model->seen[offset + i]++;
}

/* Random segments over a stream, with a base near the wrap: delivered in order are exactly the bytes up to
 * the first that never came, each byte is shown once, and nothing is missing before the end. */
static void test_random(void **state)
{
	uint64_t random = 11, held_most = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct model model = { .base = (uint32_t)sample_random(&random) };
		struct assembly_events events = { on_run, on_missing, on_piece, &model };
		struct assembly_counts counts = { 0 };
		struct assembly direction = { 0 };
		struct assembly_pool pool;
		uint8_t came[STREAM] = { 0 };
		uint32_t first = 0, distinct = 0;
		uint64_t given = 0;

		if (round % 2)
			model.base = UINT32_MAX - (uint32_t)(sample_random(&random) % STREAM);
		assert_int_equal(assembly_pool_create(&pool, 1000), 0);
		assembly_segment(&pool, &direction, model.base - 1, 0, true, false, 1, &events, &counts);
		for (unsigned i = 0; i < 60; i++) {
			uint32_t from = (uint32_t)(sample_random(&random) % (STREAM - 300));
			uint32_t length = (uint32_t)(sample_random(&random) % 300);

			model.seq_of_segment = model.base + from;
			assembly_segment(&pool, &direction, model.base + from, length, false, false, 1,
					 &events, &counts);
			memset(came + from, 1, length);
			given += length;
			while (first < STREAM && came[first])
				first++;
			assert_int_equal(model.run, first);
			assert_int_equal(model.missing, 0);
			assert_int_equal(assembly_base(&direction), model.base);
		}
		if (pool.most > held_most)
			held_most = pool.most;
		for (unsigned i = 0; i < STREAM; i++) {
			assert_int_equal(model.seen[i], came[i]);
			distinct += came[i];
		}
		assert_int_equal(counts.duplicate_bytes, given - distinct);
		assembly_end(&pool, &direction, &events);
		assert_int_equal(model.run, distinct);
		assert_int_equal(pool.used, 0);
		assembly_pool_close(&pool);
	}
	assert_true(held_most > 8);
}

/* The bounds: ranges of one direction, and a pool that others have emptied. */
static void test_bounds(void **state)
{
	struct model model = { .base = 0 };
	struct assembly_events events = { on_run, on_missing, NULL, &model };
	struct assembly_counts counts = { 0 };
	struct assembly direction = { 0 }, other = { 0 };
	struct assembly_pool pool;

	(void)state;
	assert_int_equal(assembly_pool_create(&pool, ASSEMBLY_RANGES + 1), 0);
	assembly_segment(&pool, &direction, 0, 1, false, false, 1, &events, &counts);
	for (uint32_t i = 1; i <= ASSEMBLY_RANGES; i++)
		assembly_segment(&pool, &direction, i * 10, 1, false, false, 1, &events, &counts);
	assert_int_equal(direction.held_count, ASSEMBLY_RANGES);
	assert_int_equal(model.missing, 0);
	assembly_segment(&pool, &direction, (ASSEMBLY_RANGES + 1) * 10, 1, false, false, 1, &events, &counts);
	assert_int_equal(direction.held_count, ASSEMBLY_RANGES);
	assert_int_equal(model.missing, 9);
	assert_int_equal(model.run, 2);

	model = (struct model){ 0 };
	assembly_segment(&pool, &other, 0, 1, false, false, 1, &events, &counts);
	assembly_segment(&pool, &other, 10, 1, false, false, 1, &events, &counts);
	assembly_segment(&pool, &other, 20, 1, false, false, 1, &events,
			 &counts); /* none is left: the first goes */
	assert_int_equal(model.missing, 9);
	assert_int_equal(model.run, 2);
	assert_int_equal(other.held_count, 1);
	assembly_segment(&pool, &other, 21 + ASSEMBLY_WINDOW + 1, 1, false, false, 1, &events, &counts);
	assert_int_equal(counts.out_of_window, 1);
	assert_int_equal(model.missing, 9);
	assembly_pool_close(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
