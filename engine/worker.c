#include "engine/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "engine/clock.h"
#include "engine/filter/filter.h"
#include "engine/worker_internal.h"

#define IDLE_SPINS 32
#define STATS_BURSTS 256 /* bursts between looks at the clock while busy */
#define RING_WRITER_SHARE 4 /* wake the writer when so large a part of the queue is new */
#define RESERVE_WANT 64
#define SLOTS_AHEAD 4 /* a slot's lines are in the writer's cache: asked for before they are written */

/* --- the queue ------------------------------------------------------------------------------ */

void worker_commit(struct worker *worker)
{
	if (worker->slots_filled == 0)
		return;
	spsc_commit(&worker->queue, worker->slots_filled);
	worker->slots += worker->slots_filled;
	worker->slots_left -= worker->slots_filled;
	worker->unrung += worker->slots_filled;
	worker->slots_filled = 0;
}

void worker_ring_writer(struct worker *worker)
{
	if (worker->unrung == 0)
		return;
	worker->unrung = 0;
	worker->ring_by_ns = 0;
	doorbell_ring(worker->config.writer_bell, DOORBELL_CALL);
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
	worker_add(&worker->counters.full_waits, 1);
	worker_ring_writer(worker);
	while (!reserve_slots(worker)) {
		struct pollfd poll_bell = { .fd = worker->bell.fd, .events = POLLIN };

		if (worker_flag(&worker->abort_asked))
			return false;
		doorbell_announce(&worker->bell, WORKER_BELL_SLOTS);
		if (!reserve_slots(worker) && !worker_flag(&worker->abort_asked))
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
		worker_commit(worker);
		if (!reserve_slots(worker) && !wait_for_slots(worker))
			return NULL;
	}
	return &worker->slots[worker->slots_filled];
}

bool worker_send_control(struct worker *worker, enum slot_kind kind, uint32_t span, uint64_t timestamp_ns)
{
	struct record *slot = next_slot(worker);

	if (slot == NULL)
		return false;
	slot_set_control(slot, kind, span, timestamp_ns);
	worker->slots_filled++;
	return true;
}

/* --- spans ---------------------------------------------------------------------------------- */

void worker_take_returns(struct worker *worker)
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
	if (!worker_send_control(worker, SLOT_SPAN_END, span, 0))
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

	status |= (frame->flags & FRAME_TIME_HARDWARE) ? STATUS_TIME_HARDWARE : 0;
	status |= (frame->flags & FRAME_CSUM_NOT_READY) ? STATUS_CHECKSUM_NOT_READY : 0;
	status |= (frame->flags & FRAME_TAG_RESTORED) ? STATUS_TAG_RESTORED : 0;
	status |= (frame->flags & FRAME_AGGREGATED) ? STATUS_AGGREGATED : 0;
	return status;
}

static __attribute__((noinline)) void fill_unusual(struct worker *worker, const struct frame *frame,
						   struct record *record)
{
	bool unready = (frame->flags & FRAME_CSUM_NOT_READY) != 0;
	uint32_t length = (frame->flags & FRAME_MORE_FRAGMENTS) ? frame->fragment_len : frame->captured_len;

	if (frame->flags & FRAME_IS_RECORD) {
		memcpy(record, frame->data, sizeof *record);
		return;
	}
	decode_packet(unready ? &worker->decode_unready : &worker->config.decode, frame->data, length,
		      frame->wire_len, frame->link_type, record, NULL);
	record->timestamp_ns = frame->timestamp_ns;
	record->captured_length = frame->captured_len;
	record->status |= status_of(frame);
	if (worker->config.hold_packets)
		record->packet_offset = (uint64_t)(uintptr_t)frame->data;
}

static void fill_record(struct worker *worker, const struct frame *frame, struct record *record)
{
	if (__builtin_expect((frame->flags & FRAME_UNUSUAL) != 0, false)) {
		fill_unusual(worker, frame, record);
	} else {
		decode_packet(&worker->config.decode, frame->data, frame->captured_len, frame->wire_len,
			      frame->link_type, record, NULL);
		record->timestamp_ns = frame->timestamp_ns;
		record->status |= frame->flags & FRAME_DIRECTION_MASK;
		if (worker->config.hold_packets)
			record->packet_offset = (uint64_t)(uintptr_t)frame->data;
	}
	record->interface = frame->interface;
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
				__builtin_prefetch(slot + SLOTS_AHEAD, 1);
				__builtin_prefetch((char *)(slot + SLOTS_AHEAD) + 64, 1);
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
	worker_commit(worker);
	worker_add(&worker->counters.walked, records + filtered);
	worker_add(&worker->counters.records, records);
	worker_add(&worker->counters.filtered, filtered);
	if (cut > 0)
		worker_add(&worker->counters.cut, cut);
	worker_add(&worker->counters.wire_bytes, wire_bytes);
	if (worker->unrung >= worker->config.queue_capacity / RING_WRITER_SHARE) {
		uint32_t used = spsc_used(&worker->queue);

		if (used > atomic_load_own(&worker->counters.queue_used_most))
			atomic_store_statistic(&worker->counters.queue_used_most, used);
		worker_ring_writer(worker);
	}
	return going;
}

/* --- the thread ----------------------------------------------------------------------------- */

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

static void walk(struct worker *worker)
{
	struct source *source = worker->source;
	struct frame frames[SOURCE_BURST];
	unsigned burst = source_burst(source);
	unsigned idle_spins = source->coalesce_us == 0 && !source->costly_look ? IDLE_SPINS : 0;
	unsigned spins = 0, bursts = 0;

	while (!worker_flag(&worker->abort_asked)) {
		int count;

		worker_take_returns(worker);
		if (worker_flag(&worker->stop_asked) && !worker->stopping) {
			begin_stop(worker);
			if (!source->live)
				return;
		}
		count = source->ops->rx_burst(source, frames, burst);
		if (count > 0) {
			spins = 0;
			worker->busy = true;
			if (++bursts % STATS_BURSTS == 0)
				worker_refresh_stats(worker);
			if (!take_burst(worker, frames, (unsigned)count))
				return;
			continue;
		}
		if (count == 0) {
			if (worker->stopping && drained(worker)) {
				/* One more look: it may have come between the burst and the check. */
				count = source->ops->rx_burst(source, frames, burst);
				if (count <= 0)
					return;
				if (!take_burst(worker, frames, (unsigned)count))
					return;
				continue;
			}
			if (spins++ < idle_spins)
				continue;
			count = worker_idle(worker);
		}
		if (count == -ENETDOWN && !worker->stopping)
			count = worker_survive_loss(worker);
		else if (count < 0 && count != -ENODATA && count != -ENETDOWN)
			worker->config.failed(worker->config.context, &source->error);
		if (count < 0)
			return;
	}
}

void *worker_main(void *context)
{
	struct worker *worker = context;
	char name[16];

	snprintf(name, sizeof name, "weir-worker-%u", worker->config.index % 1000);
	prctl(PR_SET_NAME, name);
	if (worker->source->live)
		worker_shorten_slice();
	worker_watch_source(worker);
	walk(worker);
	if (!worker->stopping)
		worker->source->ops->stop(worker->source);
	/* An abort must still end the queue: the writer goes on draining until it sees END. */
	atomic_store_explicit(&worker->abort_asked, false, memory_order_relaxed);
	worker_send_control(worker, SLOT_END, 0, 0);
	worker_commit(worker);
	doorbell_ring(worker->config.writer_bell, DOORBELL_CALL);
	worker_await_spans(worker);
	worker_read_stats(worker);
	return NULL;
}

