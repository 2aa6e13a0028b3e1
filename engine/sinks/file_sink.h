/* What every sink on a file shares: the output, and how its errors and figures reach struct sink. */
#ifndef WEIR_ENGINE_SINKS_FILE_SINK_H
#define WEIR_ENGINE_SINKS_FILE_SINK_H

#include "engine/output.h"
#include "engine/sink.h"

#define FILE_SINK_MARKS 256
#define FILE_SINK_MARK_BYTES (64u * 1024) /* marks are so far apart at least: all of them span more than is ever in flight */

/* Where in the file so many records end: what a failed write left whole is counted by these. */
struct file_sink_mark {
	uint64_t offset;
	uint64_t records;
};

/* First member of each file sink's struct. */
struct file_sink {
	struct sink sink;
	struct output *output;
	uint64_t flushed;      /* the output's offset at the last flush */
	uint64_t at_last_tick; /* and at the last tick */
	unsigned ticks;        /* since the last flush */
	struct file_sink_mark marks[FILE_SINK_MARKS]; /* the newest at mark_count - 1, modulo */
	uint64_t mark_count;
};

/* A zeroed struct of size bytes (a struct file_sink first) with its output open on target; NULL on failure. */
int file_sink_open(size_t size, const struct sink_ops *ops, const char *target,
		   const struct sink_options *options,
		   struct file_sink **made, struct error *error);

/* The same for a format that is no text: refuses a terminal. */
int file_sink_open_binary(size_t size, const struct sink_ops *ops, const char *target,
			  const struct sink_options *options, struct file_sink **made, struct error *error);

/* The end of a write, flush or finish: the byte count, the mark, and the output's error if there is one (sink->kept is
 * set then). 0 or -errno. */
int file_sink_done(struct file_sink *file);

/* A record without packet bytes reached a sink that must have them: sink->error says so. Returns its code. */
int file_sink_no_packet(struct file_sink *file);

/* For struct sink_ops. */
int file_sink_flush(struct sink *sink);
int file_sink_tick(struct sink *sink, uint64_t now_ns);
int file_sink_finish(struct sink *sink, const struct ledger *ledger);
void file_sink_close(struct sink *sink);

#endif
