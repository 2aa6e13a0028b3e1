#include "engine/writer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/merge.h"

#define TICK_PERIOD_NS (100 * NS_PER_MS)
/* Idle workers are asked for the time so often at most: each answer costs two wake-ups and lets go only what is
 * older than its slack. */
#define ASK_PERIOD_NS (2 * NS_PER_MS)
#define BATCHES_PER_LOOK 64 /* at the clock, while busy */

struct writer {
	struct writer_config config;
	struct merge *merge;
	struct writer_counters counters;
	bool limit_reached;
	bool unflushed; /* a prompt sink has something that is not visible outside */
	bool any_ticks;
	bool any_prompt;
	uint64_t tick_at_ns;
	uint64_t ask_at_ns; /* no idle worker is asked for the time before */
	bool asking;
	const struct record *records[SINK_BATCH];
};

static void add(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_statistic(counter, atomic_load_own(counter) + value);
}

int writer_create(const struct writer_config *config, struct writer **out, struct error *error)
{
	struct writer *writer = calloc(1, sizeof *writer);
	struct spsc **queues = calloc(config->worker_count, sizeof *queues);
	int result = -ENOMEM;

	*out = NULL;
	if (writer == NULL || queues == NULL)
		goto fail;
	writer->config = *config;
	for (unsigned i = 0; i < config->worker_count; i++)
		queues[i] = worker_queue(config->workers[i]);
	for (unsigned i = 0; i < config->sink_count; i++) {
		writer->any_ticks |= config->sinks[i]->ops->tick != NULL;
		writer->any_prompt |= config->sinks[i]->prompt;
		atomic_store_statistic(&config->sinks[i]->kept, SINK_KEPT_UNKNOWN);
	}
	result = merge_create(queues, config->live, config->worker_count, config->lag_ns, config->unordered,
			      &writer->merge);
	if (result < 0)
		goto fail;
	free(queues);
	*out = writer;
	return 0;
fail:
	free(queues);
	writer_close(writer);
	return error_set_errno(error, result, "cannot make the writer");
}

void writer_close(struct writer *writer)
{
	if (writer == NULL)
		return;
	merge_close(writer->merge);
	free(writer);
}

const struct writer_counters *writer_counters(const struct writer *writer)
{
	return &writer->counters;
}

static bool failed(const struct sink *sink)
{
	return atomic_load_statistic(&sink->failed);
}

/* before: the records that were offered before the call that failed. */
static void fail_sink(struct writer *writer, struct sink *sink, uint64_t before)
{
	if (atomic_load_statistic(&sink->kept) == SINK_KEPT_UNKNOWN)
		atomic_store_statistic(&sink->kept, before);
	atomic_store_statistic(&sink->failed, true);
	writer->config.want_stop(writer->config.context, &sink->error);
}

/* One batch to every sink. */
static void write_batch(struct writer *writer, const struct batch *batch)
{
	for (unsigned i = 0; i < writer->config.sink_count; i++) {
		struct sink *sink = writer->config.sinks[i];

		add(&sink->offered, batch->count);
		if (!failed(sink) && sink->ops->write(sink, batch) < 0)
			fail_sink(writer, sink, atomic_load_own(&writer->counters.offered));
	}
	add(&writer->counters.offered, batch->count);
	writer->unflushed = writer->any_prompt;
}

static void note_times(struct writer *writer, const struct batch *batch)
{
	uint64_t last = batch->records[batch->count - 1]->timestamp_ns;

	if (atomic_load_own(&writer->counters.offered) == 0)
		atomic_store_statistic(&writer->counters.first_ns, batch->records[0]->timestamp_ns);
	if (last > atomic_load_own(&writer->counters.last_ns))
		atomic_store_statistic(&writer->counters.last_ns, last);
}

static void write_records(struct writer *writer, unsigned count)
{
	struct batch batch = {
		.records = writer->records,
		.count = count,
		.interfaces = writer->config.interfaces,
	};
	uint64_t limit = writer->config.packet_limit;

	if (limit > 0) {
		uint64_t room = limit - atomic_load_own(&writer->counters.offered);

		if (batch.count > room)
			batch.count = (uint32_t)room;
		add(&writer->counters.after_limit, count - batch.count);
	}
	if (batch.count > 0) {
		note_times(writer, &batch);
		write_batch(writer, &batch);
	}
	if (limit > 0 && !writer->limit_reached && atomic_load_own(&writer->counters.offered) >= limit) {
		writer->limit_reached = true;
		writer->config.want_stop(writer->config.context, NULL);
	}
}

static void flush_sinks(struct writer *writer, bool all)
{
	writer->unflushed = false;
	for (unsigned i = 0; i < writer->config.sink_count; i++) {
		struct sink *sink = writer->config.sinks[i];

		if (sink->ops->flush == NULL || failed(sink) || !(all || sink->prompt))
			continue;
		if (sink->ops->flush(sink) < 0)
			fail_sink(writer, sink, 0);
	}
}

static void tick_sinks(struct writer *writer)
{
	uint64_t now = clock_monotonic_ns();

	if (now < writer->tick_at_ns)
		return;
	writer->tick_at_ns = now + TICK_PERIOD_NS;
	for (unsigned i = 0; i < writer->config.sink_count; i++) {
		struct sink *sink = writer->config.sinks[i];

		if (sink->ops->tick == NULL || failed(sink))
			continue;
		if (sink->ops->tick(sink, clock_wall_ns()) < 0)
			fail_sink(writer, sink, 0);
	}
}

static void slots_released(void *context, unsigned queue)
{
	struct writer *writer = context;

	worker_slots_released(writer->config.workers[queue]);
}

static void ask_time(void *context, unsigned queue)
{
	struct writer *writer = context;

	if (clock_monotonic_ns() >= writer->ask_at_ns)
		worker_want_time(writer->config.workers[queue]);
	writer->asking = true;
}

/* The sinks are done with the batch: slots and spans go back. */
static void give_back(struct writer *writer, const struct merge_batch *batch)
{
	for (unsigned i = 0; i < batch->end_count; i++)
		worker_return_span(writer->config.workers[batch->ends[i].queue], batch->ends[i].span);
	merge_release(writer->merge, slots_released, writer);
}

static int sleep_ms(struct writer *writer, uint64_t go_anyway_ns)
{
	uint64_t wait = UINT64_MAX, now;

	if (writer->any_ticks) {
		now = clock_monotonic_ns();
		wait = writer->tick_at_ns > now ? writer->tick_at_ns - now : 0;
	}
	if (writer->asking) {
		now = clock_monotonic_ns();
		wait = writer->ask_at_ns > now && writer->ask_at_ns - now < wait ? writer->ask_at_ns - now : wait;
	}
	if (go_anyway_ns != UINT64_MAX) {
		uint64_t until;

		now = clock_wall_ns();
		until = go_anyway_ns > now ? go_anyway_ns - now : 0;
		wait = until < wait ? until : wait;
	}
	return wait == UINT64_MAX ? -1 : (int)(wait / NS_PER_MS) + 1;
}

/* Collects again after announcing, and sleeps when there is still nothing. */
static void collect_or_sleep(struct writer *writer, struct merge_batch *batch)
{
	struct pollfd poll_bell = { .fd = writer->config.bell->fd, .events = POLLIN };
	uint64_t go_anyway_ns;

	doorbell_announce(writer->config.bell, 0);
	merge_collect(writer->merge, batch, clock_wall_ns());
	if (batch->count == 0 && batch->end_count == 0 && !merge_ended(writer->merge)) {
		/* Control slots may have been consumed all the same. */
		merge_release(writer->merge, slots_released, writer);
		writer->asking = false;
		go_anyway_ns = merge_blocked(writer->merge, ask_time, writer);
		if (writer->asking && clock_monotonic_ns() >= writer->ask_at_ns)
			writer->ask_at_ns = clock_monotonic_ns() + ASK_PERIOD_NS;
		poll(&poll_bell, 1, sleep_ms(writer, go_anyway_ns));
	}
	doorbell_awake(writer->config.bell);
}

void writer_run(struct writer *writer)
{
	struct merge_batch batch = { .records = writer->records, .max = SINK_BATCH };
	unsigned batches = 0;

	for (;;) {
		merge_collect(writer->merge, &batch, clock_wall_ns());
		if (batch.count == 0 && batch.end_count == 0) {
			merge_release(writer->merge, slots_released, writer);
			if (merge_ended(writer->merge))
				break;
			if (writer->unflushed)
				flush_sinks(writer, false);
			if (writer->any_ticks)
				tick_sinks(writer);
			collect_or_sleep(writer, &batch);
		}
		if (batch.count > 0)
			write_records(writer, batch.count);
		if (batch.count > 0 && writer->config.flush_each)
			flush_sinks(writer, true);
		give_back(writer, &batch);
		if (writer->any_ticks && ++batches % BATCHES_PER_LOOK == 0)
			tick_sinks(writer);
		atomic_store_statistic(&writer->counters.late, merge_late(writer->merge));
	}
}
