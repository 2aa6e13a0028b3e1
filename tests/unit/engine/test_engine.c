/* The whole pipeline on blocks in RAM: what goes in comes out, in order, with its bytes alive, and the ledger
 * balances, whatever the sinks do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/sources/memory.h"

#define PACKET_BYTES 60
#define START_NS UINT64_C(1700000000000000000)

/* A sink that checks what it gets. */
struct probe {
	struct sink sink;
	bool check_bytes;
	unsigned delay_us;         /* of each batch */
	uint64_t fail_after;       /* records; 0: never */
	uint64_t records;
	uint64_t last_ns;
	uint64_t disorder;
	uint64_t wrong_bytes;
	uint64_t wrong_count[8];   /* per interface: a sequence number that is not the next */
	uint64_t next[8];
	bool finished;
	uint64_t ledger_seen;
};

static int probe_write(struct sink *sink, const struct batch *batch)
{
	struct probe *probe = (struct probe *)sink;

	if (probe->delay_us > 0)
		usleep(probe->delay_us);
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct record *record = batch->records[i];
		uint64_t number = record->timestamp_ns - START_NS;

		probe->disorder += record->timestamp_ns < probe->last_ns;
		probe->last_ns = record->timestamp_ns;
		if (record->interface < 8) {
			probe->wrong_count[record->interface] += number / 8 != probe->next[record->interface];
			probe->next[record->interface]++;
		}
		if (probe->check_bytes) {
			uint64_t stored;

			if (sink_packet(record) == NULL || record->captured_length != PACKET_BYTES) {
				probe->wrong_bytes++;
				continue;
			}
			memcpy(&stored, sink_packet(record) + 42, sizeof stored);
			probe->wrong_bytes += stored != number;
		} else {
			probe->wrong_bytes += record->packet_offset != RECORD_NO_OFFSET;
		}
		probe->records++;
	}
	if (probe->fail_after > 0 && probe->records >= probe->fail_after)
		return error_set(&sink->error, -28, "the disk is full");
	return 0;
}

static int probe_finish(struct sink *sink, const struct ledger *ledger)
{
	struct probe *probe = (struct probe *)sink;

	probe->finished = true;
	probe->ledger_seen = ledger->seen;
	return 0;
}

/* The test owns its probes: they are looked at after the engine closed. */
static void probe_close(struct sink *sink)
{
}

static const struct sink_ops probe_ops = {
	.name = "probe",
	.write = probe_write,
	.finish = probe_finish,
	.close = probe_close,
};

static void probe_init(struct probe *probe, bool check_bytes)
{
	memset(probe, 0, sizeof *probe);
	probe->sink.ops = &probe_ops;
	probe->sink.needs = check_bytes ? SINK_NEEDS_PACKET : SINK_NEEDS_RECORD;
	probe->check_bytes = check_bytes;
	snprintf(probe->sink.label, sizeof probe->sink.label, "probe");
}

static void make_packet(uint8_t *bytes, uint64_t number)
{
	static const uint8_t head[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0x30, 0x39, 0, 53, 0, 26, 0, 0,
	};

	memset(bytes, 0, PACKET_BYTES);
	memcpy(bytes, head, sizeof head);
	memcpy(bytes + 42, &number, sizeof number);
}

/* A source of count packets; packet n of source i of sources has the number 8n + i, which is also its time. */
static struct source *make_source(struct interface_table *table, unsigned index, unsigned count, bool handshake,
				  bool live)
{
	struct memory_builder_options building = { .block_size = 4096, .reserve = BLOCK_RESERVE };
	struct memory_options options = { .loops = 1, .handshake = handshake, .poison = handshake, .live = live };
	struct interface interface = { .link_type = LINK_ETHERNET };
	struct memory_builder *builder;
	struct source *source;
	struct error error = { 0 };

	snprintf(interface.name, sizeof interface.name, "memory%u", index);
	assert_int_equal(interface_table_add(table, &interface, &options.walk.interface), 0);
	options.walk.link_type = LINK_ETHERNET;
	options.walk.snap_length = 65535;
	assert_int_equal(memory_builder_create(&building, &builder, &error), 0);
	for (unsigned n = 0; n < count; n++) {
		uint8_t bytes[PACKET_BYTES];
		uint64_t number = 8 * (uint64_t)n + index;
		struct memory_packet packet = {
			.data = bytes,
			.captured_len = PACKET_BYTES,
			.timestamp_ns = START_NS + number,
		};

		make_packet(bytes, number);
		assert_int_equal(memory_builder_append(builder, &packet), 0);
	}
	assert_int_equal(memory_open(builder, &options, &source, &error), 0);
	return source;
}

struct setup {
	unsigned sources;
	unsigned packets;      /* of each */
	bool handshake;
	bool live;
	struct engine_config config;
	struct probe *probes[2];
	unsigned probe_count;
	bool stop_at_once;
	bool abort_at_once;
};

/* Runs to the end; the ledger must balance. */
static int run(const struct setup *setup, struct ledger *ledger)
{
	struct interface_table *table;
	struct source *sources[8];
	struct sink *sinks[2];
	struct engine *engine;
	struct error error = { 0 };
	int result;

	assert_int_equal(interface_table_create(&table, &error), 0);
	for (unsigned i = 0; i < setup->sources; i++)
		sources[i] = make_source(table, i, setup->packets, setup->handshake, setup->live);
	for (unsigned i = 0; i < setup->probe_count; i++)
		sinks[i] = &setup->probes[i]->sink;
	assert_int_equal(engine_create(&setup->config, table, sources, setup->sources, sinks, setup->probe_count,
				       &engine, &error), 0);
	assert_int_equal(engine_start(engine, &error), 0);
	if (setup->stop_at_once)
		engine_stop(engine);
	if (setup->abort_at_once)
		engine_abort(engine);
	assert_int_equal(engine_wait(engine, 30000), 1);
	result = engine_result(engine, &error);
	assert_int_equal(engine_ledger(engine, ledger), 0);
	assert_true(ledger->final);
	assert_true(ledger->balanced);
	assert_int_equal(ledger->seen, ledger->written + ledger->filtered + ledger->lost);
	for (unsigned i = 0; i < setup->sources; i++) {
		assert_int_equal(memory_faults(sources[i]), 0);
		/* An abort may leave the span of the burst that it cut: it goes when the source is closed. */
		assert_true(memory_held(sources[i]) <= (setup->abort_at_once ? 1 : 0));
	}
	engine_close(engine);
	interface_table_close(table);
	return result;
}

static void expect_clean(const struct probe *probe, uint64_t records)
{
	assert_int_equal(probe->records, records);
	assert_int_equal(probe->wrong_bytes, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(probe->wrong_count[i], 0);
	assert_true(probe->finished);
}

static void test_packets_stay_alive_until_written(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 1, .packets = 20000, .handshake = true, .probes = { &probe }, .probe_count = 1 };

	probe_init(&probe, true);
	assert_int_equal(run(&setup, &ledger), 0);
	expect_clean(&probe, 20000);
	assert_int_equal(ledger.seen, 20000);
	assert_int_equal(ledger.lost, 0);
	assert_int_equal(probe.ledger_seen, 20000);
	ledger_close(&ledger);
}

static void test_records_alone_hold_no_packet(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 1, .packets = 20000, .handshake = true, .probes = { &probe }, .probe_count = 1 };

	probe_init(&probe, false);
	assert_int_equal(run(&setup, &ledger), 0);
	expect_clean(&probe, 20000);
	ledger_close(&ledger);
}

static void test_many_workers_one_order(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 5, .packets = 5000, .handshake = true, .probes = { &probe }, .probe_count = 1 };

	probe_init(&probe, true);
	assert_int_equal(run(&setup, &ledger), 0);
	expect_clean(&probe, 25000);
	assert_int_equal(probe.disorder, 0);
	assert_int_equal(ledger.late, 0);
	ledger_close(&ledger);
}

static void test_full_queue_makes_the_worker_wait(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 2, .packets = 3000, .handshake = true, .probes = { &probe }, .probe_count = 1 };

	setup.config.queue_capacity = 64;
	probe_init(&probe, true);
	probe.delay_us = 200;
	assert_int_equal(run(&setup, &ledger), 0);
	expect_clean(&probe, 6000);
	assert_true(ledger.rings[0].full_waits > 0);
	ledger_close(&ledger);
}

static void test_limit_means_the_first(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 2, .packets = 5000, .probes = { &probe }, .probe_count = 1 };

	setup.config.packet_limit = 1234;
	probe_init(&probe, true);
	assert_int_equal(run(&setup, &ledger), 0);
	expect_clean(&probe, 1234);
	assert_int_equal(probe.last_ns - START_NS, 8 * 616 + 1);
	assert_int_equal(ledger.written, 1234);
	assert_int_equal(ledger.lost, 0);
	ledger_close(&ledger);
}

static void test_one_sink_fails_the_other_goes_on(void **state)
{
	struct probe good, bad;
	struct ledger ledger;
	struct setup setup = { .sources = 1, .packets = 50000, .live = true, .probes = { &bad, &good }, .probe_count = 2 };

	probe_init(&good, true);
	probe_init(&bad, false);
	bad.sink.needs = SINK_NEEDS_PACKET;
	bad.check_bytes = true;
	bad.fail_after = 10;
	assert_int_equal(run(&setup, &ledger), -28);
	assert_int_equal(good.records, ledger.seen);
	assert_int_equal(good.wrong_bytes, 0);
	assert_true(good.finished);
	assert_false(bad.finished);
	assert_int_equal(ledger.lost, ledger.seen);
	assert_int_equal(ledger.sinks[0].shed, ledger.seen);
	assert_int_equal(ledger.sinks[1].shed, 0);
	ledger_close(&ledger);
}

static void test_stop_drains_what_is_there(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 2, .packets = 5000, .live = true, .probes = { &probe }, .probe_count = 1,
			       .stop_at_once = true };

	probe_init(&probe, true);
	assert_int_equal(run(&setup, &ledger), 0);
	assert_int_equal(probe.records, ledger.written);
	assert_int_equal(probe.wrong_bytes, 0);
	assert_int_equal(ledger.lost, 0);
	ledger_close(&ledger);
}

static void test_abort_counts_what_it_leaves(void **state)
{
	struct probe probe;
	struct ledger ledger;
	struct setup setup = { .sources = 3, .packets = 20000, .handshake = true, .probes = { &probe },
			       .probe_count = 1, .abort_at_once = true };

	setup.config.queue_capacity = 64;
	probe_init(&probe, true);
	probe.delay_us = 100;
	assert_int_equal(run(&setup, &ledger), 0);
	assert_int_equal(probe.records, ledger.written);
	assert_int_equal(probe.wrong_bytes, 0);
	assert_true(probe.finished);
	ledger_close(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_stay_alive_until_written),
		cmocka_unit_test(test_records_alone_hold_no_packet),
		cmocka_unit_test(test_many_workers_one_order),
		cmocka_unit_test(test_full_queue_makes_the_worker_wait),
		cmocka_unit_test(test_limit_means_the_first),
		cmocka_unit_test(test_one_sink_fails_the_other_goes_on),
		cmocka_unit_test(test_stop_drains_what_is_there),
		cmocka_unit_test(test_abort_counts_what_it_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
