#include "engine/worker.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "engine/clock.h"
#include "engine/filter/filter.h"
#include "engine/slot.h"

#define IDLE_SPINS 32
#define REOPEN_PERIOD_MS 200
#define STATS_PERIOD_NS (100 * NS_PER_MS)
#define STATS_BURSTS 256 /* bursts between looks at the clock while busy */
#define RING_WRITER_SHARE 8 /* wake the writer when so large a part of the queue is new */
#define RESERVE_WANT 64

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

static void add(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_statistic(counter, atomic_load_own(counter) + value);
}

static bool flag(_Atomic bool *asked)
{
	return atomic_load_explicit(asked, memory_order_relaxed);
}

/* --- the queue ------------------------------------------------------------------------------ */

static void commit_slots(struct worker *worker)
{
	if (worker->slots_filled == 0)
		return;
	spsc_commit(&worker->queue, worker->slots_filled);
	worker->slots += worker->slots_filled;
	worker->slots_left -= worker->slots_filled;
	worker->unrung += worker->slots_filled;
	worker->slots_filled = 0;
}

static void ring_writer(struct worker *worker)
{
	if (worker->unrung == 0)
		return;
	worker->unrung = 0;
	doorbell_ring(worker->config.writer_bell);
}

static bool reserve_slots(struct worker *worker)
{
	void *span;

	worker->slots_left = spsc_reserve(&worker->queue, RESERVE_WANT, &span);
	worker->slots = span;
	return worker->slots_left > 0;
}

/* The queue is full: sleep until the writer has released slots. False: aborted. */
static bool wait_for_slots(struct worker *worker)
{
	add(&worker->counters.full_waits, 1);
	ring_writer(worker);
	while (!reserve_slots(worker)) {
		struct pollfd poll_bell = { .fd = worker->bell.fd, .events = POLLIN };

		if (flag(&worker->abort_asked))
			return false;
		doorbell_announce(&worker->bell);
		if (!reserve_slots(worker) && !flag(&worker->abort_asked))
			poll(&poll_bell, 1, -1);
		doorbell_awake(&worker->bell);
		if (worker->slots_left > 0)
			break;
	}
	return true;
}

/* The next slot to fill; NULL: aborted while the queue was full. */
static struct record *next_slot(struct worker *worker)
{
	if (worker->slots_filled == worker->slots_left) {
		commit_slots(worker);
		if (!reserve_slots(worker) && !wait_for_slots(worker))
			return NULL;
	}
	return &worker->slots[worker->slots_filled];
}

static bool send_control(struct worker *worker, enum slot_kind kind, uint32_t span, uint64_t timestamp_ns)
{
	struct record *slot = next_slot(worker);

	if (slot == NULL)
		return false;
	slot_set_control(slot, kind, span, timestamp_ns);
	worker->slots_filled++;
	return true;
}

/* --- spans ---------------------------------------------------------------------------------- */

static void take_returns(struct worker *worker)
{
	void *span;
	uint32_t count;

	if (worker->spans_out == 0)
		return;
	while ((count = spsc_peek(&worker->returns, 1, &span)) > 0) {
		const uint32_t *ids = span;

		for (uint32_t i = 0; i < count; i++)
			worker->source->ops->release(worker->source, ids[i]);
		spsc_release(&worker->returns, count);
		worker->spans_out -= count;
	}
}

static bool end_span(struct worker *worker, uint32_t span)
{
	if (!worker->config.hold_packets) {
		worker->source->ops->release(worker->source, span);
		return true;
	}
	if (!send_control(worker, SLOT_SPAN_END, span, 0))
		return false;
	worker->spans_out++;
	return true;
}

/* --- frames to records ---------------------------------------------------------------------- */

static bool frame_matches(struct worker *worker, const struct frame *frame)
{
	if (!worker->filter_known || frame->interface != worker->filter_interface) {
		const struct interface *interface =
			interface_table_get(worker->config.interfaces, frame->interface);

		worker->filter = interface != NULL ? interface->user_filter : NULL;
		worker->filter_interface = frame->interface;
		worker->filter_known = true;
	}
	if (worker->filter == NULL || (frame->flags & FRAME_IS_RECORD))
		return true;
	return filter_match(worker->filter, frame->data, frame->captured_len, frame->wire_len);
}

static uint32_t status_of(const struct frame *frame)
{
	uint32_t status = frame->flags & FRAME_DIRECTION_MASK;

	if (frame->flags & (FRAME_TIME_HARDWARE | FRAME_CSUM_NOT_READY | FRAME_TAG_RESTORED | FRAME_AGGREGATED)) {
		status |= (frame->flags & FRAME_TIME_HARDWARE) ? STATUS_TIME_HARDWARE : 0;
		status |= (frame->flags & FRAME_CSUM_NOT_READY) ? STATUS_CHECKSUM_NOT_READY : 0;
		status |= (frame->flags & FRAME_TAG_RESTORED) ? STATUS_TAG_RESTORED : 0;
		status |= (frame->flags & FRAME_AGGREGATED) ? STATUS_AGGREGATED : 0;
	}
	return status;
}

static void fill_record(struct worker *worker, const struct frame *frame, struct record *record)
{
	bool unready = (frame->flags & FRAME_CSUM_NOT_READY) != 0;
	uint32_t length = (frame->flags & FRAME_MORE_FRAGMENTS) ? frame->fragment_len : frame->captured_len;

	if (frame->flags & FRAME_IS_RECORD) {
		memcpy(record, frame->data, sizeof *record);
		record->interface = frame->interface;
		return;
	}
	decode_packet(unready ? &worker->decode_unready : &worker->config.decode, frame->data, length,
		      frame->wire_len, frame->link_type, record, NULL);
	record->timestamp_ns = frame->timestamp_ns;
	record->captured_length = frame->captured_len;
	record->interface = frame->interface;
	record->status |= status_of(frame);
	if (worker->config.hold_packets)
		record->packet_offset = (uint64_t)(uintptr_t)frame->data;
}

/* A burst's frames into the queue. False: aborted. */
static bool take_burst(struct worker *worker, const struct frame *frames, unsigned count)
{
	uint64_t records = 0, filtered = 0, cut = 0, wire_bytes = 0;
	bool going = true;

	for (unsigned i = 0; i < count && going; i++) {
		const struct frame *frame = &frames[i];

		if (!(frame->flags & FRAME_NO_PACKET)) {
			struct record *slot;

			if (!frame_matches(worker, frame)) {
				filtered++;
			} else if ((slot = next_slot(worker)) != NULL) {
				fill_record(worker, frame, slot);
				cut += (slot->status & STATUS_CUT) != 0;
				wire_bytes += slot->wire_length;
				records++;
				worker->slots_filled++;
			} else {
				going = false;
				break;
			}
		}
		if (frame->flags & FRAME_LAST_OF_SPAN)
			going = end_span(worker, frame->span);
	}
	commit_slots(worker);
	add(&worker->counters.walked, records + filtered);
	add(&worker->counters.records, records);
	add(&worker->counters.filtered, filtered);
	if (cut > 0)
		add(&worker->counters.cut, cut);
	add(&worker->counters.wire_bytes, wire_bytes);
	if (worker->unrung >= worker->config.queue_capacity / RING_WRITER_SHARE) {
		uint32_t used = spsc_used(&worker->queue);

		if (used > atomic_load_own(&worker->counters.queue_used_most))
			atomic_store_statistic(&worker->counters.queue_used_most, used);
		ring_writer(worker);
	}
	return going;
}

/* --- waiting -------------------------------------------------------------------------------- */

static void watch_source(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = 0 };

	/* A closed descriptor has left the set by itself, and a new one may have its number; one that was kept
	 * is there already (EEXIST). */
	if (worker->source->fd >= 0)
		epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->source->fd, &event);
}

static void read_stats(struct worker *worker)
{
	struct source_stats stats = { 0 };

	worker->source->ops->stats(worker->source, &stats);
	pthread_mutex_lock(&worker->stats_lock);
	worker->stats = stats;
	pthread_mutex_unlock(&worker->stats_lock);
}

static void refresh_stats(struct worker *worker)
{
	uint64_t now = clock_monotonic_ns();

	if (now < worker->stats_at_ns)
		return;
	worker->stats_at_ns = now + STATS_PERIOD_NS;
	read_stats(worker);
}

static void answer_time(struct worker *worker, bool nothing_older)
{
	const struct source_ops *ops = worker->source->ops;

	if (!flag(&worker->time_asked))
		return;
	atomic_store_explicit(&worker->time_asked, false, memory_order_relaxed);
	if (!nothing_older) {
		/* The clock is read first: what arrives behind the look at the ring is younger. */
		uint64_t now = clock_wall_ns();

		if (ops->empty == NULL || !ops->empty(worker->source))
			return;
		send_control(worker, SLOT_TIME, 0, now - WORKER_TIME_SLACK_NS);
	} else {
		send_control(worker, SLOT_TIME, 0, clock_wall_ns() - WORKER_TIME_SLACK_NS);
	}
	commit_slots(worker);
}

static bool returns_waiting(struct worker *worker)
{
	return worker->spans_out > 0 && spsc_used(&worker->returns) > 0;
}

/* Something may have come between the last look and the announcement. */
static bool called_for(struct worker *worker)
{
	return flag(&worker->abort_asked) || (flag(&worker->stop_asked) && !worker->stopping) ||
	       flag(&worker->time_asked) || returns_waiting(worker);
}

/* Sleeps until the source or the doorbell has something, at most timeout_ms (-1: for ever). Returns 0, or what
 * the source's check says. */
static int sleep_until_called(struct worker *worker, int timeout_ms)
{
	struct epoll_event events[2];
	int count, result = 0;

	ring_writer(worker);
	doorbell_announce(&worker->bell);
	if (called_for(worker)) {
		doorbell_awake(&worker->bell);
		return 0;
	}
	add(&worker->counters.sleeps, 1);
	count = epoll_wait(worker->epoll_fd, events, 2, timeout_ms);
	doorbell_awake(&worker->bell);
	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 == 0 && (events[i].events & (EPOLLERR | EPOLLHUP)) &&
		    worker->source->ops->check != NULL)
			result = worker->source->ops->check(worker->source);
	}
	return result;
}

/* Nothing was there. Returns 0 to go on, or what the source's check says. */
static int idle(struct worker *worker)
{
	const struct source_ops *ops = worker->source->ops;
	int timeout_ms = -1;

	refresh_stats(worker);
	answer_time(worker, false);
	if (ops->arm != NULL && ops->arm(worker->source))
		return 0;
	if (worker->stopping)
		timeout_ms = 1;
	return sleep_until_called(worker, timeout_ms);
}

/* --- the source's troubles ------------------------------------------------------------------- */

static void note(struct worker *worker, const char *format, const char *name)
{
	char text[256];

	snprintf(text, sizeof text, format, name);
	worker->config.note(worker->config.context, text);
}

static const char *interface_name(const struct worker *worker)
{
	const struct interface *interface = interface_table_get(worker->config.interfaces, worker->source->interface);

	return interface != NULL ? interface->name : "the interface";
}

/* The interface is gone: wait for its spans, then for itself. 0: it is back; else the run is over for this
 * worker (stop, abort, or an error that failed() was told of). */
static int survive_loss(struct worker *worker)
{
	struct source *source = worker->source;
	struct error error = { 0 };
	int result = -EAGAIN;

	if (worker->config.exit_on_interface_loss || source->ops->reopen == NULL) {
		error_set(&error, -ENETDOWN, "%s went away", interface_name(worker));
		error_hint(&error, "what was captured before is saved");
		worker->config.failed(worker->config.context, &error);
		return -ENETDOWN;
	}
	note(worker, "%s went away; capturing goes on when it is back", interface_name(worker));
	while (!flag(&worker->stop_asked) && !flag(&worker->abort_asked)) {
		take_returns(worker);
		answer_time(worker, true);
		if (worker->spans_out == 0) {
			result = source->ops->reopen(source);
			if (result == 0) {
				note(worker, "%s is back; capturing again", interface_name(worker));
				watch_source(worker);
				return 0;
			}
			if (result != -EAGAIN) {
				worker->config.failed(worker->config.context, &source->error);
				return result;
			}
		}
		sleep_until_called(worker, REOPEN_PERIOD_MS);
	}
	return result;
}

static bool drained(struct worker *worker)
{
	const struct source *source = worker->source;

	if (!source->live || clock_monotonic_ns() >= worker->drain_until_ns)
		return true;
	return source->ops->empty != NULL && source->ops->empty(worker->source);
}

static void begin_stop(struct worker *worker)
{
	worker->stopping = true;
	worker->source->ops->stop(worker->source);
	worker->drain_until_ns = clock_monotonic_ns() + worker->source->drain_ms * NS_PER_MS;
}

/* --- the thread ----------------------------------------------------------------------------- */

static void walk(struct worker *worker)
{
	struct source *source = worker->source;
	struct frame frames[SOURCE_BURST];
	unsigned spins = 0, bursts = 0;

	while (!flag(&worker->abort_asked)) {
		int count;

		take_returns(worker);
		if (flag(&worker->stop_asked) && !worker->stopping) {
			begin_stop(worker);
			if (!source->live)
				return;
		}
		count = source->ops->rx_burst(source, frames, SOURCE_BURST);
		if (count > 0) {
			spins = 0;
			if (++bursts % STATS_BURSTS == 0)
				refresh_stats(worker);
			if (!take_burst(worker, frames, (unsigned)count))
				return;
			continue;
		}
		if (count == 0) {
			if (worker->stopping && drained(worker)) {
				/* One more look: it may have come between the burst and the check. */
				count = source->ops->rx_burst(source, frames, SOURCE_BURST);
				if (count <= 0)
					return;
				if (!take_burst(worker, frames, (unsigned)count))
					return;
				continue;
			}
			if (spins++ < IDLE_SPINS)
				continue;
			count = idle(worker);
		}
		if (count == -ENETDOWN && !worker->stopping)
			count = survive_loss(worker);
		else if (count < 0 && count != -ENODATA && count != -ENETDOWN)
			worker->config.failed(worker->config.context, &source->error);
		if (count < 0)
			return;
	}
}

/* After END: spans that the writer still holds must come back before anyone unmaps. */
static void await_spans(struct worker *worker)
{
	take_returns(worker);
	while (worker->spans_out > 0) {
		struct pollfd poll_bell = { .fd = worker->bell.fd, .events = POLLIN };

		doorbell_announce(&worker->bell);
		if (!returns_waiting(worker))
			poll(&poll_bell, 1, -1);
		doorbell_awake(&worker->bell);
		take_returns(worker);
	}
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	char name[16];

	snprintf(name, sizeof name, "weir-worker-%u", worker->config.index % 1000);
	prctl(PR_SET_NAME, name);
	watch_source(worker);
	walk(worker);
	if (!worker->stopping)
		worker->source->ops->stop(worker->source);
	/* An abort must still end the queue: the writer goes on draining until it sees END. */
	atomic_store_explicit(&worker->abort_asked, false, memory_order_relaxed);
	send_control(worker, SLOT_END, 0, 0);
	commit_slots(worker);
	doorbell_ring(worker->config.writer_bell);
	await_spans(worker);
	read_stats(worker);
	return NULL;
}

/* --- life ----------------------------------------------------------------------------------- */

static uint32_t power_of_two(uint32_t least)
{
	uint32_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

static int make_queue(struct spsc *queue, void **memory, uint32_t slot_size, uint32_t capacity)
{
	size_t size = (size_t)slot_size * capacity;

	*memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
	if (*memory == NULL)
		return -ENOMEM;
	/* Touched now, so that no page fault comes with the first packets. */
	memset(*memory, 0, size);
	return spsc_init(queue, *memory, slot_size, capacity, 0) ? 0 : -EINVAL;
}

static int make_epoll(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 1 };

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0 || epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->bell.fd, &event) < 0)
		return -errno;
	return 0;
}

int worker_create(const struct worker_config *config, struct source *source, struct worker **out,
		  struct error *error)
{
	struct worker *worker = aligned_alloc(RINGBUF_ISOLATION, sizeof *worker);
	int result;

	*out = NULL;
	if (worker == NULL)
		return error_set(error, -ENOMEM, "no memory for a worker");
	memset(worker, 0, sizeof *worker);
	worker->config = *config;
	worker->source = source;
	worker->decode_unready = config->decode;
	worker->decode_unready.checksum_not_ready = true;
	worker->epoll_fd = worker->bell.fd = -1;
	pthread_mutex_init(&worker->stats_lock, NULL);

	result = make_queue(&worker->queue, &worker->queue_memory, sizeof(struct record), config->queue_capacity);
	if (result == 0)
		result = make_queue(&worker->returns, &worker->returns_memory, sizeof(uint32_t),
				    power_of_two(source->span_count + 1));
	if (result == 0)
		result = doorbell_open(&worker->bell);
	if (result == 0)
		result = make_epoll(worker);
	if (result < 0) {
		worker_close(worker);
		return error_set_errno(error, result, "cannot make a worker's queue");
	}
	*out = worker;
	return 0;
}

int worker_start(struct worker *worker, struct error *error)
{
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int result;

	pthread_attr_init(&attributes);
	if (worker->config.cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(worker->config.cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
	}
	result = pthread_create(&worker->thread, &attributes, worker_main, worker);
	pthread_attr_destroy(&attributes);
	if (result != 0) {
		error_set_errno(error, -result, "cannot start a worker on CPU %d", worker->config.cpu);
		return error_hint(error, "--pin names the CPUs to use");
	}
	worker->started = true;
	return 0;
}

void worker_cancel(struct worker *worker)
{
	if (worker->started)
		return;
	send_control(worker, SLOT_END, 0, 0);
	commit_slots(worker);
}

void worker_stop(struct worker *worker)
{
	atomic_store_explicit(&worker->stop_asked, true, memory_order_relaxed);
	doorbell_ring(&worker->bell);
}

void worker_abort(struct worker *worker)
{
	atomic_store_explicit(&worker->abort_asked, true, memory_order_relaxed);
	doorbell_ring(&worker->bell);
}

void worker_join(struct worker *worker)
{
	if (!worker->started || worker->joined)
		return;
	pthread_join(worker->thread, NULL);
	worker->joined = true;
}

void worker_close(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	doorbell_close(&worker->bell);
	free(worker->returns_memory);
	free(worker->queue_memory);
	pthread_mutex_destroy(&worker->stats_lock);
	free(worker);
}

struct spsc *worker_queue(struct worker *worker)
{
	return &worker->queue;
}

void worker_return_span(struct worker *worker, uint32_t span)
{
	void *slot;

	/* Sized for all spans: there is always room. */
	if (spsc_reserve(&worker->returns, 1, &slot) == 0)
		abort();
	*(uint32_t *)slot = span;
	spsc_commit(&worker->returns, 1);
}

void worker_wake(struct worker *worker)
{
	doorbell_ring(&worker->bell);
}

void worker_want_time(struct worker *worker)
{
	atomic_store_explicit(&worker->time_asked, true, memory_order_relaxed);
	doorbell_ring(&worker->bell);
}

void worker_report(struct worker *worker, struct ledger_ring *ring)
{
	const struct worker_counters *counters = &worker->counters;

	memset(ring, 0, sizeof *ring);
	ring->backend = worker->source->ops->name;
	snprintf(ring->interface, sizeof ring->interface, "%s", interface_name(worker));
	ring->interface_index = worker->source->interface;
	ring->worker = worker->config.index;
	ring->walked = atomic_load_statistic(&counters->walked);
	ring->records = atomic_load_statistic(&counters->records);
	ring->filtered = atomic_load_statistic(&counters->filtered);
	ring->cut = atomic_load_statistic(&counters->cut);
	ring->wire_bytes = atomic_load_statistic(&counters->wire_bytes);
	ring->sleeps = atomic_load_statistic(&counters->sleeps);
	ring->full_waits = atomic_load_statistic(&counters->full_waits);
	ring->queue_used_most = atomic_load_statistic(&counters->queue_used_most);
	ring->queue_capacity = worker->config.queue_capacity;
	pthread_mutex_lock(&worker->stats_lock);
	ring->stats = worker->stats;
	pthread_mutex_unlock(&worker->stats_lock);
}
