#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "engine/clock.h"
#include "engine/worker_internal.h"

#define REOPEN_PERIOD_MS 200
#define WRITER_WAIT_MS 1 /* what nobody watches may wait so long for the writer: each call costs two wake-ups */
#define SPANS_SHARE 4    /* unless the writer has one in so many of the source's spans */
#define STATS_PERIOD_NS (100 * NS_PER_MS)

void worker_watch_source(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = 0 };

	/* A closed descriptor has left the set by itself, and a new one may have its number; one that was kept
	 * is there already (EEXIST). */
	if (worker->source->fd >= 0)
		epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->source->fd, &event);
}

void worker_read_stats(struct worker *worker)
{
	struct source_stats stats = { 0 };

	worker->source->ops->stats(worker->source, &stats);
	pthread_mutex_lock(&worker->stats_lock);
	worker->stats = stats;
	pthread_mutex_unlock(&worker->stats_lock);
}

void worker_refresh_stats(struct worker *worker)
{
	uint64_t now = clock_monotonic_ns();

	if (now < worker->stats_at_ns)
		return;
	worker->stats_at_ns = now + STATS_PERIOD_NS;
	worker_read_stats(worker);
}

static void answer_time(struct worker *worker, bool nothing_older)
{
	const struct source_ops *ops = worker->source->ops;

	if (!worker_flag(&worker->time_asked))
		return;
	atomic_store_explicit(&worker->time_asked, false, memory_order_relaxed);
	if (!nothing_older) {
		/* The clock is read first: what arrives behind the look at the ring is younger. */
		uint64_t now = clock_wall_ns();

		if (ops->empty == NULL || !ops->empty(worker->source))
			return;
		worker_send_control(worker, SLOT_TIME, 0, now - WORKER_TIME_SLACK_NS);
	} else {
		worker_send_control(worker, SLOT_TIME, 0, clock_wall_ns() - WORKER_TIME_SLACK_NS);
	}
	worker_commit(worker);
}

static bool returns_waiting(struct worker *worker)
{
	return worker->spans_out > 0 && spsc_used(&worker->returns) > 0;
}

/* Something may have come between the last look and the announcement. */
static bool called_for(struct worker *worker)
{
	return worker_flag(&worker->abort_asked) || (worker_flag(&worker->stop_asked) && !worker->stopping) ||
	       worker_flag(&worker->time_asked) || returns_waiting(worker);
}

/* Whether each packet may wake the worker: then it shall not wake the writer each time as well. */
static bool wakes_for_each(const struct source *source)
{
	return source->coalesce_us > 0 || source->costly_look;
}

/* Before a pause: calls the writer for what it has not been called for, unless that may wait for more. True: it is
 * waiting. */
static bool pass_on(struct worker *worker)
{
	uint64_t now;

	if (worker->unrung == 0)
		return false;
	if (wakes_for_each(worker->source) && !worker->config.prompt && !worker->stopping &&
	    worker->spans_out <= worker->source->span_count / SPANS_SHARE) {
		now = clock_monotonic_ns();
		if (worker->ring_by_ns == 0)
			worker->ring_by_ns = now + WRITER_WAIT_MS * NS_PER_MS;
		if (now < worker->ring_by_ns)
			return true;
	}
	worker_ring_writer(worker);
	return false;
}

/* Sleeps until the source or the doorbell has something, at most timeout_ms (-1: for ever). Returns 0, or what
 * the source's check says. */
static int sleep_until_called(struct worker *worker, uint32_t what_for, int timeout_ms)
{
	struct epoll_event events[2];
	int count, result = 0;

	if (pass_on(worker))
		timeout_ms = WRITER_WAIT_MS;
	doorbell_announce(&worker->bell, what_for);
	if (called_for(worker)) {
		doorbell_awake(&worker->bell);
		return 0;
	}
	worker_add(&worker->counters.sleeps, 1);
	count = epoll_wait(worker->epoll_fd, events, 2, timeout_ms);
	doorbell_awake(&worker->bell);
	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 != 0)
			continue;
		if ((events[i].events & (EPOLLERR | EPOLLHUP)) && worker->source->ops->check != NULL)
			result = worker->source->ops->check(worker->source);
		/* A sleep and a wake-up cost more than many packets: a packet alone shall not be worth one. */
		if (worker->source->coalesce_us > 0)
			usleep(worker->source->coalesce_us);
	}
	return result;
}

/* A ring that wakes for a single packet: while packets come, they are let come for a while without being waited
 * for, which saves most of what a sleep in epoll costs on both sides. False: none came since the last nap. */
static bool nap(struct worker *worker)
{
	if (worker->source->coalesce_us == 0 || !worker->busy || worker->stopping)
		return false;
	worker->busy = false;
	pass_on(worker);
	usleep(worker->source->coalesce_us);
	return true;
}

int worker_idle(struct worker *worker)
{
	const struct source_ops *ops = worker->source->ops;
	int timeout_ms = worker->source->look_ms != 0 ? (int)worker->source->look_ms : -1;

	worker_refresh_stats(worker);
	if (nap(worker))
		return 0;
	answer_time(worker, false);
	if (ops->arm != NULL && ops->arm(worker->source))
		return 0;
	if (worker->stopping)
		timeout_ms = 1;
	return sleep_until_called(worker, WORKER_BELL_SPANS, timeout_ms);
}

static void note(struct worker *worker, const char *format, const char *name)
{
	char text[256];

	snprintf(text, sizeof text, format, name);
	worker->config.note(worker->config.context, text);
}

const char *worker_interface_name(const struct worker *worker)
{
	const struct interface *interface = interface_table_get(worker->config.interfaces, worker->source->interface);

	return interface != NULL ? interface->name : "the interface";
}

int worker_survive_loss(struct worker *worker)
{
	struct source *source = worker->source;
	struct error error = { 0 };
	int result = -EAGAIN;

	if (worker->config.exit_on_interface_loss || source->ops->reopen == NULL) {
		error_set(&error, -ENETDOWN, "%s went away", worker_interface_name(worker));
		error_hint(&error, "what was captured before is saved");
		worker->config.failed(worker->config.context, &error);
		return -ENETDOWN;
	}
	note(worker, "%s went away; capturing goes on when it is back", worker_interface_name(worker));
	while (!worker_flag(&worker->stop_asked) && !worker_flag(&worker->abort_asked)) {
		worker_take_returns(worker);
		answer_time(worker, true);
		if (worker->spans_out == 0) {
			result = source->ops->reopen(source);
			if (result == 0) {
				note(worker, "%s is back; capturing again", worker_interface_name(worker));
				worker_watch_source(worker);
				return 0;
			}
			if (result != -EAGAIN) {
				worker->config.failed(worker->config.context, &source->error);
				return result;
			}
		}
		sleep_until_called(worker, WORKER_BELL_SPANS | WORKER_BELL_SPAN, REOPEN_PERIOD_MS);
	}
	return result;
}

void worker_await_spans(struct worker *worker)
{
	worker_take_returns(worker);
	while (worker->spans_out > 0) {
		struct pollfd poll_bell = { .fd = worker->bell.fd, .events = POLLIN };

		doorbell_announce(&worker->bell, WORKER_BELL_SPANS | WORKER_BELL_SPAN);
		if (!returns_waiting(worker))
			poll(&poll_bell, 1, -1);
		doorbell_awake(&worker->bell);
		worker_take_returns(worker);
	}
}

