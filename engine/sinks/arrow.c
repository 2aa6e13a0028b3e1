#include "engine/sinks/arrow.h"

#include "engine/sinks/arrow_record.h"
#include "engine/sinks/arrow_writer.h"
#include "engine/sinks/file_sink.h"

#define STREAM_TICKS 1u /* a tick comes every 100 ms or so */
#define FILE_TICKS 50u

struct arrow_sink {
	struct file_sink file;
	struct arrow_column columns[ARROW_RECORD_COLUMNS];
	struct arrow_writer writer;
	unsigned ticks;    /* that the batch's rows have waited */
	unsigned patience; /* ticks after which they leave */
};

static int arrow_sink_emit(void *context, const void *data, size_t size)
{
	struct arrow_sink *arrow = context;

	return output_write(arrow->file.output, data, size);
}

/* What the writer could not do, unless it is the output's own error. */
static int arrow_sink_done(struct arrow_sink *arrow, int rc)
{
	int code = file_sink_done(&arrow->file);

	return code == 0 && rc ? error_set_errno(&arrow->file.sink.error, rc, "cannot write Arrow") : code;
}

static int arrow_sink_write(struct sink *sink, const struct batch *batch)
{
	struct arrow_sink *arrow = (struct arrow_sink *)sink;
	int rc = 0;

	for (uint32_t done = 0; rc == 0 && done < batch->count;) {
		done += arrow_record_fill(&arrow->writer.batch, batch->records + done, batch->count - done);
		if (arrow->writer.batch.rows == arrow->writer.batch.capacity) {
			rc = arrow_writer_flush(&arrow->writer);
			arrow->ticks = 0;
		}
	}
	return arrow_sink_done(arrow, rc);
}

static int arrow_sink_flush(struct sink *sink)
{
	struct arrow_sink *arrow = (struct arrow_sink *)sink;
	int rc = arrow_writer_flush(&arrow->writer);

	arrow->ticks = 0;
	if (rc == 0)
		rc = output_flush(arrow->file.output);
	return arrow_sink_done(arrow, rc);
}

static int arrow_sink_tick(struct sink *sink, uint64_t now_ns)
{
	struct arrow_sink *arrow = (struct arrow_sink *)sink;

	if (arrow->writer.batch.rows == 0 || arrow->ticks++ < arrow->patience)
		return 0;
	return arrow_sink_flush(sink);
}

static int arrow_sink_finish(struct sink *sink, const struct ledger *ledger)
{
	struct arrow_sink *arrow = (struct arrow_sink *)sink;
	int rc = arrow_sink_done(arrow, arrow_writer_end(&arrow->writer, ledger));

	return rc ? rc : file_sink_finish(sink, ledger);
}

static void arrow_sink_close(struct sink *sink)
{
	struct arrow_sink *arrow = (struct arrow_sink *)sink;

	arrow_writer_close(&arrow->writer);
	file_sink_close(sink);
}

static const struct sink_ops arrow_ops = {
	.name = "arrow",
	.write = arrow_sink_write,
	.flush = arrow_sink_flush,
	.finish = arrow_sink_finish,
	.tick = arrow_sink_tick,
	.close = arrow_sink_close,
};

static int arrow_sink_open(const char *target, const struct sink_options *options, bool is_file, bool text,
			   struct sink **sink, struct error *error)
{
	struct arrow_sink *arrow;
	struct file_sink *file;
	int rc = file_sink_open_binary(sizeof *arrow, &arrow_ops, target, options, &file, error);

	*sink = NULL;
	if (rc)
		return rc;
	arrow = (struct arrow_sink *)file;
	file->sink.needs = SINK_NEEDS_RECORD;
	arrow->patience = is_file ? FILE_TICKS : STREAM_TICKS;
	arrow_record_columns(arrow->columns, text);
	rc = arrow_writer_open(&arrow->writer, arrow->columns, ARROW_RECORD_COLUMNS, ARROW_ROWS, "record",
			       options, is_file, arrow_sink_emit, arrow);
	if (rc == 0)
		rc = arrow_writer_begin(&arrow->writer);
	if (rc) {
		error_set_errno(error, rc, "%s", target);
		arrow_sink_close(&file->sink);
		return rc;
	}
	*sink = &file->sink;
	return 0;
}

int arrow_open(const char *target, const struct sink_options *options, struct sink **sink,
	       struct error *error)
{
	return arrow_sink_open(target, options, true, false, sink, error);
}

int arrows_open(const char *target, const struct sink_options *options, struct sink **sink,
		struct error *error)
{
	return arrow_sink_open(target, options, false, false, sink, error);
}

int arrow_text_open(const char *target, const struct sink_options *options, struct sink **sink,
		    struct error *error)
{
	return arrow_sink_open(target, options, true, true, sink, error);
}

int arrows_text_open(const char *target, const struct sink_options *options, struct sink **sink,
		     struct error *error)
{
	return arrow_sink_open(target, options, false, true, sink, error);
}
