#include "engine/sources/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BLOCK_DEFAULT (256u * 1024)
#define MEMORY_FRAME_ALIGN 8u /* kernel: V3_ALIGNMENT */

struct memory_builder {
	struct memory_builder_options options;
	uint8_t **blocks; /* count of them, each block_size bytes, page-aligned; owned */
	uint32_t count;
	uint32_t capacity;
	struct tpacket_block_desc *open; /* the block that is being filled, the last of blocks; or NULL */
	struct tpacket3_hdr *last;       /* its last frame, or NULL */
	uint32_t used;                   /* its bytes in use */
	uint64_t packets;
};

enum memory_state {
	MEMORY_FREE = 0, /* may be handed out (and, with handshake, once its status says USER) */
	MEMORY_WALKED,   /* being handed out */
	MEMORY_HELD,     /* handed out whole, waits for its release */
};

struct memory_source {
	struct source source;
	struct memory_options options;
	struct memory_builder *builder; /* owned */
	uint8_t **pristine;             /* with poison: a copy of each block; owned */
	_Atomic uint8_t *states;        /* enum memory_state of each block; the worker writes */
	struct block_walk walk;
	uint32_t block; /* the one being walked, or to be taken next */
	bool walking;
	bool stopped;
	uint64_t loop;
	uint64_t handed_out;
	_Atomic uint64_t faults;
	_Atomic uint32_t held;
	uint32_t held_most;
};

static inline uint32_t align_up(uint32_t value, uint32_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

/* ---- builder ---- */

int memory_builder_create(const struct memory_builder_options *options, struct memory_builder **builder,
			  struct error *error)
{
	struct memory_builder *made = calloc(1, sizeof *made);

	*builder = NULL;
	if (made == NULL)
		return error_set_errno(error, -ENOMEM, "cannot build blocks");
	made->options = *options;
	if (made->options.block_size == 0)
		made->options.block_size = MEMORY_BLOCK_DEFAULT;
	if (made->options.hatype == 0)
		made->options.hatype = 1;
	if (made->options.block_size % MEMORY_BLOCK_MIN != 0 ||
	    made->options.block_size > UINT32_C(1) << 30 || made->options.reserve > 4096 ||
	    made->options.address_len > 8) {
		free(made);
		return error_set(error, -EINVAL, "a block of %u bytes cannot be built", options->block_size);
	}
	*builder = made;
	return 0;
}

void memory_builder_close(struct memory_builder *builder)
{
	if (builder == NULL)
		return;
	for (uint32_t i = 0; i < builder->count; i++)
		free(builder->blocks[i]);
	free(builder->blocks);
	free(builder);
}

/* kernel: prb_open_block. */
static int builder_open_block(struct memory_builder *builder)
{
	struct tpacket_block_desc *block;
	uint32_t size = builder->options.block_size;

	if (builder->count == builder->capacity) {
		uint32_t capacity = builder->capacity == 0 ? 64 : builder->capacity * 2;
		uint8_t **blocks = realloc(builder->blocks, capacity * sizeof *blocks);

		if (blocks == NULL)
			return -ENOMEM;
		builder->blocks = blocks;
		builder->capacity = capacity;
	}
	block = aligned_alloc(MEMORY_BLOCK_MIN, size);
	if (block == NULL)
		return -ENOMEM;
	memset(block, 0, size);
	builder->blocks[builder->count++] = (uint8_t *)block;
	block->version = TPACKET_V3;
	block->offset_to_priv = align_up(sizeof *block, MEMORY_FRAME_ALIGN);
	block->hdr.bh1.offset_to_first_pkt = block->offset_to_priv;
	block->hdr.bh1.seq_num = builder->count;
	builder->open = block;
	builder->last = NULL;
	builder->used = block->hdr.bh1.offset_to_first_pkt;
	return 0;
}

int memory_builder_retire(struct memory_builder *builder, bool timeout)
{
	struct tpacket_block_desc *block;
	int result;

	if (builder->open == NULL && (result = builder_open_block(builder)) != 0)
		return result;
	block = builder->open;
	/* kernel: prb_close_block ends the chain with 0. */
	if (builder->last != NULL) {
		builder->last->tp_next_offset = 0;
		block->hdr.bh1.ts_last_pkt.ts_sec = builder->last->tp_sec;
		block->hdr.bh1.ts_last_pkt.ts_nsec = builder->last->tp_nsec;
	}
	block->hdr.bh1.blk_len = builder->used;
	block->hdr.bh1.block_status = TP_STATUS_USER | (timeout ? TP_STATUS_BLK_TMO : 0);
	builder->open = NULL;
	builder->last = NULL;
	return 0;
}

uint32_t memory_builder_blocks(const struct memory_builder *builder)
{
	return builder->count;
}

uint64_t memory_builder_packets(const struct memory_builder *builder)
{
	return builder->packets;
}

struct tpacket_block_desc *memory_builder_block(const struct memory_builder *builder, uint32_t index)
{
	return (struct tpacket_block_desc *)(void *)builder->blocks[index];
}

/* kernel: tpacket_rcv. The link header's 14 bytes end on a 16-byte boundary, plus the reserve. */
static uint32_t builder_net_offset(const struct memory_builder_options *options)
{
	return TPACKET_ALIGN(TPACKET3_HDRLEN + 16) + options->reserve;
}

static void builder_fill(const struct memory_builder *builder, const struct memory_packet *packet,
			 uint32_t mac, struct tpacket3_hdr *header)
{
	const struct memory_builder_options *options = &builder->options;
	struct sockaddr_ll *address = block_walk_address(header);

	header->tp_sec = (uint32_t)(packet->timestamp_ns / UINT64_C(1000000000));
	header->tp_nsec = (uint32_t)(packet->timestamp_ns % UINT64_C(1000000000));
	header->tp_snaplen = packet->captured_len;
	header->tp_len = packet->wire_len < packet->captured_len ? packet->captured_len : packet->wire_len;
	header->tp_status = TP_STATUS_USER | packet->status;
	if (packet->tagged) {
		header->tp_status |=
			TP_STATUS_VLAN_VALID | (packet->vlan_tpid != 0 ? TP_STATUS_VLAN_TPID_VALID : 0);
		header->hv1.tp_vlan_tci = packet->vlan_tci;
		header->hv1.tp_vlan_tpid = packet->vlan_tpid;
	}
	header->tp_mac = (uint16_t)mac;
	header->tp_net = (uint16_t)builder_net_offset(options);
	address->sll_family = AF_PACKET;
	address->sll_protocol = htons(packet->protocol);
	address->sll_ifindex = options->ifindex;
	address->sll_hatype = options->hatype;
	address->sll_pkttype = packet->packet_type;
	address->sll_halen = options->address_len;
	memcpy(address->sll_addr, options->address, sizeof address->sll_addr);
	if (packet->captured_len != 0)
		memcpy((uint8_t *)header + mac, packet->data, packet->captured_len);
}

int memory_builder_append(struct memory_builder *builder, const struct memory_packet *packet)
{
	const struct memory_builder_options *options = &builder->options;
	uint32_t net = builder_net_offset(options);
	uint32_t mac = options->cooked ? net : net - ETH_HLEN;
	uint64_t room = options->block_size - align_up(sizeof(struct tpacket_block_desc), MEMORY_FRAME_ALIGN);
	struct tpacket3_hdr *header;
	uint32_t length;
	int result;

	if (packet->timestamp_ns / UINT64_C(1000000000) > UINT32_MAX)
		return -EINVAL;
	/* kernel: prb_try_next_block leaves at least one byte behind the last frame. */
	if ((uint64_t)packet->captured_len + mac + MEMORY_FRAME_ALIGN >= room)
		return -EMSGSIZE;
	length = align_up(mac + packet->captured_len, MEMORY_FRAME_ALIGN);
	if (builder->open != NULL && builder->used + length >= options->block_size)
		memory_builder_retire(builder, false);
	if (builder->open == NULL && (result = builder_open_block(builder)) != 0)
		return result;
	header = (struct tpacket3_hdr *)((uint8_t *)builder->open + builder->used);
	header->tp_next_offset = length;
	builder_fill(builder, packet, mac, header);
	if (builder->last == NULL) {
		builder->open->hdr.bh1.ts_first_pkt.ts_sec = header->tp_sec;
		builder->open->hdr.bh1.ts_first_pkt.ts_nsec = header->tp_nsec;
	}
	builder->last = header;
	builder->used += length;
	builder->open->hdr.bh1.num_pkts++;
	builder->packets++;
	return 0;
}

/* ---- source ---- */

static struct tpacket_block_desc *memory_block(const struct memory_source *memory, uint32_t index)
{
	return (struct tpacket_block_desc *)memory->builder->blocks[index];
}

/* Plays the kernel on one released block: packets back, then the status. */
static void memory_fill_block(struct memory_source *memory, uint32_t index)
{
	struct tpacket_block_desc *block = memory_block(memory, index);
	const struct tpacket_block_desc *pristine;

	if (memory->pristine == NULL) {
		/* pairs with: block_walk_acquire. */
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_USER, __ATOMIC_RELEASE);
		return;
	}
	pristine = (const struct tpacket_block_desc *)memory->pristine[index];
	memcpy(block + 1, pristine + 1, memory->builder->options.block_size - sizeof *block);
	/* pairs with: block_walk_acquire. The packets are seen with the status. */
	__atomic_store_n(&block->hdr.bh1.block_status, pristine->hdr.bh1.block_status, __ATOMIC_RELEASE);
}

uint32_t memory_refill(struct source *source)
{
	struct memory_source *memory = (struct memory_source *)source;
	uint32_t refilled = 0;

	for (uint32_t i = 0; i < memory->builder->count; i++) {
		/* pairs with: block_walk_return. The worker's reads are over. */
		uint32_t status =
			__atomic_load_n(&memory_block(memory, i)->hdr.bh1.block_status, __ATOMIC_ACQUIRE);

		if (status != TP_STATUS_KERNEL)
			continue;
		memory_fill_block(memory, i);
		refilled++;
	}
	return refilled;
}

uint64_t memory_faults(const struct source *source)
{
	return atomic_load_statistic(&((const struct memory_source *)source)->faults);
}

uint32_t memory_held(const struct source *source)
{
	return atomic_load_statistic(&((const struct memory_source *)source)->held);
}

/* Takes the next block when it is there. Returns 1, 0 for none now, -ENODATA at the end. */
static int memory_take(struct memory_source *memory)
{
	struct tpacket_block_desc *block = memory_block(memory, memory->block);

	if (memory->stopped || (memory->options.loops != 0 && memory->loop == memory->options.loops))
		return -ENODATA;
	if (atomic_load_statistic(&memory->states[memory->block]) != MEMORY_FREE)
		return 0;
	if (!block_walk_acquire(block)) {
		if (memory->options.manual_refill)
			return 0;
		memory_fill_block(memory, memory->block);
	}
	block_walk_begin(&memory->walk, block, memory->block);
	atomic_store_statistic(&memory->states[memory->block], MEMORY_WALKED);
	memory->walking = true;
	return 1;
}

static void memory_end_block(struct memory_source *memory)
{
	uint32_t held = atomic_load_statistic(&memory->held) + 1;

	atomic_store_statistic(&memory->states[memory->block], MEMORY_HELD);
	atomic_store_statistic(&memory->held, held);
	if (held > memory->held_most)
		memory->held_most = held;
	memory->walking = false;
	if (++memory->block == memory->builder->count) {
		memory->block = 0;
		memory->loop++;
	}
}

static int memory_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct memory_source *memory = (struct memory_source *)source;
	unsigned count;

	if (!memory->walking) {
		int taken = memory_take(memory);

		if (taken <= 0)
			return taken;
	}
	count = block_walk_frames(&memory->walk, &memory->options.walk, frames, max);
	memory->handed_out += count - (frames[0].flags & FRAME_NO_PACKET ? 1 : 0);
	if (memory->walk.ended)
		memory_end_block(memory);
	return (int)count;
}

/* Overwrites the packets and leaves the block's own header, which the refill needs no copy of. */
static void memory_poison_block(struct memory_source *memory, struct tpacket_block_desc *block)
{
	memset(block + 1, MEMORY_POISON, memory->builder->options.block_size - sizeof *block);
}

static void memory_release(struct source *source, uint32_t span)
{
	struct memory_source *memory = (struct memory_source *)source;
	struct tpacket_block_desc *block;

	if (span >= source->span_count || atomic_load_statistic(&memory->states[span]) != MEMORY_HELD) {
		atomic_store_statistic(&memory->faults, atomic_load_statistic(&memory->faults) + 1);
		return;
	}
	block = memory_block(memory, span);
	if (memory->options.poison)
		memory_poison_block(memory, block);
	atomic_store_statistic(&memory->states[span], MEMORY_FREE);
	atomic_store_statistic(&memory->held, atomic_load_statistic(&memory->held) - 1);
	if (memory->options.handshake)
		block_walk_return(block);
}

static int memory_start(struct source *source, struct error *error)
{
	(void)source;
	(void)error;
	return 0;
}

static void memory_stop(struct source *source)
{
	((struct memory_source *)source)->stopped = true;
}

static void memory_stats(struct source *source, struct source_stats *stats)
{
	const struct memory_source *memory = (const struct memory_source *)source;

	*stats = (struct source_stats){
		.seen = memory->handed_out,
		.handed_out = memory->handed_out,
		.spans_total = source->span_count,
		.spans_held_most = memory->held_most,
		.mode = "memory",
	};
}

static bool memory_progress(struct source *source, uint64_t *done, uint64_t *total)
{
	(void)source;
	(void)done;
	(void)total;
	return false;
}

static void memory_close(struct source *source)
{
	struct memory_source *memory = (struct memory_source *)source;

	if (memory == NULL)
		return;
	if (memory->pristine != NULL) {
		for (uint32_t i = 0; i < memory->builder->count; i++)
			free(memory->pristine[i]);
	}
	free(memory->pristine);
	free((void *)memory->states);
	memory_builder_close(memory->builder);
	free(memory);
}

static const struct source_ops memory_ops = {
	.name = "memory",
	.start = memory_start,
	.rx_burst = memory_rx_burst,
	.release = memory_release,
	.stop = memory_stop,
	.stats = memory_stats,
	.close = memory_close,
};

static int memory_copy_blocks(struct memory_source *memory)
{
	uint32_t size = memory->builder->options.block_size;

	memory->pristine = calloc(memory->builder->count, sizeof *memory->pristine);
	if (memory->pristine == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < memory->builder->count; i++) {
		memory->pristine[i] = malloc(size);
		if (memory->pristine[i] == NULL)
			return -ENOMEM;
		memcpy(memory->pristine[i], memory->builder->blocks[i], size);
	}
	return 0;
}

int memory_open(struct memory_builder *builder, const struct memory_options *options, struct source **source,
		struct error *error)
{
	struct memory_source *memory = calloc(1, sizeof *memory);

	*source = NULL;
	if (memory == NULL) {
		memory_builder_close(builder);
		return error_set_errno(error, -ENOMEM, "cannot open blocks in memory");
	}
	memory->builder = builder;
	memory->options = *options;
	memory->options.handshake |= options->poison; /* the refill is what brings the packets back */
	if (builder->open != NULL)
		memory_builder_retire(builder, false);
	if (builder->count == 0) {
		memory_close(&memory->source);
		return error_set(error, -EINVAL, "no block was built");
	}
	memory->source.ops = &memory_ops;
	memory->source.fd = -1;
	memory->source.interface = options->walk.interface;
	memory->source.span_count = builder->count;
	memory->source.burst = SOURCE_BURST_SHORT;
	memory->source.live = options->live;
	memory->source.progress = memory_progress;
	memory->states = calloc(builder->count, sizeof *memory->states);
	if (memory->states == NULL || (options->poison && memory_copy_blocks(memory) != 0)) {
		memory_close(&memory->source);
		return error_set_errno(error, -ENOMEM, "cannot open blocks in memory");
	}
	*source = &memory->source;
	return 0;
}
