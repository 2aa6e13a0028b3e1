/* The xdp-records backend over a veth pair: the same records as afpacket's, and the stack still gets all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/translate/packets.h"
#include "backend_support.h"
#include "engine/clock.h"
#include "engine/sources/afpacket.h"
#include "engine/sources/xdprecords.h"

#define CPUS 64
#define RECORDS 4000

struct run {
	struct interface_table *table;
	struct source *sources[CPUS];
	unsigned count;
	struct error error;
};

struct collected {
	struct record records[RECORDS];
	unsigned count;
};

static int try_open(struct run *run, const struct xdprecords_options *records,
		    const struct source_options *options)
{
	struct source_options local = *options;

	memset(run, 0, sizeof *run);
	assert_int_equal(interface_table_create(&run->table, NULL), 0);
	local.headers_only = true;
	return xdprecords_open("weir0", records, &local, run->table, run->sources, CPUS, &run->count, NULL,
			       &run->error);
}

static void open_run(struct run *run, const struct xdprecords_options *records,
		     const struct source_options *options)
{
	if (try_open(run, records, options) < 0)
		fail_msg("%s (%s)", run->error.message, run->error.hint);
	for (unsigned i = 0; i < run->count; i++)
		assert_int_equal(run->sources[i]->ops->start(run->sources[i], &run->error), 0);
}

static void close_run(struct run *run)
{
	uint32_t id = 0;

	for (unsigned i = 0; i < run->count; i++)
		run->sources[i]->ops->close(run->sources[i]);
	interface_table_close(run->table);
	bpf_xdp_query_id((int)if_nametoindex("weir0"), 0, &id);
	assert_int_equal(id, 0);
}

/* As the worker does. */
static void collect(void *context, const struct frame *frame)
{
	static const struct decode_options options;
	struct collected *collected = context;
	struct record *record = &collected->records[collected->count];

	assert_true(collected->count < RECORDS);
	collected->count++;
	if (frame->flags & FRAME_IS_RECORD) {
		memcpy(record, frame->data, sizeof *record);
		return;
	}
	decode_packet(&options, frame->data,
		      frame->flags & FRAME_MORE_FRAGMENTS ? frame->fragment_len : frame->captured_len, frame->wire_len,
		      frame->link_type, record, NULL);
	record->timestamp_ns = frame->timestamp_ns;
	record->status |= frame->flags & FRAME_DIRECTION_MASK;
	record->status |= frame->flags & FRAME_TAG_RESTORED ? STATUS_TAG_RESTORED : 0;
}

/* All CPUs' rings; the sum of the frames, each balanced. */
static uint64_t drain(struct run *run, struct collected *collected, struct source_stats *stats,
		      uint64_t expected)
{
	struct walk walks[CPUS];
	uint64_t frames = 0;

	for (unsigned i = 0; i < run->count; i++)
		walks[i] = (struct walk){ .source = run->sources[i], .frame = collected ? collect : NULL,
					  .context = collected };
	for (unsigned turn = 0; turn < 100 && frames < expected; turn++) {
		frames = 0;
		for (unsigned i = 0; i < run->count; i++)
			frames += walk_until(&walks[i], expected, 10);
	}
	frames = 0;
	for (unsigned i = 0; i < run->count; i++) {
		walk_drain(&walks[i], &stats[i]);
		assert_int_equal(stats[i].handed_out, walks[i].frames);
		assert_int_equal(stats[i].handed_out, stats[i].seen - losses(&stats[i]));
		frames += walks[i].frames;
	}
	return frames;
}

static uint64_t sum(const struct run *run, const struct source_stats *stats, const char *name)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < run->count; i++)
		all += counter(&stats[i], name);
	return all;
}

static void records_and_the_stack(void **state)
{
	struct source_options options = default_options();
	struct source_stats stats[CPUS];
	struct run run;
	const int room = 8 << 20;
	unsigned heard = 0;
	uint8_t bytes[64];
	int sender = sender_open("weir1"), stack = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));

	assert_int_equal(setsockopt(stack, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
	options.filter = "udp port 53";
	open_run(&run, &(struct xdprecords_options){ 0 }, &options);
	while (recv(stack, bytes, sizeof bytes, 0) > 0)
		;
	send_sequence(sender, 0, 300, 60, 53, 0);
	send_sequence(sender, 0, 200, 60, 54, 0);
	send_sequence(sender, 0, 50, 64, 53, 100);
	assert_int_equal(drain(&run, NULL, stats, 350), 350);
	assert_int_equal(sum(&run, stats, "xdp_passed"), 200);
	assert_int_equal(sum(&run, stats, "decoded_in_kernel"), 350);
	while (recv(stack, bytes, sizeof bytes, 0) > 0)
		heard++;
	assert_int_equal(heard, 2 * 550); /* sent and received: nothing was taken */
	close(stack);
	close(sender);
	close_run(&run);
}

/* The same packets through both: every field alike, but for time, captured length and what XDP cannot know.
 */
static void as_afpacket(void **state)
{
	static struct collected at_xdp, at_socket;
	struct source_options options = default_options();
	struct source_stats stats[CPUS], other;
	struct source *socket_source;
	struct interface_table *table;
	struct run run;
	struct walk walk = { .frame = collect, .context = &at_socket };
	uint8_t bytes[PACKET_MOST];
	unsigned sent = 0;
	int sender = sender_open("weir1");

	open_run(&run, &(struct xdprecords_options){ 0 }, &options);
	assert_int_equal(interface_table_create(&table, NULL), 0);
	options.direction = SOURCE_IN;
	assert_int_equal(afpacket_open("weir0", 1, &options, table, &socket_source, NULL, NULL), 0);
	assert_int_equal(socket_source->ops->start(socket_source, NULL), 0);
	walk.source = socket_source;
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t length = packet_make(99, i, bytes);

		/* The stack takes a tag out and drops frames that end in it; such are another test's. */
		if (length < 60)
			continue;
		send_packet(sender, bytes, length);
		sent++;
	}
	assert_int_equal(drain(&run, &at_xdp, stats, sent), sent);
	walk_until(&walk, sent, 2000);
	walk_drain(&walk, &other);
	/* Frames whose inner tag the stack could not read do not reach the socket. */
	assert_in_range(at_socket.count, sent - 20, sent);
	for (unsigned i = 0; i < at_xdp.count; i++)
		at_xdp.records[i].timestamp_ns = at_xdp.records[i].captured_length = 0;
	for (unsigned i = 0; i < at_socket.count; i++) {
		struct record *record = &at_socket.records[i];
		bool found = false;

		record->timestamp_ns = record->captured_length = 0;
		record->status &= ~(uint32_t)STATUS_TAG_RESTORED;
		for (unsigned j = 0; j < at_xdp.count && !found; j++) {
			/* Matched once only. */
			if (memcmp(record, &at_xdp.records[j], sizeof *record) == 0) {
				at_xdp.records[j].wire_length = UINT32_MAX;
				found = true;
			}
		}
		if (!found)
			fail_msg("record %u (wire length %u, layers %x, status %x) has no like at XDP", i,
				 record->wire_length, record->layers, record->status);
	}
	socket_source->ops->close(socket_source);
	interface_table_close(table);
	close(sender);
	close_run(&run);
}

static void counts_what_it_lost(void **state)
{
	struct source_options options = default_options();
	struct source_stats stats[CPUS];
	struct run run;
	uint64_t frames;
	int sender = sender_open("weir1");

	options.ring_size = 65536;
	open_run(&run, &(struct xdprecords_options){ 0 }, &options);
	send_sequence(sender, 0, 3000, 60, 53, 0);
	frames = drain(&run, NULL, stats, 0);
	assert_int_equal(frames + sum(&run, stats, "ring_full"), 3000);
	assert_true(sum(&run, stats, "ring_full") > 1000);
	close(sender);
	close_run(&run);
}

static void generic(void **state)
{
	struct source_options options = default_options();
	struct source_stats stats[CPUS];
	struct run run;
	int sender = sender_open("weir1");

	open_run(&run, &(struct xdprecords_options){ .mode = AFXDP_GENERIC }, &options);
	send_sequence(sender, 0, 100, 60, 53, 0);
	assert_int_equal(drain(&run, NULL, stats, 100), 100);
	assert_non_null(strstr(stats[0].mode, "generic"));
	close(sender);
	close_run(&run);
}

static void refusals(void **state)
{
	struct source_options options = default_options();
	struct run run, second;

	options.filter = "ip6 protochain 17";
	assert_int_equal(try_open(&run, &(struct xdprecords_options){ 0 }, &options), -EOPNOTSUPP);
	close_run(&run);
	options.filter = NULL;
	options.direction = SOURCE_OUT;
	assert_int_equal(try_open(&run, &(struct xdprecords_options){ 0 }, &options), -EINVAL);
	close_run(&run);
	options.direction = SOURCE_IN_OUT;
	open_run(&run, &(struct xdprecords_options){ 0 }, &options);
	assert_int_equal(try_open(&second, &(struct xdprecords_options){ 0 }, &options), -EBUSY);
	interface_table_close(second.table);
	close_run(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_and_the_stack),
		cmocka_unit_test(as_afpacket),
		cmocka_unit_test(counts_what_it_lost),
		cmocka_unit_test(generic),
		cmocka_unit_test(refusals),
	};
	const struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
					 { .code = BPF_JMP | BPF_EXIT } };
	int program;

	if (!backend_support_enter(1))
		return 77;
	program = bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "MIT", code, 2, NULL);
	if (program < 0) {
		printf("skipped: loading BPF programs is not permitted here\n");
		return 77;
	}
	close(program);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
