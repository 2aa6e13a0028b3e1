/* The AF_XDP backend over a veth pair: modes, filter, tags, ledger, queues, jumbo frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "afxdp_support.h"
#include "engine/clock.h"

/* --- modes ------------------------------------------------------------------------------------ */

static void capture(const struct afxdp_options *afxdp, const char *mode, uint32_t length)
{
	struct source_options options = default_options();
	struct seen seen = { 0 };
	struct run run;
	struct walk walk = { .frame = note, .context = &seen };
	struct source_stats stats;
	uint64_t before, after;
	int sender = sender_open("weir1");

	open_run(&run, afxdp, &options);
	assert_int_equal(run.count, 1);
	walk.source = run.sources[0];
	before = clock_wall_ns();
	send_sequence(sender, 0, 2000, length, 53, 0);
	after = clock_wall_ns();
	assert_int_equal(walk_until(&walk, 2000, 5000), 2000);
	walk_drain(&walk, &stats);
	balanced(&stats, 2000);
	assert_int_equal(stats.seen, 2000);
	assert_int_equal(counter(&stats, "without_timestamp"), 0);
	assert_int_equal(seen.longest, length);
	/* The program stamped while we sent, but for the clocks' sampling. */
	assert_true(seen.first_ns + 1000000 > before && seen.last_ns < after + 50000000);
	if (strncmp(stats.mode, mode, strlen(mode)) != 0)
		fail_msg("mode %s instead of %s", stats.mode, mode);
	close(sender);
	close_run(&run);
}

static void automatic(void **state)
{
	capture(&(struct afxdp_options){ .mode = AFXDP_AUTO }, "native copy", 60);
}

static void native(void **state)
{
	capture(&(struct afxdp_options){ .mode = AFXDP_NATIVE }, "native copy", 1514);
}

static void generic(void **state)
{
	capture(&(struct afxdp_options){ .mode = AFXDP_GENERIC }, "generic copy", 200);
}

static void unaligned(void **state)
{
	capture(&(struct afxdp_options){ .unaligned = true, .chunk_size = 2304 }, "native copy", 1514);
}

static void busy_poll(void **state)
{
	capture(&(struct afxdp_options){ .busy_poll_us = 20 }, "native copy", 60);
}

static void no_zerocopy_here(void **state)
{
	struct source_options options = default_options();
	struct run run;

	assert_true(try_open(&run, "weir0", &(struct afxdp_options){ .mode = AFXDP_ZEROCOPY }, &options) < 0);
	assert_non_null(strstr(run.error.message, "zero-copy"));
	close_run(&run);
}

/* --- filter ----------------------------------------------------------------------------------- */

static void others_pass_to_the_stack(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct walk walk = { 0 };
	struct source_stats stats;
	int sender = sender_open("weir1"), stack;
	uint8_t bytes[64];
	unsigned heard = 0;
	const int room = 8 << 20;

	/* A packet socket stands for the stack. */
	stack = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	assert_int_equal(setsockopt(stack, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
	options.filter = "udp port 53";
	open_run(&run, &(struct afxdp_options){ .mode = AFXDP_NATIVE }, &options);
	walk.source = run.sources[0];
	while (recv(stack, bytes, sizeof bytes, 0) > 0)
		;
	send_sequence(sender, 0, 100, 60, 53, 0);
	send_sequence(sender, 0, 40, 60, 54, 0);
	send_sequence(sender, 0, 30, 64, 54, 100);
	send_sequence(sender, 0, 10, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 110, 2000), 110);
	walk_drain(&walk, &stats);
	balanced(&stats, 110);
	assert_int_equal(counter(&stats, "xdp_passed"), 70);
	/* All as the sender's outgoing copies, and what did not match once more as received. */
	while (recv(stack, bytes, sizeof bytes, 0) > 0)
		heard++;
	assert_int_equal(heard, 180 + 70);
	close(stack);
	close(sender);
	close_run(&run);
}

static void untranslatable_filters(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct walk walk = { 0 };
	struct source_stats stats;
	int sender = sender_open("weir1");

	options.filter = "ip6 protochain 17";
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -EOPNOTSUPP);
	assert_non_null(strstr(run.error.message, "every packet"));
	close_run(&run);
	open_run(&run, &(struct afxdp_options){ .steal = true }, &options);
	assert_non_null(interface_table_get(run.table, run.sources[0]->interface)->user_filter);
	assert_int_equal(run.report.note_count, 1);
	walk.source = run.sources[0];
	send_sequence(sender, 0, 10, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 10, 2000), 10);
	walk_drain(&walk, &stats);
	close(sender);
	close_run(&run);
}

/* --- tags ------------------------------------------------------------------------------------- */

static void tags_stay_in_the_bytes(void **state)
{
	struct source_options options = default_options();
	struct seen seen = { 0 };
	struct run run;
	struct walk walk = { .frame = note, .context = &seen };
	struct source_stats stats;
	char text[64];
	int sender = sender_open("weir1");

	offloads("weir1", "tx-vlan-offload", text, sizeof text);
	assert_memory_equal(text, "on", 2);
	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	offloads("weir1", "tx-vlan-offload", text, sizeof text);
	assert_memory_equal(text, "off", 3);
	offloads("weir0", "rx-vlan-offload", text, sizeof text);
	assert_memory_equal(text, "off", 3);
	walk.source = run.sources[0];
	send_sequence(sender, 0, 10, 64, 53, 0xb123);
	assert_int_equal(walk_until(&walk, 10, 2000), 10);
	assert_int_equal(seen.tci, 0xb123);
	walk_drain(&walk, &stats);
	close(sender);
	close_run(&run);
	offloads("weir1", "tx-vlan-offload", text, sizeof text);
	assert_memory_equal(text, "on", 2);
	offloads("weir0", "rx-vlan-offload", text, sizeof text);
	assert_memory_equal(text, "on", 2);
}

/* --- ledger ----------------------------------------------------------------------------------- */

/* Nobody reads: the rx ring fills, and what it cannot hold is counted, no more and no less. */
static void counts_what_it_lost(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct seen seen = { .unordered_numbers = true };
	struct walk walk = { .frame = note, .context = &seen };
	struct source_stats stats;
	int sender = sender_open("weir1");

	options.ring_size = 512 * 2048;
	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	walk.source = run.sources[0];
	send_sequence(sender, 0, 3000, 60, 53, 0);
	walk_drain(&walk, &stats);
	assert_int_equal(stats.seen, 3000);
	assert_true(losses(&stats) > 2000);
	balanced(&stats, walk.frames);
	close(sender);
	close_run(&run);
}

/* A writer that gives nothing back: half of the chunks, then the side pool, then the ring; and all comes
 * back. */
static void saved_packets(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct seen seen = { 0 };
	struct walk walk = { .frame = note, .context = &seen, .hold = true };
	struct source_stats stats = { 0 };
	int sender = sender_open("weir1");

	options.ring_size = 1024 * 2048;
	open_run(&run, &(struct afxdp_options){ .side_packets = 100 }, &options);
	walk.source = run.sources[0];
	send_sequence(sender, 0, 512, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 512, 2000), 512);
	send_sequence(sender, 512, 488, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 1000, 300), 512 + 100);
	run.sources[0]->ops->stats(run.sources[0], &stats);
	assert_int_equal(stats.spans_held_most, 512);
	assert_int_equal(counter(&stats, "side_copies"), 100);
	assert_false(run.sources[0]->ops->arm(run.sources[0]));
	walk_release_all(&walk);
	assert_true(run.sources[0]->ops->arm(run.sources[0]));
	assert_int_equal(walk_until(&walk, 1000, 2000), 1000);
	walk_release_all(&walk);
	/* As good as new: ten times around. */
	for (unsigned round = 0; round < 10; round++) {
		send_sequence(sender, 1000 + 500 * round, 500, 60, 53, 0);
		assert_int_equal(walk_until(&walk, 1500 + 500 * round, 2000), 1500 + 500 * round);
		walk_release_all(&walk);
	}
	walk_drain(&walk, &stats);
	balanced(&stats, 6000);
	close(sender);
	close_run(&run);
}

/* --- queues ----------------------------------------------------------------------------------- */

static void one_worker_for_each_queue(void **state)
{
	struct source_options options = default_options();
	const uint16_t only[] = { 1 };
	struct run run;
	struct source_stats stats;
	uint64_t frames = 0;
	int sender;

	command("ip link add weir2 numrxqueues 2 numtxqueues 2 type veth peer name weir3 numrxqueues 2 "
		"numtxqueues 2 &&"
		"sysctl -qw net.ipv6.conf.weir2.disable_ipv6=1 net.ipv6.conf.weir3.disable_ipv6=1 &&"
		"ip link set weir2 up && ip link set weir3 up");
	sender = sender_open("weir3");
	assert_int_equal(try_open(&run, "weir2", &(struct afxdp_options){ 0 }, &options), 0);
	assert_int_equal(run.count, 2);
	for (unsigned i = 0; i < run.count; i++)
		assert_int_equal(run.sources[i]->ops->start(run.sources[i], NULL), 0);
	send_sequence(sender, 0, 1000, 60, 53, 0);
	for (unsigned i = 0; i < run.count; i++) {
		struct walk walk = { .source = run.sources[i] };

		walk_until(&walk, 1000, 200);
		walk_drain(&walk, &stats);
		balanced(&stats, walk.frames);
		frames += walk.frames;
	}
	assert_int_equal(frames, 1000);
	close_run(&run);

	/* One queue asked for: the other's packets go to the stack, and are counted. */
	assert_int_equal(try_open(&run, "weir2",
				  &(struct afxdp_options){ .queues = only, .queue_count = 1 }, &options),
			 0);
	assert_int_equal(run.count, 1);
	assert_int_equal(run.sources[0]->ops->start(run.sources[0], NULL), 0);
	send_sequence(sender, 0, 1000, 60, 53, 0);
	{
		struct walk walk = { .source = run.sources[0] };

		walk_until(&walk, 1000, 200);
		walk_drain(&walk, &stats);
		balanced(&stats, walk.frames);
		assert_int_equal(walk.frames + counter(&stats, "xdp_other_queues") + counter(&stats, "xdp_unbound"), 1000);
	}
	close_run(&run);
	close(sender);
	command("ip link del weir2");
}

/* --- jumbo frames ----------------------------------------------------------------------------- */

static void first_fragment(void *context, const struct frame *frame)
{
	unsigned *fragments = context;

	assert_int_equal(frame->wire_len, 8000);
	if (frame->flags & FRAME_MORE_FRAGMENTS) {
		assert_int_equal(frame->captured_len, 8000);
		assert_true(frame->fragment_len < 4096 && frame->fragment_len > 1000);
		(*fragments)++;
	}
}

static void jumbo_frames(void **state)
{
	struct source_options options = default_options();
	struct seen seen = { 0 };
	unsigned fragments = 0;
	struct run run;
	struct walk walk = { .frame = note, .context = &seen };
	struct source_stats stats;
	int sender;

	command("ip link set weir0 mtu 9000 && ip link set weir1 mtu 9000");
	sender = sender_open("weir1");
	if (try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options) < 0) {
		/* Before 6.6: said so. */
		assert_non_null(strstr(run.error.message, "MTU"));
		close_run(&run);
		command("ip link set weir0 mtu 1500 && ip link set weir1 mtu 1500");
		skip();
	}
	assert_int_equal(run.sources[0]->ops->start(run.sources[0], NULL), 0);
	walk.source = run.sources[0];
	send_sequence(sender, 0, 200, 8000, 53, 0);
	assert_int_equal(walk_until(&walk, 200, 2000), 200);
	walk_drain(&walk, &stats);
	balanced(&stats, 200);
	assert_int_equal(seen.longest, 8000);
	assert_int_equal(counter(&stats, "joined_frames"), 200);
	close_run(&run);

	options.headers_only = true;
	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	walk = (struct walk){ .source = run.sources[0], .frame = first_fragment, .context = &fragments };
	send_sequence(sender, 0, 500, 8000, 53, 0);
	assert_int_equal(walk_until(&walk, 500, 2000), 500);
	walk_drain(&walk, &stats);
	balanced(&stats, 500);
	assert_int_equal(fragments, 500);
	close(sender);
	close_run(&run);
	command("ip link set weir0 mtu 1500 && ip link set weir1 mtu 1500");
}

/* A device whose driver has no XDP: native is tried, with its memory and rings, before generic is had. */
static void falls_back(void **state)
{
	struct source_options options = default_options();
	struct seen seen = { 0 };
	struct walk walk = { .frame = note, .context = &seen };
	struct source_stats stats;
	struct run run;
	int sender;

	if (system("ip link add weir2 link weir0 type macvlan mode passthru 2>/dev/null") != 0)
		skip(); /* a kernel without macvlan: largest_frames falls back where frames in several buffers are missing */
	command("ip link set weir2 up");
	assert_int_equal(try_open(&run, "weir2", &(struct afxdp_options){ 0 }, &options), 0);
	assert_non_null(strstr(run.report.summary, "generic"));
	assert_int_equal(run.sources[0]->ops->start(run.sources[0], NULL), 0);
	sender = sender_open("weir1");
	walk.source = run.sources[0];
	send_sequence(sender, 0, 200, 300, 53, 0);
	assert_int_equal(walk_until(&walk, 200, 2000), 200);
	walk_drain(&walk, &stats);
	balanced(&stats, 200);
	close(sender);
	close_run(&run);
	command("ip link del weir2");
}

/* An MTU at either side of what a chunk of 2048 or 4096 bytes takes: the largest frame comes, whole. */
static void largest_frames(void **state)
{
	static const unsigned mtus[] = { 1761, 1762, 1763, 1770, 3809, 3810, 3811, 3818, 3819 };
	struct source_options options = default_options();

	for (size_t i = 0; i < sizeof mtus / sizeof mtus[0]; i++) {
		struct seen seen = { 0 };
		struct walk walk = { .frame = note, .context = &seen };
		struct source_stats stats;
		struct run run;
		int sender;

		command("ip link set weir0 mtu %u && ip link set weir1 mtu %u", mtus[i], mtus[i]);
		if (try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options) < 0) {
			/* Before 6.6, and only beyond what one chunk takes. */
			assert_true(mtus[i] > 3810);
			assert_non_null(strstr(run.error.hint, "an MTU up to 3810"));
			close_run(&run);
			continue;
		}
		assert_int_equal(run.sources[0]->ops->start(run.sources[0], NULL), 0);
		sender = sender_open("weir1");
		walk.source = run.sources[0];
		send_sequence(sender, 0, 50, mtus[i] + 14, 53, 0);
		assert_int_equal(walk_until(&walk, 50, 2000), 50);
		walk_drain(&walk, &stats);
		balanced(&stats, 50);
		assert_int_equal(seen.longest, mtus[i] + 14);
		close(sender);
		close_run(&run);
	}
	command("ip link set weir0 mtu 1500 && ip link set weir1 mtu 1500");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(automatic),
		cmocka_unit_test(native),
		cmocka_unit_test(generic),
		cmocka_unit_test(unaligned),
		cmocka_unit_test(busy_poll),
		cmocka_unit_test(no_zerocopy_here),
		cmocka_unit_test(others_pass_to_the_stack),
		cmocka_unit_test(untranslatable_filters),
		cmocka_unit_test(tags_stay_in_the_bytes),
		cmocka_unit_test(counts_what_it_lost),
		cmocka_unit_test(saved_packets),
		cmocka_unit_test(one_worker_for_each_queue),
		cmocka_unit_test(jumbo_frames),
		cmocka_unit_test(falls_back),
		cmocka_unit_test(largest_frames),
	};

	return afxdp_support_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
