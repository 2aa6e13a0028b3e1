#include "engine/sinks/netsink.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/sinks/spool.h"
#include "ringbuf/spsc.h"

#define IDLE_MS 5u
#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MOST_MS 5000u

enum netsink_end { RUNNING, ENDING };

struct netsink {
	struct row_sink rows;
	struct netsink_transport *transport;
	struct spool *spool; /* NULL: none */
	struct spsc queue;
	void *slots;
	uint32_t chunk_rows;
	pthread_t thread;
	bool started;
	const struct ledger *ledger; /* with ENDING */
	_Atomic int end;             /* (writer) writes */
	/* The writer's. */
	uint64_t shed_queue_full;
	bool may_wait;
	const _Atomic bool *cancel;
	unsigned patience_ms;        /* with may_wait: how long without a delivery */
	uint64_t waited_ms;          /* with may_wait, in all */
	_Atomic uint64_t deliveries; /* chunks */
	/* The thread's, read by finish after it ended. */
	struct chunk chunk;   /* in work; count 0: none */
	void *chunk_memory;
	bool chunk_spooled;   /* it lies in the spool too */
	bool chunk_cut;       /* part of it was delivered: what lies in the spool is more */
	uint64_t next_number, deadline_ms, formed_ms;
	uint64_t delivered, spooled, shed_spool_full, shed_undelivered, retries, resumed;
	struct error failure; /* of the last try that failed; code 0: the last one went through */
};

static uint64_t now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ms * 1000000 }, NULL);
}

static bool ending(struct netsink *netsink)
{
	/* pairs with: the store in netsink_finish; all rows that it put are in the queue */
	return atomic_load_explicit(&netsink->end, memory_order_acquire) == ENDING;
}

/* Queue to disk, a chunk at a time. Rows that the spool refuses stay in the queue, which then fills and
 * sheds. */
static bool spill(struct netsink *netsink)
{
	uint32_t left = netsink->chunk_rows;
	void *first, *second = NULL;
	uint32_t count = spsc_peek(&netsink->queue, left, &first), more = 0;

	if (count > left)
		count = left;
	if (count && count < left)
		more = spsc_peek_from(&netsink->queue, count, left - count, &second);
	if (more > left - count)
		more = left - count;
	if (!count || spool_add(netsink->spool, netsink->next_number, first, count, second, more))
		return false;
	netsink->next_number++;
	netsink->spooled += count + more;
	spsc_release(&netsink->queue, count + more);
	return true;
}

bool netsink_service(struct netsink *netsink)
{
	if (netsink->spool && spsc_used(&netsink->queue) > spsc_capacity(&netsink->queue) / 2)
		spill(netsink);
	if (!ending(netsink))
		return true;
	if (netsink->deadline_ms == 0)
		netsink->deadline_ms = now_ms(CLOCK_MONOTONIC) + NETSINK_DRAIN_MS;
	return now_ms(CLOCK_MONOTONIC) < netsink->deadline_ms;
}

/* The next chunk: the spool's oldest, else what the queue has, if it is enough or has waited. */
static void form_chunk(struct netsink *netsink)
{
	uint8_t *to = netsink->chunk_memory;
	uint64_t now = now_ms(CLOCK_MONOTONIC);

	netsink->chunk = (struct chunk){ .rows = netsink->chunk_memory };
	netsink->chunk_spooled = netsink->chunk_cut = false;
	if (netsink->spool && spool_chunks(netsink->spool)) {
		if (spool_read(netsink->spool, netsink->chunk_memory, NETSINK_CHUNK, &netsink->chunk.count,
			       &netsink->chunk.number))
			netsink->chunk.count = 0;
		netsink->chunk.again = netsink->chunk_spooled = true;
		return;
	}
	if (spsc_used(&netsink->queue) < netsink->chunk_rows &&
	    now - netsink->formed_ms < NETSINK_PERIOD_MS && !ending(netsink))
		return;
	netsink->formed_ms = now;
	while (netsink->chunk.count < netsink->chunk_rows) {
		void *span;
		uint32_t want = netsink->chunk_rows - netsink->chunk.count;
		uint32_t count = spsc_peek(&netsink->queue, want, &span);

		if (count == 0)
			break;
		if (count > want)
			count = want;
		memcpy(to + (size_t)netsink->chunk.count * netsink->rows.kind->size, span,
		       count * netsink->rows.kind->size);
		spsc_release(&netsink->queue, count);
		netsink->chunk.count += count;
	}
	if (netsink->chunk.count)
		netsink->chunk.number = netsink->next_number++;
}

/* Tries once. True: the chunk is done with. */
static bool try_chunk(struct netsink *netsink)
{
	struct netsink_transport *transport = netsink->transport;
	struct error error = { 0 };
	uint32_t before = netsink->chunk.count;
	int rc = transport->send(transport, netsink, &netsink->chunk, &error);

	atomic_store_explicit(&netsink->rows.bytes,
			      atomic_load_explicit(&transport->bytes, memory_order_relaxed),
			      memory_order_relaxed);
	if (rc) {
		netsink->retries++;
		netsink->chunk.again = true;
		netsink->delivered += before - netsink->chunk.count;
		netsink->chunk_cut |= netsink->chunk.count < before;
		if (error.code)
			netsink->failure = error;
		return false;
	}
	netsink->failure.code = 0;
	netsink->delivered += before;
	atomic_fetch_add_explicit(&netsink->deliveries, 1, memory_order_relaxed);
	if (netsink->chunk_spooled)
		spool_remove(netsink->spool, netsink->chunk.number);
	netsink->chunk.count = 0;
	return true;
}

/* The end, and the far end takes nothing: to the spool, or lost. */
static void give_up(struct netsink *netsink)
{
	uint32_t left;

	if (netsink->spool) {
		if (netsink->chunk.count && netsink->chunk_spooled && netsink->chunk_cut) {
			spool_remove(netsink->spool, netsink->chunk.number);
			netsink->chunk_spooled = false;
		}
		if (netsink->chunk.count && !netsink->chunk_spooled &&
		    spool_add(netsink->spool, netsink->chunk.number, netsink->chunk.rows,
			      netsink->chunk.count, NULL, 0) == 0) {
			netsink->spooled += netsink->chunk.count;
			netsink->chunk_spooled = true;
		}
		while (spill(netsink))
			;
	}
	if (netsink->chunk.count && !netsink->chunk_spooled)
		netsink->shed_undelivered += netsink->chunk.count;
	left = spsc_used(&netsink->queue);
	if (netsink->spool)
		netsink->shed_spool_full += left;
	else
		netsink->shed_undelivered += left;
	spsc_release(&netsink->queue, left);
	netsink->chunk.count = 0;
}

/* Waits before the next try. False: the time for tries is over. */
static bool back_off(struct netsink *netsink, unsigned ms)
{
	uint64_t until = now_ms(CLOCK_MONOTONIC) + ms;

	/* With a spool there is no need to insist at the end: what is there is safe. */
	while (now_ms(CLOCK_MONOTONIC) < until) {
		if (!netsink_service(netsink) || (netsink->spool && ending(netsink)))
			return false;
		sleep_ms(IDLE_MS);
	}
	return true;
}

static void *netsink_run(void *context)
{
	struct netsink *netsink = context;
	unsigned backoff = BACKOFF_FIRST_MS;

	for (;;) {
		bool end = ending(netsink);

		if (!netsink->chunk.count)
			form_chunk(netsink);
		if (!netsink->chunk.count) {
			if (end && spsc_used(&netsink->queue) == 0)
				break;
			sleep_ms(IDLE_MS);
			continue;
		}
		if (try_chunk(netsink)) {
			backoff = BACKOFF_FIRST_MS;
			if (!netsink_service(netsink)) {
				give_up(netsink);
				break;
			}
			continue;
		}
		if (!back_off(netsink, backoff)) {
			give_up(netsink);
			break;
		}
		backoff = backoff * 2 < BACKOFF_MOST_MS ? backoff * 2 : BACKOFF_MOST_MS;
	}
	if (netsink->transport->end && !netsink->failure.code)
		netsink->transport->end(netsink->transport, netsink, netsink->ledger);
	return NULL;
}

/* Rows that come from files need not be lost: their reader can wait, as long as the far end takes any. */
static bool wait_for_room(struct netsink *netsink, void **slot)
{
	uint64_t seen = 0, begun = now_ms(CLOCK_MONOTONIC), since = begun;

	if (!netsink->may_wait)
		return false;
	while (spsc_reserve(&netsink->queue, 1, slot) == 0) {
		uint64_t deliveries = atomic_load_explicit(&netsink->deliveries, memory_order_relaxed);
		uint64_t now = now_ms(CLOCK_MONOTONIC);

		if (deliveries != seen) {
			seen = deliveries;
			since = now;
		}
		if (now - since > netsink->patience_ms || (netsink->cancel && atomic_load(netsink->cancel))) {
			netsink->may_wait = false; /* once is enough */
			break;
		}
		sleep_ms(1);
	}
	netsink->waited_ms += now_ms(CLOCK_MONOTONIC) - begun;
	return netsink->may_wait;
}

static int netsink_put(struct row_sink *rows, const void *row)
{
	struct netsink *netsink = (struct netsink *)rows;
	void *slot;

	if (spsc_reserve(&netsink->queue, 1, &slot) == 0 && !wait_for_room(netsink, &slot)) {
		netsink->shed_queue_full++;
		atomic_store_explicit(&rows->shed, netsink->shed_queue_full, memory_order_relaxed);
		return 0;
	}
	row_copy(rows->kind, slot, row);
	spsc_commit(&netsink->queue, 1);
	return 0;
}

static void netsink_stop(struct netsink *netsink)
{
	if (!netsink->started)
		return;
	/* pairs with: the load in ending */
	atomic_store_explicit(&netsink->end, ENDING, memory_order_release);
	pthread_join(netsink->thread, NULL);
	netsink->started = false;
}

static void add_event(struct netsink *netsink, const char *name, uint64_t count)
{
	source_stats_add(netsink->rows.events, &netsink->rows.event_count, name, count);
}

static int netsink_finish(struct row_sink *rows, const struct ledger *ledger)
{
	struct netsink *netsink = (struct netsink *)rows;
	uint64_t undelivered;

	netsink->ledger = ledger;
	netsink_stop(netsink);
	undelivered = netsink->shed_undelivered + netsink->shed_spool_full;
	atomic_store_explicit(&rows->shed, netsink->shed_queue_full + undelivered, memory_order_relaxed);
	add_event(netsink, "delivered", netsink->delivered);
	add_event(netsink, "shed_queue_full", netsink->shed_queue_full);
	add_event(netsink, "shed_undelivered", undelivered);
	add_event(netsink, "retries", netsink->retries);
	if (netsink->spool) {
		add_event(netsink, "spooled", netsink->spooled);
		add_event(netsink, "spool_left", spool_rows(netsink->spool));
		add_event(netsink, "spool_resumed", netsink->resumed);
	}
	if (netsink->transport->events)
		netsink->transport->events(netsink->transport, rows->events, &rows->event_count);
	add_event(netsink, "writer_waited_ms", netsink->waited_ms);
	if (undelivered == 0)
		return 0;
	rows->error = netsink->failure;
	if (!rows->error.code)
		error_set(&rows->error, -ETIMEDOUT, "the far end did not take everything in %u s",
			  NETSINK_DRAIN_MS / 1000);
	if (!netsink->spool)
		error_hint(&rows->error,
			   "%llu %ss were not delivered; --spool DIR keeps them for the next run",
			   (unsigned long long)undelivered, rows->kind->name);
	else
		error_hint(&rows->error, "%llu %ss found the spool full", (unsigned long long)undelivered,
			   rows->kind->name);
	return rows->error.code;
}

static void netsink_close(struct row_sink *rows)
{
	struct netsink *netsink = (struct netsink *)rows;

	netsink_stop(netsink);
	if (netsink->transport)
		netsink->transport->close(netsink->transport);
	spool_close(netsink->spool);
	free(netsink->slots);
	free(netsink->chunk_memory);
	free(netsink);
}

static const struct row_sink_ops netsink_ops = {
	.put = netsink_put,
	.finish = netsink_finish,
	.close = netsink_close,
};

static int parse_limits(struct netsink *netsink, const struct url *url, uint32_t *queue, uint64_t *spool,
			struct error *error)
{
	const char *patience = url_option(url, "patience");
	const char *queue_text = url_option(url, "queue"), *spool_text = url_option(url, "spool");
	unsigned long long value;
	char end;

	*queue = NETSINK_QUEUE;
	*spool = NETSINK_SPOOL_LIMIT;
	if (queue_text) {
		if (sscanf(queue_text, "%llu%c", &value, &end) != 1 || value < 16 || value > 1u << 28)
			return error_set(error, -EINVAL, "queue= takes 16 to 268435456 rows");
		*queue = 16;
		while (*queue < value)
			*queue *= 2;
	}
	if (spool_text) {
		if (sscanf(spool_text, "%llu%c", &value, &end) != 1 || value < 1 || value > 1u << 20)
			return error_set(error, -EINVAL, "spool= takes 1 to 1048576 MiB");
		*spool = value << 20;
	}
	netsink->patience_ms = NETSINK_PATIENCE_MS;
	if (patience) {
		if (sscanf(patience, "%llu%c", &value, &end) != 1 || value > 86400)
			return error_set(error, -EINVAL, "patience= takes 0 to 86400 seconds");
		netsink->patience_ms = (unsigned)value * 1000;
	}
	return 0;
}

int netsink_start(struct netsink_transport *transport, const char *target, const struct url *url,
		  const struct row_kind *kind, const struct sink_options *options, struct row_sink **rows,
		  struct error *error)
{
	struct netsink *netsink = calloc(1, sizeof *netsink);
	sigset_t all, before;
	uint64_t limit;
	uint32_t queue;
	int rc;

	*rows = NULL;
	if (!netsink) {
		transport->close(transport);
		return error_set_errno(error, -ENOMEM, "%s", target);
	}
	netsink->rows.ops = &netsink_ops;
	netsink->rows.kind = kind;
	netsink->transport = transport;
	netsink->may_wait = options->may_wait;
	netsink->cancel = options->cancel;
	rc = parse_limits(netsink, url, &queue, &limit, error);
	if (rc == 0 && transport->unreachable.code && !options->spool_dir) {
		*error = transport->unreachable;
		rc = error->code;
	}
	if (rc)
		goto fail;
	netsink->chunk_rows = queue / 4 < NETSINK_CHUNK ? queue / 4 : NETSINK_CHUNK;
	/* A small spool is filled by several chunks: what does not fit is shed a chunk at a time. */
	if (options->spool_dir && netsink->chunk_rows > limit / 4 / kind->size)
		netsink->chunk_rows = (uint32_t)(limit / 4 / kind->size);
	netsink->slots = aligned_alloc(64, ((size_t)queue * kind->size + 63) & ~(size_t)63);
	netsink->chunk_memory = malloc((size_t)NETSINK_CHUNK * kind->size);
	if (!netsink->slots || !netsink->chunk_memory ||
	    !spsc_init(&netsink->queue, netsink->slots, (uint32_t)kind->size, queue, 0)) {
		rc = error_set_errno(error, -ENOMEM, "%s", target);
		goto fail;
	}
	/* Later runs go on behind earlier ones: the numbers start at the time of day. */
	netsink->next_number = now_ms(CLOCK_REALTIME) * 1000000;
	if (options->spool_dir) {
		rc = spool_open(options->spool_dir, target, kind->size, limit, &netsink->spool, error);
		if (rc)
			goto fail;
		netsink->resumed = spool_rows(netsink->spool);
	}
	/* Signals belong to the control thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&netsink->thread, NULL, netsink_run, netsink);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		error_set_errno(error, rc, "cannot start a thread for %s", target);
		goto fail;
	}
	pthread_setname_np(netsink->thread, "weir-netsink");
	netsink->started = true;
	*rows = &netsink->rows;
	return 0;
fail:
	netsink_close(&netsink->rows);
	return rc;
}

static const struct {
	const char *scheme;
	netsink_opener *open;
} schemes[] = {
	{ "clickhouse://", clickhouse_rows_open },
	{ "kafka://", kafka_rows_open },
	{ "tcp://", tcp_rows_open },
	{ "unix:", unix_rows_open },
};

int netsink_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		 struct row_sink **rows, struct error *error)
{
	for (unsigned i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t length = strlen(schemes[i].scheme);

		if (strncmp(target, schemes[i].scheme, length) == 0)
			return schemes[i].open(target + length, kind, options, rows, error);
	}
	*rows = NULL;
	return -EPROTONOSUPPORT;
}
