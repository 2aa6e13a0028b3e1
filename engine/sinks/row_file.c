/* Rows into files: NDJSON, CSV, Arrow. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/output.h"
#include "engine/sinks/arrow_writer.h"
#include "engine/sinks/row_sink.h"

#define ARROW_FLOW_ROWS 16384u
#define ARROW_TICKS 10u

enum row_format { FORMAT_NDJSON, FORMAT_CSV, FORMAT_ARROW, FORMAT_ARROWS };

struct row_file {
	struct row_sink rows;
	struct output *output;
	enum row_format format;
	struct arrow_column columns[ROW_COLUMNS];
	struct arrow_writer arrow;
	bool is_arrow;
	bool used; /* a row came */
	unsigned ticks;
};

static int row_file_done(struct row_file *file, int rc)
{
	atomic_store_explicit(&file->rows.bytes, output_offset(file->output), memory_order_relaxed);
	if (output_error(file->output, NULL))
		return output_error(file->output, &file->rows.error);
	return rc ? error_set_errno(&file->rows.error, rc, "cannot write %ss", file->rows.kind->name) : 0;
}

static int emit(void *context, const void *data, size_t size)
{
	return output_write(context, data, size);
}

static int row_file_put(struct row_sink *rows, const void *row)
{
	struct row_file *file = (struct row_file *)rows;
	char *line;

	file->used = true;
	if (file->is_arrow) {
		row_arrow_put(rows->kind, &file->arrow.batch, row);
		if (file->arrow.batch.rows < file->arrow.batch.capacity)
			return 0;
		return row_file_done(file, arrow_writer_flush(&file->arrow));
	}
	line = output_reserve(file->output, ROW_LINE);
	if (!line)
		return row_file_done(file, -EIO);
	if (file->format == FORMAT_NDJSON)
		output_commit(file->output, (size_t)(row_ndjson(rows->kind, line, row) - line));
	else
		output_commit(file->output, (size_t)(row_csv(rows->kind, line, row) - line));
	return 0;
}

static int row_file_flush(struct row_sink *rows)
{
	struct row_file *file = (struct row_file *)rows;
	int rc = file->is_arrow ? arrow_writer_flush(&file->arrow) : 0;

	if (rc == 0)
		rc = output_flush(file->output);
	return row_file_done(file, rc);
}

static int row_file_tick(struct row_sink *rows)
{
	struct row_file *file = (struct row_file *)rows;

	if (++file->ticks < ARROW_TICKS)
		return 0;
	file->ticks = 0;
	return row_file_flush(rows);
}

static int row_file_finish(struct row_sink *rows, const struct ledger *ledger)
{
	struct row_file *file = (struct row_file *)rows;
	int rc = file->is_arrow ? arrow_writer_end(&file->arrow, ledger) : 0;

	rc = row_file_done(file, rc);
	if (rc == 0)
		rc = output_finish(file->output, &rows->error);
	return rc;
}

static void row_file_close(struct row_sink *rows)
{
	struct row_file *file = (struct row_file *)rows;

	arrow_writer_close(&file->arrow);
	if (!file->used)
		output_discard(
			file->output); /* a run that failed before its first row leaves no .part behind */
	output_close(file->output);
	free(file);
}

static const struct row_sink_ops row_file_ops = {
	.put = row_file_put,
	.flush = row_file_flush,
	.tick = row_file_tick,
	.finish = row_file_finish,
	.close = row_file_close,
};

static const struct {
	const char *prefix, *extension;
	enum row_format format;
	bool text_addresses;
} formats[] = {
	{ "ndjson:", ".ndjson", FORMAT_NDJSON, false }, { "csv:", ".csv", FORMAT_CSV, false },
	{ "arrow:", ".arrow", FORMAT_ARROW, false },    { "arrows:", ".arrows", FORMAT_ARROWS, false },
	{ "arrow+text:", NULL, FORMAT_ARROW, true },    { "arrows+text:", NULL, FORMAT_ARROWS, true },
};

static int find_format(const char **target)
{
	size_t length = strlen(*target);

	for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		size_t prefix = strlen(formats[i].prefix);

		if (strncmp(*target, formats[i].prefix, prefix) == 0) {
			*target += prefix;
			return (int)i;
		}
	}
	for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		size_t extension = formats[i].extension ? strlen(formats[i].extension) : length;

		if (extension < length && strcasecmp(*target + length - extension, formats[i].extension) == 0)
			return (int)i;
	}
	return -1;
}

static int write_head(struct row_file *file, const struct sink_options *options, bool text_addresses)
{
	const struct row_kind *kind = file->rows.kind;
	int rc;

	if (file->format == FORMAT_CSV) {
		for (unsigned i = 0; i < kind->count; i++) {
			output_write(file->output, kind->columns[i].name, strlen(kind->columns[i].name));
			output_write(file->output, i + 1 < kind->count ? "," : "\r\n",
				     i + 1 < kind->count ? 1 : 2);
		}
	}
	if (file->format != FORMAT_ARROW && file->format != FORMAT_ARROWS)
		return 0;
	row_arrow_columns(kind, file->columns, text_addresses);
	rc = arrow_writer_open(&file->arrow, file->columns, kind->count, ARROW_FLOW_ROWS, kind->name, options,
			       file->format == FORMAT_ARROW, emit, file->output);
	file->is_arrow = true;
	return rc ? rc : arrow_writer_begin(&file->arrow);
}

int row_file_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		  struct row_sink **rows, struct error *error)
{
	struct output_options output_options = {
		.no_direct = options->no_direct,
		.flush_each = options->flush_each,
		.wait_when_full = options->wait_when_full,
		.cancel = options->cancel,
	};
	const char *path = target;
	int found = find_format(&path), rc;
	struct row_file *file;

	*rows = NULL;
	if (found < 0) {
		error_set(error, -EINVAL, "cannot tell the format of the %ss in '%s'", kind->name, target);
		return error_hint(error, "end it in .ndjson, .csv, .arrow or .arrows, or begin it with "
					 "ndjson:, csv:, arrow: or arrows:");
	}
	file = calloc(1, sizeof *file);
	if (!file)
		return error_set_errno(error, -ENOMEM, "%s", target);
	file->rows.ops = &row_file_ops;
	file->rows.kind = kind;
	file->format = formats[found].format;
	rc = output_open(path, &output_options, &file->output, error);
	if (rc == 0) {
		rc = write_head(file, options, formats[found].text_addresses);
		if (rc)
			error_set_errno(error, rc, "%s", target);
	}
	if (rc)
		row_file_close(&file->rows);
	else
		*rows = &file->rows;
	return rc;
}
