/* From the first packet to the last: nothing from before the start, nothing twice, every loss counted; rings
 * of all sizes. Packets carry sequence numbers. */
#include "fixture.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/sources/afpacket.h"

/* Sends sequence-numbered UDP of changing flows until told to end. */
struct flooder {
	pthread_t thread;
	const char *interface;
	uint8_t mark;               /* in the last byte of the frame */
	unsigned pause_us;
	_Atomic uint32_t sent;
	_Atomic bool end;
};

static void *flood(void *context)
{
	struct flooder *flooder = context;
	uint8_t frame[FIXTURE_FRAME_MOST];
	int fd = fixture_sender();

	while (!atomic_load(&flooder->end)) {
		uint32_t sequence = atomic_load(&flooder->sent);
		size_t length = fixture_udp(frame, 64, sequence, (uint16_t)(1000 + sequence % 61), 53);

		frame[length - 1] = flooder->mark;
		fixture_send(fd, flooder->interface, frame, length);
		atomic_store(&flooder->sent, sequence + 1);
		if (flooder->pause_us > 0 && sequence % 32 == 0)
			usleep(flooder->pause_us);
	}
	close(fd);
	return NULL;
}

static void flooder_start(struct flooder *flooder, const char *interface, uint8_t mark, unsigned pause_us)
{
	*flooder = (struct flooder){ .interface = interface, .mark = mark, .pause_us = pause_us };
	assert_int_equal(pthread_create(&flooder->thread, NULL, flood, flooder), 0);
}

static uint32_t flooder_stop(struct flooder *flooder)
{
	atomic_store(&flooder->end, true);
	pthread_join(flooder->thread, NULL);
	return atomic_load(&flooder->sent);
}

/* While packets flow: rings are opened and started, with one and with more workers, again and again. Nothing
 * is foreign, nothing is there twice, nothing sent after the start is missing but what was counted as lost. */
static void start_up(void **state)
{
	for (unsigned round = 0; round < 12; round++) {
		struct source_options options = fixture_options();
		struct fixture_capture capture;
		struct flooder own, foreign;
		uint32_t before, at_start, sent;
		uint64_t there, lost;
		struct error error = { 0 };

		options.fanout = round % 2 ? FANOUT_HASH : FANOUT_LB;
		flooder_start(&own, "vb", 0xaa, 40);
		flooder_start(&foreign, "vd", 0xbb, 40);
		usleep(3000);
		if (fixture_try_open(&capture, "va", round < 4 ? 1 : round < 8 ? 2 : 4, &options, &error) != 0)
			fail_msg("%s", error.message);
		usleep(2000);
		before = atomic_load(&own.sent);
		fixture_start(&capture);
		at_start = atomic_load(&own.sent) + 1; /* one may have been on its way past the filter */
		for (int i = 0; i < 200 && atomic_load(&own.sent) < at_start + 200; i++)
			fixture_collect(&capture, SIZE_MAX, 10);
		sent = flooder_stop(&own);
		flooder_stop(&foreign);
		lost = fixture_stop(&capture);
		for (size_t i = 0; i < capture.count; i++) {
			assert_int_equal(capture.frames[i].bytes[63], 0xaa);
			assert_true(fixture_sequence(&capture.frames[i]) + 1 >= before);
		}
		there = fixture_check_once(&capture, sent, at_start);
		assert_true(sent > at_start + 100);
		if (there + lost < sent - at_start)
			fail_msg("round %u: %u sent after the start, %llu there, %llu counted as lost", round,
				 sent - at_start, (unsigned long long)there, (unsigned long long)lost);
		fixture_close(&capture);
	}
}

/* More than the ring holds: what is missing is exactly what was counted, and nothing is there twice. */
static void overflow(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct flooder flooder;
	uint64_t lost, there;
	uint32_t sent;

	options.ring_size = 32 << 10;
	options.block_size = 4096;
	fixture_open(&capture, "va", 1, &options);
	assert_int_equal(capture.sources[0]->span_count, 8);
	flooder_start(&flooder, "vb", 1, 0);
	for (int i = 0; i < 20; i++) {
		usleep(5000);
		fixture_collect(&capture, capture.count + 50, 10);
	}
	sent = flooder_stop(&flooder);
	lost = fixture_stop(&capture);
	there = fixture_check_once(&capture, sent, 0);
	assert_true(lost > 0);
	assert_int_equal(there + lost, sent);
	assert_int_equal(fixture_counter(capture.sources[0], "ring_drops"), lost);
	assert_true(fixture_counter(capture.sources[0], "ring_freezes") > 0);
	assert_int_equal(fixture_counter(capture.sources[0], "block_sequence_gaps"), 0);
	printf("%u sent, %llu there, %llu lost, %llu freezes\n", sent, (unsigned long long)there,
	       (unsigned long long)lost, (unsigned long long)fixture_counter(capture.sources[0], "ring_freezes"));
	fixture_close(&capture);
}

/* Fills one block and walks it to its end; returns its span. */
static uint32_t walk_block(struct source *source, int sender, uint32_t *sequence)
{
	struct frame frames[SOURCE_BURST];
	uint8_t frame[FIXTURE_FRAME_MOST];

	fixture_send(sender, "vb", frame, fixture_udp(frame, 64, (*sequence)++, 1, 2));
	for (int i = 0; i < 1000; i++) {
		int count = source->ops->rx_burst(source, frames, SOURCE_BURST);

		assert_true(count >= 0);
		if (count > 0) {
			assert_int_equal(count, 1);
			assert_true(frames[0].flags & FRAME_LAST_OF_SPAN);
			return frames[0].span;
		}
		usleep(1000); /* poll would return at once while a block is held */
	}
	fail_msg("no block came for %u", *sequence);
	return 0;
}

/* Spans that come back out of order reach the kernel in order; with all of them held nothing is handed out
 * twice, and after the last is back everything goes on. */
static void spans_in_any_order(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct frame frames[SOURCE_BURST];
	uint8_t frame[FIXTURE_FRAME_MOST];
	struct source_stats stats;
	struct source *source;
	uint32_t spans[4], sequence = 0;
	int sender = fixture_sender();

	options.ring_size = 16 << 10;
	options.block_size = 4096;
	fixture_open(&capture, "va", 1, &options);
	source = capture.sources[0];
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 4; i++) {
			spans[i] = walk_block(source, sender, &sequence);
			assert_int_equal(spans[i], i);
		}
		assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 0);
		source->ops->release(source, spans[round % 2 ? 3 : 1]);
		source->ops->release(source, spans[2]);
		source->ops->release(source, spans[round % 2 ? 1 : 3]);
		/* the oldest is still out, and the kernel waits for that one: it drops this */
		fixture_send(sender, "vb", frame, fixture_udp(frame, 64, 1000 + round, 1, 2));
		usleep(15000);
		assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 0);
		assert_int_equal(fixture_counter(source, "ring_drops"), round + 1);
		source->ops->release(source, spans[0]);
	}
	source->ops->stats(source, &stats);
	assert_int_equal(stats.spans_held_most, 4);
	assert_int_equal(stats.spans_total, 4);
	assert_true(source->ops->empty(source));
	assert_int_equal(fixture_stop(&capture), 6);
	fixture_close(&capture);
	close(sender);
}

/* `empty` knows of a packet that lies in the kernel's open block. */
static void empty_sees_the_open_block(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST];
	int sender = fixture_sender();
	struct source *source;

	options.block_timeout_ms = 200;
	fixture_open(&capture, "va", 1, &options);
	source = capture.sources[0];
	assert_true(source->ops->empty(source));
	fixture_send(sender, "vb", frame, fixture_udp(frame, 64, 0, 1, 2));
	assert_false(source->ops->empty(source));
	fixture_collect_all(&capture, 1);
	assert_int_equal(capture.count, 1);
	assert_true(source->ops->empty(source));
	fixture_stop(&capture);
	fixture_close(&capture);
	close(sender);
}

/* Both directions of a flow, and all of its packets, are one worker's; and every worker has some. */
static void hash_is_symmetric(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST], swap[4];
	unsigned worker_of_flow[64], per_worker[4] = { 0 };
	int sender = fixture_sender();

	fixture_open(&capture, "va", 4, &options);
	for (unsigned i = 0; i < 256; i++) {
		uint16_t from = (uint16_t)(2000 + i % 64 * 7), to = 443;
		size_t length = fixture_udp(frame, 64, i, i / 64 % 2 ? to : from, i / 64 % 2 ? from : to);

		if (i / 64 % 2) {
			memcpy(swap, frame + 26, 4);
			memcpy(frame + 26, frame + 30, 4);
			memcpy(frame + 30, swap, 4);
		}
		fixture_send(sender, "vb", frame, length);
	}
	fixture_collect_all(&capture, 256);
	assert_int_equal(capture.count, 256);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < capture.count; i++) {
			uint32_t sequence = fixture_sequence(&capture.frames[i]);

			if (pass == 0 && sequence < 64) {
				worker_of_flow[sequence] = capture.worker_of[i];
				per_worker[capture.worker_of[i]]++;
			} else if (pass == 1) {
				assert_int_equal(worker_of_flow[sequence % 64], capture.worker_of[i]);
			}
		}
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(per_worker[i] > 0);
	printf("64 flows: %u %u %u %u\n", per_worker[0], per_worker[1], per_worker[2], per_worker[3]);
	fixture_stop(&capture);
	fixture_close(&capture);
	close(sender);
}

static void every_fanout_opens(void **state)
{
	uint8_t frame[FIXTURE_FRAME_MOST];
	int sender = fixture_sender();

	for (int fanout = FANOUT_HASH; fanout <= FANOUT_ROLLOVER; fanout++) {
		struct source_options options = fixture_options();
		struct fixture_capture one, other;

		options.fanout = (enum source_fanout)fanout;
		fixture_open(&one, "va", 2, &options);
		fixture_open(&other, "va", 3, &options); /* a group of its own */
		for (unsigned i = 0; i < 20; i++)
			fixture_send(sender, "vb", frame, fixture_udp(frame, 64, i, (uint16_t)i, 2));
		fixture_collect_all(&one, 20);
		fixture_collect_all(&other, 20);
		assert_int_equal(one.count, 20);
		assert_int_equal(other.count, 20);
		fixture_stop(&one);
		fixture_stop(&other);
		fixture_close(&one);
		fixture_close(&other);
	}
	close(sender);
}

static void ring_sizes(void **state)
{
	static const struct {
		uint64_t ring;
		uint32_t block, block_got;
		uint32_t blocks;
	} cases[] = {
		{ 0, 0, 1 << 20, 64 },
		{ 64 << 10, 0, 16 << 10, 4 },
		{ 8192, 0, 4096, 2 },
		{ 1, 0, 4096, 2 },
		{ 1 << 20, 5000, 8192, 128 },
		{ 1 << 20, 4 << 20, 4 << 20, 2 },
	};
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct error error = { 0 };

	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		options.ring_size = cases[i].ring;
		options.block_size = cases[i].block;
		fixture_open(&capture, "va", 1, &options);
		assert_int_equal(capture.sources[0]->span_count, cases[i].blocks);
		fixture_close(&capture);
	}
	options.ring_size = UINT64_C(1) << 46;
	options.block_size = 0;
	assert_int_equal(fixture_try_open(&capture, "va", 1, &options, &error), -ENOMEM);
	assert_non_null(strstr(error.message, "does not fit into memory"));
	options.ring_size = UINT64_MAX;
	assert_int_equal(fixture_try_open(&capture, "va", 2, &options, &error), -ENOMEM);
}

/* The linker's --wrap: a kernel that has no memory for rings of more than most_blocks. */
static uint32_t most_blocks = UINT32_MAX;

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t size);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
	const struct tpacket_req3 *request = value;

	if (level == SOL_PACKET && option == PACKET_RX_RING && size == sizeof *request &&
	    request->tp_block_nr > most_blocks) {
		errno = ENOMEM;
		return -1;
	}
	return __real_setsockopt(fd, level, option, value, size);
}

/* Without memory the ring is half as large, and half again, for every worker, and that is said; in the end it
 * is an error. */
static void ring_falls_back(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct error error = { 0 };
	bool said = false;

	options.ring_size = 16 << 20;
	most_blocks = 20;
	fixture_open(&capture, "va", 2, &options);
	assert_int_equal(capture.sources[0]->span_count, 16);
	assert_int_equal(capture.sources[1]->span_count, 16);
	assert_non_null(strstr(capture.report.summary, " 4 MiB ring"));
	for (unsigned i = 0; i < capture.report.note_count; i++)
		said = said || strstr(capture.report.notes[i], "4 MiB, not 16") != NULL;
	assert_true(said);
	fixture_close(&capture);
	most_blocks = 1;
	assert_int_equal(fixture_try_open(&capture, "va", 1, &options, &error), -ENOMEM);
	assert_non_null(strstr(error.hint, "--ring-size"));
	most_blocks = UINT32_MAX;
}

static void promiscuous_while_open(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;

	fixture_open(&capture, "va", 2, &options);
	fixture_run("ip -d link show va | grep -q 'promiscuity [1-9]'");
	fixture_close(&capture);
	fixture_run("ip -d link show va | grep -q 'promiscuity 0'");
	options.promiscuous = false;
	fixture_open(&capture, "va", 2, &options);
	fixture_run("ip -d link show va | grep -q 'promiscuity 0'");
	fixture_close(&capture);
	options.time_hardware = true; /* veth has none: said, not failed */
	fixture_open(&capture, "va", 1, &options);
	assert_int_equal(capture.report.note_count > 0, 1);
	assert_non_null(strstr(capture.report.notes[capture.report.note_count - 1], "no hardware timestamps"));
	fixture_close(&capture);
}

/* 4.1 GiB: beyond every 32-bit product, if this machine has the memory. */
static void ring_beyond_4_gib(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct error error = { 0 };
	uint8_t frame[FIXTURE_FRAME_MOST];
	int sender = fixture_sender();

	options.ring_size = (UINT64_C(4) << 30) + (128 << 20);
	options.block_size = 64 << 20;
	if (sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE) < INT64_C(6) << 30) {
		printf("skipped: less than 6 GiB of free memory\n");
		skip();
	}
	if (fixture_try_open(&capture, "va", 1, &options, &error) != 0)
		fail_msg("%s", error.message);
	assert_int_equal(capture.sources[0]->span_count, 66);
	assert_int_equal(capture.report.note_count > 0 && strstr(capture.report.notes[0], "no memory") != NULL, 0);
	fixture_start(&capture);
	for (uint32_t i = 0; i < 69; i++) {
		/* one block each: past the last one, whose offset has 33 bits, and round */
		fixture_send(sender, "vb", frame, fixture_udp(frame, 64, i, 1, 2));
		fixture_collect(&capture, i + 1, 1000);
		assert_int_equal(fixture_sequence(&capture.frames[i]), i);
	}
	assert_int_equal(fixture_stop(&capture), 0);
	fixture_close(&capture);
	close(sender);
}

static void bad_interfaces(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct error error = { 0 };

	assert_int_equal(fixture_try_open(&capture, "nosuch0", 1, &options, &error), -ENODEV);
	assert_non_null(strstr(error.hint, "-D"));
	assert_int_equal(fixture_try_open(&capture, "a-name-that-is-too-long", 1, &options, &error), -EINVAL);
	assert_int_equal(fixture_try_open(&capture, "", 1, &options, &error), -EINVAL);
	fixture_run("ip link set vc down");
	assert_int_equal(fixture_try_open(&capture, "vc", 1, &options, &error), -ENETDOWN);
	assert_non_null(strstr(error.hint, "ip link set vc up"));
	fixture_run("ip link set vc up");
	assert_int_equal(fixture_try_open(&capture, "va", 0, &options, &error), -EINVAL);
	assert_int_equal(fixture_try_open(&capture, "va", 1000, &options, &error), -EINVAL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_up),
		cmocka_unit_test(overflow),
		cmocka_unit_test(spans_in_any_order),
		cmocka_unit_test(empty_sees_the_open_block),
		cmocka_unit_test(hash_is_symmetric),
		cmocka_unit_test(every_fanout_opens),
		cmocka_unit_test(ring_sizes),
		cmocka_unit_test(ring_falls_back),
		cmocka_unit_test(promiscuous_while_open),
		cmocka_unit_test(ring_beyond_4_gib),
		cmocka_unit_test(bad_interfaces),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	fixture_enter();
	fixture_veth("va", "vb");
	fixture_veth("vc", "vd");
	return cmocka_run_group_tests_name("afpacket run", tests, NULL, NULL);
}
