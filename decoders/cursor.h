/* The cursor: the only way to consume a packet's bytes.
 *
 * A packet is hostile. No decoder indexes it; every read goes through a cursor, which knows
 * where the bytes end and says no instead of reading further. The end is the nearer of what
 * was captured and what an enclosing header's length field allows (cursor_limit), so that
 * Ethernet padding is never taken for payload.
 *
 * Invariant: start <= at <= end <= captured_end, all within one captured frame.
 */
#ifndef WEIR_DECODERS_CURSOR_H
#define WEIR_DECODERS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *start; /* first byte of the frame */
	const uint8_t *at;    /* next byte to be consumed */
	const uint8_t *end;   /* first byte that must not be read */
};

static inline struct cursor cursor_over(const uint8_t *data, uint32_t length)
{
	return (struct cursor){ .start = data, .at = data, .end = data + length };
}

/* Bytes left to consume. */
static inline uint32_t cursor_left(const struct cursor *cursor)
{
	return (uint32_t)(cursor->end - cursor->at);
}

/* Bytes consumed since the start of the frame: what the record's offsets hold. */
static inline uint32_t cursor_offset(const struct cursor *cursor)
{
	return (uint32_t)(cursor->at - cursor->start);
}

/* Consumes length bytes and returns their address, or NULL (and consumes nothing) when fewer
 * are left. The returned bytes, and no others, may be read with the load functions below. */
static inline const uint8_t *cursor_take(struct cursor *cursor, uint32_t length)
{
	const uint8_t *taken = cursor->at;

	if (cursor_left(cursor) < length)
		return NULL;
	cursor->at += length;
	return taken;
}

/* As cursor_take, but consumes nothing. */
static inline const uint8_t *cursor_look(const struct cursor *cursor, uint32_t length)
{
	return cursor_left(cursor) < length ? NULL : cursor->at;
}

/* Draws the end in, to length bytes from here; never out. Returns false when the bytes that
 * are there are fewer than length (the caller flags the record), true otherwise. */
static inline bool cursor_limit(struct cursor *cursor, uint32_t length)
{
	if (cursor_left(cursor) < length)
		return false;
	cursor->end = cursor->at + length;
	return true;
}

/* Network byte order loads from bytes that cursor_take or cursor_look returned. */
static inline uint16_t load_be16(const uint8_t *bytes)
{
	uint16_t value;

	__builtin_memcpy(&value, bytes, sizeof value);
	return __builtin_bswap16(value);
}

static inline uint32_t load_be32(const uint8_t *bytes)
{
	uint32_t value;

	__builtin_memcpy(&value, bytes, sizeof value);
	return __builtin_bswap32(value);
}

static inline uint32_t load_be24(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
}

#endif
