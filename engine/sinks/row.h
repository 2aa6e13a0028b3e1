/* A kind of row: the record, or the flow. What the sinks that take both need to know of it.
 *
 * A row is a fixed-size struct whose columns lie at fixed offsets. Files of records have faster writers of
 * their own (ndjson.c, csv.c, arrow_record.c); this is for flows, and for whatever goes over a network, where
 * the sink's own thread does the work. Pure data and functions: any thread.
 */
#ifndef WEIR_ENGINE_SINKS_ROW_H
#define WEIR_ENGINE_SINKS_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/sinks/arrow_batch.h"

enum row_type {
	ROW_U8,
	ROW_U16,
	ROW_U32,
	ROW_U64,
	ROW_TIME_NS, /* u64, nanoseconds since the UNIX epoch */
	ROW_IP,      /* 16 bytes; IPv4 as ::ffff:a.b.c.d */
	ROW_MAC,     /* 6 bytes */
	ROW_TEXT,    /* column.size bytes at most, NUL behind a shorter one; no quotes, commas, line ends */
};

struct row_column {
	const char *name, *description;
	uint16_t offset, size; /* bytes */
	uint8_t type;          /* enum row_type */
	bool nullable;
};

#define ROW_COLUMNS 64 /* at most, so that a mask says which hold a value */
#define ROW_LINE 4096  /* bytes of a row's NDJSON or CSV line, and of its RowBinary, at most */

struct row_kind {
	const char *name;  /* "record", "flow" */
	const char *table; /* a table's name for it: "packets", "flows" */
	size_t size;       /* bytes of a row */
	const struct row_column *columns;
	unsigned count;
	const char *time;                    /* the column that rows are sorted by */
	uint64_t (*valid)(const void *row);  /* bit i: column i holds a value */
	bool (*is_ipv6)(const void *row);    /* how its addresses are written as text */
	uint32_t (*flow_hash)(const void *row);
	char *(*ndjson)(char *p, const void *row); /* NULL: row_ndjson's generic way */
	uint8_t *(*binary)(uint8_t *p, const void *row); /* row_binary without batch_id; NULL: the generic way */
};

extern const struct row_kind row_record, row_flow;

/* Each writes at p, where ROW_LINE bytes are, and returns the first byte behind. */
char *row_ndjson(const struct row_kind *kind, char *p, const void *row);
char *row_csv(const struct row_kind *kind, char *p, const void *row);

/* ClickHouse's RowBinary: a byte for null or not in front of nullable values, little-endian numbers, text
 * with its length as a varint. With batch_id not 0 that number follows as a last UInt64. */
uint8_t *row_binary(const struct row_kind *kind, uint8_t *p, const void *row, uint64_t batch_id);

/* The Arrow columns of the kind, kind->count of them. */
void row_arrow_columns(const struct row_kind *kind, struct arrow_column *columns, bool text_addresses);

/* Appends the row. The batch must have room. */
void row_arrow_put(const struct row_kind *kind, struct arrow_batch *batch, const void *row);

/* A row as a sink takes it: packet_offset of a record is nothing that others could use. */
void row_copy(const struct row_kind *kind, void *to, const void *row);

#endif
