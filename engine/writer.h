/* The writer: the one consumer of all queues, and the only thread that touches sinks.
 *
 * It merges, hands batches to every sink, then releases slots and returns spans. It enforces the
 * packet limit (in the order of output, so that -c means the first c) and notices when a sink fails:
 * the other sinks go on to the end, the run is told to stop.
 */
#ifndef WEIR_ENGINE_WRITER_H
#define WEIR_ENGINE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/doorbell.h"
#include "engine/error.h"
#include "engine/interface.h"
#include "engine/sink.h"
#include "engine/worker.h"

#define WRITER_LAG_DEFAULT_NS UINT64_C(200000000)

struct writer;

struct writer_config {
	struct worker **workers; /* the engine's; they outlive the writer */
	const bool *live;        /* of each worker's source */
	unsigned worker_count;
	struct sink *const *sinks;
	unsigned sink_count;
	const struct interface_table *interfaces;
	struct doorbell *bell;   /* the writer's own: workers ring it */
	uint64_t packet_limit;   /* 0: none */
	uint64_t lag_ns;
	bool unordered;
	bool flush_each;
	/* (writer) No more packets are wanted: the limit is reached (error NULL) or a sink failed. */
	void (*want_stop)(void *context, const struct error *error);
	void *context;
};

/* (writer) writes, others look. */
struct writer_counters {
	_Atomic uint64_t offered;     /* records given to the sinks, the first so many in order */
	_Atomic uint64_t after_limit; /* records behind the packet limit */
	_Atomic uint64_t first_ns;    /* timestamps of the first and the last record offered */
	_Atomic uint64_t last_ns;
	_Atomic uint64_t late;
};

int writer_create(const struct writer_config *config, struct writer **writer, struct error *error);

/* The thread's body: until all queues ended. Sinks are not finished here (the final ledger is not known yet). */
void writer_run(struct writer *writer);

const struct writer_counters *writer_counters(const struct writer *writer);

void writer_close(struct writer *writer);

#endif
