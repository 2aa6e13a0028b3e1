/* A FlatBuffers writer, as much of one as Arrow's metadata needs.
 *
 * Thread owner: whoever owns the struct. Bytes are laid out forward: a parent first, with a hole for
 * each reference, its children behind it; placing a child fills its hole. That is legal (an uoffset only has
 * to point forward) and needs no second pass. Every table carries its own vtable directly in front of it;
 * vtables are not shared. Wire format: FlatBuffers internals, https://flatbuffers.dev/internals/ ("Format",
 * "Tables", "Vectors"). It does not read, verify, or know any schema.
 */
#ifndef WEIR_ENGINE_SINKS_ARROW_FLAT_H
#define WEIR_ENGINE_SINKS_ARROW_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flat {
	uint8_t *data;
	size_t length, capacity; /* bytes */
	bool failed;             /* out of memory: every later call does nothing and returns 0 */
};

#define FLAT_FIELDS 8 /* slots of one table at most */

struct flat_table {
	uint32_t fields[FLAT_FIELDS]; /* position of each slot's value in the buffer */
};

/* Empties the buffer, leaves lead bytes (a multiple of 8) for the caller's prefix, and makes the hole for
 * the root's reference at position lead. */
void flat_begin(struct flat *flat, uint32_t lead);

/* A table, referenced from the hole. sizes[i]: bytes of slot i's value (1, 2, 4, 8; references 4), 0 for a
 * slot that is absent. Values are zero until flat_put_*. */
struct flat_table flat_table(struct flat *flat, uint32_t hole, const uint8_t *sizes, unsigned slots);

/* A vector of count zeroed elements, referenced from the hole; align: of an element (1, 4, 8). Returns the
 * first element's position. */
uint32_t flat_vector(struct flat *flat, uint32_t hole, uint32_t count, uint32_t element_size, uint32_t align);

/* A string, NUL behind it, referenced from the hole. */
void flat_string(struct flat *flat, uint32_t hole, const char *text);

void flat_put_u8(struct flat *flat, uint32_t position, uint8_t value);
void flat_put_u16(struct flat *flat, uint32_t position, uint16_t value);
void flat_put_u32(struct flat *flat, uint32_t position, uint32_t value);
void flat_put_u64(struct flat *flat, uint32_t position, uint64_t value);

/* Appends raw bytes, NULL: zeros. */
void flat_append(struct flat *flat, const void *data, size_t size);

void flat_close(struct flat *flat);

#endif
