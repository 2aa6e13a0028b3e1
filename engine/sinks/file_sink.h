/* What every sink on a file shares: the output, and how its errors and figures reach struct sink. */
#ifndef WEIR_ENGINE_SINKS_FILE_SINK_H
#define WEIR_ENGINE_SINKS_FILE_SINK_H

#include "engine/output.h"
#include "engine/sink.h"

/* First member of each file sink's struct. */
struct file_sink {
	struct sink sink;
	struct output *output;
	uint64_t flushed;      /* the output's offset at the last flush */
	uint64_t at_last_tick; /* and at the last tick */
	unsigned ticks;        /* since the last flush */
};

/* A zeroed struct of size bytes (a struct file_sink first) with its output open on target; NULL on failure. */
int file_sink_open(size_t size, const struct sink_ops *ops, const char *target,
		   const struct sink_options *options,
		   struct file_sink **made, struct error *error);

/* The same for a format that is no text: refuses a terminal. */
int file_sink_open_binary(size_t size, const struct sink_ops *ops, const char *target,
			  const struct sink_options *options, struct file_sink **made, struct error *error);

/* The end of a write: the byte count, and the output's error if there is one. 0 or -errno. */
int file_sink_done(struct file_sink *file);

/* A record without packet bytes reached a sink that must have them: sink->error says so. Returns its code. */
int file_sink_no_packet(struct file_sink *file);

/* For struct sink_ops. */
int file_sink_flush(struct sink *sink);
int file_sink_tick(struct sink *sink, uint64_t now_ns);
int file_sink_finish(struct sink *sink, const struct ledger *ledger);
void file_sink_close(struct sink *sink);

#endif
