/* pcap: a file header, then packets one after the other.
 * https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/ and, for Kuznetzov's variant, libpcap's sf-pcap.c.
 *
 *	magic | major 2, minor 2 | zone | sigfigs | snap length | FCS length and link type    24 bytes
 *	seconds | fraction | captured | wire [| ifindex | protocol 2, packet type 1, pad 1]   16 or 24 bytes,
 *then the packet
 */
#include <errno.h>

#include "decoders/record.h"
#include "engine/sources/savefile_private.h"

#define MAGIC_MICRO 0xa1b2c3d4u
#define MAGIC_NANO 0xa1b23c4du
#define MAGIC_KUZNETZOV 0xa1b2cd34u

#define RECORD_HEADER 16u
#define KUZNETZOV_HEADER 24u
#define PREFETCH_AHEAD 512u /* bytes: the next headers, which the chain of lengths hides from the CPU */

struct pcap_variant {
	bool swap;
	bool kuznetzov;
	uint64_t fraction; /* nanoseconds of one */
};

bool savefile_pcap_magic(uint32_t magic)
{
	uint32_t swapped = __builtin_bswap32(magic);

	return magic == MAGIC_MICRO || magic == MAGIC_NANO || magic == MAGIC_KUZNETZOV ||
	       swapped == MAGIC_MICRO || swapped == MAGIC_NANO || swapped == MAGIC_KUZNETZOV;
}

static inline __attribute__((always_inline)) size_t pcap_walk(struct savefile *file, struct frame *frames,
							      unsigned max, unsigned *count,
							      const struct pcap_variant variant)
{
	const struct savefile_interface interface = file->interfaces[0];
	const uint32_t header = variant.kuznetzov ? KUZNETZOV_HEADER : RECORD_HEADER;
	const uint32_t span = file->input->current;
	const uint8_t *at = file->input->at;
	const uint8_t *end = file->input->end;
	unsigned filled = *count;
	size_t need = 0;

	while (filled < max) {
		struct frame *frame = &frames[filled];
		size_t left = (size_t)(end - at);
		uint32_t captured;

		if (left < header) {
			need = header;
			break;
		}
		captured = savefile_load32(at + 8, variant.swap);
		if (__builtin_expect(captured > left - header, false)) {
			if (captured > SAVEFILE_PACKET_MAX)
				break;
			need = (size_t)header + captured;
			break;
		}
		if (__builtin_expect(captured > SAVEFILE_PACKET_MAX, false))
			break;
		__builtin_prefetch(at + header + captured + PREFETCH_AHEAD);
		frame->data = at + header;
		frame->timestamp_ns = savefile_load32(at, variant.swap) * UINT64_C(1000000000) +
				      savefile_load32(at + 4, variant.swap) * variant.fraction;
		savefile_set_lengths(frame, captured, savefile_load32(at + 12, variant.swap), interface.fcs);
		frame->span = span;
		frame->flags = 0;
		frame->link_type = interface.link_type;
		frame->interface = interface.index;
		frame->fragment_len = 0;
		if (variant.kuznetzov)
			frame->flags = at[22] == 4   ? DIRECTION_OUT
				       : at[22] == 3 ? DIRECTION_OTHER
						     : DIRECTION_IN;
		at += header + captured;
		filled++;
	}
	file->packets += filled - *count;
	*count = filled;
	file->input->at = at;
	if (need == 0 && filled < max)
		return savefile_corrupted(file, "packet %llu claims %u bytes",
					  (unsigned long long)file->packets + 1,
					  savefile_load32(at + 8, variant.swap));
	return need;
}

#define PCAP_WALK(name, ...)                                                                                 \
	static size_t name(struct savefile *file, struct frame *frames, unsigned max, unsigned *count)       \
	{                                                                                                    \
		return pcap_walk(file, frames, max, count, (struct pcap_variant){ __VA_ARGS__ });            \
	}
PCAP_WALK(walk_micro, .fraction = 1000)
PCAP_WALK(walk_nano, .fraction = 1)
PCAP_WALK(walk_kuznetzov, .fraction = 1000, .kuznetzov = true)
PCAP_WALK(walk_micro_swapped, .fraction = 1000, .swap = true)
PCAP_WALK(walk_nano_swapped, .fraction = 1, .swap = true)
PCAP_WALK(walk_kuznetzov_swapped, .fraction = 1000, .kuznetzov = true, .swap = true)

static savefile_walk *pcap_walk_of(uint32_t magic, bool swap)
{
	switch (magic) {
	case MAGIC_NANO:
		return swap ? walk_nano_swapped : walk_nano;
	case MAGIC_KUZNETZOV:
		return swap ? walk_kuznetzov_swapped : walk_kuznetzov;
	default:
		return swap ? walk_micro_swapped : walk_micro;
	}
}

int savefile_pcap_begin(struct savefile *file, struct error *error)
{
	const uint8_t *header = file->input->at;
	uint32_t magic = savefile_load32(header, false);
	bool swap = magic != MAGIC_MICRO && magic != MAGIC_NANO && magic != MAGIC_KUZNETZOV;
	uint32_t link_field = savefile_load32(header + 20, swap);
	struct interface interface = { .snap_length = savefile_load32(header + 16, swap) };
	struct savefile_clock clock = { 0 };
	uint8_t fcs = 0;

	if (savefile_load16(header + 4, swap) != 2)
		return error_set(error, -EBADMSG, "%s: pcap of version %u.%u", file->input->name,
				 savefile_load16(header + 4, swap), savefile_load16(header + 6, swap));
	/* The top four bits count 16-bit words of FCS when bit 26 says so; bits 16 to 25 are reserved. */
	if (link_field & 0x04000000u)
		fcs = (uint8_t)(2 * (link_field >> 28));
	if ((link_field & 0x03ff0000u) != 0)
		return error_set(error, -EBADMSG, "%s: link type %u does not exist", file->input->name,
				 link_field & 0x03ffffffu);
	interface.link_type = (uint16_t)link_field;
	file->walk = pcap_walk_of(swap ? __builtin_bswap32(magic) : magic, swap);
	file->input->at += SAVEFILE_PCAP_HEADER;
	return savefile_interface_add(file, &interface, fcs, &clock, error);
}
