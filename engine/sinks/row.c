#include "engine/sinks/row.h"

#include <string.h>

#include "engine/format.h"
#include "engine/schema.h"
#include "engine/sinks/sinks.h"

static const struct row_column record_columns[SCHEMA_RECORD_COLUMNS] = {
#define X(column, column_type, validity, mask, text)                                                \
	[COLUMN_##column] = { .name = #column, .description = text,                                 \
			      .offset = offsetof(struct record, column),                            \
			      .size = sizeof(((struct record *)0)->column), .type = ROW_##column_type, \
			      .nullable = VALID_##validity != VALID_ALWAYS },
	SCHEMA_COLUMNS(X)
#undef X
};
_Static_assert(SCHEMA_RECORD_COLUMNS <= ROW_COLUMNS, "one bit for each column");

static uint64_t record_valid(const void *row)
{
	const struct record *record = row;
	uint64_t mask = 0;

#define X(column, column_type, validity, layers, text) \
	mask |= (uint64_t)schema_valid_as(VALID_##validity, layers, record) << COLUMN_##column;
	SCHEMA_COLUMNS(X)
#undef X
	return mask;
}

static bool record_is_ipv6(const void *row)
{
	return ((const struct record *)row)->layers & LAYER_IPV6;
}

static uint32_t record_flow_hash(const void *row)
{
	return ((const struct record *)row)->flow_hash;
}

static char *record_ndjson(char *p, const void *row)
{
	return ndjson_line(p, row);
}

/* What row_binary makes of record_columns, with every size a constant. */
static uint8_t *record_binary(uint8_t *p, const void *row)
{
	const struct record *record = row;
	bool valid;

#define X(column, column_type, validity, mask, text)                   \
	valid = schema_valid_as(VALID_##validity, mask, record);       \
	if (VALID_##validity != VALID_ALWAYS)                          \
		*p++ = !valid;                                         \
	if (valid) {                                                   \
		memcpy(p, &record->column, sizeof record->column);     \
		p += sizeof record->column;                            \
	}
	SCHEMA_COLUMNS(X)
#undef X
	return p;
}

const struct row_kind row_record = {
	.name = "record",
	.table = "packets",
	.size = sizeof(struct record),
	.columns = record_columns,
	.count = SCHEMA_RECORD_COLUMNS,
	.time = "timestamp_ns",
	.valid = record_valid,
	.is_ipv6 = record_is_ipv6,
	.flow_hash = record_flow_hash,
	.ndjson = record_ndjson,
	.binary = record_binary,
};

void row_copy(const struct row_kind *kind, void *to, const void *row)
{
	memcpy(to, row, kind->size);
	if (kind == &row_record)
		((struct record *)to)->packet_offset = RECORD_NO_OFFSET;
}

static uint64_t number_at(const struct row_column *column, const void *row)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)row + column->offset, column->size);
	return value;
}

static uint32_t text_length(const struct row_column *column, const void *row)
{
	return (uint32_t)strnlen((const char *)row + column->offset, column->size);
}

static bool is_text(const struct row_column *column)
{
	return column->type == ROW_IP || column->type == ROW_MAC || column->type == ROW_TEXT;
}

static char *put_text(const struct row_kind *kind, const struct row_column *column, char *p, const void *row)
{
	const uint8_t *at = (const uint8_t *)row + column->offset;

	switch ((enum row_type)column->type) {
	case ROW_IP:
		return kind->is_ipv6(row) ? format_ipv6(p, at) : format_ipv4(p, at + 12);
	case ROW_MAC:
		return format_mac(p, at);
	case ROW_TEXT:
		memcpy(p, at, text_length(column, row));
		return p + text_length(column, row);
	default:
		return format_u64(p, number_at(column, row));
	}
}

char *row_ndjson(const struct row_kind *kind, char *p, const void *row)
{
	uint64_t valid;

	if (kind->ndjson)
		return kind->ndjson(p, row);
	valid = kind->valid(row);
	for (unsigned i = 0; i < kind->count; i++) {
		const struct row_column *column = &kind->columns[i];

		*p++ = i ? ',' : '{';
		*p++ = '"';
		p = format_string(p, column->name);
		*p++ = '"';
		*p++ = ':';
		if (!(valid >> i & 1)) {
			p = FORMAT_LITERAL(p, "null");
			continue;
		}
		if (is_text(column))
			*p++ = '"';
		p = put_text(kind, column, p, row);
		if (is_text(column))
			*p++ = '"';
	}
	*p++ = '}';
	*p++ = '\n';
	return p;
}

char *row_csv(const struct row_kind *kind, char *p, const void *row)
{
	uint64_t valid = kind->valid(row);

	for (unsigned i = 0; i < kind->count; i++) {
		if (valid >> i & 1)
			p = put_text(kind, &kind->columns[i], p, row);
		*p++ = ',';
	}
	p[-1] = '\r';
	*p++ = '\n';
	return p;
}

static uint8_t *columns_binary(const struct row_kind *kind, uint8_t *p, const void *row)
{
	uint64_t valid = kind->valid(row);

	for (unsigned i = 0; i < kind->count; i++) {
		const struct row_column *column = &kind->columns[i];
		uint32_t size = column->size;

		if (column->nullable) {
			*p++ = !(valid >> i & 1);
			if (!(valid >> i & 1))
				continue;
		}
		if (column->type == ROW_TEXT) {
			size = text_length(column, row);
			*p++ = (uint8_t)size; /* a varint of one byte: no text is longer than 127 */
		}
		memcpy(p, (const uint8_t *)row + column->offset, size);
		p += size;
	}
	return p;
}

uint8_t *row_binary(const struct row_kind *kind, uint8_t *p, const void *row, uint64_t batch_id)
{
	p = kind->binary ? kind->binary(p, row) : columns_binary(kind, p, row);
	if (batch_id) {
		memcpy(p, &batch_id, sizeof batch_id);
		p += sizeof batch_id;
	}
	return p;
}

void row_arrow_columns(const struct row_kind *kind, struct arrow_column *columns, bool text_addresses)
{
	static const enum arrow_type types[] = {
		[ROW_U8] = ARROW_UINT8,   [ROW_U16] = ARROW_UINT16,        [ROW_U32] = ARROW_UINT32,
		[ROW_U64] = ARROW_UINT64, [ROW_TIME_NS] = ARROW_TIMESTAMP, [ROW_IP] = ARROW_FIXED,
		[ROW_MAC] = ARROW_FIXED,  [ROW_TEXT] = ARROW_TEXT,
	};

	for (unsigned i = 0; i < kind->count; i++) {
		const struct row_column *from = &kind->columns[i];

		columns[i] =
			(struct arrow_column){ from->name, types[from->type], from->size, from->nullable };
		if (is_text(from) && from->type != ROW_TEXT && text_addresses) {
			columns[i].type = ARROW_TEXT;
			columns[i].width = FORMAT_IP_MAX;
		}
	}
}

void row_arrow_put(const struct row_kind *kind, struct arrow_batch *batch, const void *row)
{
	uint64_t valid = kind->valid(row);

	for (unsigned i = 0; i < kind->count; i++) {
		const struct row_column *column = &kind->columns[i];

		if (!(valid >> i & 1)) {
			arrow_put_null(batch, i);
		} else if (batch->columns[i].type == ARROW_TEXT) {
			char text[ROW_LINE];

			arrow_put_text(batch, i, text, (uint32_t)(put_text(kind, column, text, row) - text));
		} else {
			arrow_put(batch, i, (const uint8_t *)row + column->offset);
		}
	}
	batch->rows++;
}
