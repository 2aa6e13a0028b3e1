#include "engine/sinks/arrow_flat.h"

#include <stdlib.h>
#include <string.h>

static void flat_grow(struct flat *flat, size_t more)
{
	size_t need = flat->length + more;

	if (flat->failed)
		return;
	if (need > flat->capacity) {
		size_t capacity = flat->capacity ? flat->capacity * 2 : 1024;
		uint8_t *data;

		while (capacity < need)
			capacity *= 2;
		data = realloc(flat->data, capacity);
		if (!data) {
			flat->failed = true;
			return;
		}
		flat->data = data;
		flat->capacity = capacity;
	}
	memset(flat->data + flat->length, 0, more);
	flat->length = need;
}

static void flat_align(struct flat *flat, size_t align)
{
	flat_grow(flat, -flat->length & (align - 1));
}

static void flat_put(struct flat *flat, uint32_t position, const void *value, size_t size)
{
	if (!flat->failed)
		memcpy(flat->data + position, value, size);
}

void flat_put_u8(struct flat *flat, uint32_t position, uint8_t value)
{
	flat_put(flat, position, &value, sizeof value);
}

void flat_put_u16(struct flat *flat, uint32_t position, uint16_t value)
{
	flat_put(flat, position, &value, sizeof value);
}

void flat_put_u32(struct flat *flat, uint32_t position, uint32_t value)
{
	flat_put(flat, position, &value, sizeof value);
}

void flat_put_u64(struct flat *flat, uint32_t position, uint64_t value)
{
	flat_put(flat, position, &value, sizeof value);
}

void flat_begin(struct flat *flat, uint32_t lead)
{
	flat->length = 0;
	flat->failed = false;
	flat_grow(flat, lead + 4);
}

void flat_append(struct flat *flat, const void *data, size_t size)
{
	size_t at = flat->length;

	flat_grow(flat, size);
	if (data && !flat->failed)
		memcpy(flat->data + at, data, size);
}

static void flat_refer(struct flat *flat, uint32_t hole)
{
	flat_put_u32(flat, hole, (uint32_t)flat->length - hole);
}

struct flat_table flat_table(struct flat *flat, uint32_t hole, const uint8_t *sizes, unsigned slots)
{
	struct flat_table table = { { 0 } };
	uint32_t vtable_size = 4 + 2 * slots, position, vtable;
	uint16_t at = 4; /* behind the table's own reference to its vtable */

	/* The table starts on a multiple of 8, so that a slot's alignment is that of its offset. */
	flat_align(flat, 2);
	flat_grow(flat, -(flat->length + vtable_size) & 7);
	vtable = (uint32_t)flat->length;
	flat_grow(flat, vtable_size);
	position = (uint32_t)flat->length;
	flat_refer(flat, hole);
	for (unsigned i = 0; i < slots; i++) {
		if (!sizes[i])
			continue;
		at = (uint16_t)((at + sizes[i] - 1) & ~(sizes[i] - 1));
		table.fields[i] = position + at;
		flat_put_u16(flat, vtable + 4 + 2 * i, at);
		at = (uint16_t)(at + sizes[i]);
	}
	flat_grow(flat, at);
	flat_put_u16(flat, vtable, (uint16_t)vtable_size);
	flat_put_u16(flat, vtable + 2, at);
	flat_put_u32(flat, position, position - vtable);
	return table;
}

uint32_t flat_vector(struct flat *flat, uint32_t hole, uint32_t count, uint32_t element_size, uint32_t align)
{
	uint32_t first;

	flat_align(flat, 4);
	if (align == 8 && (flat->length & 7) == 0)
		flat_grow(
			flat,
			4); /* the count takes four bytes: the elements behind it start on a multiple of 8 */
	flat_refer(flat, hole);
	flat_grow(flat, 4 + (size_t)count * element_size);
	first = (uint32_t)(flat->length - (size_t)count * element_size);
	flat_put_u32(flat, first - 4, count);
	return first;
}

void flat_string(struct flat *flat, uint32_t hole, const char *text)
{
	uint32_t length = (uint32_t)strlen(text);
	uint32_t first = flat_vector(flat, hole, length, 1, 1);

	flat_put(flat, first, text, length);
	flat_grow(flat, 1);
}

void flat_close(struct flat *flat)
{
	free(flat->data);
	*flat = (struct flat){ 0 };
}
