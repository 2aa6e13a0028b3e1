/* The worker: owns one source and one queue, and turns frames into records.
 *
 * Thread: one per ring, pinned. It walks bursts, runs the user-space filter, decodes each frame
 * straight into the queue's slot, and releases spans: at once when no sink needs bytes, else when
 * the writer has returned them. It never drops: a full queue makes it wait, and the kernel's ring
 * absorbs the burst.
 *
 * It waits in epoll: the source edge-triggered (a bare poll on a ring with a held block returns at
 * once, for ever), and its doorbell, which the writer rings for a returned span, freed slots, stop
 * or the question for the time.
 */
#ifndef WEIR_ENGINE_WORKER_H
#define WEIR_ENGINE_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "decoders/decode.h"
#include "engine/doorbell.h"
#include "engine/error.h"
#include "engine/ledger.h"
#include "engine/source.h"
#include "ringbuf/spsc.h"

#define WORKER_QUEUE_DEFAULT 32768u      /* slots: 4 MiB, so that the queue stays in a shared cache */
#define WORKER_TIME_SLACK_NS UINT64_C(1000000) /* between a packet's stamp and its place in the ring */

/* Counters: (worker) writes, others look. */
struct worker_counters {
	_Atomic uint64_t walked;
	_Atomic uint64_t records;
	_Atomic uint64_t filtered;
	_Atomic uint64_t cut;
	_Atomic uint64_t wire_bytes;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t full_waits;
	_Atomic uint32_t queue_used_most;
};

struct worker;

/* What a worker is made with; const after. */
struct worker_config {
	unsigned index;
	int cpu;                          /* to be pinned to; -1: not */
	bool hold_packets;                /* some sink needs bytes */
	bool prompt;                      /* somebody watches what a sink writes: the writer shall have it at once */
	bool exit_on_interface_loss;
	uint32_t queue_capacity;
	struct decode_options decode;
	const struct interface_table *interfaces;
	struct doorbell *writer_bell;
	/* Any thread: something for a person to know ("eth0 went away"). */
	void (*note)(void *context, const char *text);
	/* (worker) The source broke or its interface is lost for good; *error says why. */
	void (*failed)(void *context, const struct error *error);
	void *context;
};

/* Makes queue, return queue and doorbell for a source (which stays the caller's). 0 or -errno. */
int worker_create(const struct worker_config *config, struct source *source, struct worker **worker,
		  struct error *error);

int worker_start(struct worker *worker, struct error *error);

/* Ends a worker that was never started: its queue gets its END, so that the writer can drain the others. */
void worker_cancel(struct worker *worker);

/* Drain: reject new packets, walk what is there, END. Any thread; returns at once. */
void worker_stop(struct worker *worker);

/* End now: what the ring holds is abandoned. Any thread; returns at once. */
void worker_abort(struct worker *worker);

/* Waits for the thread's end (after END it waits until its spans are back). */
void worker_join(struct worker *worker);

/* Frees; joined or never started. */
void worker_close(struct worker *worker);

struct spsc *worker_queue(struct worker *worker);

/* (writer) The span's bytes are not used any more. Never blocks: the return queue holds all spans. Wakes the worker
 * when it sleeps and more than source.spans_lazy spans wait for it. */
void worker_return_span(struct worker *worker, uint32_t span);

/* (writer) Slots were released: wakes the worker if it waits for one. */
void worker_slots_released(struct worker *worker);

/* (writer) Asks an idle worker to send a TIME slot, if it can vouch for one. */
void worker_want_time(struct worker *worker);

/* Fills the ring's lines of the ledger. Any thread; exact once the worker ended. */
void worker_report(struct worker *worker, struct ledger_ring *ring);

#endif
