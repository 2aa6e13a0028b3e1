/* The queue, thread, retries and spool that network sinks share (engine/sinks/netsink.c), over a far end made here
 * that takes, refuses or stalls as it is told. */
#include "tests/unit/sinks/support.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/sinks/netsink.h"

#define MOST 40000u
#define TRIES 64u
#define MS UINT64_C(1000000)

/* What the far end does and saw; outlives the transport. */
struct far_end {
	_Atomic int refusals;  /* sends that fail before one goes through; -1: all */
	_Atomic bool stalled;  /* takes nothing, but does not fail */
	unsigned keeps;        /* with a refusal: so many of the chunk's rows were delivered all the same */
	unsigned slow_ms;      /* a send takes so long */
	_Atomic uint32_t rows; /* delivered */
	uint64_t times[MOST];  /* timestamp_ns of each */
	_Atomic unsigned tries;
	uint64_t try_numbers[TRIES], try_ns[TRIES];
	bool try_again[TRIES];
	int ends, closes;
};

struct fake {
	struct netsink_transport transport;
	struct far_end *far_end;
};

static void take(struct far_end *far_end, const struct chunk *chunk, uint32_t count)
{
	const struct record *records = chunk->rows;

	for (uint32_t i = 0; i < count; i++) {
		assert(far_end->rows < MOST);
		far_end->times[far_end->rows++] = records[i].timestamp_ns;
	}
}

static int fake_send(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
		     struct error *error)
{
	struct far_end *far_end = ((struct fake *)transport)->far_end;

	if (far_end->tries < TRIES) {
		far_end->try_numbers[far_end->tries] = chunk->number;
		far_end->try_again[far_end->tries] = chunk->again;
		far_end->try_ns[far_end->tries] = clock_monotonic_ns();
		far_end->tries++;
	}
	while (far_end->stalled) {
		usleep(1000);
		if (!netsink_service(netsink))
			return -EAGAIN;
	}
	usleep(far_end->slow_ms * 1000);
	if (far_end->refusals) {
		uint32_t kept = far_end->keeps < chunk->count ? far_end->keeps : chunk->count;

		if (far_end->refusals > 0)
			far_end->refusals--;
		take(far_end, chunk, kept);
		chunk->count -= kept;
		memmove(chunk->rows, (struct record *)chunk->rows + kept, chunk->count * sizeof(struct record));
		return error_set(error, -ECONNREFUSED, "the far end refuses");
	}
	take(far_end, chunk, chunk->count);
	return 0;
}

static void fake_end(struct netsink_transport *transport, struct netsink *netsink, const struct ledger *ledger)
{
	((struct fake *)transport)->far_end->ends++;
}

static void fake_close(struct netsink_transport *transport)
{
	((struct fake *)transport)->far_end->closes++;
	free(transport);
}

static int start(struct far_end *far_end, const char *query, const char *spool, bool may_wait, bool unreachable,
		 struct row_sink **rows, struct error *error)
{
	struct sink_options options = { .spool_dir = spool, .may_wait = may_wait };
	struct fake *fake = calloc(1, sizeof *fake);
	char target[100];
	struct url url;

	fake->transport.send = fake_send;
	fake->transport.end = fake_end;
	fake->transport.close = fake_close;
	fake->far_end = far_end;
	if (unreachable)
		error_set(&fake->transport.unreachable, -ECONNREFUSED, "nobody there");
	snprintf(target, sizeof target, "host/%s", query);
	assert_int_equal(url_parse(target, 1, &url, error), 0);
	return netsink_start(&fake->transport, "fake://host", &url, &row_record, &options, rows, error);
}

static struct row_sink *started(struct far_end *far_end, const char *query, const char *spool, bool may_wait)
{
	struct row_sink *rows;
	struct error error;

	assert_int_equal(start(far_end, query, spool, may_wait, false, &rows, &error), 0);
	return rows;
}

/* Rows first to first + count, told apart by their time. */
static void put(struct row_sink *rows, uint32_t first, uint32_t count)
{
	struct record record = support_tcp(0);

	for (uint32_t i = 0; i < count; i++) {
		record.timestamp_ns = first + i;
		assert_int_equal(rows->ops->put(rows, &record), 0);
	}
}

static uint64_t event(const struct row_sink *rows, const char *name)
{
	for (unsigned i = 0; i < rows->event_count; i++) {
		if (strcmp(rows->events[i].name, name) == 0)
			return rows->events[i].count;
	}
	fail_msg("no event %s", name);
	return 0;
}

static void wait_for_tries(struct far_end *far_end, unsigned tries)
{
	for (unsigned i = 0; i < 5000 && far_end->tries < tries; i++)
		usleep(1000);
	assert_true(far_end->tries >= tries);
}

static void check_order(const struct far_end *far_end, uint32_t first, uint32_t count)
{
	assert_int_equal(far_end->rows, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(far_end->times[i], first + i);
}

/* The writer never waits: what finds the queue full is shed at once and counted, the rest arrives in order. */
static void test_bound(void **state)
{
	struct far_end *far_end = calloc(1, sizeof *far_end);
	struct row_sink *rows;
	uint64_t begun;

	(void)state;
	far_end->stalled = true;
	rows = started(far_end, "?queue=64", NULL, false);
	begun = clock_monotonic_ns();
	put(rows, 0, 10000);
	assert_true(clock_monotonic_ns() - begun < 1000 * MS);
	/* The queue, and a chunk of a quarter of it for each time that the thread looked meanwhile: one. */
	assert_in_range(rows->shed, 10000 - 64 - 16, 10000 - 64);
	far_end->stalled = false;
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	assert_int_equal(event(rows, "shed_queue_full") + event(rows, "delivered"), 10000);
	assert_int_equal(event(rows, "delivered"), far_end->rows);
	assert_int_equal(rows->shed, event(rows, "shed_queue_full"));
	for (uint32_t i = 1; i < far_end->rows; i++)
		assert_true(far_end->times[i] > far_end->times[i - 1]);
	assert_int_equal(event(rows, "shed_undelivered"), 0);
	assert_int_equal(event(rows, "writer_waited_ms"), 0);
	assert_int_equal(far_end->ends, 1);
	rows->ops->close(rows);
	assert_int_equal(far_end->closes, 1);
	free(far_end);
}

/* A reader of files waits for room, and gives that up when the far end takes nothing for its patience. */
static void test_may_wait(void **state)
{
	struct far_end *far_end = calloc(1, sizeof *far_end);
	struct row_sink *rows;

	(void)state;
	far_end->slow_ms = 2;
	rows = started(far_end, "?queue=64", NULL, true);
	put(rows, 0, 2000);
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	check_order(far_end, 0, 2000);
	assert_int_equal(rows->shed, 0);
	assert_true(event(rows, "writer_waited_ms") > 100);
	rows->ops->close(rows);

	*far_end = (struct far_end){ .stalled = true };
	rows = started(far_end, "?queue=64&patience=0", NULL, true);
	put(rows, 0, 2000);
	assert_true(rows->shed > 1900);
	far_end->stalled = false;
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	rows->ops->close(rows);
	free(far_end);
}

/* A refused chunk comes again under its number, after 100, 200, 400 ms, without the rows that were taken. */
static void test_retries(void **state)
{
	struct far_end *far_end = calloc(1, sizeof *far_end);
	struct row_sink *rows;

	(void)state;
	far_end->refusals = 3;
	far_end->keeps = 10;
	rows = started(far_end, "", NULL, false);
	put(rows, 0, 100);
	wait_for_tries(far_end, 4);
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	assert_int_equal(event(rows, "retries"), 3);
	assert_int_equal(event(rows, "delivered"), 100);
	check_order(far_end, 0, 100);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(far_end->try_numbers[i], far_end->try_numbers[0]);
		assert_int_equal(far_end->try_again[i], i > 0);
		if (i > 0)
			assert_true(far_end->try_ns[i] - far_end->try_ns[i - 1] >= (50u << i) * MS);
	}
	assert_true(far_end->try_numbers[0] != 0);
	rows->ops->close(rows);
	free(far_end);
}

/* Nothing is taken in one run: the spool has it, and the next run sends it first, under the same numbers. */
static void test_spool(void **state)
{
	struct far_end *far_end = calloc(1, sizeof *far_end);
	char *directory = support_directory();
	struct row_sink *rows;
	uint64_t number;

	(void)state;
	far_end->refusals = -1;
	rows = started(far_end, "?queue=256", directory, false);
	/* More than the queue holds: what waits moves to the spool while the far end is asked. */
	for (uint32_t i = 0; i < 1000; i += 50) {
		put(rows, i, 50);
		usleep(20000);
	}
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	assert_int_equal(rows->shed, 0);
	assert_int_equal(event(rows, "spool_left"), 1000);
	assert_int_equal(event(rows, "spooled"), 1000);
	assert_int_equal(event(rows, "delivered"), 0);
	assert_int_equal(far_end->rows, 0);
	assert_int_equal(far_end->ends, 0);
	number = far_end->try_numbers[0];
	rows->ops->close(rows);

	*far_end = (struct far_end){ 0 };
	rows = started(far_end, "?queue=256", directory, true);
	put(rows, 1000, 100);
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	check_order(far_end, 0, 1100);
	assert_int_equal(event(rows, "spool_resumed"), 1000);
	assert_int_equal(event(rows, "spool_left"), 0);
	assert_int_equal(far_end->try_numbers[0], number);
	assert_true(far_end->try_again[0]);
	for (unsigned i = 1; i < far_end->tries; i++)
		assert_true(far_end->try_numbers[i] > far_end->try_numbers[i - 1]);
	assert_int_equal(far_end->ends, 1);
	rows->ops->close(rows);
	support_remove(directory);
	free(far_end);
}

/* The spool is full: it keeps what it has room for, the rest is shed, counted, and the run's error. */
static void test_spool_full(void **state)
{
	struct far_end *far_end = calloc(1, sizeof *far_end);
	char *directory = support_directory();
	struct row_sink *rows;

	(void)state;
	far_end->refusals = -1;
	rows = started(far_end, "?queue=32768&spool=1", directory, false);
	put(rows, 0, 20000);
	assert_true(rows->ops->finish(rows, NULL) < 0);
	assert_in_range(event(rows, "spool_left"), 4000, (1 << 20) / sizeof(struct record));
	assert_int_equal(event(rows, "spool_left") + rows->shed, 20000);
	assert_non_null(strstr(rows->error.hint, "spool full"));
	rows->ops->close(rows);
	support_remove(directory);
	free(far_end);
}

/* The transport is closed once, after the thread has ended, however it goes. */
static void test_close(void **state)
{
	struct far_end *far_end = calloc(1, sizeof *far_end);
	char *directory = support_directory();
	struct row_sink *rows, *second;
	struct error error;

	(void)state;
	/* Without finish: nothing that was put is waited for longer than it takes. */
	rows = started(far_end, "", NULL, false);
	put(rows, 0, 100);
	rows->ops->close(rows);
	assert_int_equal(far_end->closes, 1);
	assert_int_equal(far_end->rows, 100);

	/* Nobody there and no spool; a bad option; a spool that another has. */
	assert_int_equal(start(far_end, "", NULL, false, true, &rows, &error), -ECONNREFUSED);
	assert_null(rows);
	assert_int_equal(far_end->closes, 2);
	assert_int_equal(start(far_end, "?queue=3", NULL, false, false, &rows, &error), -EINVAL);
	assert_int_equal(far_end->closes, 3);
	assert_int_equal(start(far_end, "", directory, false, true, &rows, &error), 0);
	assert_int_equal(start(far_end, "", directory, false, false, &second, &error), -EBUSY);
	assert_int_equal(far_end->closes, 4);
	assert_int_equal(rows->ops->finish(rows, NULL), 0);
	rows->ops->close(rows);
	assert_int_equal(far_end->closes, 5);
	support_remove(directory);
	free(far_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound),	   cmocka_unit_test(test_may_wait),
		cmocka_unit_test(test_retries),	   cmocka_unit_test(test_spool),
		cmocka_unit_test(test_spool_full), cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
