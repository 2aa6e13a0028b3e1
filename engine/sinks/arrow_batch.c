#include "engine/sinks/arrow_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int arrow_batch_create(struct arrow_batch *batch, const struct arrow_column *columns, unsigned count,
		       uint32_t capacity)
{
	capacity = (capacity + 63) & ~UINT32_C(63);
	*batch = (struct arrow_batch){ .columns = columns, .count = count, .capacity = capacity };
	batch->stores = calloc(count, sizeof *batch->stores);
	if (!batch->stores)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		struct arrow_store *store = &batch->stores[i];
		size_t size = arrow_padded(((size_t)capacity + 1) * arrow_width(&columns[i]));

		store->values = aligned_alloc(ARROW_ALIGN, size);
		if (!store->values)
			return -ENOMEM;
		/* Padding is written out too: no byte of it may be left from elsewhere. */
		memset(store->values, 0, size);
		if (columns[i].nullable) {
			store->validity = calloc(arrow_padded(capacity / 8), 1);
			if (!store->validity)
				return -ENOMEM;
		}
		if (columns[i].type == ARROW_TEXT) {
			store->text = calloc(arrow_padded((size_t)capacity * columns[i].width), 1);
			if (!store->text)
				return -ENOMEM;
		}
	}
	return 0;
}

void arrow_batch_clear(struct arrow_batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		batch->stores[i].nulls = 0;
		batch->stores[i].text_size = 0;
		if (batch->stores[i].validity)
			memset(batch->stores[i].validity, 0, batch->capacity / 8);
	}
	batch->rows = 0;
}

void arrow_batch_close(struct arrow_batch *batch)
{
	for (unsigned i = 0; batch->stores && i < batch->count; i++) {
		free(batch->stores[i].values);
		free(batch->stores[i].validity);
		free(batch->stores[i].text);
	}
	free(batch->stores);
	*batch = (struct arrow_batch){ 0 };
}

void arrow_validity(struct arrow_batch *batch, unsigned column, uint32_t row, unsigned count, uint64_t mask)
{
	struct arrow_store *store = &batch->stores[column];
	unsigned shift = row & 63;

	/* Most runs are of one kind: popcount is a call on the plain x86-64 that this is built for. */
	if (mask == 0) {
		store->nulls += count;
		return;
	}
	if (mask != (count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX))
		store->nulls += count - (unsigned)__builtin_popcountll(mask);
	store->validity[row / 64] |= mask << shift;
	if (shift + count > 64)
		store->validity[row / 64 + 1] |= mask >> (64 - shift);
}

void arrow_put(struct arrow_batch *batch, unsigned column, const void *value)
{
	unsigned width = arrow_width(&batch->columns[column]);

	memcpy(batch->stores[column].values + (size_t)batch->rows * width, value, width);
	if (batch->columns[column].nullable)
		arrow_validity(batch, column, batch->rows, 1, 1);
}

void arrow_put_text(struct arrow_batch *batch, unsigned column, const char *text, uint32_t length)
{
	struct arrow_store *store = &batch->stores[column];
	uint32_t *offsets = (uint32_t *)(void *)store->values;

	memcpy(store->text + store->text_size, text, length);
	store->text_size += length;
	offsets[batch->rows + 1] = store->text_size;
	if (batch->columns[column].nullable)
		arrow_validity(batch, column, batch->rows, 1, 1);
}

void arrow_put_null(struct arrow_batch *batch, unsigned column)
{
	struct arrow_store *store = &batch->stores[column];

	if (batch->columns[column].type == ARROW_TEXT) {
		((uint32_t *)(void *)store->values)[batch->rows + 1] = store->text_size;
	} else {
		unsigned width = arrow_width(&batch->columns[column]);

		memset(store->values + (size_t)batch->rows * width, 0, width);
	}
	store->nulls++;
}

/* One buffer of the body with its padding. The padding is not read from the store (it holds an earlier
 * batch's values). */
static int emit_buffer(arrow_emit *emit, void *context, uint64_t *offset, const void *data, uint64_t size)
{
	static const uint8_t zeros[ARROW_ALIGN];
	uint64_t padding = arrow_padded(size) - size;
	int rc = 0;

	if (size)
		rc = emit(context, data, size);
	if (rc == 0 && padding)
		rc = emit(context, zeros, padding);
	*offset += size + padding;
	return rc;
}

int arrow_batch_emit(const struct arrow_batch *batch, struct flat *flat,
		     const struct arrow_metadata *metadata, unsigned metadata_count, arrow_emit *emit,
		     void *context, uint64_t *offset, struct arrow_block *block)
{
	struct arrow_node nodes[64];
	uint64_t body, start = *offset;
	int rc;

	if (batch->count > 64)
		return -EINVAL;
	for (unsigned i = 0; i < batch->count; i++) {
		const struct arrow_store *store = &batch->stores[i];
		bool text = batch->columns[i].type == ARROW_TEXT;
		uint64_t width = arrow_width(&batch->columns[i]);

		nodes[i] = (struct arrow_node){
			.null_count = store->nulls,
			.validity_size = store->nulls ? (batch->rows + 7) / 8 : 0,
			.offsets_size = text ? (batch->rows + UINT64_C(1)) * 4 : 0,
			.values_size = text ? store->text_size : batch->rows * width,
		};
	}
	rc = arrow_batch_message(flat, batch->columns, batch->count, batch->rows, nodes, metadata,
				 metadata_count, start, &body);
	if (rc == 0)
		rc = emit(context, flat->data, flat->length);
	*offset += flat->length;
	for (unsigned i = 0; rc == 0 && i < batch->count; i++) {
		const struct arrow_store *store = &batch->stores[i];

		rc = emit_buffer(emit, context, offset, store->validity, nodes[i].validity_size);
		if (rc == 0 && nodes[i].offsets_size) {
			rc = emit_buffer(emit, context, offset, store->values, nodes[i].offsets_size);
			if (rc == 0)
				rc = emit_buffer(emit, context, offset, store->text, nodes[i].values_size);
		} else if (rc == 0) {
			rc = emit_buffer(emit, context, offset, store->values, nodes[i].values_size);
		}
	}
	if (block)
		*block = (struct arrow_block){ start, (uint32_t)flat->length, body };
	return rc;
}
