/* RAM-resident TPACKET_V3 blocks full of made packets, and the bare walk over them. */
#ifndef WEIR_BENCH_BLOCKS_H
#define WEIR_BENCH_BLOCKS_H

#include <arpa/inet.h>
#include <linux/if_packet.h>

#include "bench_util.h"
#include "decoders/decode.h"
#include "engine/gen/shape.h"
#include "engine/sources/memory.h"

#define BENCH_BLOCK_SIZE (1u << 20)

struct blocks {
	struct source *source;
	struct tpacket_block_desc **blocks;
	uint32_t count;
	uint64_t packets;
};

struct blocks_options {
	const char *mix, *size;
	uint32_t flows;
	uint64_t packets;
	uint64_t loops;      /* of the source; 0: for ever */
	uint64_t first_ns;   /* timestamp of the first packet, 100 ns between them */
	uint16_t interface;
	bool handshake;
};

static inline void blocks_fill(struct memory_builder *builder, const struct shape *shape,
			       const struct blocks_options *options)
{
	struct shape_cursor cursor = { 0 };
	uint8_t frame[SHAPE_LENGTH_MAX];

	for (uint32_t i = 0; i < sizeof frame; i++)
		frame[i] = shape_filler(i);
	for (uint64_t n = 0; n < options->packets; n++) {
		struct memory_packet packet = { .data = frame, .timestamp_ns = options->first_ns + n * 100,
						.protocol = 0x0800, .packet_type = PACKET_HOST };

		packet.captured_len = packet.wire_len = shape_fill(shape, &cursor, packet.timestamp_ns, frame);
		if (memory_builder_append(builder, &packet) != 0)
			bench_die("cannot build blocks");
	}
	if (memory_builder_retire(builder, false) != 0)
		bench_die("no memory for the blocks");
}

/* Dies when it cannot. */
static inline void blocks_open(struct blocks *blocks, const struct blocks_options *options)
{
	struct memory_builder_options builder_options = { .block_size = BENCH_BLOCK_SIZE, .reserve = BLOCK_RESERVE };
	struct memory_options memory_options = {
		.walk = { .mode = BLOCK_WALK_ETHERNET, .link_type = LINK_ETHERNET, .interface = options->interface,
			  .snap_length = 262144 },
		.loops = options->loops,
		.handshake = options->handshake,
	};
	struct shape_options shape_options = { .mix = options->mix, .size = options->size, .flows = options->flows,
					       .src_mac = { 2, 0, 0, 0, 0, 1 }, .dst_mac = { 2, 0, 0, 0, 0, 2 } };
	struct shape *shape = calloc(1, sizeof *shape);
	struct memory_builder *builder;
	struct error error = { 0 };

	if (shape == NULL || shape_build(shape, &shape_options, &error) != 0 ||
	    memory_builder_create(&builder_options, &builder, &error) != 0)
		bench_die(error.message);
	blocks_fill(builder, shape, options);
	free(shape);
	blocks->count = memory_builder_blocks(builder);
	blocks->packets = memory_builder_packets(builder);
	blocks->blocks = calloc(blocks->count, sizeof(struct tpacket_block_desc *));
	for (uint32_t i = 0; i < blocks->count; i++)
		blocks->blocks[i] = memory_builder_block(builder, i);
	if (memory_open(builder, &memory_options, &blocks->source, &error) != 0)
		bench_die(error.message);
}

/* close_source: false when an engine has taken the source over. */
static inline void blocks_close(struct blocks *blocks, bool close_source)
{
	if (close_source)
		blocks->source->ops->close(blocks->source);
	free(blocks->blocks);
}

/* The bare walk: the chain of headers, each packet's lengths, time and first word behind the addresses.
 * What any consumer of a ring must touch, and nothing more. prefetch: with the next-but-one packet's line
 * asked for ahead, which a loop as people write it does not do. */
static inline __attribute__((always_inline)) uint64_t blocks_walk(const struct blocks *blocks, bool prefetch)
{
	uint64_t sum = 0;

	for (uint32_t b = 0; b < blocks->count; b++) {
		const struct tpacket_block_desc *block = blocks->blocks[b];
		const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;

		for (uint32_t left = block->hdr.bh1.num_pkts; left > 0; left--) {
			const struct tpacket3_hdr *header = (const void *)at;
			uint32_t word;

			memcpy(&word, at + header->tp_mac + 12, sizeof word);
			sum += header->tp_len + header->tp_snaplen + header->tp_sec + header->tp_nsec + word;
			at += header->tp_next_offset;
			if (prefetch)
				__builtin_prefetch(at + 2 * (size_t)header->tp_next_offset);
		}
	}
	return sum;
}

/* ns per packet of one bare walk over all blocks. */
static inline double blocks_walk_ns(const struct blocks *blocks)
{
	uint64_t start = bench_thread_ns();
	volatile uint64_t sum = blocks_walk(blocks, false);

	(void)sum;
	return (double)(bench_thread_ns() - start) / (double)blocks->packets;
}

static inline double blocks_walk_prefetch_ns(const struct blocks *blocks)
{
	uint64_t start = bench_thread_ns();
	volatile uint64_t sum = blocks_walk(blocks, true);

	(void)sum;
	return (double)(bench_thread_ns() - start) / (double)blocks->packets;
}

#endif
