/* Arrow IPC messages for one flat schema: no nesting, no dictionaries, no compression.
 *
 * Thread owner: the caller's. Everything here makes metadata: the bytes of a column are the caller's
 * (arrow_batch.h). A stream is: schema message, record batch messages, end mark. A file is:
 * ARROW_MAGIC, the same stream, footer, footer's length, magic.
 * Source: Arrow Columnar Format 1.5, "Serialization and Interprocess Communication (IPC)";
 * format/Message.fbs, Schema.fbs, File.fbs for the tables' slots. Metadata version V5.
 * Messages start on a multiple of ARROW_ALIGN bytes when the first one does.
 */
#ifndef WEIR_ENGINE_SINKS_ARROW_IPC_H
#define WEIR_ENGINE_SINKS_ARROW_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sinks/arrow_flat.h"

#define ARROW_ALIGN 64u /* of every buffer in a body; the format asks for 8 and advises 64 */
#define ARROW_MAGIC "ARROW1\0\0" /* 8 bytes at a file's start, 6 at its end */
#define ARROW_END "\xff\xff\xff\xff\0\0\0\0"
#define ARROW_END_SIZE 8u

enum arrow_type {
	ARROW_UINT8,
	ARROW_UINT16,
	ARROW_UINT32,
	ARROW_UINT64,
	ARROW_TIMESTAMP, /* nanoseconds since the UNIX epoch, UTC */
	ARROW_FIXED,     /* FixedSizeBinary of column.width bytes */
	ARROW_TEXT,      /* Utf8 */
};

struct arrow_column {
	const char *name;
	enum arrow_type type;
	uint16_t width; /* ARROW_FIXED: bytes */
	bool nullable;
};

struct arrow_metadata { /* one custom_metadata entry */
	const char *key, *value;
};

/* One column's part of a record batch: what the metadata has to say of it. */
struct arrow_node {
	uint64_t null_count;
	uint64_t validity_size; /* bytes; 0: the buffer is absent (no nulls) */
	uint64_t offsets_size;  /* ARROW_TEXT only */
	uint64_t values_size;
};

struct arrow_block { /* where a record batch lies in a file */
	uint64_t offset;
	uint32_t metadata_size; /* with its prefix and padding */
	uint64_t body_size;
};

/* Bytes that a buffer of size takes in a body. */
static inline uint64_t arrow_padded(uint64_t size)
{
	return (size + ARROW_ALIGN - 1) & ~(uint64_t)(ARROW_ALIGN - 1);
}

/* Bytes of one value, ARROW_TEXT: of one offset. */
unsigned arrow_width(const struct arrow_column *column);

/* Each fills *flat with a whole message: prefix, metadata, padding to ARROW_ALIGN. position: where the
 * message will start, modulo ARROW_ALIGN (what stands before it in the file). 0 or -ENOMEM. */
int arrow_schema_message(struct flat *flat, const struct arrow_column *columns, unsigned count,
			 const struct arrow_metadata *metadata, unsigned metadata_count, uint64_t position);

/* *body_size: bytes of the body that has to follow: for each column the buffers validity (if any), offsets
 * (text), values, each padded to ARROW_ALIGN. metadata: of this message, may be NULL. */
int arrow_batch_message(struct flat *flat, const struct arrow_column *columns, unsigned count, uint64_t rows,
			const struct arrow_node *nodes, const struct arrow_metadata *metadata,
			unsigned metadata_count, uint64_t position, uint64_t *body_size);

/* A file's footer with its length and the closing magic. The metadata goes into both the footer's own
 * entries and those of its schema, because readers look there. */
int arrow_footer(struct flat *flat, const struct arrow_column *columns, unsigned count,
		 const struct arrow_block *blocks, uint32_t block_count,
		 const struct arrow_metadata *metadata, unsigned metadata_count);

#endif
