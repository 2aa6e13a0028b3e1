/* xdp-records: the ring's reader on plain memory, and the program against the decoders: for every packet, the
 * record that comes out of the kernel (or is finished from its header bytes) is decode_packet's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../translate/packets.h"
#include "engine/clock.h"
#include "engine/sources/xdprecords_program.h"
#include "engine/sources/xdprecords_ring.h"

/* --- the ring on plain memory ----------------------------------------------------------------- */

#define RING_SIZE 4096u

struct fake {
	uint8_t *data; /* mapped twice in a row, as the kernel does */
	uint64_t consumer, producer;
	struct xdprecords_ring ring;
};

static void fake_open(struct fake *fake)
{
	int fd = memfd_create("ring", 0);

	memset(fake, 0, sizeof *fake);
	assert_int_equal(ftruncate(fd, RING_SIZE), 0);
	fake->data = mmap(NULL, 2 * RING_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_ptr_not_equal(mmap(fake->data + i * RING_SIZE, RING_SIZE, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, fd, 0), MAP_FAILED);
	close(fd);
	fake->ring.data = fake->data;
	fake->ring.mask = RING_SIZE - 1;
	fake->ring.consumer = &fake->consumer;
	fake->ring.producer = &fake->producer;
}

static void fake_close(struct fake *fake)
{
	munmap(fake->data, 2 * RING_SIZE);
}

/* The kernel's side. Returns where the header is, or NULL when there is no room. */
static uint32_t *reserve(struct fake *fake, uint32_t length)
{
	uint32_t *header = (uint32_t *)(fake->data + (fake->producer & (RING_SIZE - 1)));
	uint64_t after = fake->producer + ((length + 8 + 7) & ~7u);

	if (after - fake->consumer > RING_SIZE - 1)
		return NULL;
	*header = length | BPF_RINGBUF_BUSY_BIT;
	fake->producer = after;
	return header;
}

/* Where the test knows that there is room. */
static uint32_t *reserve_surely(struct fake *fake, uint32_t length)
{
	uint32_t *header = reserve(fake, length);

	if (header == NULL)
		abort(); /* cmocka's assertions do not tell the compiler that they do not return */
	return header;
}

static bool submit_record(struct fake *fake, uint32_t number)
{
	uint32_t *header = reserve(fake, sizeof(struct record));
	struct record record = { .wire_length = number, .timestamp_ns = 1000 + number };

	if (header == NULL)
		return false;
	memcpy(header + 2, &record, sizeof record);
	*header &= ~BPF_RINGBUF_BUSY_BIT;
	return true;
}

static void reads_what_was_written(void **state)
{
	struct fake fake;
	struct frame frames[SOURCE_BURST];
	uint32_t written = 0, read = 0;

	fake_open(&fake);
	/* Many times around, so that samples lie over the edge. */
	for (unsigned round = 0; round < 1000; round++) {
		unsigned count;

		for (unsigned i = 0; i < 1 + round % 20; i++)
			written += submit_record(&fake, written);
		count = xdprecords_ring_rx(&fake.ring, frames, SOURCE_BURST);
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(frames[i].wire_len, read++);
			assert_true(frames[i].flags & FRAME_IS_RECORD);
		}
		assert_true(frames[count - 1].flags & FRAME_LAST_OF_SPAN);
		xdprecords_ring_release(&fake.ring, frames[count - 1].span);
		assert_int_equal(fake.consumer, fake.producer);
		assert_int_equal(read, written);
	}
	assert_int_equal(fake.ring.handed_out, written);
	fake_close(&fake);
}

static void stops_at_busy_and_skips_discarded(void **state)
{
	struct fake fake;
	struct frame frames[SOURCE_BURST];
	uint32_t *busy, *given_up;

	fake_open(&fake);
	assert_false(xdprecords_ring_waiting(&fake.ring));
	submit_record(&fake, 0);
	busy = reserve(&fake, sizeof(struct record));
	submit_record(&fake, 2);
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, SOURCE_BURST), 1);
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, SOURCE_BURST), 0);
	assert_false(xdprecords_ring_waiting(&fake.ring));
	*busy = (*busy & ~BPF_RINGBUF_BUSY_BIT) | BPF_RINGBUF_DISCARD_BIT;
	assert_true(xdprecords_ring_waiting(&fake.ring));
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, SOURCE_BURST), 1);
	assert_int_equal(frames[0].wire_len, 2);
	assert_int_equal(fake.ring.discarded, 1);
	/* Out of order: the older span still holds its bytes. */
	xdprecords_ring_release(&fake.ring, 1);
	assert_int_equal(fake.consumer, 0);
	xdprecords_ring_release(&fake.ring, 0);
	assert_int_equal(fake.consumer, fake.producer);
	/* Only discarded samples: given back without a span. */
	given_up = reserve(&fake, 16);
	*given_up = 16 | BPF_RINGBUF_DISCARD_BIT;
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, SOURCE_BURST), 0);
	assert_int_equal(fake.consumer, fake.producer);
	fake_close(&fake);
}

static void header_bytes(void **state)
{
	struct fake fake;
	struct frame frames[SOURCE_BURST];
	const uint32_t size = sizeof(struct xdprecords_headers) + XDPRECORDS_BYTES;
	struct xdprecords_headers *headers = calloc(1, size);
	uint32_t *header;

	fake_open(&fake);
	*headers = (struct xdprecords_headers){ .timestamp_ns = 7, .wire_length = 1500, .length = 512,
						.direction = DIRECTION_OTHER };
	headers->bytes[511] = 42;
	header = reserve_surely(&fake, size);
	memcpy(header + 2, headers, size);
	*header = size;
	headers->length = headers->wire_length = 60;
	header = reserve_surely(&fake, size);
	memcpy(header + 2, headers, size);
	*header = size;
	free(headers);
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, SOURCE_BURST), 2);
	assert_int_equal(frames[0].flags, DIRECTION_OTHER | FRAME_MORE_FRAGMENTS);
	assert_int_equal(frames[0].captured_len, 1500);
	assert_int_equal(frames[0].fragment_len, 512);
	assert_int_equal(frames[0].data[511], 42);
	assert_int_equal(frames[1].flags, DIRECTION_OTHER | FRAME_LAST_OF_SPAN);
	assert_int_equal(frames[1].captured_len, 60);
	fake_close(&fake);
}

static void no_more_spans_than_there_are(void **state)
{
	struct fake fake;
	struct frame frames[SOURCE_BURST];
	unsigned spans = 0;

	fake_open(&fake);
	fake.ring.mask = RING_SIZE - 1;
	for (unsigned i = 0; i < XDPRECORDS_SPANS; i++) {
		uint32_t *header;

		fake.consumer = fake.producer; /* the kernel would not, but the spans are what counts here */
		header = reserve(&fake, 8);
		*header = 8;
		spans += xdprecords_ring_rx(&fake.ring, frames, 1);
	}
	assert_int_equal(spans, XDPRECORDS_SPANS);
	fake.consumer = fake.producer;
	*reserve(&fake, 8) = 8;
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, 1), 0);
	xdprecords_ring_release(&fake.ring, 0);
	assert_int_equal(xdprecords_ring_rx(&fake.ring, frames, 1), 1);
	assert_int_equal(frames[0].span, 0);
	fake_close(&fake);
}

/* --- the program against the decoders --------------------------------------------------------- */

static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 1 };

struct rig {
	struct xdprecords_program *program;
	struct xdprecords_ring ring;
	int fd;
	struct decode_options options;
	uint64_t plain, others, cut;
};

static int rig_open(struct rig *rig, const struct decode_options *options, struct error *error)
{
	struct interfaces_entry interface = { .name = "test" };
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 1u << 16;
	uint8_t *pages;
	int result;

	memset(rig, 0, sizeof *rig);
	rig->options = *options;
	memcpy(interface.mac, our_mac, sizeof our_mac);
	result = xdprecords_program_load(&interface, &options->ports, NULL, true, &rig->program, error);
	if (result < 0)
		return result;
	rig->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "test", 0, 0, (uint32_t)size, NULL);
	assert_true(rig->fd >= 0);
	rig->ring.consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, rig->fd, 0);
	pages = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, rig->fd, (off_t)page);
	assert_ptr_not_equal(pages, MAP_FAILED);
	rig->ring.producer = (uint64_t *)pages;
	rig->ring.data = pages + page;
	rig->ring.mask = size - 1;
	assert_int_equal(xdprecords_program_bind(rig->program, (uint32_t)sched_getcpu(), rig->fd), 0);
	return 0;
}

static void rig_close(struct rig *rig)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap(rig->ring.consumer, page);
	munmap((void *)(rig->ring.data - page), page + 2 * (rig->ring.mask + 1));
	close(rig->fd);
	xdprecords_program_close(rig->program);
}

/* The record of one frame, as the worker makes it. */
static void finish(struct rig *rig, const struct frame *frame, struct record *record)
{
	if (frame->flags & FRAME_IS_RECORD) {
		memcpy(record, frame->data, sizeof *record);
		rig->plain++;
		return;
	}
	decode_packet(&rig->options, frame->data,
		      frame->flags & FRAME_MORE_FRAGMENTS ? frame->fragment_len : frame->captured_len, frame->wire_len,
		      frame->link_type, record, NULL);
	record->timestamp_ns = frame->timestamp_ns;
	record->status |= frame->flags & FRAME_DIRECTION_MASK;
	rig->others++;
}

static void compare(struct rig *rig, const uint8_t *bytes, uint32_t length, unsigned number)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = length, .repeat = 1);
	uint64_t before = clock_wall_ns();
	struct record got, expected;
	struct frame frame;

	assert_int_equal(bpf_prog_test_run_opts(xdprecords_program_descriptor(rig->program), &options), 0);
	assert_int_equal(options.retval, XDP_PASS);
	assert_int_equal(xdprecords_ring_rx(&rig->ring, &frame, 1), 1);
	finish(rig, &frame, &got);
	xdprecords_ring_release(&rig->ring, frame.span);
	assert_true(got.timestamp_ns + 1000000 > before && got.timestamp_ns < clock_wall_ns() + 1000000);

	decode_packet(&rig->options, bytes, length, length, LINK_ETHERNET, &expected, NULL);
	if ((got.status & STATUS_CUT) && !(expected.status & STATUS_CUT)) {
		/* More headers than were handed over: as with a snap length. */
		assert_true(frame.flags & FRAME_MORE_FRAGMENTS);
		decode_packet(&rig->options, bytes, frame.fragment_len, length, LINK_ETHERNET, &expected, NULL);
		rig->cut++;
	}
	expected.status |= (bytes[0] & 1) || !memcmp(bytes, our_mac, 6) ? DIRECTION_IN : DIRECTION_OTHER;
	expected.timestamp_ns = got.timestamp_ns = 0;
	expected.captured_length = got.captured_length = 0;
	expected.packet_offset = got.packet_offset = 0;
	if (memcmp(&got, &expected, sizeof got) != 0) {
		printf("packet %u, %u bytes, %s:\n", number, length, frame.flags & FRAME_IS_RECORD ? "kernel" : "headers");
		for (unsigned at = 0; at < sizeof got; at++) {
			if (((uint8_t *)&got)[at] != ((uint8_t *)&expected)[at])
				printf("  at %u: %02x, decode_packet has %02x\n", at, ((uint8_t *)&got)[at],
				       ((uint8_t *)&expected)[at]);
		}
		fail();
	}
}

static void agrees_with_the_decoders(void **state)
{
	const struct decode_options options = { 0 };
	uint8_t bytes[PACKET_MOST];
	struct rig rig;

	assert_int_equal(rig_open(&rig, &options, NULL), 0);
	for (unsigned i = 0; i < 60000; i++)
		compare(&rig, bytes, packet_make(77, i, bytes), i);
	printf("%llu records made in the kernel, %llu finished from header bytes, %llu cut\n",
	       (unsigned long long)rig.plain, (unsigned long long)rig.others, (unsigned long long)rig.cut);
	assert_true(rig.plain > 5000 && rig.others > 5000 && rig.cut < 60);
	rig_close(&rig);
}

/* Ports that options name are left to the decoders. */
static void agrees_with_extra_ports(void **state)
{
	const struct decode_options options = { .ports = { .vxlan = { 53, 8080 }, .gtpu = { 123 } } };
	uint8_t bytes[PACKET_MOST];
	struct rig rig;

	assert_int_equal(rig_open(&rig, &options, NULL), 0);
	for (unsigned i = 0; i < 5000; i++)
		compare(&rig, bytes, packet_make(78, i, bytes), i);
	rig_close(&rig);
}

/* The options' fixed forms, and neighbours of them that are none. */
static void tcp_options(void **state)
{
	static const struct {
		uint8_t length;
		uint8_t bytes[40];
	} forms[] = {
		{ 0, { 0 } },
		{ 12, { 1, 1, 8, 10 } },
		{ 12, { 1, 1, 8, 9 } },
		{ 12, { 1, 1, 5, 10 } },
		{ 20, { 1, 1, 5, 18 } },
		{ 20, { 1, 1, 8, 10 } },
		{ 20, { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7 } },
		{ 20, { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 4, 7 } },
		{ 20, { 2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 8, 10 } },
		{ 4, { 2, 4, 5, 0xb4 } },
		{ 8, { 2, 4, 5, 0xb4, 1, 1, 4, 2 } },
		{ 40, { 1, 1, 5, 34 } },
	};
	const struct decode_options options = { 0 };
	uint8_t bytes[PACKET_MOST] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45 };
	struct rig rig;

	assert_int_equal(rig_open(&rig, &options, NULL), 0);
	bytes[22] = 64;
	bytes[23] = 6;
	for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		uint8_t *tcp = bytes + 34;

		bytes[17] = (uint8_t)(20 + 20 + forms[i].length + 3);
		tcp[12] = (uint8_t)((5 + forms[i].length / 4) << 4);
		memcpy(tcp + 20, forms[i].bytes, sizeof forms[i].bytes);
		compare(&rig, bytes, 14u + bytes[17], i);
		compare(&rig, bytes, 14u + bytes[17] - 10u, i); /* cut: longer than the frame */
		compare(&rig, bytes, 100, i);                   /* padded */
	}
	assert_int_equal(rig.plain, 10);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(stops_at_busy_and_skips_discarded),
		cmocka_unit_test(header_bytes),
		cmocka_unit_test(no_more_spans_than_there_are),
	};
	const struct CMUnitTest loaded[] = {
		cmocka_unit_test(agrees_with_the_decoders),
		cmocka_unit_test(agrees_with_extra_ports),
		cmocka_unit_test(tcp_options),
	};
	const struct decode_options options = { 0 };
	struct error error = { 0 };
	struct rig rig;
	cpu_set_t cpu;
	int result = cmocka_run_group_tests(pure, NULL, NULL);

	if (result != 0)
		return result;
	/* BPF_PROG_TEST_RUN runs on the CPU it is called on, and that one has the ring. */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof cpu, &cpu);
	result = rig_open(&rig, &options, &error);
	if (result == -EPERM) {
		printf("skipped: loading BPF programs is not permitted here\n");
		return 77;
	}
	if (result < 0) {
		printf("%s\n", error.message);
		return 1;
	}
	rig_close(&rig);
	return cmocka_run_group_tests(loaded, NULL, NULL);
}
