/* The Arrow encoder, read back by a reader of the tests' own (reader.h): every column type, nulls, batches by
 * rows and by time, the footer; and the columns of records against the schema's own predicates. */
#include "tests/unit/sinks/support.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/schema.h"
#include "engine/sinks/arrow.h"
#include "engine/sinks/arrow_record.h"
#include "engine/sinks/arrow_writer.h"
#include "engine/sinks/row.h"
#include "tests/analytics/sample.h"
#include "tests/unit/arrow/reader.h"

#define ROWS 150u

static const struct arrow_column columns[] = {
	{ "time", ARROW_TIMESTAMP, 0, false }, { "a", ARROW_UINT8, 0, true },
	{ "b", ARROW_UINT16, 0, true },        { "c", ARROW_UINT32, 0, false },
	{ "d", ARROW_UINT64, 0, true },        { "e", ARROW_FIXED, 6, true },
	{ "f", ARROW_TEXT, 20, true },         { "g", ARROW_FIXED, 16, false },
};
#define COLUMNS (sizeof columns / sizeof columns[0])

struct bytes {
	uint8_t *data;
	size_t length;
};

static int collect(void *context, const void *data, size_t size)
{
	struct bytes *bytes = context;

	bytes->data = realloc(bytes->data, bytes->length + size);
	memcpy(bytes->data + bytes->length, data, size);
	bytes->length += size;
	return 0;
}

/* Row r's value in column c: a function of both; a null in every (c + 2)th row of a nullable column. */
static bool is_null(unsigned c, uint32_t r)
{
	return columns[c].nullable && r % (c + 2) == 1;
}

static unsigned value_of(unsigned c, uint32_t r, uint8_t value[32])
{
	uint64_t state = c * 1000u + r;

	for (unsigned i = 0; i < 32; i++)
		value[i] = (uint8_t)sample_random(&state);
	if (columns[c].type == ARROW_TEXT)
		return (unsigned)snprintf((char *)value, 32, "row %u", r * r % 1000);
	return arrow_width(&columns[c]);
}

static void write_rows(struct bytes *bytes, bool file)
{
	static const struct sink_options options = { .application = "test", .filter = "tcp" };
	struct arrow_writer writer;
	struct ledger ledger;

	assert_int_equal(arrow_writer_open(&writer, columns, COLUMNS, 64, "thing", &options, file, collect, bytes), 0);
	assert_int_equal(arrow_writer_begin(&writer), 0);
	for (uint32_t r = 0; r < ROWS; r++) {
		for (unsigned c = 0; c < COLUMNS; c++) {
			uint8_t value[32];
			unsigned size = value_of(c, r, value);

			if (is_null(c, r))
				arrow_put_null(&writer.batch, c);
			else if (columns[c].type == ARROW_TEXT)
				arrow_put_text(&writer.batch, c, (char *)value, size);
			else
				arrow_put(&writer.batch, c, value);
		}
		if (++writer.batch.rows == writer.batch.capacity)
			assert_int_equal(arrow_writer_flush(&writer), 0);
	}
	support_ledger(&ledger);
	assert_int_equal(arrow_writer_end(&writer, &ledger), 0);
	ledger_close(&ledger);
	arrow_writer_close(&writer);
}

static void check_schema(const uint8_t *schema)
{
	static const unsigned type_types[] = { [ARROW_UINT8] = 2,  [ARROW_UINT16] = 2,     [ARROW_UINT32] = 2,
					       [ARROW_UINT64] = 2, [ARROW_TIMESTAMP] = 10, [ARROW_FIXED] = 15,
					       [ARROW_TEXT] = 5 };
	const uint8_t *fields = read_child(schema, 1);

	assert_int_equal(read_number(schema, 0, 2), 0); /* little-endian */
	assert_int_equal(read_u(fields, 4), COLUMNS);
	for (unsigned c = 0; c < COLUMNS; c++) {
		const uint8_t *field = read_reference(fields + 4 + 4 * c), *type = read_child(field, 3);

		assert_string_equal((const char *)read_child(field, 0) + 4, columns[c].name);
		assert_int_equal(read_number(field, 1, 1), columns[c].nullable);
		assert_int_equal(read_number(field, 2, 1), type_types[columns[c].type]);
		if (type_types[columns[c].type] == 2) {
			assert_int_equal(read_number(type, 0, 4), arrow_width(&columns[c]) * 8);
			assert_int_equal(read_number(type, 1, 1), 0); /* unsigned */
		} else if (columns[c].type == ARROW_TIMESTAMP) {
			assert_int_equal(read_number(type, 0, 2), 3); /* NANOSECOND */
			assert_string_equal((const char *)read_child(type, 1) + 4, "UTC");
		} else if (columns[c].type == ARROW_FIXED) {
			assert_int_equal(read_number(type, 0, 4), columns[c].width);
		}
	}
	assert_string_equal(read_metadata(read_child(schema, 2), "weir.rows"), "thing");
	assert_string_equal(read_metadata(read_child(schema, 2), "weir.filter"), "tcp");
}

/* One column of a batch whose first row is `first`. Returns the number of its buffers. */
static unsigned check_column(const struct message *batch, unsigned c, unsigned buffer, uint32_t first, uint32_t rows)
{
	const uint8_t *node = read_child(batch->header, 1) + 4 + (size_t)c * 16;
	uint64_t validity_size, size, text_size = 0;
	const uint8_t *validity = read_buffer(batch, buffer, &validity_size);
	const uint8_t *values = read_buffer(batch, buffer + 1, &size), *text = NULL;
	bool is_text = columns[c].type == ARROW_TEXT;
	uint64_t nulls = 0;

	if (is_text)
		text = read_buffer(batch, buffer + 2, &text_size);
	assert_int_equal((uintptr_t)(values - batch->body) % 64, 0);
	assert_int_equal(size, is_text ? (rows + 1) * 4u : rows * arrow_width(&columns[c]));
	for (uint32_t i = 0; i < rows; i++) {
		bool valid = validity_size == 0 || (validity[i / 8] >> (i % 8) & 1);
		uint8_t value[32];
		unsigned length = value_of(c, first + i, value);

		assert_int_equal(valid, !is_null(c, first + i));
		nulls += !valid;
		if (!valid)
			continue;
		if (is_text) {
			uint64_t from = read_u(values + 4 * (size_t)i, 4), to = read_u(values + 4 * (size_t)i + 4, 4);

			assert_true(to <= text_size && to - from == length);
			assert_memory_equal(text + from, value, length);
		} else {
			assert_memory_equal(values + (size_t)i * length, value, length);
		}
	}
	assert_int_equal(read_u(node, 8), rows);
	assert_int_equal(read_u(node + 8, 8), nulls);
	return is_text ? 3 : 2;
}

static uint32_t check_batch(const struct message *batch, uint32_t first)
{
	uint32_t rows = (uint32_t)read_number(batch->header, 0, 8);
	unsigned buffer = 0;

	for (unsigned c = 0; c < COLUMNS; c++)
		buffer += check_column(batch, c, buffer, first, rows);
	assert_int_equal(read_u(read_child(batch->header, 2), 4), buffer);
	return rows;
}

static void test_file(void **state)
{
	static const uint32_t sizes[] = { 64, 64, 22 };
	struct bytes bytes = { 0 };
	struct message message;
	const uint8_t *at, *footer, *blocks;
	uint32_t first = 0;

	(void)state;
	write_rows(&bytes, true);
	assert_memory_equal(bytes.data, "ARROW1\0\0", 8);
	assert_memory_equal(bytes.data + bytes.length - 6, "ARROW1", 6);
	footer = read_reference(bytes.data + bytes.length - 10 - read_u(bytes.data + bytes.length - 10, 4));
	check_schema(read_child(footer, 1));
	assert_int_equal(read_number(footer, 0, 2), 4); /* V5 */
	blocks = read_child(footer, 3);
	assert_int_equal(read_u(blocks, 4), 3);
	blocks += 4;
	at = read_message(bytes.data + 8, &message);
	assert_int_equal(message.kind, HEADER_SCHEMA);
	check_schema(message.header);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(read_u(blocks + 24 * i, 8), at - bytes.data);
		assert_int_equal((at - bytes.data) % 8, 0);
		at = read_message(at, &message);
		assert_int_equal(message.kind, HEADER_BATCH);
		assert_int_equal(read_u(blocks + 24 * i + 8, 4), message.metadata_size);
		assert_int_equal(read_u(blocks + 24 * i + 16, 8), message.body_size);
		assert_int_equal(check_batch(&message, first), sizes[i]);
		first += sizes[i];
	}
	read_message(at, &message);
	assert_int_equal(message.kind, 0);
	assert_non_null(strstr(read_metadata(read_child(footer, 4), "weir.ledger"), "\"seen\""));
	free(bytes.data);
}

/* A stream has no footer: the ledger comes as an empty batch's metadata. */
static void test_stream(void **state)
{
	struct bytes bytes = { 0 };
	struct message message;
	const uint8_t *at;
	uint32_t rows = 0, batches = 0;

	(void)state;
	write_rows(&bytes, false);
	at = read_message(bytes.data, &message);
	assert_int_equal(message.kind, HEADER_SCHEMA);
	for (;;) {
		const uint8_t *next = read_message(at, &message);

		if (message.kind == 0)
			break;
		rows += check_batch(&message, rows);
		batches++;
		at = next;
		if (rows == ROWS && read_number(message.header, 0, 8) == 0)
			assert_non_null(strstr(read_metadata(read_child(message.table, 4), "weir.ledger"), "\"seen\""));
	}
	assert_int_equal(at + 8 - bytes.data, bytes.length);
	assert_int_equal(rows, ROWS);
	assert_int_equal(batches, 4);
	free(bytes.data);
}

/* Records put in by runs of any length, side by side in memory or not, are in the columns what they are
 * themselves. */
static void check_fill(uint64_t seed, uint32_t longest, bool like)
{
	struct arrow_column record_columns[ARROW_RECORD_COLUMNS];
	static struct record records[1000];
	const struct record *pointers[1000];
	struct arrow_batch batch;
	uint64_t random = seed;

	for (uint32_t i = 0; i < 1000; i++) {
		sample_record(&records[i], &random, i);
		if (like)
			records[i] = records[0];
	}
	for (uint32_t i = 0; i < 1000; i++)
		pointers[i] = &records[seed & 1 ? (i * 7) % 1000 : i];
	arrow_record_columns(record_columns, false);
	assert_int_equal(arrow_batch_create(&batch, record_columns, ARROW_RECORD_COLUMNS, 1000), 0);
	for (uint32_t i = 0; i < 1000;) {
		uint32_t count = 1 + (uint32_t)(sample_random(&random) % longest);

		i += arrow_record_fill(&batch, pointers + i, count < 1000 - i ? count : 1000 - i);
	}
	assert_int_equal(batch.rows, 1000);
	for (unsigned c = 0; c < ARROW_RECORD_COLUMNS; c++) {
		const struct schema_column *column = &schema_columns[c];
		const struct arrow_store *store = &batch.stores[c];
		uint64_t nulls = 0;

		for (uint32_t i = 0; i < 1000; i++) {
			bool valid = schema_valid(column, pointers[i]);

			if (store->validity)
				assert_int_equal(store->validity[i / 64] >> (i % 64) & 1, valid);
			else
				assert_true(valid);
			nulls += !valid;
			if (valid)
				assert_memory_equal(store->values + (size_t)i * column->size,
						    (const uint8_t *)pointers[i] + column->offset, column->size);
		}
		assert_int_equal(store->nulls, nulls);
	}
	arrow_batch_close(&batch);
}

static void test_fill(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 9; seed++) {
		check_fill(seed, 200, false);
		check_fill(seed, 70, false);
		check_fill(seed, 3, true);
		check_fill(seed, 1000, true);
	}
}

/* Rows of all batches in a file that may still grow; *batches: how many. */
static uint64_t rows_of(const char *path, unsigned skip, unsigned *batches)
{
	size_t length;
	char *text = support_read(path, &length);
	const uint8_t *at = (const uint8_t *)text + skip, *end = (const uint8_t *)text + length;
	uint64_t rows = 0;

	*batches = 0;
	while (at + 8 < end) {
		struct message message;

		at = read_message(at, &message);
		if (message.kind == 0)
			break;
		if (message.kind == HEADER_BATCH) {
			rows += read_number(message.header, 0, 8);
			++*batches;
		}
	}
	free(text);
	return rows;
}

static void put(struct sink *sink, uint32_t count)
{
	static struct record records[SINK_BATCH];
	const struct record *pointers[SINK_BATCH];
	uint64_t random = 1;

	for (uint32_t i = 0; i < SINK_BATCH; i++) {
		sample_record(&records[i], &random, i);
		pointers[i] = &records[i];
	}
	while (count) {
		struct batch batch = { .records = pointers, .count = count < SINK_BATCH ? count : SINK_BATCH };

		assert_int_equal(sink->ops->write(sink, &batch), 0);
		count -= batch.count;
	}
}

/* Full batches leave at once, what is left by time: a stream's after 2 ticks, a file's after 51. */
static void check_batches(const char *scheme, unsigned skip, unsigned ticks)
{
	static const struct sink_options options = { .application = "test" };
	static const struct ledger ledger = { .final = true };
	char *directory = support_directory();
	char spec[300], part[300];
	unsigned batches;
	struct error error;
	struct sink *sink;

	snprintf(spec, sizeof spec, "%s:%s/x", scheme, directory);
	snprintf(part, sizeof part, "%s/x.part", directory);
	assert_int_equal(sink_open(spec, &options, &sink, &error), 0);
	put(sink, ARROW_ROWS + 100);
	assert_int_equal(sink->ops->flush(sink), 0);
	assert_int_equal(rows_of(part, skip, &batches), ARROW_ROWS + 100);
	assert_int_equal(batches, 2);
	put(sink, 10);
	for (unsigned i = 0; i < ticks; i++) {
		assert_int_equal(rows_of(part, skip, &batches), ARROW_ROWS + 100);
		assert_int_equal(sink->ops->tick(sink, 0), 0);
	}
	assert_int_equal(rows_of(part, skip, &batches), ARROW_ROWS + 110);
	assert_int_equal(batches, 3);
	assert_int_equal(sink->ops->finish(sink, &ledger), 0);
	sink->ops->close(sink);
	support_remove(directory);
}

static void test_time(void **state)
{
	(void)state;
	check_batches("arrows", 0, 2);
	check_batches("arrow", 8, 51);
}

/* RowBinary of a record, the way with constant sizes against the way by the table. */
static void test_row_binary(void **state)
{
	struct row_kind generic = row_record;
	uint64_t random = 5;

	(void)state;
	assert_non_null(row_record.binary);
	generic.binary = NULL;
	for (unsigned i = 0; i < 5000; i++) {
		uint8_t fast[ROW_LINE], slow[ROW_LINE];
		struct record record;
		size_t size;

		sample_record(&record, &random, i);
		size = (size_t)(row_binary(&row_record, fast, &record, i) - fast);
		assert_int_equal(row_binary(&generic, slow, &record, i) - slow, size);
		assert_memory_equal(fast, slow, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file), cmocka_unit_test(test_stream), cmocka_unit_test(test_fill),
		cmocka_unit_test(test_time), cmocka_unit_test(test_row_binary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
