/* The sink contract: where records and packets go.
 *
 * A sink is called by the writer thread alone, from open to close. It gets batches: arrays of
 * pointers to records, in the order of output. Record and packet bytes are the sink's to read until
 * write returns, and not longer: then the slots go back to the worker and the spans to the kernel.
 * A sink that must keep something copies it into its own buffer.
 *
 * A sink on a file returns an error when it cannot write; the engine stops and says so (or waits,
 * --on-full wait). A sink that talks to a network has its own thread and bounded queue, never waits
 * in write, and counts what it sheds.
 */
#ifndef WEIR_ENGINE_SINK_H
#define WEIR_ENGINE_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "decoders/record.h"
#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"

struct ledger;

enum sink_needs {
	SINK_NEEDS_RECORD = 0, /* the record alone */
	SINK_NEEDS_BYTES = 1,  /* and the packet's first sink.bytes_needed bytes */
	SINK_NEEDS_PACKET = 2, /* and all captured bytes */
};

#define SINK_BATCH 1024 /* records in a batch at most */

struct batch {
	const struct record *const *records; /* count pointers, in order of output */
	uint32_t count;
	const struct interface_table *interfaces;
};

/* The packet's captured_length bytes. Only in a sink whose needs say so, during write. NULL: the source
 * had none (records read back from a file). */
static inline const uint8_t *sink_packet(const struct record *record)
{
	return record->packet_offset == RECORD_NO_OFFSET ? (const uint8_t *)0
							  : (const uint8_t *)(uintptr_t)record->packet_offset;
}

struct sink;

struct sink_ops {
	const char *name; /* "pcapng", ... */

	/* Writes the whole batch. Returns 0, or -errno with sink->error filled: nothing of the capture goes
	 * on then (unless the engine was told to wait for space). */
	int (*write)(struct sink *sink, const struct batch *batch);

	/* Makes what was written visible outside (-U, or nothing came for a while). NULL: nothing buffered. */
	int (*flush)(struct sink *sink);

	/* The end of the run: trailers, statistics, the name without .part. ledger is final but for this
	 * call's own effect. Returns 0 or -errno with sink->error filled. Called at most once. */
	int (*finish)(struct sink *sink, const struct ledger *ledger);

	/* Called from the writer every 100 ms or so while running. NULL: not wanted. */
	int (*tick)(struct sink *sink, uint64_t now_ns);

	/* Frees. Safe on a half-built sink; without finish before it, the file stays .part. */
	void (*close)(struct sink *sink);
};

/* The head of every sink's own struct. Counters: (writer) writes, read by others as statistics. */
struct sink {
	const struct sink_ops *ops;
	char label[256];            /* as the user named it: "x.pcapng", "ndjson:-" */
	enum sink_needs needs;
	uint32_t bytes_needed;      /* with SINK_NEEDS_BYTES */
	bool prompt;                /* flush whenever the writer has nothing else to do: terminals and pipes */
	_Atomic uint64_t offered;   /* records given to write */
	_Atomic uint64_t written;   /* of these, written; the engine counts a successful write as all but shed */
	_Atomic uint64_t shed;      /* of these, given up by the sink itself (network sinks) */
	_Atomic uint64_t bytes;     /* bytes written */
	bool sheds;                 /* its far end may refuse records while others have them: no loss of the run */
	_Atomic bool failed;        /* (writer) sets: a write, flush or finish failed */
	_Atomic uint64_t kept;      /* when it failed: of the records offered, the first so many are in the output. The sink
				       sets it where it knows better than "all before the failed call"; see SINK_KEPT_UNKNOWN */
	_Atomic bool waiting;       /* write is waiting for space (--on-full wait); (writer) writes, any thread reads */
	struct error error;
	struct source_counter events[SOURCE_COUNTERS]; /* named figures for the ledger, set in finish */
	unsigned event_count;
};

/* sink.kept as the writer sets it before the first batch: the sink has not said. */
#define SINK_KEPT_UNKNOWN UINT64_MAX

/* What a sink is opened with; lives as long as the run, const. */
struct sink_options {
	const struct interface_table *interfaces; /* may still grow */
	const char *format;        /* --format for text, NULL: the default line */
	const char *filter;        /* the filter's text, for file headers; NULL: none */
	const char *application;   /* "weir 0.1.0" */
	uint32_t snap_length;
	bool flush_each;           /* -U */
	bool colour;               /* text on a terminal */
	bool wait_when_full;       /* --on-full wait */
	bool show_payload;         /* text formats that print payload bytes (tcp) */
	bool no_direct;            /* do not use O_DIRECT */
	const char *stream_payload; /* --format streams: directory for the streams' bytes; NULL: none */
	const char *spool_dir;     /* network sinks: what cannot be sent is kept here and sent later; NULL: it is shed */
	bool may_wait;             /* reading from files: a network sink waits for room instead of shedding */
	const _Atomic bool *cancel; /* set by another thread: stop waiting for space and fail; NULL: never */
};

/* Opens what a -w argument names: by prefix ("ndjson:-", "csv:x", "kafka://...") or by extension.
 * "-" alone is text on stdout. Errors: unknown scheme or extension, or that of opening the output. */
int sink_open(const char *spec, const struct sink_options *options, struct sink **sink, struct error *error);

#endif
