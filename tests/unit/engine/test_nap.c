/* A source that wakes for each packet is let gather: while packets trickle in the worker naps. What it has goes to
 * the writer all the same, at once when somebody watches, and stopping does not wait for the trickle's end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/clock.h"
#include "engine/engine.h"

#define NAP_US 50
#define PACKETS 4000

/* One packet for each nap, without end or until `packets`; never more at once. */
struct trickle {
	struct source source;
	uint64_t packets; /* 0: without end */
	bool gave;        /* and has nothing until the worker comes again */
	_Atomic uint64_t handed_out;
	bool stopped;
};

static const uint8_t packet[60] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

static int trickle_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct trickle *trickle = (struct trickle *)source;
	uint64_t number = atomic_load_explicit(&trickle->handed_out, memory_order_relaxed);

	trickle->gave = !trickle->gave;
	if (!trickle->gave || trickle->stopped)
		return 0;
	if (trickle->packets > 0 && number == trickle->packets)
		return -ENODATA;
	frames[0] = (struct frame){ .data = packet, .timestamp_ns = clock_wall_ns(), .captured_len = sizeof packet,
				    .wire_len = sizeof packet, .flags = FRAME_LAST_OF_SPAN, .link_type = LINK_ETHERNET };
	atomic_store_explicit(&trickle->handed_out, number + 1, memory_order_relaxed);
	return 1;
}

static void trickle_release(struct source *source, uint32_t span)
{
}

static bool trickle_empty(struct source *source)
{
	return true;
}

static void trickle_stop(struct source *source)
{
	((struct trickle *)source)->stopped = true;
}

static void trickle_stats(struct source *source, struct source_stats *stats)
{
	stats->seen = stats->handed_out =
		atomic_load_explicit(&((struct trickle *)source)->handed_out, memory_order_relaxed);
}

static void trickle_close(struct source *source)
{
	close(source->fd);
}

static const struct source_ops trickle_ops = {
	.name = "trickle",
	.rx_burst = trickle_rx_burst,
	.release = trickle_release,
	.empty = trickle_empty,
	.stop = trickle_stop,
	.stats = trickle_stats,
	.close = trickle_close,
};

struct counting {
	struct sink sink;
	_Atomic uint64_t records;
	uint64_t batches;
};

static int counting_write(struct sink *sink, const struct batch *batch)
{
	struct counting *counting = (struct counting *)sink;

	counting->batches++;
	atomic_fetch_add(&counting->records, batch->count);
	return 0;
}

static void counting_close(struct sink *sink)
{
}

static const struct sink_ops counting_ops = { .name = "counting", .write = counting_write, .close = counting_close };

struct run {
	struct trickle trickle;
	struct counting counting;
	struct interface_table *table;
	struct engine *engine;
};

static void run_start(struct run *run, uint64_t packets, bool prompt)
{
	const struct engine_config config = { 0 };
	struct interface interface = { .link_type = LINK_ETHERNET, .name = "trickle" };
	struct source *source = &run->trickle.source;
	struct sink *sink = &run->counting.sink;
	struct error error = { 0 };

	memset(run, 0, sizeof *run);
	run->trickle = (struct trickle){
		.source = { .ops = &trickle_ops, .fd = eventfd(0, EFD_NONBLOCK), .live = true, .span_count = 1,
			    .drain_ms = 1000, .coalesce_us = NAP_US },
		.packets = packets,
	};
	run->counting.sink = (struct sink){ .ops = &counting_ops, .needs = SINK_NEEDS_RECORD, .prompt = prompt };
	assert_int_equal(interface_table_create(&run->table, &error), 0);
	assert_int_equal(interface_table_add(run->table, &interface, &source->interface), 0);
	assert_int_equal(engine_create(&config, run->table, &source, 1, &sink, 1, &run->engine, &error), 0);
	assert_int_equal(engine_start(run->engine, &error), 0);
}

static void run_end(struct run *run)
{
	struct ledger ledger;

	assert_int_equal(engine_wait(run->engine, 30000), 1);
	assert_int_equal(engine_ledger(run->engine, &ledger), 0);
	assert_true(ledger.balanced);
	assert_int_equal(ledger.written, atomic_load(&run->trickle.handed_out));
	assert_int_equal(ledger.written, atomic_load(&run->counting.records));
	ledger_close(&ledger);
	engine_close(run->engine);
	interface_table_close(run->table);
}

/* Far fewer than would wake the writer by their number, and the worker never sleeps. */
static void test_a_trickle_reaches_the_writer(void **state)
{
	struct run run;

	run_start(&run, 0, false);
	while (atomic_load_explicit(&run.trickle.handed_out, memory_order_relaxed) < 1000)
		usleep(1000);
	assert_true(atomic_load(&run.counting.records) > 0);
	engine_stop(run.engine);
	run_end(&run);
}

static void test_who_watches_gets_it_at_once(void **state)
{
	struct run watched, unwatched;

	run_start(&watched, PACKETS, true);
	run_end(&watched);
	run_start(&unwatched, PACKETS, false);
	run_end(&unwatched);
	/* A batch for nearly each packet, and for a millisecond of them. */
	assert_true(watched.counting.batches > PACKETS / 4);
	assert_true(unwatched.counting.batches < watched.counting.batches / 4);
	assert_true(unwatched.counting.batches >= PACKETS / 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_trickle_reaches_the_writer),
		cmocka_unit_test(test_who_watches_gets_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
