#include "engine/sinks/arrow_ipc.h"

#include <errno.h>
#include <string.h>

#define METADATA_V5 4

/* The unions' members, by their order in Schema.fbs and Message.fbs. */
enum { TYPE_INT = 2, TYPE_UTF8 = 5, TYPE_TIMESTAMP = 10, TYPE_FIXED_SIZE_BINARY = 15 };
enum { HEADER_SCHEMA = 1, HEADER_RECORD_BATCH = 3 };
enum { TIME_UNIT_NANOSECOND = 3 };

#define PREFIX 8u /* continuation mark and length in front of each message's metadata */

unsigned arrow_width(const struct arrow_column *column)
{
	switch (column->type) {
	case ARROW_UINT8:
		return 1;
	case ARROW_UINT16:
		return 2;
	case ARROW_UINT32:
	case ARROW_TEXT:
		return 4;
	case ARROW_UINT64:
	case ARROW_TIMESTAMP:
		return 8;
	case ARROW_FIXED:
		break;
	}
	return column->width;
}

static uint8_t type_of(const struct arrow_column *column)
{
	switch (column->type) {
	case ARROW_TIMESTAMP:
		return TYPE_TIMESTAMP;
	case ARROW_FIXED:
		return TYPE_FIXED_SIZE_BINARY;
	case ARROW_TEXT:
		return TYPE_UTF8;
	default:
		return TYPE_INT;
	}
}

static void write_type(struct flat *flat, uint32_t hole, const struct arrow_column *column)
{
	struct flat_table table;

	switch (column->type) {
	case ARROW_TIMESTAMP:
		table = flat_table(flat, hole, (const uint8_t[]){ 2, 4 }, 2); /* unit, timezone */
		flat_put_u16(flat, table.fields[0], TIME_UNIT_NANOSECOND);
		flat_string(flat, table.fields[1], "UTC");
		break;
	case ARROW_FIXED:
		table = flat_table(flat, hole, (const uint8_t[]){ 4 }, 1); /* byteWidth */
		flat_put_u32(flat, table.fields[0], column->width);
		break;
	case ARROW_TEXT:
		flat_table(flat, hole, NULL, 0);
		break;
	default:
		table = flat_table(flat, hole, (const uint8_t[]){ 4, 1 }, 2); /* bitWidth, is_signed */
		flat_put_u32(flat, table.fields[0], 8 * arrow_width(column));
		break;
	}
}

static void write_metadata(struct flat *flat, uint32_t hole, const struct arrow_metadata *metadata,
			   unsigned count)
{
	uint32_t entries = flat_vector(flat, hole, count, 4, 4);

	for (unsigned i = 0; i < count; i++) {
		struct flat_table entry = flat_table(flat, entries + 4 * i, (const uint8_t[]){ 4, 4 }, 2);

		flat_string(flat, entry.fields[0], metadata[i].key);
		flat_string(flat, entry.fields[1], metadata[i].value);
	}
}

static void write_schema(struct flat *flat, uint32_t hole, const struct arrow_column *columns, unsigned count,
			 const struct arrow_metadata *metadata, unsigned metadata_count)
{
	/* endianness (0: little), fields, custom_metadata */
	struct flat_table schema =
		flat_table(flat, hole, (const uint8_t[]){ 2, 4, metadata_count ? 4 : 0 }, 3);
	uint32_t fields = flat_vector(flat, schema.fields[1], count, 4, 4);

	for (unsigned i = 0; i < count; i++) {
		/* name, nullable, type_type, type, dictionary, children */
		struct flat_table field =
			flat_table(flat, fields + 4 * i, (const uint8_t[]){ 4, 1, 1, 4, 0, 4 }, 6);

		flat_string(flat, field.fields[0], columns[i].name);
		flat_put_u8(flat, field.fields[1], columns[i].nullable);
		flat_put_u8(flat, field.fields[2], type_of(&columns[i]));
		write_type(flat, field.fields[3], &columns[i]);
		flat_vector(flat, field.fields[5], 0, 4, 4);
	}
	if (metadata_count)
		write_metadata(flat, schema.fields[2], metadata, metadata_count);
}

/* Opens a Message: version, header_type, header, bodyLength, custom_metadata. */
static struct flat_table message_begin(struct flat *flat, uint8_t header, unsigned metadata_count)
{
	struct flat_table message;

	flat_begin(flat, PREFIX);
	message = flat_table(flat, PREFIX, (const uint8_t[]){ 2, 1, 4, 8, metadata_count ? 4 : 0 }, 5);
	flat_put_u16(flat, message.fields[0], METADATA_V5);
	flat_put_u8(flat, message.fields[1], header);
	return message;
}

/* Pads so that what follows the message starts on ARROW_ALIGN, and fills the prefix in. */
static int message_end(struct flat *flat, uint64_t position)
{
	flat_append(flat, NULL, -(position + flat->length) & (ARROW_ALIGN - 1));
	flat_put_u32(flat, 0, UINT32_MAX);
	flat_put_u32(flat, 4, (uint32_t)(flat->length - PREFIX));
	return flat->failed ? -ENOMEM : 0;
}

int arrow_schema_message(struct flat *flat, const struct arrow_column *columns, unsigned count,
			 const struct arrow_metadata *metadata, unsigned metadata_count, uint64_t position)
{
	struct flat_table message = message_begin(flat, HEADER_SCHEMA, 0);

	write_schema(flat, message.fields[2], columns, count, metadata, metadata_count);
	return message_end(flat, position);
}

/* One Buffer struct: where it lies in the body, and its size without padding. */
static uint64_t write_buffer(struct flat *flat, uint32_t *at, uint64_t offset, uint64_t size)
{
	flat_put_u64(flat, *at, offset);
	flat_put_u64(flat, *at + 8, size);
	*at += 16;
	return offset + arrow_padded(size);
}

int arrow_batch_message(struct flat *flat, const struct arrow_column *columns, unsigned count, uint64_t rows,
			const struct arrow_node *nodes, const struct arrow_metadata *metadata,
			unsigned metadata_count, uint64_t position, uint64_t *body_size)
{
	struct flat_table message = message_begin(flat, HEADER_RECORD_BATCH, metadata_count);
	/* length, nodes, buffers */
	struct flat_table batch = flat_table(flat, message.fields[2], (const uint8_t[]){ 8, 4, 4 }, 3);
	uint32_t at, buffers = 0;
	uint64_t offset = 0;

	flat_put_u64(flat, batch.fields[0], rows);
	at = flat_vector(flat, batch.fields[1], count, 16, 8);
	for (unsigned i = 0; i < count; i++) {
		flat_put_u64(flat, at + 16 * i, rows);
		flat_put_u64(flat, at + 16 * i + 8, nodes[i].null_count);
		buffers += columns[i].type == ARROW_TEXT ? 3 : 2;
	}
	at = flat_vector(flat, batch.fields[2], buffers, 16, 8);
	for (unsigned i = 0; i < count; i++) {
		offset = write_buffer(flat, &at, offset, nodes[i].validity_size);
		if (columns[i].type == ARROW_TEXT)
			offset = write_buffer(flat, &at, offset, nodes[i].offsets_size);
		offset = write_buffer(flat, &at, offset, nodes[i].values_size);
	}
	if (metadata_count)
		write_metadata(flat, message.fields[4], metadata, metadata_count);
	flat_put_u64(flat, message.fields[3], offset);
	*body_size = offset;
	return message_end(flat, position);
}

int arrow_footer(struct flat *flat, const struct arrow_column *columns, unsigned count,
		 const struct arrow_block *blocks, uint32_t block_count,
		 const struct arrow_metadata *metadata, unsigned metadata_count)
{
	struct flat_table footer;
	uint32_t at, size;

	flat_begin(flat, 0);
	/* version, schema, dictionaries, recordBatches, custom_metadata */
	footer = flat_table(flat, 0, (const uint8_t[]){ 2, 4, 4, 4, metadata_count ? 4 : 0 }, 5);
	flat_put_u16(flat, footer.fields[0], METADATA_V5);
	write_schema(flat, footer.fields[1], columns, count, metadata, metadata_count);
	flat_vector(flat, footer.fields[2], 0, 24, 8);
	at = flat_vector(flat, footer.fields[3], block_count, 24, 8);
	for (uint32_t i = 0; i < block_count; i++, at += 24) {
		flat_put_u64(flat, at, blocks[i].offset);
		flat_put_u32(flat, at + 8, blocks[i].metadata_size);
		flat_put_u64(flat, at + 16, blocks[i].body_size);
	}
	if (metadata_count)
		write_metadata(flat, footer.fields[4], metadata, metadata_count);
	size = (uint32_t)flat->length;
	flat_append(flat, &size, sizeof size);
	flat_append(flat, ARROW_MAGIC, 6);
	return flat->failed ? -ENOMEM : 0;
}
