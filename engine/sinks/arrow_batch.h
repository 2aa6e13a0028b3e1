/* One Arrow record batch while it is being filled: a store for each column.
 *
 * Thread owner: whoever owns the struct. Stores are allocated once for capacity rows and used again
 * for every batch. Two ways to fill: by column over a run of rows (arrow_values, arrow_validity: the fast
 * way for records), or value by value (arrow_put_*: flows). A row's columns are all filled before
 * batch->rows grows.
 */
#ifndef WEIR_ENGINE_SINKS_ARROW_BATCH_H
#define WEIR_ENGINE_SINKS_ARROW_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sinks/arrow_ipc.h"

/* ARROW_TEXT columns: arrow_column.width is the longest text in bytes. */
struct arrow_store {
	uint8_t *values;    /* capacity values; ARROW_TEXT: capacity + 1 offsets of 4 bytes */
	uint64_t *validity; /* a bit for each row, 1: has a value; NULL for columns without nulls */
	uint8_t *text;      /* ARROW_TEXT: the bytes */
	uint32_t text_size;
	uint64_t nulls;
};

struct arrow_batch {
	const struct arrow_column *columns; /* the caller's, constant */
	unsigned count;
	uint32_t capacity; /* rows, a multiple of 64 */
	uint32_t rows;
	struct arrow_store *stores;
};

/* 0 or -ENOMEM. capacity is rounded up to a multiple of 64. */
int arrow_batch_create(struct arrow_batch *batch, const struct arrow_column *columns, unsigned count,
		       uint32_t capacity);

/* Empties it for the next batch. */
void arrow_batch_clear(struct arrow_batch *batch);

void arrow_batch_close(struct arrow_batch *batch);

/* Sets the validity of count rows (at most 64) that start at row: bit i of mask is row + i's. */
void arrow_validity(struct arrow_batch *batch, unsigned column, uint32_t row, unsigned count, uint64_t mask);

/* Puts a value (arrow_width bytes) or text into the row that is being filled, number batch->rows. */
void arrow_put(struct arrow_batch *batch, unsigned column, const void *value);
void arrow_put_text(struct arrow_batch *batch, unsigned column, const char *text, uint32_t length);
void arrow_put_null(struct arrow_batch *batch, unsigned column);

/* Where bytes go: a file, a buffer. 0 or -errno. */
typedef int arrow_emit(void *context, const void *data, size_t size);

/* Emits the batch as a record batch message, with its body. *offset: bytes emitted so far, counted on.
 * block: where it lies, may be NULL. flat: scratch. 0 or -errno. */
int arrow_batch_emit(const struct arrow_batch *batch, struct flat *flat,
		     const struct arrow_metadata *metadata, unsigned metadata_count, arrow_emit *emit,
		     void *context, uint64_t *offset, struct arrow_block *block);

#endif
