/* The ledger: every packet of a run is in exactly one of its columns.
 *
 *   per ring: handed out = seen - ring losses           (asserted after drain)
 *   per run:  walked = records + filtered + after_limit + abandoned
 *   per sink: offered = written + shed
 *   and so:   seen = written + filtered_total + lost
 *
 * seen starts at the source's own counter. What was lost before it (NIC, softnet) is shown under
 * "outside" and not balanced. Freezes and gaps are events, not packets. What the kernel's filter
 * rejected is counted by nobody: null, never 0.
 */
#ifndef WEIR_ENGINE_LEDGER_H
#define WEIR_ENGINE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/source.h"

struct ledger_ring {
	const char *backend;             /* static string */
	char interface[INTERFACE_NAME_MAX];
	uint16_t interface_index;
	unsigned worker;
	struct source_stats stats;
	uint64_t walked;                 /* packets the worker took from the source */
	uint64_t records;                /* of these, put into the queue */
	uint64_t filtered;               /* of these, rejected by the filter in user space */
	uint64_t cut;                    /* records with STATUS_CUT */
	uint64_t wire_bytes;             /* of records */
	uint64_t sleeps;                 /* times that the worker slept */
	uint64_t full_waits;             /* times that it waited for a slot */
	uint32_t queue_used_most;        /* slots */
	uint32_t queue_capacity;
};

struct ledger_sink {
	char label[256];
	const char *name;
	uint64_t offered, written, shed, bytes;
	bool sheds;                      /* sink.sheds */
	bool failed;                     /* shed are those that are not in the output for certain */
	struct source_counter events[SOURCE_COUNTERS];
	unsigned event_count;
};

struct ledger {
	struct ledger_ring *rings;   /* owned by the ledger */
	unsigned ring_count;
	struct ledger_sink *sinks;   /* owned by the ledger */
	unsigned sink_count;
	uint64_t first_ns, last_ns;  /* timestamps of the first and last record that the sinks were offered; 0: none */
	uint64_t start_ns, end_ns;   /* UNIX epoch; end 0 while running */
	uint64_t seen;
	uint64_t offered;            /* records given to the sinks */
	uint64_t written;            /* of these, the first so many: those that every sink that failed still has;
					but what a network sink shed is its own figure alone */
	uint64_t filtered;           /* user-space rejects and packets after -c */
	uint64_t filtered_user;
	uint64_t after_limit;
	uint64_t lost;               /* sum of the named losses */
	struct source_counter losses[SOURCE_COUNTERS]; /* by name, over all rings, and the engine's own */
	unsigned loss_count;
	uint64_t late;               /* records written out of order */
	uint64_t cut;
	uint64_t wire_bytes;
	bool balanced;               /* final and every equation above holds */
	bool final;
	bool cut_short;              /* aborted, or a source broke: packets may have been abandoned in a ring */
};

/* Frees what the ledger owns. */
void ledger_close(struct ledger *ledger);

/* Sums rings and sinks into the totals and checks the equations; may be called again when they changed. For a run that ended (final) a
 * difference is a bug: it is reported in *error with both sides named, and balanced is false. */
int ledger_balance(struct ledger *ledger, struct error *error);

/* One JSON object, with a newline: what --stats-json writes. */
int ledger_write_json(const struct ledger *ledger, FILE *out);

/* For people: a few lines, losses by name. */
void ledger_print(const struct ledger *ledger, FILE *out);

#endif
