/* A reader of Arrow IPC for the tests, by the format's own tables, sharing nothing with the writer.
 * Source: Arrow Columnar Format, Message.fbs, Schema.fbs, File.fbs; FlatBuffers internals. */
#ifndef WEIR_TESTS_ARROW_READER_H
#define WEIR_TESTS_ARROW_READER_H

#include <stdint.h>
#include <string.h>

static inline uint64_t read_u(const uint8_t *at, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

/* The table, vector or string that the reference at `at` points to. */
static inline const uint8_t *read_reference(const uint8_t *at)
{
	return at + read_u(at, 4);
}

/* A slot's value in a table; NULL: absent. */
static inline const uint8_t *read_slot(const uint8_t *table, unsigned slot)
{
	int32_t back;
	const uint8_t *vtable;
	unsigned entry = 4 + 2 * slot;

	memcpy(&back, table, 4);
	vtable = table - back;
	if (entry + 2 > read_u(vtable, 2) || read_u(vtable + entry, 2) == 0)
		return NULL;
	return table + read_u(vtable + entry, 2);
}

/* A slot's number, 0 when absent: the default of all that are read here. */
static inline uint64_t read_number(const uint8_t *table, unsigned slot, unsigned size)
{
	const uint8_t *at = read_slot(table, slot);

	return at ? read_u(at, size) : 0;
}

static inline const uint8_t *read_child(const uint8_t *table, unsigned slot)
{
	const uint8_t *at = read_slot(table, slot);

	return at ? read_reference(at) : NULL;
}

#define HEADER_SCHEMA 1
#define HEADER_BATCH 3

struct message {
	const uint8_t *table;  /* Message */
	const uint8_t *header; /* Schema or RecordBatch */
	const uint8_t *body;
	unsigned kind;         /* HEADER_*, 0: the end mark */
	uint32_t metadata_size; /* with its prefix */
	uint64_t body_size;
};

/* The message at `at`; returns what stands behind it. */
static inline const uint8_t *read_message(const uint8_t *at, struct message *message)
{
	uint32_t size = (uint32_t)read_u(at + 4, 4);

	*message = (struct message){ .metadata_size = size + 8, .body = at + 8 + size };
	if (read_u(at, 4) != 0xffffffff || size == 0)
		return at + 8;
	message->table = read_reference(at + 8);
	message->kind = (unsigned)read_number(message->table, 1, 1);
	message->header = read_child(message->table, 2);
	message->body_size = read_number(message->table, 3, 8);
	return message->body + message->body_size;
}

/* The i-th buffer of a batch; *size its length. */
static inline const uint8_t *read_buffer(const struct message *batch, unsigned i, uint64_t *size)
{
	const uint8_t *buffers = read_child(batch->header, 2) + 4 + (size_t)i * 16;

	*size = read_u(buffers + 8, 8);
	return batch->body + read_u(buffers, 8);
}

/* The value of a key in a vector of KeyValue; NULL: it is not there. NUL-terminated, as the format asks. */
static inline const char *read_metadata(const uint8_t *vector, const char *key)
{
	for (uint32_t i = 0; vector && i < read_u(vector, 4); i++) {
		const uint8_t *pair = read_reference(vector + 4 + (size_t)i * 4);

		if (strcmp((const char *)read_child(pair, 0) + 4, key) == 0)
			return (const char *)read_child(pair, 1) + 4;
	}
	return NULL;
}

#endif
