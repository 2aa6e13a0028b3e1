/* What the files of the savefile source share. Nobody else includes it.
 *
 *	savefile.c            the source: bursts, spans, the end, warnings
 *	savefile_pcap.c       the pcap formats
 *	savefile_pcapng.c     pcapng blocks
 *	savefile_interface.c  the file's interfaces: table, filter, clock
 *	savefile_input.c      bytes and spans
 */
#ifndef WEIR_ENGINE_SOURCES_SAVEFILE_PRIVATE_H
#define WEIR_ENGINE_SOURCES_SAVEFILE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/filter/filter.h"
#include "engine/interface.h"
#include "engine/sources/savefile.h"
#include "engine/sources/savefile_input.h"

/* Bytes of a packet with its header: a longer one that also runs past the end is corruption, not a cut. */
#define SAVEFILE_PLAUSIBLE (262144u + 1024)

/* How a file's timestamp becomes nanoseconds. */
struct savefile_clock {
	uint64_t multiplier; /* ns = stamp * multiplier where stamp <= limit ... */
	uint64_t limit;
	bool exact;         /* ... and this is set; else savefile_clock_ns */
	uint8_t resolution; /* if_tsresol */
	int64_t offset;     /* if_tsoffset, seconds */
};

struct savefile_interface {
	uint16_t index; /* in the run's table */
	uint16_t link_type;
	uint8_t fcs; /* bytes at the packets' end */
	uint32_t snap_length;
	struct savefile_clock clock;
};

struct savefile_filter {
	uint16_t link_type;
	struct filter_program *program; /* owned; NULL: rejects all */
};

struct savefile;

/* Parses what is contiguous at input->at into frames[*count] and on, up to max. Returns 0: full, ended, or
 * the byte order changed (call again); else the contiguous bytes that it needs to go on. */
typedef size_t savefile_walk(struct savefile *file, struct frame *frames, unsigned max, unsigned *count);

struct savefile {
	struct source source;
	struct input *input; /* owned */
	struct savefile_options options;
	struct interface_table *table;

	savefile_walk *walk;
	bool swap;                             /* pcapng: the section's byte order is not ours */
	struct savefile_interface *interfaces; /* of the section; owned */
	uint32_t interface_count;
	uint32_t interface_capacity;
	uint32_t previous_count; /* pcapng: entries of `interfaces` that an earlier section filled */

	struct savefile_filter *filters; /* one for each link type met; owned */
	uint32_t filter_count;

	bool ended;       /* nothing more is parsed */
	bool span_ended;  /* the last span's end was handed out */
	int failure;      /* what rx_burst answers when ended; 0: -ENODATA */
	uint64_t packets; /* handed out */
};

static inline uint16_t savefile_load16(const uint8_t *bytes, bool swap)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof value);
	return swap ? __builtin_bswap16(value) : value;
}

static inline uint32_t savefile_load32(const uint8_t *bytes, bool swap)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof value);
	return swap ? __builtin_bswap32(value) : value;
}

static inline uint64_t savefile_load64(const uint8_t *bytes, bool swap)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof value);
	return swap ? __builtin_bswap64(value) : value;
}

/* Sets the clock for an if_tsresol (10^-n, or 2^-n with the top bit set) and an if_tsoffset. */
void savefile_clock_set(struct savefile_clock *clock, uint8_t resolution, int64_t offset);

/* Any stamp, saturated to 0..UINT64_MAX. */
uint64_t savefile_clock_slow(const struct savefile_clock *clock, uint64_t stamp);

static inline uint64_t savefile_clock_ns(const struct savefile_clock *clock, uint64_t stamp)
{
	if (__builtin_expect(clock->exact && stamp <= clock->limit, true))
		return stamp * clock->multiplier;
	return savefile_clock_slow(clock, stamp);
}

/* Adds an interface of the current section: to the run's table (or finds it there again from the section
 * before), with its filter. described: link_type, snap_length and texts are set; an empty name becomes the
 * file's. Returns 0 or -errno with *error filled: a filter that does not fit is an error for the file's
 * first interface only. */
int savefile_interface_add(struct savefile *file, const struct interface *described, uint8_t fcs,
			   const struct savefile_clock *clock, struct error *error);

void savefile_interfaces_close(struct savefile *file);

/* Ends the file here with a warning: the bytes at input->at (and after) make no sense because of what.
 * Returns 0, so that a walk can return it. */
size_t savefile_corrupted(struct savefile *file, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Ends the file here because of an error that is not the file's (-ENOMEM, -ENOSPC). Returns 0. */
size_t savefile_failed(struct savefile *file, const struct error *error);

/* Takes the FCS off and makes wire at least captured. */
static inline void savefile_set_lengths(struct frame *frame, uint32_t captured, uint32_t wire, uint8_t fcs)
{
	if (wire < captured)
		wire = captured;
	if (__builtin_expect(fcs != 0, false)) {
		wire = wire > fcs ? wire - fcs : 0;
		captured = captured < wire ? captured : wire;
	}
	frame->captured_len = captured;
	frame->wire_len = wire;
}

/* The file header (at least 24 bytes are there): interface and walk. 0 or -errno. */
int savefile_pcap_begin(struct savefile *file, struct error *error);
bool savefile_pcap_magic(uint32_t magic);

#define SAVEFILE_PCAP_HEADER 24
#define SAVEFILE_PCAPNG_MAGIC 0x0a0d0d0au

/* Starts before the first section. */
savefile_walk savefile_pcapng_walk;

/* While opening: reads one block that is no packet. Returns 0, the contiguous bytes needed, or SIZE_MAX
 * when the next block is a packet's. */
size_t savefile_pcapng_prelude(struct savefile *file);

#endif
