/* Blocks in RAM: the builder's layout against the kernel's definitions, the walk (tags, directions, cooked
 * headers, bursts), and the source's hand-over of blocks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/decode.h"
#include "engine/sources/memory.h"

#define BLOCK 4096u

static const uint8_t ethernet[64] = {
	0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0x11, 0x22
};

static struct memory_builder *builder_of(uint32_t block_size, bool cooked)
{
	struct memory_builder_options options = { .block_size = block_size,
						  .reserve = BLOCK_RESERVE,
						  .cooked = cooked,
						  .ifindex = 7,
						  .address = { 2, 0, 0, 0, 0, 2 },
						  .address_len = 6 };
	struct memory_builder *builder;

	assert_int_equal(memory_builder_create(&options, &builder, NULL), 0);
	return builder;
}

static struct memory_packet packet_of(uint32_t captured, uint32_t wire)
{
	return (struct memory_packet){ .data = ethernet,
				       .captured_len = captured,
				       .wire_len = wire,
				       .protocol = 0x0800,
				       .timestamp_ns = UINT64_C(1700000000123456789) };
}

static void add(struct memory_builder *builder, const struct memory_packet *packet)
{
	assert_int_equal(memory_builder_append(builder, packet), 0);
}

static struct source *open_with(struct memory_builder *builder, struct memory_options options)
{
	struct source *source;

	assert_int_equal(memory_open(builder, &options, &source, NULL), 0);
	assert_int_equal(source->ops->start(source, NULL), 0);
	return source;
}

/* Opens, takes one burst, which must be count frames. */
static struct source *burst_of(struct memory_builder *builder, struct block_walk_setup walk,
			       struct frame *frames, int count)
{
	struct source *source = open_with(builder, (struct memory_options){ .walk = walk, .loops = 1 });

	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), count);
	return source;
}

/* ---- layout ---- */

static void test_layout(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 1500);
	struct source *source;
	struct frame frames[SOURCE_BURST];
	const uint8_t *block;

	(void)state;
	for (int i = 0; i < 3; i++)
		add(builder, &packet);
	source = burst_of(builder, (struct block_walk_setup){ .link_type = LINK_ETHERNET, .interface = 5 },
			  frames, 3);
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(frames[i].data, ethernet, 60);
		assert_int_equal(frames[i].captured_len, 60);
		assert_int_equal(frames[i].wire_len, 1500);
		assert_true(frames[i].timestamp_ns == UINT64_C(1700000000123456789));
		assert_int_equal(frames[i].link_type, LINK_ETHERNET);
		assert_int_equal(frames[i].interface, 5);
		assert_int_equal(frames[i].flags, DIRECTION_IN | (i == 2 ? FRAME_LAST_OF_SPAN : 0));
		/* kernel: payload behind the 14-byte header on 16 bytes plus the reserve, frames on 8. */
		assert_int_equal((uintptr_t)(frames[i].data + 14 - BLOCK_RESERVE) % 8, 0);
	}
	/* 48 bytes of block header; header 48 and address 20 to 68; payload at 96 + 4. */
	block = frames[0].data - 86 - 48;
	assert_int_equal((uintptr_t)block % BLOCK, 0);
	assert_int_equal(frames[1].data - frames[0].data, (86 + 60 + 7) / 8 * 8);
	assert_int_equal(((const struct tpacket_block_desc *)block)->hdr.bh1.num_pkts, 3);
	assert_int_equal(((const struct tpacket_block_desc *)block)->hdr.bh1.blk_len, 48 + 3 * 152);
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), -ENODATA);
	source->ops->release(source, 0);
	assert_int_equal(memory_faults(source), 0);
	source->ops->close(source);
}

static void test_blocks_fill(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct memory_packet huge = { .data = calloc(1, BLOCK), .captured_len = BLOCK - 48 - 86 - 8 };
	unsigned blocks, packets = 0;
	struct source *source;
	struct frame frames[SOURCE_BURST];
	int count;

	(void)state;
	for (int i = 0; i < 200; i++)
		add(builder, &packet);
	blocks = memory_builder_blocks(builder);
	assert_int_equal(blocks, (200 + 25) / 26); /* (4096 - 48) / 152, and a byte must be left */
	assert_int_equal(memory_builder_append(builder, &huge), -EMSGSIZE);
	huge.captured_len -= 8;
	add(builder, &huge);
	huge.timestamp_ns = (UINT64_C(1) << 32) * UINT64_C(1000000000);
	assert_int_equal(memory_builder_append(builder, &huge), -EINVAL);
	assert_int_equal(memory_builder_packets(builder), 201);
	source = open_with(builder, (struct memory_options){ .loops = 1 });
	while ((count = source->ops->rx_burst(source, frames, 10)) >= 0) {
		packets += (unsigned)count;
		if (frames[count - 1].flags & FRAME_LAST_OF_SPAN)
			source->ops->release(source, frames[count - 1].span);
	}
	assert_int_equal(packets, 201);
	assert_int_equal(memory_held(source), 0);
	assert_int_equal(memory_faults(source), 0);
	source->ops->close(source);
	free((void *)(uintptr_t)huge.data);
}

static void test_empty_block(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	assert_int_equal(memory_builder_retire(builder, true), 0);
	source = burst_of(builder, (struct block_walk_setup){ 0 }, frames, 1);
	assert_int_equal(frames[0].flags, FRAME_NO_PACKET | FRAME_LAST_OF_SPAN);
	source->ops->close(source);
}

static void test_builder_refuses(void **state)
{
	struct memory_builder_options odd = { .block_size = 1000 };
	struct memory_builder *builder;
	struct source *source;
	struct error error;

	(void)state;
	assert_int_equal(memory_builder_create(&odd, &builder, &error), -EINVAL);
	assert_null(builder);
	builder = builder_of(BLOCK, false);
	assert_int_equal(memory_open(builder, &(struct memory_options){ 0 }, &source, &error), -EINVAL);
	assert_null(source);
	memory_builder_close(NULL);
}

/* ---- the walk ---- */

static void test_directions_and_flags(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t direction;
	} types[] = { { PACKET_HOST, DIRECTION_IN },      { PACKET_BROADCAST, DIRECTION_IN },
		      { PACKET_MULTICAST, DIRECTION_IN }, { PACKET_OTHERHOST, DIRECTION_OTHER },
		      { PACKET_OUTGOING, DIRECTION_OUT }, { 77, DIRECTION_UNKNOWN } };
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	for (int i = 0; i < 6; i++) {
		packet.packet_type = types[i].type;
		add(builder, &packet);
	}
	packet.status = TP_STATUS_CSUMNOTREADY | TP_STATUS_GSO_TCP | TP_STATUS_TS_RAW_HARDWARE;
	add(builder, &packet);
	source = burst_of(builder, (struct block_walk_setup){ 0 }, frames, 7);
	for (int i = 0; i < 6; i++)
		assert_int_equal(frames[i].flags, types[i].direction);
	assert_int_equal(frames[6].flags,
			 FRAME_CSUM_NOT_READY | FRAME_AGGREGATED | FRAME_TIME_HARDWARE | FRAME_LAST_OF_SPAN);
	source->ops->close(source);
}

struct tag_case {
	uint32_t captured, wire, snap_length;
	uint16_t tci, tpid;
	uint32_t want_captured, want_wire;
	bool in_bytes;
};

/* Lengths around every edge of the addresses and the snap length. VID 0, PCP and DEI come back like any
 * other. */
static const struct tag_case tag_cases[] = {
	{ 60, 60, 0, 100, 0, 64, 64, true },         { 60, 60, 262144, 0xe064, 0x8100, 64, 64, true },
	{ 60, 1500, 64, 0, 0x88a8, 64, 1504, true }, { 60, 1500, 63, 0xf000, 0x8100, 63, 1504, true },
	{ 60, 1500, 60, 5, 0x9100, 60, 1504, true }, { 14, 60, 0, 5, 0x8100, 18, 64, true },
	{ 13, 60, 0, 5, 0x8100, 17, 64, true },      { 12, 60, 0, 5, 0x8100, 16, 64, true },
	{ 12, 60, 13, 5, 0x8100, 13, 64, true },     { 11, 60, 0, 5, 0x8100, 11, 64, false },
	{ 1, 60, 0, 5, 0x8100, 1, 64, false },       { 0, 60, 0, 5, 0x8100, 0, 64, false },
};
#define TAG_CASES (sizeof tag_cases / sizeof tag_cases[0])

static void check_tagged(const struct frame *frame, const struct tag_case *wanted)
{
	uint8_t expected[68];
	uint16_t tpid = wanted->tpid != 0 ? wanted->tpid : 0x8100;

	memcpy(expected, ethernet, 12);
	expected[12] = (uint8_t)(tpid >> 8);
	expected[13] = (uint8_t)tpid;
	expected[14] = (uint8_t)(wanted->tci >> 8);
	expected[15] = (uint8_t)wanted->tci;
	memcpy(expected + 16, ethernet + 12, 52);
	assert_int_equal(frame->captured_len, wanted->want_captured);
	assert_int_equal(frame->wire_len, wanted->want_wire);
	assert_memory_equal(frame->data, expected, wanted->want_captured);
	assert_int_equal((frame->flags & FRAME_TAG_RESTORED) != 0, wanted->in_bytes);
}

static void test_tags_restored(void **state)
{
	(void)state;
	for (size_t i = 0; i < TAG_CASES; i++) {
		const struct tag_case *tag = &tag_cases[i];
		struct memory_builder *builder = builder_of(BLOCK, false);
		struct memory_packet packet = packet_of(tag->captured, tag->wire);
		struct memory_packet plain = packet_of(60, 60);
		struct source *source;
		struct frame frames[SOURCE_BURST];

		packet.tagged = true;
		packet.vlan_tci = tag->tci;
		packet.vlan_tpid = tag->tpid;
		add(builder, &plain);
		add(builder, &packet);
		add(builder, &plain); /* the neighbours stay as they are */
		source = open_with(
			builder, (struct memory_options){ .loops = 3, .walk.snap_length = tag->snap_length });
		for (int loop = 0; loop < 3; loop++) { /* walked again, the same again */
			assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 3);
			check_tagged(&frames[1], tag);
			assert_memory_equal(frames[0].data, ethernet, 60);
			assert_memory_equal(frames[2].data, ethernet, 60);
			assert_int_equal(frames[2].captured_len, 60);
			source->ops->release(source, 0);
		}
		source->ops->close(source);
	}
}

/* On a link type without a place for the tag the bytes stay as they are. */
static void test_tag_without_place(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	packet.tagged = true;
	packet.vlan_tci = 9;
	add(builder, &packet);
	source = burst_of(builder, (struct block_walk_setup){ .mode = BLOCK_WALK_PLAIN }, frames, 1);
	assert_int_equal(frames[0].flags & FRAME_TAG_RESTORED, 0);
	assert_int_equal(frames[0].captured_len, 60);
	assert_memory_equal(frames[0].data, ethernet, 60);
	source->ops->close(source);
}

static void test_cooked(void **state)
{
	static const uint8_t plain[20] = { 0x08, 0, 0, 0, 0, 0, 0, 7, 0, 1, 4, 6, 2, 0, 0, 0, 0, 2 };
	static const uint8_t tagged[24] = { 0x81, 0, 0, 0, 0, 0, 0, 7, 0,    1, 4,    6,
					    2,    0, 0, 0, 0, 2, 0, 0, 0x20, 5, 0x08, 0 };
	struct memory_builder *builder = builder_of(BLOCK, true);
	struct memory_packet packet = packet_of(40, 40);
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	packet.packet_type = PACKET_OUTGOING;
	add(builder, &packet);
	packet.tagged = true;
	packet.vlan_tci = 0x2005;
	add(builder, &packet);
	source = open_with(builder, (struct memory_options){ .loops = 2,
							     .walk = { .mode = BLOCK_WALK_COOKED,
								       .link_type = LINK_LINUX_SLL2 } });
	for (int loop = 0; loop < 2; loop++) {
		assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 2);
		assert_int_equal(frames[0].captured_len, 60);
		assert_memory_equal(frames[0].data, plain, 20);
		assert_memory_equal(frames[0].data + 20, ethernet, 40);
		assert_int_equal(frames[0].flags & FRAME_DIRECTION_MASK, DIRECTION_OUT);
		assert_int_equal(frames[0].flags & FRAME_TAG_RESTORED, 0);
		assert_int_equal(frames[1].captured_len, 64);
		assert_int_equal(frames[1].wire_len, 64);
		assert_memory_equal(frames[1].data, tagged, 24);
		assert_memory_equal(frames[1].data + 24, ethernet, 40);
		assert_true(frames[1].flags & FRAME_TAG_RESTORED);
		source->ops->release(source, 0);
	}
	source->ops->close(source);
}

/* Every burst size hands out the same frames, and the last of a block says so. */
static void test_burst_sizes(void **state)
{
	(void)state;
	for (unsigned max = 1; max <= SOURCE_BURST; max++) {
		struct memory_builder *builder = builder_of(BLOCK, false);
		struct memory_packet packet = packet_of(60, 60);
		struct source *source;
		struct frame frames[SOURCE_BURST];
		unsigned seen = 0, ends = 0;
		int count;

		for (unsigned i = 0; i < 60; i++) {
			packet.timestamp_ns = i;
			add(builder, &packet);
		}
		source = open_with(builder, (struct memory_options){ .loops = 1 });
		while ((count = source->ops->rx_burst(source, frames, max)) >= 0) {
			assert_true(count > 0 && count <= (int)max);
			for (int i = 0; i < count; i++) {
				assert_true(frames[i].timestamp_ns == seen);
				seen++;
				if (frames[i].flags & FRAME_LAST_OF_SPAN) {
					ends++;
					assert_int_equal(frames[i].span, ends - 1);
					assert_int_equal(i, count - 1);
				}
			}
		}
		assert_int_equal(seen, 60);
		assert_int_equal(ends, 3);
		assert_int_equal(memory_held(source), 3);
		source->ops->close(source);
	}
}

/* ---- the hand-over ---- */

/* A block that is held is not handed out again; one that was released is. */
static void test_held_blocks(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	add(builder, &packet);
	memory_builder_retire(builder, false);
	add(builder, &packet);
	source = open_with(builder, (struct memory_options){ .loops = 0 });
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 1);
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 1);
	assert_int_equal(frames[0].span, 1);
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 0);
	source->ops->release(source, 1); /* out of order: the next one is still the first */
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 0);
	source->ops->release(source, 0);
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 1);
	assert_int_equal(frames[0].span, 0);
	source->ops->stop(source);
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), -ENODATA);
	source->ops->close(source);
}

static void test_faults_counted(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	add(builder, &packet);
	add(builder, &packet);
	source = open_with(builder, (struct memory_options){ .loops = 1 });
	source->ops->release(source, 0); /* before anything */
	assert_int_equal(memory_faults(source), 1);
	assert_int_equal(source->ops->rx_burst(source, frames, 1), 1);
	source->ops->release(source, 0); /* half-way through */
	assert_int_equal(memory_faults(source), 2);
	assert_int_equal(source->ops->rx_burst(source, frames, 1), 1);
	source->ops->release(source, 0);
	assert_int_equal(memory_faults(source), 2);
	source->ops->release(source, 0); /* twice */
	source->ops->release(source, 1); /* no such span */
	assert_int_equal(memory_faults(source), 4);
	source->ops->close(source);
}

static void test_handshake_and_poison(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct source *source;
	struct frame frames[SOURCE_BURST], again[SOURCE_BURST];
	uint8_t poison[60];

	(void)state;
	memset(poison, MEMORY_POISON, sizeof poison);
	packet.tagged = true; /* the refill undoes the restored tag as well */
	add(builder, &packet);
	source = open_with(builder, (struct memory_options){ .manual_refill = true, .poison = true });
	assert_int_equal(memory_refill(source), 0);
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), 1);
	assert_int_equal(memory_refill(source), 0); /* not released: not the kernel's */
	assert_int_equal(frames[0].captured_len, 64);
	source->ops->release(source, 0);
	/* Whoever still looks is found out. */
	assert_memory_equal(frames[0].data, poison, sizeof poison);
	assert_int_equal(source->ops->rx_burst(source, again, SOURCE_BURST), 0);
	assert_int_equal(memory_refill(source), 1);
	assert_int_equal(source->ops->rx_burst(source, again, SOURCE_BURST), 1);
	assert_ptr_equal(again[0].data, frames[0].data);
	assert_int_equal(again[0].captured_len, 64);
	assert_memory_equal(again[0].data, ethernet, 12);
	source->ops->release(source, 0);
	assert_int_equal(memory_faults(source), 0);
	source->ops->close(source);
}

static void test_poison_refills_itself(void **state)
{
	struct memory_builder *builder = builder_of(BLOCK, false);
	struct memory_packet packet = packet_of(60, 60);
	struct source_stats stats;
	struct source *source;
	struct frame frames[SOURCE_BURST];

	(void)state;
	for (int i = 0; i < 40; i++)
		add(builder, &packet);
	source = open_with(builder, (struct memory_options){ .loops = 5, .poison = true });
	for (int block = 0; block < 10; block++) {
		int in_block = 0, count;

		do {
			count = source->ops->rx_burst(source, frames, SOURCE_BURST);
			assert_true(count > 0);
			for (int i = 0; i < count; i++)
				assert_memory_equal(frames[i].data, ethernet, 60);
			in_block += count;
		} while (!(frames[count - 1].flags & FRAME_LAST_OF_SPAN));
		assert_int_equal(in_block, block % 2 == 0 ? 26 : 14);
		source->ops->release(source, frames[count - 1].span);
	}
	assert_int_equal(source->ops->rx_burst(source, frames, SOURCE_BURST), -ENODATA);
	source->ops->stats(source, &stats);
	assert_int_equal(stats.seen, 200);
	assert_int_equal(stats.handed_out, 200);
	assert_int_equal(stats.spans_held_most, 1);
	source->ops->close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_blocks_fill),
		cmocka_unit_test(test_empty_block),
		cmocka_unit_test(test_builder_refuses),
		cmocka_unit_test(test_directions_and_flags),
		cmocka_unit_test(test_tags_restored),
		cmocka_unit_test(test_tag_without_place),
		cmocka_unit_test(test_cooked),
		cmocka_unit_test(test_burst_sizes),
		cmocka_unit_test(test_held_blocks),
		cmocka_unit_test(test_faults_counted),
		cmocka_unit_test(test_handshake_and_poison),
		cmocka_unit_test(test_poison_refills_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
