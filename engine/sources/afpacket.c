#include "engine/sources/afpacket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/sources/afpacket_internal.h"

#define SETTLE_NS (20 * NS_PER_MS)      /* instead of afpacket_settle where the kernel cannot */
#define SKEW_NS ((int64_t)NS_PER_SECOND) /* hardware clocks on TAI are 37 s ahead; PTP ones are within µs */

/* ---- counters ------------------------------------------------------------------------------ */

/* kernel: packet_getsockopt zeroes the counters as it reads them, and adds tp_drops to tp_packets. */
static void read_counters(struct afpacket *a)
{
	struct tpacket_stats_v3 stats = { 0 };
	socklen_t size = sizeof stats;

	if (a->source.fd < 0 || getsockopt(a->source.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
		return;
	a->seen += stats.tp_packets;
	a->dropped += stats.tp_drops;
	a->freezes += stats.tp_freeze_q_cnt;
}

static void follow(struct afpacket_outside *outside, uint64_t now, bool counting)
{
	/* A re-created interface starts again at 0. */
	if (counting)
		outside->total += now >= outside->last ? now - outside->last : now;
	outside->last = now;
}

/* Losses that no ring sees; one worker tells them for the whole interface. */
static void read_outside(struct afpacket *a, bool counting)
{
	const struct interfaces_entry *interface = &a->group->interface;
	uint64_t dropped, missed;

	if (a->worker != 0)
		return;
	follow(&a->softnet, afpacket_host_softnet_drops(), counting);
	if (interface->index == 0 || interfaces_counters(interface->name, &dropped, &missed) != 0)
		return;
	follow(&a->rx_dropped, dropped, counting);
	follow(&a->rx_missed, missed, counting);
}

static void afpacket_stats(struct source *source, struct source_stats *stats)
{
	struct afpacket *a = afpacket_from(source);

	read_counters(a);
	read_outside(a, true);
	*stats = (struct source_stats){
		.seen = a->seen,
		.handed_out = a->handed_out,
		.spans_total = source->span_count,
		.spans_held_most = a->used_most,
	};
	source_stats_add(stats->losses, &stats->loss_count, "ring_drops", a->dropped);
	if (a->worker == 0) {
		source_stats_add(stats->outside, &stats->outside_count, "interface_rx_dropped", a->rx_dropped.total);
		source_stats_add(stats->outside, &stats->outside_count, "interface_rx_missed", a->rx_missed.total);
		source_stats_add(stats->outside, &stats->outside_count, "softnet_dropped", a->softnet.total);
	}
	source_stats_add(stats->events, &stats->event_count, "ring_freezes", a->freezes);
	source_stats_add(stats->events, &stats->event_count, "block_sequence_gaps", a->gaps);
	source_stats_add(stats->events, &stats->event_count, "ring_resyncs", a->resyncs);
	source_stats_add(stats->events, &stats->event_count, "interface_losses", a->losses_of_interface);
	snprintf(stats->mode, sizeof stats->mode, "TPACKET_V3");
}

static bool afpacket_empty(struct source *source)
{
	struct afpacket *a = afpacket_from(source);

	if (a->quiet_from_ns != 0 && clock_monotonic_ns() < a->quiet_from_ns)
		return false;
	read_counters(a);
	return a->seen - a->dropped == a->handed_out;
}

/* ---- the walk ------------------------------------------------------------------------------ */

/* How many blocks the kernel does not have: seen from the oldest on, each block looked at once a lap. */
static void measure_use(struct afpacket *a)
{
	while (a->used < a->ring.block_count && block_walk_acquire(afpacket_block(&a->ring, a->frontier))) {
		a->frontier = a->frontier + 1 == a->ring.block_count ? 0 : a->frontier + 1;
		a->used++;
	}
	if (a->used > a->used_most)
		a->used_most = a->used;
}

/* A hardware clock that is not the wall clock puts packets out of order with all else; say it once. */
static void look_at_skew(struct afpacket *a, const struct tpacket_block_desc *block)
{
	const struct tpacket3_hdr *header = a->walk.next;
	int64_t ahead;

	if (a->skew_looked_at || block->hdr.bh1.num_pkts == 0 || !(header->tp_status & TP_STATUS_TS_RAW_HARDWARE))
		return;
	a->skew_looked_at = true;
	ahead = (int64_t)((uint64_t)header->tp_sec * NS_PER_SECOND + header->tp_nsec) - (int64_t)clock_wall_ns();
	if (ahead < SKEW_NS && ahead > -SKEW_NS)
		return;
	error_set(&a->source.warning, -ERANGE, "the hardware clock of %s is %.1f s %s the system's clock",
		  a->group->interface.name, (double)(ahead < 0 ? -ahead : ahead) / 1e9,
		  ahead < 0 ? "behind" : "ahead of");
	error_hint(&a->source.warning, "phc2sys sets it; a difference of 37 s is TAI for UTC");
}

/* Takes the kernel's next block, if it is ours. */
static bool take_block(struct afpacket *a)
{
	struct tpacket_block_desc *block = afpacket_block(&a->ring, a->next);

	/* With all blocks out, the next one is the oldest: still ours, and walked already. */
	if (a->out == a->ring.block_count || !block_walk_acquire(block))
		return false;
	a->gaps += block->hdr.bh1.seq_num != a->sequence;
	a->sequence = block->hdr.bh1.seq_num + 1;
	block_walk_begin(&a->walk, block, a->next);
	a->walking = true;
	a->next = a->next + 1 == a->ring.block_count ? 0 : a->next + 1;
	a->out++;
	measure_use(a);
	if (a->group->time_hardware)
		look_at_skew(a, block);
	return true;
}

/* The interface went away and no block is ready. Once nothing is on its way any more: -ENETDOWN; 0 while the
 * kernel still has an open block, whose retirement wakes the worker. */
static int away_and_dry(struct afpacket *a)
{
	if (!a->settled) {
		a->settled = true;
		a->quiet_from_ns = afpacket_settle() ? 0 : clock_monotonic_ns() + SETTLE_NS;
	}
	return a->source.fd < 0 || afpacket_empty(&a->source) ? -ENETDOWN : 0;
}

static int afpacket_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct afpacket *a = afpacket_from(source);
	unsigned count;

	if (!a->walking && !take_block(a))
		return a->away ? away_and_dry(a) : 0;
	count = block_walk_frames(&a->walk, &a->group->walk, frames, max);
	a->walking = !a->walk.ended;
	a->handed_out += count - ((frames[0].flags & FRAME_NO_PACKET) != 0);
	return (int)count;
}

static void afpacket_release(struct source *source, uint32_t span)
{
	struct afpacket *a = afpacket_from(source);

	a->returned[span] = true;
	while (a->out > 0 && a->returned[a->oldest]) {
		a->returned[a->oldest] = false;
		block_walk_return(afpacket_block(&a->ring, a->oldest));
		a->oldest = a->oldest + 1 == a->ring.block_count ? 0 : a->oldest + 1;
		a->out--;
		a->used--;
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

int afpacket_make_ring(struct afpacket *a, int fd, struct afpacket_plan *plan, struct error *error)
{
	int result = afpacket_ring_create(fd, plan, &a->ring, error);

	if (result != 0)
		return result;
	a->walking = false;
	a->next = a->oldest = a->out = a->frontier = a->used = 0;
	a->sequence = 1; /* kernel: prb_init_blk_gl_ctx counts blocks from 1 */
	return 0;
}

void afpacket_drop_socket(struct afpacket *a)
{
	read_counters(a);
	afpacket_ring_close(&a->ring);
	if (a->source.fd >= 0)
		close(a->source.fd);
	a->source.fd = -1;
	a->bound = 0;
	a->prepared = false;
}

static int afpacket_start(struct source *source, struct error *error)
{
	struct afpacket *a = afpacket_from(source);
	int result;

	/* Nothing has come in; what was counted before belongs to nobody. */
	read_counters(a);
	a->seen = a->dropped = a->freezes = 0;
	read_outside(a, false);
	result = filter_attach(a->source.fd, a->group->filter.kernel);
	if (result != 0)
		return error_set_errno(error, result, "cannot put the filter on %s", a->group->interface.name);
	return 0;
}

static void afpacket_stop(struct source *source)
{
	struct afpacket *a = afpacket_from(source);

	pthread_mutex_lock(&a->group->lock);
	a->stopped = true;
	if (a->source.fd >= 0)
		filter_attach_reject(a->source.fd);
	pthread_mutex_unlock(&a->group->lock);
	a->quiet_from_ns = afpacket_settle() ? 0 : clock_monotonic_ns() + SETTLE_NS;
}

void afpacket_group_close(struct afpacket_group *group)
{
	filter_live_close(&group->filter);
	pthread_mutex_destroy(&group->lock);
	free((char *)(uintptr_t)group->options.filter);
	free(group->members);
	free(group);
}

void afpacket_group_leave(struct afpacket_group *group)
{
	if (--group->open_members == 0)
		afpacket_group_close(group);
}

void afpacket_close(struct source *source)
{
	struct afpacket *a = afpacket_from(source);
	struct afpacket_group *group = a->group;

	afpacket_drop_socket(a);
	group->members[a->worker] = NULL;
	free(a->returned);
	free(a);
	afpacket_group_leave(group);
}

const struct source_ops afpacket_ops = {
	.name = "afpacket",
	.start = afpacket_start,
	.rx_burst = afpacket_rx_burst,
	.release = afpacket_release,
	.empty = afpacket_empty,
	.check = afpacket_check,
	.reopen = afpacket_reopen,
	.stop = afpacket_stop,
	.stats = afpacket_stats,
	.close = afpacket_close,
};
