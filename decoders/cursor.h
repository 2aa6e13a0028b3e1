/* The cursor: the only way to consume a packet's bytes.
 *
 * A packet is hostile. No decoder indexes it; every read goes through a cursor, which knows
 * where the bytes end and says no instead of reading further. The end is the nearer of what
 * was captured and what an enclosing header's length field allows, so that Ethernet padding is
 * never taken for payload.
 *
 * Positions are offsets from the start of the frame, and every check is of the form
 * "end >= n and at <= end - n": a static analyser that knows only the range of each variable
 * can then bound every read (a check of `end - at >= n` would need their relation).
 *
 * Two rules follow for decoders: bytes are read only at constant offsets below the constant
 * length that was taken; a region whose length comes from the packet is stepped over with
 * cursor_skip, or walked with a second cursor in takes of constant length.
 *
 * Invariant: end <= bytes that may be read at start.
 */
#ifndef WEIR_DECODERS_CURSOR_H
#define WEIR_DECODERS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *start; /* first byte of the frame */
	uint32_t at;          /* offset of the next byte to be consumed */
	uint32_t end;         /* offset of the first byte that must not be read */
};

static inline struct cursor cursor_over(const uint8_t *data, uint32_t length)
{
	return (struct cursor){ .start = data, .at = 0, .end = length };
}

/* Bytes left to consume. */
static inline uint32_t cursor_left(const struct cursor *cursor)
{
	return cursor->at < cursor->end ? cursor->end - cursor->at : 0;
}

/* Whether length more bytes are there. */
static inline bool cursor_has(const struct cursor *cursor, uint32_t length)
{
	return cursor->end >= length && cursor->at <= cursor->end - length;
}

/* Consumes length bytes and returns their address, or NULL (and consumes nothing) when fewer
 * are left. The returned bytes, and no others, may be read with the load functions below. */
static inline const uint8_t *cursor_take(struct cursor *cursor, uint32_t length)
{
	const uint8_t *taken;

	if (!cursor_has(cursor, length))
		return NULL;
	taken = cursor->start + cursor->at;
	cursor->at += length;
	return taken;
}

/* As cursor_take, but consumes nothing. */
static inline const uint8_t *cursor_look(const struct cursor *cursor, uint32_t length)
{
	return cursor_has(cursor, length) ? cursor->start + cursor->at : NULL;
}

/* Steps over length bytes that are not read; false (and nothing consumed) when fewer are left. */
static inline bool cursor_skip(struct cursor *cursor, uint32_t length)
{
	if (!cursor_has(cursor, length))
		return false;
	cursor->at += length;
	return true;
}

/* Draws the end in, to the offset end from the start of the frame; never out. */
static inline void cursor_limit(struct cursor *cursor, uint32_t end)
{
	if (end < cursor->end)
		cursor->end = end;
}

/* Network byte order loads from bytes that cursor_take or cursor_look returned. Written by the
 * byte, which compilers merge into one load and which needs no aliasing rule. */
static inline uint16_t load_be16(const uint8_t *bytes)
{
	return (uint16_t)((uint32_t)bytes[0] << 8 | bytes[1]);
}

static inline uint32_t load_be24(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
}

static inline uint32_t load_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

#endif
