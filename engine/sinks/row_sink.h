/* Where rows go: what stands behind `flows:`, and how records get into a network sink.
 *
 * Thread owner: the writer, for every call. A file's row sink writes at once; a network's hands the rows to
 * its own thread (netsink.h) and never waits.
 */
#ifndef WEIR_ENGINE_SINKS_ROW_SINK_H
#define WEIR_ENGINE_SINKS_ROW_SINK_H

#include "engine/sink.h"
#include "engine/sinks/row.h"

struct row_sink;

struct row_sink_ops {
	/* Takes one row. 0, or -errno with row_sink->error. */
	int (*put)(struct row_sink *rows, const void *row);
	int (*flush)(struct row_sink *rows);                             /* may be NULL */
	int (*tick)(struct row_sink *rows);                              /* every 100 ms; may be NULL */
	int (*finish)(struct row_sink *rows, const struct ledger *ledger);
	void (*close)(struct row_sink *rows);                            /* frees; safe on a half-built one */
};

/* The head of each one's own struct. */
struct row_sink {
	const struct row_sink_ops *ops;
	const struct row_kind *kind;
	struct error error;
	_Atomic uint64_t shed;  /* rows that were taken and given up */
	_Atomic uint64_t bytes; /* written */
	struct source_counter events[SOURCE_COUNTERS]; /* for the ledger, set by finish */
	unsigned event_count;
};

/* Opens where rows of the kind go: x.ndjson, x.csv, x.arrow, x.arrows (or by prefix "ndjson:", ...), or what
 * row_sink_network opens. */
int row_sink_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		  struct row_sink **rows, struct error *error);


/* Of the above, the files only. */
int row_file_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		  struct row_sink **rows, struct error *error);

#endif
