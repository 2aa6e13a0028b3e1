/* Writes sample records as records.bin (128 bytes each) and as Arrow file and stream with both kinds of
 * addresses: what readers.mjs compares through real readers. usage: arrow_sample DIR ROWS */
#include <stdio.h>
#include <stdlib.h>

#include "engine/ledger.h"
#include "engine/sinks/arrow_record.h"
#include "engine/sinks/arrow_writer.h"
#include "tests/analytics/sample.h"

#define BATCH_ROWS 1000 /* batches end at odd places within the sample's runs */

static int emit_file(void *context, const void *data, size_t size)
{
	return fwrite(data, 1, size, context) == size ? 0 : -5;
}

static int write_one(const char *directory, const char *name, bool file, bool text,
		     const struct record *records, uint32_t rows)
{
	static const struct sink_options options = { .application = "weir test", .filter = "tcp or udp" };
	static const struct ledger ledger = { .seen = 42, .final = true };
	struct arrow_column columns[ARROW_RECORD_COLUMNS];
	struct arrow_writer writer;
	char path[4096];
	FILE *out;
	int rc;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	out = fopen(path, "wb");
	if (!out)
		return -1;
	arrow_record_columns(columns, text);
	rc = arrow_writer_open(&writer, columns, ARROW_RECORD_COLUMNS, BATCH_ROWS, "record", &options, file,
			       emit_file, out);
	if (rc == 0)
		rc = arrow_writer_begin(&writer);
	for (uint32_t i = 0; rc == 0 && i < rows;) {
		const struct record *pointers[97];
		uint32_t count = 0, done = 0;

		while (count < 97 && i < rows)
			pointers[count++] = &records[i++];
		while (rc == 0 && done < count) {
			done += arrow_record_fill(&writer.batch, pointers + done, count - done);
			if (writer.batch.rows == writer.batch.capacity)
				rc = arrow_writer_flush(&writer);
		}
	}
	if (rc == 0)
		rc = arrow_writer_end(&writer, &ledger);
	arrow_writer_close(&writer);
	return fclose(out) == 0 ? rc : -1;
}

int main(int argc, char **argv)
{
	uint32_t rows = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	struct record *records = calloc(rows ? rows : 1, sizeof *records);
	uint64_t state = 7;
	char path[4096];
	FILE *out;

	if (!rows || !records)
		return 2;
	for (uint32_t i = 0; i < rows; i++)
		sample_record(&records[i], &state, i);
	snprintf(path, sizeof path, "%s/records.bin", argv[1]);
	out = fopen(path, "wb");
	if (!out || fwrite(records, sizeof *records, rows, out) != rows || fclose(out) != 0)
		return 1;
	if (write_one(argv[1], "x.arrow", true, false, records, rows) ||
	    write_one(argv[1], "x.arrows", false, false, records, rows) ||
	    write_one(argv[1], "text.arrow", true, true, records, rows) ||
	    write_one(argv[1], "text.arrows", false, true, records, rows))
		return 1;
	free(records);
	return 0;
}
