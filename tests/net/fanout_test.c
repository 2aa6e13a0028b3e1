/* Symmetric flow placement: both directions of a flow, and all of its packets, come to one worker.
 *
 * On a veth pair of its own, or on two connected devices that WEIR_CAPTURE and WEIR_SEND name (the
 * virtual machines' multi-queue virtio_net). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend_support.h"
#include "engine/sources/afpacket.h"

#define WORKERS 4
#define FLOWS 256
#define ROUNDS 4

static const char *capture_device = "weir0", *send_device = "weir1";

struct placement {
	unsigned worker;
	int worker_of[FLOWS];    /* -1: not seen yet */
	unsigned packets[WORKERS];
	unsigned strays;         /* packets of a flow that another worker has */
};

/* RFC 1071: a bridge may look (net.bridge.bridge-nf-call-iptables) and drop what is wrong. */
static void put_checksum(uint8_t *header)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(header[i] << 8 | header[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	header[10] = (uint8_t)(sum >> 8);
	header[11] = (uint8_t)sum;
}

static uint32_t flow_packet(uint8_t *bytes, uint16_t flow, bool back)
{
	/* Addresses of nobody: a bridge between the devices floods them. */
	static const uint8_t start[] = { 2,  0, 0, 0, 7, 1,  2,  0, 0, 0,  7, 2, 8, 0,  0x45, 0, 0,
					 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    1, 1 };
	uint16_t near = (uint16_t)(20000 + flow * 7), far = (uint16_t)(40000 + flow);

	memset(bytes, 0, 60);
	memcpy(bytes, start, sizeof start);
	bytes[29] = (uint8_t)(1 + flow % 16);
	if (back) {
		uint8_t swapped[4];

		memcpy(swapped, bytes + 26, 4);
		memcpy(bytes + 26, bytes + 30, 4);
		memcpy(bytes + 30, swapped, 4);
	}
	near = back ? far : near;
	far = back ? (uint16_t)(20000 + flow * 7) : far;
	bytes[34] = (uint8_t)(near >> 8);
	bytes[35] = (uint8_t)near;
	bytes[36] = (uint8_t)(far >> 8);
	bytes[37] = (uint8_t)far;
	bytes[39] = 26;
	memcpy(bytes + SEQUENCE_AT, &flow, sizeof flow);
	put_checksum(bytes + 14);
	return 60;
}

static void place(void *context, const struct frame *frame)
{
	struct placement *placement = context;
	uint16_t flow;

	if (frame->captured_len < 60 || frame->data[23] != 17 || memcmp(frame->data, "\2\0\0\0\7\1", 6))
		return; /* not ours */
	memcpy(&flow, frame->data + SEQUENCE_AT, sizeof flow);
	assert_true(flow < FLOWS);
	if (placement->worker_of[flow] < 0)
		placement->worker_of[flow] = (int)placement->worker;
	placement->strays += placement->worker_of[flow] != (int)placement->worker;
	placement->packets[placement->worker]++;
}

/* Returns how many of our packets there were so far. */
static unsigned walk_all(struct walk *walks, struct placement *placement)
{
	unsigned packets = 0;

	for (placement->worker = 0; placement->worker < WORKERS; placement->worker++) {
		walk_until(&walks[placement->worker], UINT64_MAX, 5);
		packets += placement->packets[placement->worker];
	}
	return packets;
}

static void both_directions_to_one_worker(void **state)
{
	struct source_options options = default_options();
	struct interface_table *table;
	struct source *sources[WORKERS];
	struct walk walks[WORKERS];
	struct placement placement = { 0 };
	struct error error = { 0 };
	unsigned got = 0, busy = 0;
	uint8_t bytes[64];
	int sender = sender_open(send_device);

	memset(placement.worker_of, 0xff, sizeof placement.worker_of);
	options.direction = SOURCE_IN;
	options.ring_size = 8 << 20;
	options.filter = "udp and portrange 20000-41000";
	assert_int_equal(interface_table_create(&table, NULL), 0);
	if (afpacket_open(capture_device, WORKERS, &options, table, sources, NULL, &error) < 0)
		fail_msg("%s (%s)", error.message, error.hint);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(sources[i]->ops->start(sources[i], NULL), 0);
		walks[i] = (struct walk){ .source = sources[i], .frame = place, .context = &placement };
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned flow = 0; flow < FLOWS; flow++) {
			send_packet(sender, bytes, flow_packet(bytes, (uint16_t)flow, false));
			send_packet(sender, bytes, flow_packet(bytes, (uint16_t)flow, true));
			if (flow % 32 == 31)
				got = walk_all(walks, &placement); /* no faster than a device's queue */
		}
	}
	for (unsigned turn = 0; turn < 200 && got < 2 * ROUNDS * FLOWS; turn++)
		got = walk_all(walks, &placement);
	for (placement.worker = 0; placement.worker < WORKERS; placement.worker++) {
		struct source_stats stats;

		walk_drain(&walks[placement.worker], &stats);
		assert_int_equal(stats.handed_out, stats.seen - losses(&stats));
		busy += placement.packets[placement.worker] > 0;
		printf("worker %u: %u packets\n", placement.worker, placement.packets[placement.worker]);
	}
	assert_int_equal(got, 2 * ROUNDS * FLOWS);
	assert_int_equal(placement.strays, 0);
	assert_true(busy >= 3);
	for (unsigned i = 0; i < WORKERS; i++)
		sources[i]->ops->close(sources[i]);
	interface_table_close(table);
	close(sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_directions_to_one_worker) };

	if (getenv("WEIR_CAPTURE") != NULL && getenv("WEIR_SEND") != NULL) {
		capture_device = getenv("WEIR_CAPTURE");
		send_device = getenv("WEIR_SEND");
	} else if (!backend_support_enter(4)) {
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
