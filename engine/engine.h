/* weir's public entry: a run of sources, workers, queues, one writer and its sinks.
 *
 *	engine_create -> engine_start -> engine_wait ... engine_stop -> engine_wait -> engine_ledger -> engine_close
 *
 * Thread owner: the caller's control thread. The engine never prints and installs no signal handlers.
 */
#ifndef WEIR_ENGINE_ENGINE_H
#define WEIR_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/decode.h"
#include "engine/error.h"
#include "engine/interface.h"
#include "engine/ledger.h"
#include "engine/sink.h"
#include "engine/source.h"

struct engine_config {
	struct decode_options decode;
	uint64_t packet_limit;     /* -c: records written at most; 0: no limit */
	uint32_t queue_capacity;   /* slots of each worker's queue, a power of two; 0: default */
	uint64_t lag_ns;           /* a live record waits at most so long for a quieter queue; 0: default */
	bool unordered;            /* write in the order of arrival */
	bool flush_each;           /* -U: flush the sinks after every batch */
	const int *pin_cpus;       /* CPU of each worker, pin_count of them, used in turn; NULL: one per CPU in turn */
	unsigned pin_count;
	bool no_pin;
	bool exit_on_interface_loss;
};

struct engine;

/* Takes over sources and sinks (engine_close closes them, also after a failed create). The table must
 * outlive the engine. Errors: -ENOMEM, -EINVAL. */
int engine_create(const struct engine_config *config, struct interface_table *interfaces,
		  struct source *const *sources, unsigned source_count,
		  struct sink *const *sinks, unsigned sink_count,
		  struct engine **engine, struct error *error);

/* Starts the writer, the workers, and lets packets in. When it returns 0 the rings are bound and filling. */
int engine_start(struct engine *engine, struct error *error);

/* Waits up to timeout_ms (-1: for ever) for the run's end. Returns 1 when it has ended, 0 when not. */
int engine_wait(struct engine *engine, int timeout_ms);

/* A descriptor that becomes readable when the run has ended, for callers with their own poll. */
int engine_event_fd(const struct engine *engine);

/* Asks for the orderly end: reject new packets, drain, write, close files. Safe from any thread, not
 * from a signal handler. */
void engine_stop(struct engine *engine);

/* The quick end: what is in the rings is abandoned (and counted), files still get their trailers. */
void engine_abort(struct engine *engine);

/* A picture of the run so far, or the final one after it ended. The caller closes it. 0 or -ENOMEM. */
int engine_ledger(struct engine *engine, struct ledger *ledger);

/* After the end: 0, or why the run failed (a sink that could not write, a source that broke). */
int engine_result(struct engine *engine, struct error *error);

/* Interfaces that went away and came back since the last call: calls note for each, control thread. */
void engine_notes(struct engine *engine, void (*note)(void *context, const char *text), void *context);

/* Stops (abruptly, if still running), joins, closes sources and sinks, frees. NULL is allowed. */
void engine_close(struct engine *engine);

#endif
