#include "engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "engine/clock.h"
#include "engine/doorbell.h"
#include "engine/worker.h"
#include "engine/writer.h"

#define NOTES_MAX 16

struct engine {
	struct engine_config config;
	struct interface_table *interfaces;
	struct source **sources;
	bool *live;
	struct worker **workers;
	unsigned source_count;
	struct sink **sinks;
	unsigned sink_count;
	struct writer *writer;
	struct doorbell writer_bell;
	int done_fd;
	pthread_t thread; /* runs the writer, then joins the workers and finishes the sinks */
	bool started, joined;
	uint64_t start_ns;
	_Atomic bool cut_short; /* aborted, or a source broke */

	pthread_mutex_t lock; /* guards what follows */
	struct error failure; /* the first; code 0: none */
	bool done;
	uint64_t end_ns;
	struct ledger final;
	char notes[NOTES_MAX][256];
	unsigned note_count;
};

/* --- what the threads tell the engine --------------------------------------------------------- */

static void take_note(void *context, const char *text)
{
	struct engine *engine = context;

	pthread_mutex_lock(&engine->lock);
	for (unsigned i = 0; i < engine->note_count; i++) {
		/* The workers of one interface all tell the same. */
		if (strcmp(engine->notes[i], text) == 0)
			goto known;
	}
	if (engine->note_count < NOTES_MAX)
		snprintf(engine->notes[engine->note_count++], sizeof engine->notes[0], "%s", text);
known:
	pthread_mutex_unlock(&engine->lock);
}

static void set_failure(struct engine *engine, const struct error *error)
{
	pthread_mutex_lock(&engine->lock);
	if (engine->failure.code == 0)
		engine->failure = *error;
	pthread_mutex_unlock(&engine->lock);
}

static void worker_failed(void *context, const struct error *error)
{
	struct engine *engine = context;

	set_failure(engine, error);
	atomic_store_statistic(&engine->cut_short, true);
	engine_stop(engine);
}

static void writer_wants_stop(void *context, const struct error *error)
{
	if (error != NULL)
		set_failure(context, error);
	engine_stop(context);
}

void engine_stop(struct engine *engine)
{
	for (unsigned i = 0; i < engine->source_count; i++)
		worker_stop(engine->workers[i]);
}

void engine_abort(struct engine *engine)
{
	atomic_store_statistic(&engine->cut_short, true);
	for (unsigned i = 0; i < engine->source_count; i++)
		worker_abort(engine->workers[i]);
}

/* --- the ledger ------------------------------------------------------------------------------- */

/* A sink that failed has lost all that is not in its output for certain, also what it was given before. */
static void read_sink(const struct sink *sink, struct ledger_sink *line)
{
	if (atomic_load_statistic(&sink->failed)) {
		line->written = atomic_load_statistic(&sink->kept);
		line->failed = true;
	} else {
		line->written = line->offered - atomic_load_statistic(&sink->shed);
	}
	line->shed = line->offered - line->written;
	line->bytes = atomic_load_statistic(&sink->bytes);
}

static int fill_ledger(struct engine *engine, struct ledger *ledger)
{
	const struct writer_counters *counters = writer_counters(engine->writer);

	memset(ledger, 0, sizeof *ledger);
	ledger->rings = calloc(engine->source_count, sizeof *ledger->rings);
	ledger->sinks = calloc(engine->sink_count + 1, sizeof *ledger->sinks);
	if (ledger->rings == NULL || ledger->sinks == NULL) {
		ledger_close(ledger);
		return -ENOMEM;
	}
	ledger->ring_count = engine->source_count;
	ledger->sink_count = engine->sink_count;
	ledger->start_ns = engine->start_ns;
	for (unsigned i = 0; i < engine->source_count; i++)
		worker_report(engine->workers[i], &ledger->rings[i]);
	for (unsigned i = 0; i < engine->sink_count; i++) {
		const struct sink *sink = engine->sinks[i];
		struct ledger_sink *line = &ledger->sinks[i];

		memcpy(line->label, sink->label, sizeof line->label);
		line->name = sink->ops->name;
		line->sheds = sink->sheds;
		line->offered = atomic_load_statistic(&sink->offered);
		read_sink(sink, line);
	}
	ledger->offered = atomic_load_statistic(&counters->offered);
	ledger->first_ns = atomic_load_statistic(&counters->first_ns);
	ledger->last_ns = atomic_load_statistic(&counters->last_ns);
	ledger->after_limit = atomic_load_statistic(&counters->after_limit);
	ledger->late = atomic_load_statistic(&counters->late);
	return 0;
}

/* Sinks that fail at the end, or count in another thread, are read again after finish. */
static void refresh_sinks(struct engine *engine, struct ledger *ledger)
{
	for (unsigned i = 0; i < engine->sink_count; i++) {
		const struct sink *sink = engine->sinks[i];
		struct ledger_sink *line = &ledger->sinks[i];

		read_sink(sink, line);
		memcpy(line->events, sink->events, sizeof line->events);
		line->event_count = sink->event_count;
	}
}

static void finish_sinks(struct engine *engine, struct ledger *ledger)
{
	for (unsigned i = 0; i < engine->sink_count; i++) {
		struct sink *sink = engine->sinks[i];

		if (atomic_load_statistic(&sink->failed) || sink->ops->finish == NULL || sink->ops->finish(sink, ledger) == 0)
			continue;
		set_failure(engine, &sink->error);
		if (atomic_load_statistic(&sink->kept) == SINK_KEPT_UNKNOWN)
			atomic_store_statistic(&sink->kept, 0);
		atomic_store_statistic(&sink->failed, true);
	}
	refresh_sinks(engine, ledger);
}

static void end_run(struct engine *engine)
{
	struct ledger ledger;
	struct error error = { 0 };
	uint64_t one = 1;

	if (fill_ledger(engine, &ledger) < 0) {
		memset(&ledger, 0, sizeof ledger);
		error_set(&error, -ENOMEM, "no memory for the ledger");
		set_failure(engine, &error);
	}
	ledger.final = true;
	ledger.cut_short = atomic_load_statistic(&engine->cut_short);
	ledger.end_ns = clock_wall_ns();
	if (ledger_balance(&ledger, &error) < 0)
		set_failure(engine, &error);
	finish_sinks(engine, &ledger);
	if (ledger_balance(&ledger, &error) < 0)
		set_failure(engine, &error);

	pthread_mutex_lock(&engine->lock);
	engine->final = ledger;
	engine->end_ns = ledger.end_ns;
	engine->done = true;
	pthread_mutex_unlock(&engine->lock);
	if (write(engine->done_fd, &one, sizeof one) < 0)
		return; /* cannot be: the counter is 0 */
}

static void *writer_main(void *context)
{
	struct engine *engine = context;

	prctl(PR_SET_NAME, "weir-writer");
	writer_run(engine->writer);
	for (unsigned i = 0; i < engine->source_count; i++)
		worker_join(engine->workers[i]);
	end_run(engine);
	return NULL;
}

int engine_ledger(struct engine *engine, struct ledger *ledger)
{
	struct error ignored;
	int result = 0;

	pthread_mutex_lock(&engine->lock);
	if (engine->done) {
		*ledger = engine->final;
		ledger->rings = calloc(ledger->ring_count + 1, sizeof *ledger->rings);
		ledger->sinks = calloc(ledger->sink_count + 1, sizeof *ledger->sinks);
		if (ledger->rings == NULL || ledger->sinks == NULL) {
			ledger_close(ledger);
			result = -ENOMEM;
		} else {
			memcpy(ledger->rings, engine->final.rings, ledger->ring_count * sizeof *ledger->rings);
			memcpy(ledger->sinks, engine->final.sinks, ledger->sink_count * sizeof *ledger->sinks);
		}
		pthread_mutex_unlock(&engine->lock);
		return result;
	}
	pthread_mutex_unlock(&engine->lock);
	result = fill_ledger(engine, ledger);
	if (result == 0)
		ledger_balance(ledger, &ignored);
	return result;
}

/* --- life ------------------------------------------------------------------------------------- */

/* The CPU of a worker: the list that was given, or the process's own CPUs, in turn; -1: not pinned. */
static int worker_cpu(const struct engine_config *config, unsigned index, bool live)
{
	cpu_set_t allowed;
	int count, nth;

	if (config->no_pin || (!live && config->pin_count == 0))
		return -1;
	if (config->pin_count > 0)
		return config->pin_cpus[index % config->pin_count];
	if (sched_getaffinity(0, sizeof allowed, &allowed) < 0 || (count = CPU_COUNT(&allowed)) == 0)
		return -1;
	nth = (int)(index % (unsigned)count);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &allowed) && nth-- == 0)
			return cpu;
	}
	return -1;
}

static bool any_needs_bytes(struct sink *const *sinks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (sinks[i]->needs != SINK_NEEDS_RECORD)
			return true;
	}
	return false;
}

static bool any_is_prompt(struct sink *const *sinks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (sinks[i]->prompt)
			return true;
	}
	return false;
}

static int create_workers(struct engine *engine, struct error *error)
{
	struct worker_config config = {
		.hold_packets = any_needs_bytes(engine->sinks, engine->sink_count),
		.prompt = engine->config.flush_each || any_is_prompt(engine->sinks, engine->sink_count),
		.exit_on_interface_loss = engine->config.exit_on_interface_loss,
		.queue_capacity = engine->config.queue_capacity,
		.decode = engine->config.decode,
		.interfaces = engine->interfaces,
		.writer_bell = &engine->writer_bell,
		.note = take_note,
		.failed = worker_failed,
		.context = engine,
	};

	if (config.queue_capacity == 0)
		config.queue_capacity = WORKER_QUEUE_DEFAULT;
	for (unsigned i = 0; i < engine->source_count; i++) {
		int result;

		engine->live[i] = engine->sources[i]->live;
		config.index = i;
		config.cpu = worker_cpu(&engine->config, i, engine->live[i]);
		result = worker_create(&config, engine->sources[i], &engine->workers[i], error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int create_writer(struct engine *engine, struct error *error)
{
	struct writer_config config = {
		.workers = engine->workers,
		.live = engine->live,
		.worker_count = engine->source_count,
		.sinks = engine->sinks,
		.sink_count = engine->sink_count,
		.interfaces = engine->interfaces,
		.bell = &engine->writer_bell,
		.packet_limit = engine->config.packet_limit,
		.lag_ns = engine->config.lag_ns != 0 ? engine->config.lag_ns : WRITER_LAG_DEFAULT_NS,
		.unordered = engine->config.unordered,
		.flush_each = engine->config.flush_each,
		.want_stop = writer_wants_stop,
		.context = engine,
	};

	return writer_create(&config, &engine->writer, error);
}

/* Copies the arrays: from here on the engine owns what they point at. */
static int take_over(struct engine *engine, struct source *const *sources, unsigned source_count,
		     struct sink *const *sinks, unsigned sink_count)
{
	engine->sources = calloc(source_count + 1, sizeof *engine->sources);
	engine->live = calloc(source_count + 1, sizeof *engine->live);
	engine->workers = calloc(source_count + 1, sizeof *engine->workers);
	engine->sinks = calloc(sink_count + 1, sizeof *engine->sinks);
	if (engine->sources == NULL || engine->live == NULL || engine->workers == NULL || engine->sinks == NULL)
		return -ENOMEM;
	memcpy(engine->sources, sources, source_count * sizeof *sources);
	memcpy(engine->sinks, sinks, sink_count * sizeof *sinks);
	engine->source_count = source_count;
	engine->sink_count = sink_count;
	return 0;
}

int engine_create(const struct engine_config *config, struct interface_table *interfaces,
		  struct source *const *sources, unsigned source_count,
		  struct sink *const *sinks, unsigned sink_count,
		  struct engine **out, struct error *error)
{
	struct engine *engine = calloc(1, sizeof *engine);
	int result = -ENOMEM;

	*out = NULL;
	if (engine == NULL || take_over(engine, sources, source_count, sinks, sink_count) < 0) {
		error_set(error, result, "no memory for the engine");
		goto fail;
	}
	engine->config = *config;
	engine->interfaces = interfaces;
	engine->done_fd = engine->writer_bell.fd = -1;
	pthread_mutex_init(&engine->lock, NULL);
	engine->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (engine->done_fd < 0 || doorbell_open(&engine->writer_bell) < 0) {
		result = error_set_errno(error, -errno, "cannot make an eventfd");
		goto fail;
	}
	result = create_workers(engine, error);
	if (result == 0)
		result = create_writer(engine, error);
	if (result < 0)
		goto fail;
	*out = engine;
	return 0;
fail:
	if (engine != NULL && engine->sinks != NULL && engine->source_count == source_count) {
		engine_close(engine);
		return result;
	}
	/* Nothing was taken over: what the caller gave is closed here all the same. */
	free(engine);
	for (unsigned i = 0; i < source_count; i++)
		sources[i]->ops->close(sources[i]);
	for (unsigned i = 0; i < sink_count; i++)
		sinks[i]->ops->close(sinks[i]);
	return result;
}

int engine_start(struct engine *engine, struct error *error)
{
	int result;

	engine->start_ns = clock_wall_ns();
	for (unsigned i = 0; i < engine->source_count; i++) {
		struct source *source = engine->sources[i];

		result = source->ops->start != NULL ? source->ops->start(source, error) : 0;
		if (result < 0)
			return result;
	}
	for (unsigned i = 0; i < engine->source_count; i++) {
		result = worker_start(engine->workers[i], error);
		if (result < 0)
			goto fail;
	}
	result = -pthread_create(&engine->thread, NULL, writer_main, engine);
	if (result < 0) {
		error_set_errno(error, result, "cannot start the writer");
		goto fail;
	}
	engine->started = true;
	return 0;
fail:
	/* Those that run already need a consumer to come to their end. */
	engine_abort(engine);
	for (unsigned i = 0; i < engine->source_count; i++)
		worker_cancel(engine->workers[i]);
	writer_run(engine->writer);
	return result;
}

int engine_event_fd(const struct engine *engine)
{
	return engine->done_fd;
}

int engine_wait(struct engine *engine, int timeout_ms)
{
	struct pollfd poll_done = { .fd = engine->done_fd, .events = POLLIN };

	return poll(&poll_done, 1, timeout_ms) > 0;
}

int engine_result(struct engine *engine, struct error *error)
{
	pthread_mutex_lock(&engine->lock);
	*error = engine->failure;
	pthread_mutex_unlock(&engine->lock);
	return error->code;
}

void engine_notes(struct engine *engine, void (*note)(void *context, const char *text), void *context)
{
	char notes[NOTES_MAX][256];
	unsigned count;

	pthread_mutex_lock(&engine->lock);
	count = engine->note_count;
	memcpy(notes, engine->notes, sizeof notes);
	engine->note_count = 0;
	pthread_mutex_unlock(&engine->lock);
	for (unsigned i = 0; i < count; i++)
		note(context, notes[i]);
}

void engine_close(struct engine *engine)
{
	if (engine == NULL)
		return;
	if (engine->started) {
		engine_abort(engine);
		pthread_join(engine->thread, NULL);
	}
	for (unsigned i = 0; i < engine->source_count; i++) {
		if (engine->workers[i] != NULL) {
			worker_join(engine->workers[i]);
			worker_close(engine->workers[i]);
		}
		if (engine->sources[i] != NULL)
			engine->sources[i]->ops->close(engine->sources[i]);
	}
	for (unsigned i = 0; i < engine->sink_count; i++) {
		if (engine->sinks[i] != NULL)
			engine->sinks[i]->ops->close(engine->sinks[i]);
	}
	writer_close(engine->writer);
	doorbell_close(&engine->writer_bell);
	if (engine->done_fd >= 0)
		close(engine->done_fd);
	ledger_close(&engine->final);
	pthread_mutex_destroy(&engine->lock);
	free(engine->workers);
	free(engine->live);
	free(engine->sinks);
	free(engine->sources);
	free(engine);
}
