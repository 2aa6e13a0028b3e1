/* The AF_XDP pool on plain memory: a model of the kernel fills rx rings and takes from fill rings, no root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/sources/afxdp_pool.h"
#include "engine/uapi.h"

#define CHUNK 2048u
#define HEADROOM 256u
#define RX_SIZE 64u
#define SIDE_STRIDE 4096u

struct model {
	struct afxdp_pool pool;
	uint32_t rx_producer, rx_consumer, fill_producer, fill_consumer, fill_flags;
	struct xdp_desc rx[RX_SIZE];
	uint64_t *fill;
	uint32_t sent, dropped;
	bool stamps;
};

static void model_open(struct model *model, uint32_t chunks, uint32_t share, uint32_t side, bool unaligned)
{
	struct afxdp_pool *pool = &model->pool;

	memset(model, 0, sizeof *model);
	pool->chunk_size = unaligned ? 3000 : CHUNK;
	pool->chunk_count = chunks;
	pool->share = share;
	pool->side_count = side;
	pool->side_stride = SIDE_STRIDE;
	pool->side = calloc(side + 1, SIDE_STRIDE);
	pool->area = calloc(chunks, pool->chunk_size);
	pool->snap_length = 65535;
	pool->interface = 3;
	memcpy(pool->mac, "\2\0\0\0\0\1", 6);
	pool->clock.clock = CLOCK_MONOTONIC;
	afxdp_clock_sample(&pool->clock);
	model->fill = calloc(2 * chunks, sizeof *model->fill);
	pool->fill = (struct xsk_ring_prod){ .mask = 2 * chunks - 1, .size = 2 * chunks, .cached_cons = 2 * chunks,
					     .producer = &model->fill_producer, .consumer = &model->fill_consumer,
					     .flags = &model->fill_flags, .ring = model->fill };
	pool->rx = (struct xsk_ring_cons){ .mask = RX_SIZE - 1, .size = RX_SIZE, .producer = &model->rx_producer,
					   .consumer = &model->rx_consumer, .ring = model->rx };
	assert_int_equal(afxdp_pool_init(pool), 0);
	afxdp_pool_fill(pool);
	assert_int_equal(model->fill_producer, chunks);
	model->stamps = true;
}

static void model_close(struct model *model)
{
	free(model->pool.side);
	free(model->pool.area);
	free(model->fill);
	afxdp_pool_close(&model->pool);
}

/* The kernel takes a chunk off the fill ring; a chunk that is not its own there is a bug of ours. */
static bool take_chunk(struct model *model, uint32_t *chunk)
{
	const struct afxdp_pool *pool = &model->pool;
	uint64_t address;

	if (model->fill_consumer == model->fill_producer)
		return false;
	address = model->fill[model->fill_consumer++ & pool->fill.mask];
	assert_int_equal(address % pool->chunk_size, 0);
	*chunk = (uint32_t)(address / pool->chunk_size);
	assert_true(*chunk < pool->chunk_count);
	return true;
}

/* One frame of so many descs, its number in every fragment. False, and counted: no room. */
static bool deliver(struct model *model, unsigned descs, uint32_t length_each, bool unaligned)
{
	const struct afxdp_pool *pool = &model->pool;

	if (RX_SIZE - (model->rx_producer - model->rx_consumer) < descs ||
	    model->fill_producer - model->fill_consumer < descs) {
		model->dropped++;
		return false;
	}
	for (unsigned i = 0; i < descs; i++) {
		struct xdp_desc *desc = &model->rx[model->rx_producer++ % RX_SIZE];
		struct afxdp_stamp stamp = { .time_ns = clock_monotonic_ns() };
		uint32_t chunk = 0;
		uint8_t *data;

		assert_true(take_chunk(model, &chunk));
		data = pool->area + (uint64_t)chunk * pool->chunk_size + HEADROOM;
		if (i == 0 && model->stamps)
			memcpy(data - sizeof stamp, &stamp, sizeof stamp);
		memset(data, (int)(0x10 + i), length_each);
		memcpy(data, i == 0 ? "\2\0\0\0\0\1" : "\0", i == 0 ? 6 : 1);
		memcpy(data + 20, &model->sent, sizeof model->sent);
		desc->addr = (uint64_t)chunk * pool->chunk_size;
		desc->addr += unaligned ? (uint64_t)HEADROOM << XSK_UNALIGNED_BUF_OFFSET_SHIFT : HEADROOM;
		desc->len = length_each;
		desc->options = i + 1 < descs ? XDP_PKT_CONTD : 0;
	}
	model->sent++;
	return true;
}

static uint32_t number_of(const struct frame *frame)
{
	uint32_t number;

	memcpy(&number, frame->data + 20, sizeof number);
	return number;
}

/* All chunks are on the fill ring, each once. */
static void all_home(const struct model *model)
{
	const struct afxdp_pool *pool = &model->pool;
	uint8_t *seen = calloc(pool->chunk_count, 1);

	assert_int_equal(model->fill_producer - model->fill_consumer, pool->chunk_count);
	for (uint32_t at = model->fill_consumer; at != model->fill_producer; at++) {
		uint64_t chunk = model->fill[at & pool->fill.mask] / pool->chunk_size;

		assert_false(seen[chunk]);
		seen[chunk] = 1;
	}
	assert_int_equal(pool->side_free_count, pool->side_count);
	assert_int_equal(pool->held, 0);
	free(seen);
}

static void a_frame_comes_and_goes(void **state)
{
	struct model model;
	struct frame frames[SOURCE_BURST];
	uint64_t now = clock_wall_ns();

	model_open(&model, 64, 32, 0, false);
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 0);
	deliver(&model, 1, 60, false);
	assert_true(afxdp_pool_waiting(&model.pool));
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
	assert_int_equal(frames[0].captured_len, 60);
	assert_int_equal(frames[0].wire_len, 60);
	assert_int_equal(frames[0].interface, 3);
	assert_int_equal(frames[0].flags, FRAME_LAST_OF_SPAN | 1);
	assert_in_range(frames[0].timestamp_ns, now - 1000000, now + 1000000000);
	assert_int_equal(model.pool.held, 1);
	afxdp_pool_release(&model.pool, frames[0].span);
	all_home(&model);
	model_close(&model);
}

static void the_snap_length_cuts(void **state)
{
	struct model model;
	struct frame frames[SOURCE_BURST];

	model_open(&model, 64, 32, 4, false);
	model.pool.snap_length = 100;
	deliver(&model, 1, 1000, false);
	deliver(&model, 3, 1000, false);
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 2);
	assert_int_equal(frames[0].captured_len, 100);
	assert_int_equal(frames[0].wire_len, 1000);
	/* Within the first fragment: nothing to put together. */
	assert_int_equal(frames[1].captured_len, 100);
	assert_int_equal(frames[1].wire_len, 3000);
	assert_false(frames[1].flags & FRAME_MORE_FRAGMENTS);
	afxdp_pool_release(&model.pool, frames[0].span);
	all_home(&model);
	model_close(&model);
}

static void stamps_are_read_once(void **state)
{
	struct model model;
	struct frame frames[SOURCE_BURST];

	model_open(&model, 4, 4, 0, false);
	for (unsigned i = 0; i < 8; i++) {
		deliver(&model, 1, 60, false);
		assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
		afxdp_pool_release(&model.pool, frames[0].span);
	}
	assert_int_equal(model.pool.unstamped, 0);
	/* The same chunks again, from a driver that stores none: their old stamps do not count. */
	model.stamps = false;
	for (unsigned i = 0; i < 8; i++) {
		deliver(&model, 1, 60, false);
		assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
		afxdp_pool_release(&model.pool, frames[0].span);
	}
	assert_int_equal(model.pool.unstamped, 8);
	model_close(&model);
}

/* A driver may have something of its own in front of packets; a process may have been stopped for minutes. */
static void only_what_may_be_a_time_is_a_stamp(void **state)
{
	const uint64_t minute = UINT64_C(60000000000), now = clock_monotonic_ns();
	const struct {
		uint64_t stamp;
		bool believed;
	} cases[] = {
		{ now, true }, { now - 1000, true }, { now > 5 * minute ? now - 5 * minute : 1, true },
		{ 0, false }, { UINT64_MAX, false }, { now + 60 * minute, false }, { UINT64_C(0x0123456789abcdef), false },
		{ UINT64_C(1) << 63, false },
	};
	struct model model;
	struct frame frames[SOURCE_BURST];

	model_open(&model, 64, 32, 0, false);
	model.stamps = false;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t unstamped = model.pool.unstamped, wall = clock_wall_ns();
		uint64_t next = model.fill[model.fill_consumer & model.pool.fill.mask] + HEADROOM;

		memcpy(model.pool.area + next - sizeof cases[i].stamp, &cases[i].stamp, sizeof cases[i].stamp);
		deliver(&model, 1, 60, false);
		assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
		assert_int_equal(model.pool.unstamped - unstamped, !cases[i].believed);
		if (!cases[i].believed)
			assert_in_range(frames[0].timestamp_ns, wall, wall + 10 * minute);
		afxdp_pool_release(&model.pool, frames[0].span);
	}
	model_close(&model);
}

/* Stamps go on and on: the offset to the wall clock is sampled again, and no stamp is lost. */
static void the_clock_is_sampled_again(void **state)
{
	struct model model;
	struct frame frames[SOURCE_BURST];
	uint64_t sampled;

	model_open(&model, 64, 32, 0, false);
	sampled = model.pool.clock.sampled_ns;
	model.pool.clock.window_ns -= 2 * AFXDP_CLOCK_PERIOD_NS; /* as if it had been that long ago */
	deliver(&model, 1, 60, false);
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
	assert_true(model.pool.clock.sampled_ns > sampled);
	assert_int_equal(model.pool.unstamped, 0);
	afxdp_pool_release(&model.pool, frames[0].span);
	model_close(&model);
}

static void the_share_then_the_side_pool_then_nothing(void **state)
{
	struct model model;
	struct frame frames[3][SOURCE_BURST];
	unsigned counts[3];

	model_open(&model, 64, 10, 5, false);
	for (unsigned i = 0; i < 20; i++)
		assert_true(deliver(&model, 1, 60, false));
	counts[0] = afxdp_pool_rx(&model.pool, frames[0], 8);
	counts[1] = afxdp_pool_rx(&model.pool, frames[1], SOURCE_BURST);
	counts[2] = afxdp_pool_rx(&model.pool, frames[2], SOURCE_BURST);
	assert_int_equal(counts[0], 8);
	assert_int_equal(counts[1], 7); /* two chunks, five copies */
	assert_int_equal(counts[2], 0);
	assert_int_equal(model.pool.side_copies, 5);
	assert_int_equal(model.pool.blocked, 2);
	assert_false(afxdp_pool_has_room(&model.pool));
	assert_true(afxdp_pool_waiting(&model.pool));
	/* Only what is held, or in the rx ring, is away from the fill ring. */
	assert_int_equal(model.fill_producer - model.fill_consumer, 64 - 10 - 5);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(number_of(&frames[1][i]), 8 + i);
	afxdp_pool_release(&model.pool, frames[1][0].span);
	assert_int_equal(afxdp_pool_rx(&model.pool, frames[2], SOURCE_BURST), 5);
	assert_int_equal(number_of(&frames[2][0]), 15);
	assert_int_equal(number_of(&frames[0][7]), 7);
	afxdp_pool_release(&model.pool, frames[2][0].span);
	afxdp_pool_release(&model.pool, frames[0][0].span);
	all_home(&model);
	model_close(&model);
}

static void frames_of_several_descs(void **state)
{
	struct model model;
	struct frame frames[SOURCE_BURST];

	model_open(&model, 64, 32, 3, false);
	deliver(&model, 3, 1000, false);
	deliver(&model, 1, 60, false);
	deliver(&model, 5, 1000, false); /* longer than a side slot */
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 3);
	assert_int_equal(frames[0].captured_len, 3000);
	assert_int_equal(frames[0].data[1001], 0x11);
	assert_int_equal(frames[0].data[2999], 0x12);
	assert_int_equal(frames[1].captured_len, 60);
	assert_int_equal(frames[2].captured_len, SIDE_STRIDE);
	assert_int_equal(frames[2].wire_len, 5000);
	assert_int_equal(model.pool.joined, 2);
	afxdp_pool_release(&model.pool, frames[0].span);
	all_home(&model);

	model.pool.headers_only = true;
	deliver(&model, 3, 1000, false);
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
	assert_true(frames[0].flags & FRAME_MORE_FRAGMENTS);
	assert_int_equal(frames[0].fragment_len, 1000);
	assert_int_equal(frames[0].captured_len, 3000);
	assert_int_equal(model.pool.held, 1);
	afxdp_pool_release(&model.pool, frames[0].span);
	all_home(&model);
	model_close(&model);
}

/* The end of a frame is not there yet: it waits, and comes whole. */
static void half_a_frame(void **state)
{
	struct model model;
	struct frame frames[SOURCE_BURST];

	model_open(&model, 64, 32, 3, false);
	deliver(&model, 1, 60, false);
	deliver(&model, 4, 500, false);
	model.rx_producer -= 2;
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
	afxdp_pool_release(&model.pool, frames[0].span);
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 0);
	model.rx_producer += 2;
	assert_int_equal(afxdp_pool_rx(&model.pool, frames, SOURCE_BURST), 1);
	assert_int_equal(frames[0].wire_len, 2000);
	afxdp_pool_release(&model.pool, frames[0].span);
	all_home(&model);
	model_close(&model);
}

/* A million steps of kernel, worker and writer in any order: nothing lost, doubled or out of order. */
static void any_order(uint32_t chunks, uint32_t share, uint32_t side, bool unaligned, unsigned steps)
{
	struct model model;
	struct frame frames[SOURCE_BURST];
	uint32_t spans[256], span_count = 0, next = 0;
	uint64_t dice = 12345;

	model_open(&model, chunks, share, side, unaligned);
	for (unsigned step = 0; step < steps; step++) {
		dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
		switch (dice >> 60) {
		case 0:
		case 1:
		case 2:
		case 3:
		case 4:
		case 5:
		case 6:
			deliver(&model, (dice >> 40) % 8 == 0 ? 2 + (dice >> 20) % 3 : 1, 64 + (dice >> 30) % 900,
				unaligned);
			break;
		case 7:
		case 8:
		case 9:
			if (span_count < 256) {
				unsigned count = afxdp_pool_rx(&model.pool, frames, 1 + (dice >> 50) % SOURCE_BURST);

				for (unsigned i = 0; i < count; i++) {
					assert_int_equal(number_of(&frames[i]), next++);
					assert_int_equal(frames[i].span, frames[0].span);
					assert_int_equal(!!(frames[i].flags & FRAME_LAST_OF_SPAN), i + 1 == count);
				}
				if (count > 0)
					spans[span_count++] = frames[0].span;
			}
			break;
		default:
			if (span_count > 0) {
				unsigned which = (unsigned)((dice >> 33) % span_count);

				afxdp_pool_release(&model.pool, spans[which]);
				spans[which] = spans[--span_count];
			}
		}
		assert_true(model.pool.held <= share);
	}
	for (;;) {
		unsigned count;

		while (span_count > 0)
			afxdp_pool_release(&model.pool, spans[--span_count]);
		count = afxdp_pool_rx(&model.pool, frames, SOURCE_BURST);
		if (count == 0)
			break;
		next += count;
		spans[span_count++] = frames[0].span;
	}
	assert_int_equal(next, model.sent);
	assert_int_equal(model.pool.handed_out, model.sent);
	assert_true(model.sent > steps / 10);
	all_home(&model);
	model_close(&model);
}

static void in_any_order(void **state)
{
	any_order(64, 32, 8, false, 500000);
	any_order(32, 8, 2, false, 200000);
	any_order(128, 100, 50, true, 300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_and_goes),
		cmocka_unit_test(the_snap_length_cuts),
		cmocka_unit_test(stamps_are_read_once),
		cmocka_unit_test(only_what_may_be_a_time_is_a_stamp),
		cmocka_unit_test(the_clock_is_sampled_again),
		cmocka_unit_test(the_share_then_the_side_pool_then_nothing),
		cmocka_unit_test(frames_of_several_descs),
		cmocka_unit_test(half_a_frame),
		cmocka_unit_test(in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
