/* pcapng: sections of blocks. https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/
 *
 *	type 4 | total length 4 | body, padded to 4 | total length 4
 *
 * section header     0a0d0d0a | length | byte-order magic | major 2, minor 2 | section length 8 | options
 * interface          1 | length | link type 2, reserved 2 | snap length | options
 * packet (obsolete)  2 | length | interface 2, drops 2 | time high | time low | captured | wire | packet |
 * options simple packet      3 | length | wire | packet enhanced packet    6 | length | interface | time
 * high | time low | captured | wire | packet | options
 *
 * Everything else is passed over by its length. Every length is an attacker's.
 */
#include <errno.h>

#include "decoders/record.h"
#include "engine/sources/savefile_private.h"

#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 2u
#define BLOCK_SIMPLE 3u
#define BLOCK_ENHANCED 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define BLOCK_EDGES 12u /* type and the two lengths */
#define SECTION_MIN 28u
#define INTERFACE_MIN 20u
#define SIMPLE_MIN 16u
#define PACKET_MIN 32u /* both kinds, with the edges */
/* A section or interface block of more bytes is taken for corruption. */
#define OTHER_MAX (UINT32_C(16) << 20)

/* A block of unknown type of more bytes is passed over without having been in memory. */
#define UNSEEN_MIN (UINT32_C(1) << 20)

#define PREFETCH_AHEAD 512u

enum option {
	OPTION_END = 0,
	OPTION_NAME = 2,
	OPTION_DESCRIPTION = 3,
	OPTION_MAC = 6,
	OPTION_RESOLUTION = 9,
	OPTION_FILTER = 11,
	OPTION_FCS = 13,
	OPTION_OFFSET = 14,
	OPTION_PACKET_FLAGS = 2,
};

static savefile_walk walk_native, walk_swapped;

struct options {
	const uint8_t *at;
	const uint8_t *end;
	bool swap;
};

/* The next option that lies whole in the block; false at the end of the list. */
static bool next_option(struct options *options, uint16_t *code, const uint8_t **value, uint16_t *length)
{
	size_t left = (size_t)(options->end - options->at);
	uint32_t padded;

	if (left < 4)
		return false;
	*code = savefile_load16(options->at, options->swap);
	*length = savefile_load16(options->at + 2, options->swap);
	padded = (*length + 3u) & ~3u;
	if (*code == OPTION_END || left - 4 < *length)
		return false;
	*value = options->at + 4;
	options->at = left - 4 < padded ? options->end : options->at + 4 + padded;
	return true;
}

/* epb_flags: bits 0-1 direction, 2-4 how it was received (4: promiscuous, for another host). */
static uint32_t direction_of(struct options options)
{
	const uint8_t *value;
	uint16_t code, length;

	while (next_option(&options, &code, &value, &length)) {
		uint32_t flags;

		if (code != OPTION_PACKET_FLAGS || length != 4)
			continue;
		flags = savefile_load32(value, options.swap);
		if ((flags & 3) == 2)
			return DIRECTION_OUT;
		if ((flags >> 2 & 7) == 4)
			return DIRECTION_OTHER;
		return (flags & 3) == 1 ? DIRECTION_IN : DIRECTION_UNKNOWN;
	}
	return DIRECTION_UNKNOWN;
}

/* length: the whole block's, checked to be there. */
static size_t read_interface(struct savefile *file, const uint8_t *block, uint32_t length, bool swap)
{
	struct options options = { .at = block + 16, .end = block + length - 4, .swap = swap };
	struct interface interface = { .link_type = savefile_load16(block + 8, swap),
				       .snap_length = savefile_load32(block + 12, swap) };
	struct savefile_clock clock;
	struct error error = { 0 };
	uint8_t resolution = 6, fcs = 0;
	int64_t offset = 0;
	const uint8_t *value;
	uint16_t code, size;

	while (next_option(&options, &code, &value, &size)) {
		if (code == OPTION_NAME)
			input_copy_text(interface.name, sizeof interface.name, value, size);
		else if (code == OPTION_DESCRIPTION)
			input_copy_text(interface.description, sizeof interface.description, value, size);
		else if (code == OPTION_MAC && size == sizeof interface.mac)
			memcpy(interface.mac, value, sizeof interface.mac);
		else if (code == OPTION_RESOLUTION && size >= 1)
			resolution = value[0];
		else if (code == OPTION_FILTER && size >= 1 && value[0] == 0)
			input_copy_text(interface.filter, sizeof interface.filter, value + 1, size - 1u);
		else if (code == OPTION_FCS && size >= 1)
			fcs = value[0];
		else if (code == OPTION_OFFSET && size == 8)
			offset = (int64_t)savefile_load64(value, swap);
	}
	savefile_clock_set(&clock, resolution, offset);
	if (savefile_interface_add(file, &interface, fcs, &clock, &error) != 0)
		return savefile_failed(file, &error);
	return 0;
}

/* A section's header at input->at, which sets the byte order of all that follows. Consumes it and returns
 * 0, or returns the bytes needed. */
static size_t read_section(struct savefile *file)
{
	const uint8_t *block = file->input->at;
	uint32_t order = savefile_load32(block + 8, false);
	bool swap = order != BYTE_ORDER_MAGIC;
	uint32_t length = savefile_load32(block + 4, swap);
	uint32_t whole = (length + 3) & ~3u;

	if (swap && __builtin_bswap32(order) != BYTE_ORDER_MAGIC)
		return savefile_corrupted(file, "a section without its byte-order magic");
	if (length < SECTION_MIN || length > OTHER_MAX)
		return savefile_corrupted(file, "a section header claims %u bytes", length);
	if (input_left(file->input) < whole)
		return whole;
	if (savefile_load32(block + whole - 4, swap) != length)
		return savefile_corrupted(file, "the two lengths of a section header differ");
	if (savefile_load16(block + 12, swap) != 1)
		return savefile_corrupted(file, "pcapng of version %u", savefile_load16(block + 12, swap));
	file->input->at += whole;
	file->swap = swap;
	file->walk = swap ? walk_swapped : walk_native;
	file->interface_count = 0;
	return 0;
}

static inline void fill_frame(struct savefile *file, const struct savefile_interface *interface,
			      struct frame *frame, const uint8_t *data, uint32_t captured, uint32_t wire,
			      uint64_t timestamp_ns)
{
	frame->data = data;
	frame->timestamp_ns = timestamp_ns;
	savefile_set_lengths(frame, captured, wire, interface->fcs);
	frame->span = file->input->current;
	frame->flags = 0;
	frame->link_type = interface->link_type;
	frame->interface = interface->index;
	frame->fragment_len = 0;
}

/* An enhanced or obsolete packet block of at least PACKET_MIN bytes that is whole. False: corrupted. */
static inline bool read_packet(struct savefile *file, const uint8_t *block, uint32_t length, bool swap,
			       bool enhanced, struct frame *frame)
{
	uint32_t index = enhanced ? savefile_load32(block + 8, swap) : savefile_load16(block + 8, swap);
	uint64_t stamp =
		(uint64_t)savefile_load32(block + 12, swap) << 32 | savefile_load32(block + 16, swap);
	uint32_t captured = savefile_load32(block + 20, swap);
	uint32_t room = length - PACKET_MIN;
	const struct savefile_interface *interface;
	uint32_t padded;

	if (__builtin_expect(index >= file->interface_count, false)) {
		savefile_corrupted(file, "packet %llu is of interface %u, which was not described",
				   (unsigned long long)file->packets + 1, index);
		return false;
	}
	if (__builtin_expect(captured > room, false)) {
		savefile_corrupted(file, "packet %llu claims %u bytes of a block of %u",
				   (unsigned long long)file->packets + 1, captured, length);
		return false;
	}
	interface = &file->interfaces[index];
	fill_frame(file, interface, frame, block + 28, captured, savefile_load32(block + 24, swap),
		   savefile_clock_ns(&interface->clock, stamp));
	padded = (captured + 3) & ~3u;
	if (room >= padded + 8)
		frame->flags =
			direction_of((struct options){ block + 28 + padded, block + length - 4, swap });
	return true;
}

static inline bool read_simple(struct savefile *file, const uint8_t *block, uint32_t length, bool swap,
			       struct frame *frame)
{
	uint32_t wire = savefile_load32(block + 8, swap);
	uint32_t captured = wire < length - SIMPLE_MIN ? wire : length - SIMPLE_MIN;

	if (file->interface_count == 0) {
		savefile_corrupted(file, "packet %llu comes before any interface",
				   (unsigned long long)file->packets + 1);
		return false;
	}
	if (file->interfaces[0].snap_length != 0 && captured > file->interfaces[0].snap_length)
		captured = file->interfaces[0].snap_length;
	fill_frame(file, &file->interfaces[0], frame, block + 12, captured, wire, 0);
	return true;
}

static uint32_t block_least(uint32_t type)
{
	switch (type) {
	case BLOCK_INTERFACE:
		return INTERFACE_MIN;
	case BLOCK_SIMPLE:
		return SIMPLE_MIN;
	case BLOCK_PACKET:
	case BLOCK_ENHANCED:
		return PACKET_MIN;
	default:
		return BLOCK_EDGES;
	}
}

static uint32_t block_most(uint32_t type)
{
	switch (type) {
	case BLOCK_INTERFACE:
		return OTHER_MAX;
	case BLOCK_SIMPLE:
	case BLOCK_PACKET:
	case BLOCK_ENHANCED:
		return SAVEFILE_PACKET_MAX + OTHER_MAX;
	default:
		return UINT32_MAX;
	}
}

/* One block other than a section's header. Returns 0 and its length rounded up to 4 in *step, 0 with the
 * file ended (corrupted), or the contiguous bytes needed. *filled: a frame was filled. */
static inline __attribute__((always_inline)) size_t read_block(struct savefile *file, const uint8_t *block,
							       size_t left, bool swap, struct frame *frame,
							       uint64_t *step, bool *filled)
{
	uint32_t type = savefile_load32(block, swap);
	uint32_t length = savefile_load32(block + 4, swap);
	/* Some old writers did not count the padding. */
	uint64_t whole = ((uint64_t)length + 3) & ~UINT64_C(3);
	bool known = type == BLOCK_ENHANCED || type == BLOCK_INTERFACE || type == BLOCK_SIMPLE ||
		     type == BLOCK_PACKET;

	*filled = false;
	*step = whole;
	if (__builtin_expect(length < block_least(type) || length > block_most(type), false))
		return savefile_corrupted(file, "a block of type %u claims %u bytes", type, length);
	if (!known && whole > UNSEEN_MIN)
		return 0;
	if (left < whole)
		return (size_t)whole;
	if (__builtin_expect(savefile_load32(block + whole - 4, swap) != length, false))
		return savefile_corrupted(file, "the two lengths of a block differ (%u and %u)", length,
					  savefile_load32(block + whole - 4, swap));
	__builtin_prefetch(block + whole + PREFETCH_AHEAD);
	switch (type) {
	case BLOCK_ENHANCED:
		*filled = read_packet(file, block, length, swap, true, frame);
		break;
	case BLOCK_PACKET:
		*filled = read_packet(file, block, length, swap, false, frame);
		break;
	case BLOCK_SIMPLE:
		*filled = read_simple(file, block, length, swap, frame);
		break;
	case BLOCK_INTERFACE:
		return read_interface(file, block, length, swap);
	default:
		break;
	}
	return 0;
}

static inline bool at_section(const struct input *input)
{
	return savefile_load32(input->at, false) == SAVEFILE_PCAPNG_MAGIC;
}

static inline __attribute__((always_inline)) size_t pcapng_walk(struct savefile *file, struct frame *frames,
								unsigned max, unsigned *count,
								const bool swap)
{
	struct input *input = file->input;

	while (*count < max && !file->ended) {
		size_t left = input_left(input);
		uint64_t step;
		size_t need;
		bool filled;

		if (left < BLOCK_EDGES || input->skip_left > 0)
			return BLOCK_EDGES;
		if (__builtin_expect(at_section(input), false))
			return read_section(file); /* what follows may be in the other byte order */
		need = read_block(file, input->at, left, swap, &frames[*count], &step, &filled);
		if (need != 0 || file->ended)
			return need;
		if (__builtin_expect(step > left, false))
			input_skip(input, step);
		else
			input->at += step;
		*count += filled;
		file->packets += filled;
	}
	return 0;
}

static size_t walk_native(struct savefile *file, struct frame *frames, unsigned max, unsigned *count)
{
	return pcapng_walk(file, frames, max, count, false);
}

static size_t walk_swapped(struct savefile *file, struct frame *frames, unsigned max, unsigned *count)
{
	return pcapng_walk(file, frames, max, count, true);
}

size_t savefile_pcapng_walk(struct savefile *file, struct frame *frames, unsigned max, unsigned *count)
{
	return walk_native(file, frames, max, count);
}

size_t savefile_pcapng_prelude(struct savefile *file)
{
	struct input *input = file->input;
	struct frame unused;
	uint64_t step;
	uint32_t type;
	size_t need;
	bool filled;

	if (input_left(input) < BLOCK_EDGES || input->skip_left > 0)
		return BLOCK_EDGES;
	if (at_section(input))
		return read_section(file);
	type = savefile_load32(input->at, file->swap);
	if (type == BLOCK_ENHANCED || type == BLOCK_PACKET || type == BLOCK_SIMPLE)
		return SIZE_MAX;
	need = read_block(file, input->at, input_left(input), file->swap, &unused, &step, &filled);
	if (need == 0 && !file->ended)
		input_skip(input, step);
	return need;
}
