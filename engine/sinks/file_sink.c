#include "engine/sinks/file_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_TICKS 10               /* about a second */
#define MUCH_BYTES (2u * 1024 * 1024)   /* in that time: more than is held back in a buffer */

int file_sink_open(size_t size, const struct sink_ops *ops, const char *target,
		   const struct sink_options *options,
		   struct file_sink **made, struct error *error)
{
	struct file_sink *file = calloc(1, size);
	struct output_options output_options = {
		.no_direct = options->no_direct,
		.flush_each = options->flush_each,
		.wait_when_full = options->wait_when_full,
		.cancel = options->cancel,
	};
	int code;

	*made = NULL;
	if (file == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", target);
	output_options.waiting = &file->sink.waiting;
	code = output_open(target, &output_options, &file->output, error);
	if (code < 0) {
		free(file);
		return code;
	}
	file->sink.ops = ops;
	file->sink.prompt = output_is_prompt(file->output);
	*made = file;
	return 0;
}

int file_sink_open_binary(size_t size, const struct sink_ops *ops, const char *target,
			  const struct sink_options *options, struct file_sink **made, struct error *error)
{
	int code = file_sink_open(size, ops, target, options, made, error);

	if (code < 0 || !output_is_terminal((*made)->output))
		return code;
	file_sink_close(&(*made)->sink);
	*made = NULL;
	error_set(error, -ENOTTY, "%s output is not for a terminal", ops->name);
	return error_hint(error, "send it to a file or a pipe");
}

static void set_mark(struct file_sink *file)
{
	uint64_t offset = output_offset(file->output);
	struct file_sink_mark *last = &file->marks[(file->mark_count - 1) % FILE_SINK_MARKS];

	if (file->mark_count > 0 && offset - last->offset < FILE_SINK_MARK_BYTES)
		return;
	file->marks[file->mark_count++ % FILE_SINK_MARKS] = (struct file_sink_mark){
		.offset = offset,
		.records = atomic_load_explicit(&file->sink.offered, memory_order_relaxed),
	};
}

/* Of the records offered, those that are in the file for certain. */
static uint64_t whole_records(struct file_sink *file)
{
	uint64_t whole = output_whole_until(file->output);

	if (whole == output_offset(file->output))
		return atomic_load_explicit(&file->sink.offered, memory_order_relaxed);
	for (uint64_t i = file->mark_count; i > 0 && i + FILE_SINK_MARKS > file->mark_count; i--) {
		const struct file_sink_mark *mark = &file->marks[(i - 1) % FILE_SINK_MARKS];

		if (mark->offset <= whole)
			return mark->records;
	}
	return 0;
}

int file_sink_done(struct file_sink *file)
{
	struct sink *sink = &file->sink;

	atomic_store_explicit(&sink->bytes, output_offset(file->output), memory_order_relaxed);
	if (output_error(file->output, NULL) == 0) {
		set_mark(file);
		return 0;
	}
	atomic_store_explicit(&sink->kept, whole_records(file), memory_order_relaxed);
	return output_error(file->output, &sink->error);
}

int file_sink_no_packet(struct file_sink *file)
{
	struct error *error = &file->sink.error;

	error_set(error, -ENODATA, "%s output needs the packets' bytes, and these records come without",
		  file->sink.ops->name);
	return error_hint(error, "read the capture that they were made from, or write records, ndjson or csv");
}

int file_sink_flush(struct sink *sink)
{
	struct file_sink *file = (struct file_sink *)sink;

	output_flush(file->output);
	file->flushed = output_offset(file->output);
	file->ticks = 0;
	return file_sink_done(file);
}

/* Little comes: whoever looks at the file, or finds it after a crash, shall not miss what came long ago.
 * Where much comes the buffers fill by themselves, and a flush would only hold up the writes in flight. */
int file_sink_tick(struct sink *sink, uint64_t now_ns)
{
	struct file_sink *file = (struct file_sink *)sink;
	uint64_t offset = output_offset(file->output);
	bool quiet = offset == file->at_last_tick;

	(void)now_ns;
	file->at_last_tick = offset;
	file->ticks++;
	if (offset == file->flushed || (!quiet && file->ticks < PATIENCE_TICKS))
		return 0;
	if (!quiet && offset - file->flushed > MUCH_BYTES) {
		file->flushed = offset;
		file->ticks = 0;
		return 0;
	}
	return file_sink_flush(sink);
}

int file_sink_finish(struct sink *sink, const struct ledger *ledger)
{
	struct file_sink *file = (struct file_sink *)sink;

	(void)ledger;
	output_finish(file->output, &sink->error);
	return file_sink_done(file);
}

void file_sink_close(struct sink *sink)
{
	struct file_sink *file = (struct file_sink *)sink;

	if (file == NULL)
		return;
	/* A run that failed before its first packet leaves no .part behind. */
	if (atomic_load_explicit(&sink->offered, memory_order_relaxed) == 0)
		output_discard(file->output);
	output_close(file->output);
	free(file);
}
