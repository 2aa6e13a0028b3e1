/* The loop of every sink that writes lines: room for many at once, one commit for all that fit. */
#ifndef WEIR_ENGINE_SINKS_LINES_H
#define WEIR_ENGINE_SINKS_LINES_H

#include "engine/sinks/file_sink.h"

#define LINES_ROOM 4096u          /* bytes that a line, or the lines of one record, may take at most */
#define LINES_CHUNK (64u * 1024)

/* Writes the text of a record at p and returns its end; p itself when the record has none in this format.
 * NULL: cannot go on, the sink's error is set. */
typedef char *lines_put(void *context, char *p, const struct record *record);

/* put is a constant in each caller, so that the compiler puts it into the loop. */
static inline int lines_write(struct file_sink *file, const struct batch *batch, lines_put *put,
			      void *context)
{
	char *start = (char *)output_reserve(file->output, LINES_CHUNK), *p = start;

	for (uint32_t i = 0; i < batch->count && start != NULL; i++) {
		char *end = put(context, p, batch->records[i]);

		if (end == NULL) {
			output_commit(file->output, (size_t)(p - start));
			return file->sink.error.code;
		}
		p = end;
		if (p - start > (ptrdiff_t)(LINES_CHUNK - LINES_ROOM)) {
			output_commit(file->output, (size_t)(p - start));
			start = p = (char *)output_reserve(file->output, LINES_CHUNK);
		}
	}
	if (start != NULL)
		output_commit(file->output, (size_t)(p - start));
	return file_sink_done(file);
}

#endif
