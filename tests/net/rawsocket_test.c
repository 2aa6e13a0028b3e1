/* The raw socket backend over a veth pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend_support.h"
#include "decoders/decode.h"
#include "engine/clock.h"
#include "engine/sources/rawsocket.h"

struct seen {
	uint32_t next;    /* the number that must come next */
	uint32_t tagged;  /* frames whose tag was put back */
	uint32_t cut;
	uint16_t tci;
	uint64_t first_ns, last_ns; /* smallest and largest time */
};

static void note(void *context, const struct frame *frame)
{
	struct seen *seen = context;
	uint32_t number;

	assert_int_equal(frame->link_type, LINK_ETHERNET);
	if (frame->captured_len >= SEQUENCE_AT + sizeof number) {
		memcpy(&number, frame->data + SEQUENCE_AT, sizeof number);
		assert_int_equal(number, seen->next);
	}
	seen->next++;
	seen->cut += frame->captured_len < frame->wire_len;
	if (frame->flags & FRAME_TAG_RESTORED) {
		seen->tagged++;
		assert_int_equal(frame->data[12] << 8 | frame->data[13], 0x8100);
		seen->tci = (uint16_t)(frame->data[14] << 8 | frame->data[15]);
	}
	/* kernel: the first packets behind SO_TIMESTAMPNS may get the time of reading: not in order. */
	if (seen->first_ns == 0 || frame->timestamp_ns < seen->first_ns)
		seen->first_ns = frame->timestamp_ns;
	if (frame->timestamp_ns > seen->last_ns)
		seen->last_ns = frame->timestamp_ns;
}

static struct source *open_source(unsigned batch, const struct source_options *options,
				  struct interface_table **table)
{
	struct rawsocket_options rawsocket = { .batch = batch };
	struct error error = { 0 };
	struct source *source;

	assert_int_equal(interface_table_create(table, NULL), 0);
	if (rawsocket_open("weir0", &rawsocket, options, *table, &source, NULL, &error) < 0)
		fail_msg("%s (%s)", error.message, error.hint);
	assert_int_equal(source->ops->start(source, &error), 0);
	return source;
}

static void balanced(const struct source_stats *stats, uint64_t frames)
{
	assert_int_equal(stats->handed_out, frames);
	assert_int_equal(stats->handed_out, stats->seen - losses(stats));
}

static void capture(unsigned batch, uint32_t count, bool hold)
{
	struct source_options options = default_options();
	struct interface_table *table;
	struct seen seen = { 0 };
	struct walk walk = {
		.source = open_source(batch, &options, &table), .frame = note, .context = &seen, .hold = hold
	};
	struct source_stats stats;
	uint64_t before = clock_wall_ns();
	int sender = sender_open("weir1");

	/* In bursts that a slow machine's backlog holds (net.core.netdev_max_backlog). */
	for (uint32_t sent = 0; sent < count; sent += 500) {
		send_sequence(sender, sent, 500, 60, 53, 0);
		assert_int_equal(walk_until(&walk, sent + 500, 5000), sent + 500);
	}
	walk_drain(&walk, &stats);
	balanced(&stats, count);
	assert_int_equal(stats.seen, count);
	assert_true(seen.first_ns >= before && seen.last_ns <= clock_wall_ns());
	close(sender);
	walk.source->ops->close(walk.source);
	interface_table_close(table);
}

static void by_batch(void **state)
{
	capture(0, 3000, false);
	capture(0, 3000, true);
}

static void one_by_one(void **state)
{
	capture(1, 3000, false);
}

static void restores_tags_and_cuts(void **state)
{
	struct source_options options = default_options();
	struct interface_table *table;
	struct seen seen = { 0 };
	struct walk walk = { .frame = note, .context = &seen };
	struct source_stats stats;
	int sender = sender_open("weir1");

	options.snap_length = 60;
	walk.source = open_source(0, &options, &table);
	send_sequence(sender, 0, 10, 100, 53, 0x2abc);
	assert_int_equal(walk_until(&walk, 10, 2000), 10);
	walk_drain(&walk, &stats);
	assert_int_equal(seen.tagged, 10);
	assert_int_equal(seen.tci, 0x2abc);
	assert_int_equal(seen.cut, 10);
	close(sender);
	walk.source->ops->close(walk.source);
	interface_table_close(table);
}

static void filters_in_the_kernel(void **state)
{
	struct source_options options = default_options();
	struct interface_table *table;
	struct walk walk = { 0 };
	struct source_stats stats;
	int sender = sender_open("weir1");

	options.filter = "udp port 53";
	walk.source = open_source(0, &options, &table);
	send_sequence(sender, 0, 100, 60, 53, 0);
	send_sequence(sender, 0, 100, 60, 54, 0);
	send_sequence(sender, 0, 1, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 101, 2000), 101);
	walk_drain(&walk, &stats);
	balanced(&stats, 101);
	assert_int_equal(stats.seen, 101);
	close(sender);
	walk.source->ops->close(walk.source);
	interface_table_close(table);
}

/* Nobody reads: what the socket's buffer cannot hold is counted, and nothing else is missing. */
static void counts_what_it_lost(void **state)
{
	struct source_options options = default_options();
	struct interface_table *table;
	struct walk walk = { 0 };
	struct source_stats stats;
	int sender = sender_open("weir1");

	options.ring_size = 65536;
	walk.source = open_source(0, &options, &table);
	send_sequence(sender, 0, 5000, 60, 53, 0);
	walk_drain(&walk, &stats);
	assert_int_equal(stats.seen, 5000);
	assert_true(losses(&stats) > 0);
	balanced(&stats, walk.frames);
	close(sender);
	walk.source->ops->close(walk.source);
	interface_table_close(table);
}

static void survives_a_deleted_interface(void **state)
{
	struct source_options options = default_options();
	struct interface_table *table;
	struct walk walk = { 0 };
	struct source_stats stats;
	struct frame frames[SOURCE_BURST];
	int result, sender;

	command("ip link add weir2 type veth peer name weir3 && "
		"sysctl -qw net.ipv6.conf.weir2.disable_ipv6=1 net.ipv6.conf.weir3.disable_ipv6=1 && "
		"ip link set weir2 up && ip link set weir3 up");
	assert_int_equal(interface_table_create(&table, NULL), 0);
	assert_int_equal(rawsocket_open("weir2", &(struct rawsocket_options){ 0 }, &options, table,
					&walk.source, NULL, NULL),
			 0);
	assert_int_equal(walk.source->ops->start(walk.source, NULL), 0);
	sender = sender_open("weir3");
	send_sequence(sender, 0, 10, 60, 53, 0);
	command("ip link del weir2");
	assert_int_equal(walk_until(&walk, 10, 1000), 10);
	result = walk.source->ops->rx_burst(walk.source, frames, SOURCE_BURST);
	if (result == 0) {
		assert_int_equal(walk.source->ops->check(walk.source), 0);
		result = walk.source->ops->rx_burst(walk.source, frames, SOURCE_BURST);
	}
	assert_int_equal(result, -ENETDOWN);
	assert_int_equal(walk.source->ops->reopen(walk.source), -EAGAIN);
	close(sender);
	command("ip link add weir2 type veth peer name weir3 && "
		"sysctl -qw net.ipv6.conf.weir2.disable_ipv6=1 net.ipv6.conf.weir3.disable_ipv6=1 && "
		"ip link set weir2 up && ip link set weir3 up");
	assert_int_equal(walk.source->ops->reopen(walk.source), 0);
	sender = sender_open("weir3");
	send_sequence(sender, 0, 10, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 20, 2000), 20);
	walk_drain(&walk, &stats);
	balanced(&stats, 20);
	close(sender);
	walk.source->ops->close(walk.source);
	interface_table_close(table);
	command("ip link del weir2");
}

static void refusals(void **state)
{
	struct source_options options = default_options();
	struct rawsocket_options rawsocket = { 0 };
	struct error error = { 0 };
	struct interface_table *table;
	struct source *source;

	assert_int_equal(interface_table_create(&table, NULL), 0);
	assert_int_equal(rawsocket_open("weir9", &rawsocket, &options, table, &source, NULL, &error), -ENODEV);
	assert_int_equal(rawsocket_open("any", &rawsocket, &options, table, &source, NULL, &error), -EINVAL);
	options.time_hardware = true;
	assert_int_equal(rawsocket_open("weir0", &rawsocket, &options, table, &source, NULL, &error), -EINVAL);
	options.time_hardware = false;
	options.filter = "no such thing";
	assert_int_equal(rawsocket_open("weir0", &rawsocket, &options, table, &source, NULL, &error), -EINVAL);
	assert_true(error.message[0] != 0);
	interface_table_close(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_batch),
		cmocka_unit_test(one_by_one),
		cmocka_unit_test(restores_tags_and_cuts),
		cmocka_unit_test(filters_in_the_kernel),
		cmocka_unit_test(counts_what_it_lost),
		cmocka_unit_test(survives_a_deleted_interface),
		cmocka_unit_test(refusals),
	};

	if (!backend_support_enter(1))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
