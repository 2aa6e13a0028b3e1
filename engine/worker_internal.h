/* What the three files of the worker share: worker.c (the way a packet takes), worker_wait.c (sleeping, the
 * question for the time, an interface that went away), worker_life.c (made, started, asked to stop, reported). */
#ifndef WEIR_ENGINE_WORKER_INTERNAL_H
#define WEIR_ENGINE_WORKER_INTERNAL_H

#include "engine/slot.h"
#include "engine/worker.h"

/* What a sleeping worker may be called for, besides DOORBELL_CALL. */
#define WORKER_BELL_SLOTS (UINT32_C(1) << 0) /* the queue has room again */
#define WORKER_BELL_SPANS (UINT32_C(1) << 1) /* as many spans are back as the source wants at once */
#define WORKER_BELL_SPAN (UINT32_C(1) << 2)  /* any span is back */

struct worker {
	struct worker_config config;
	struct source *source;
	struct decode_options decode_unready; /* as config.decode, for frames with an open checksum */

	struct spsc queue;
	void *queue_memory;
	struct spsc returns;
	void *returns_memory;
	struct doorbell bell;
	int epoll_fd;
	pthread_t thread;
	bool started, joined;

	/* The reserved window of the queue. */
	struct record *slots;
	uint32_t slots_left;
	uint32_t slots_filled;
	uint32_t unrung; /* committed since the writer was last rung */

	uint32_t spans_out; /* given to the writer and not yet back */
	bool stopping;
	bool busy; /* frames came since the last nap */
	uint64_t ring_by_ns; /* when the writer is called for what is waiting; 0: nothing is */
	uint64_t drain_until_ns;
	uint64_t stats_at_ns;
	uint16_t filter_interface;
	const struct filter_program *filter;
	bool filter_known;

	_Atomic bool stop_asked;
	_Atomic bool abort_asked;
	_Atomic bool time_asked;
	struct worker_counters counters;

	pthread_mutex_t stats_lock; /* guards stats: worker writes, worker_report reads */
	struct source_stats stats;
};

/* (worker) A statistic of its own. */
static inline void worker_add(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_statistic(counter, atomic_load_own(counter) + value);
}

/* Something that another thread asked for. Relaxed: the doorbell's fences order it. */
static inline bool worker_flag(_Atomic bool *asked)
{
	return atomic_load_explicit(asked, memory_order_relaxed);
}

/* ---- worker.c ---- */

/* Puts a control slot into the queue; waits for room. False: aborted. Not visible before worker_commit. */
bool worker_send_control(struct worker *worker, enum slot_kind kind, uint32_t span, uint64_t timestamp_ns);

/* Publishes the slots that were filled. */
void worker_commit(struct worker *worker);

/* Wakes the writer for what was committed since it was last rung. */
void worker_ring_writer(struct worker *worker);

/* Releases the spans that the writer has returned. */
void worker_take_returns(struct worker *worker);

/* The thread's body. */
void *worker_main(void *context);

/* ---- worker_wait.c ---- */

/* Registers the source's descriptor, anew after a reopen. */
void worker_watch_source(struct worker *worker);

/* Takes the source's statistics over for others to read; _refresh: if that was long ago. */
void worker_read_stats(struct worker *worker);
void worker_refresh_stats(struct worker *worker);

/* Nothing was there: sleeps until something may be. Returns 0 to go on, or what the source's check says. */
int worker_idle(struct worker *worker);

/* The interface is gone: waits for its spans, then for itself. 0: it is back; else the run is over for this
 * worker (stop, abort, or an error that failed() was told of). */
int worker_survive_loss(struct worker *worker);

/* Spans that the writer still holds must come back before anyone unmaps. */
void worker_await_spans(struct worker *worker);

/* For messages and the ledger. */
const char *worker_interface_name(const struct worker *worker);

/* ---- worker_life.c ---- */

/* (worker) Asks the scheduler for short turns that come soon after a wake-up. */
void worker_shorten_slice(void);

#endif
