#include "engine/sources/afxdp.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/sources/afxdp_internal.h"

static int afxdp_start(struct source *source, struct error *error)
{
	struct afxdp *afxdp = afxdp_from(source);
	int result;

	afxdp_clock_sample(&afxdp->pool.clock);
	result = afxdp_program_bind(afxdp->group->program, afxdp->queue, source->fd);
	if (result < 0)
		return error_set_errno(error, result, "cannot redirect queue %u of %s", afxdp->queue,
				       afxdp->group->device.name);
	return 0;
}

/* kernel: drives the driver (zero-copy, busy polling); does nothing in the copy modes. */
static void kick(struct afxdp *afxdp)
{
	afxdp->kicks++;
	recvfrom(afxdp->source.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static int afxdp_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct afxdp *afxdp = afxdp_from(source);
	unsigned count = afxdp_pool_rx(&afxdp->pool, frames, max);

	if (xsk_ring_prod__needs_wakeup(&afxdp->pool.fill) || (afxdp->busy_poll && count == 0))
		kick(afxdp);
	if (count > 0 || !afxdp->down || afxdp_pool_waiting(&afxdp->pool))
		return (int)count;
	if (afxdp->deleted)
		afxdp_count_cut_off(afxdp);
	return -ENETDOWN;
}

static void afxdp_release(struct source *source, uint32_t span)
{
	afxdp_pool_release(&afxdp_from(source)->pool, span);
}

void afxdp_read_statistics(const struct afxdp *afxdp, struct xdp_statistics *statistics)
{
	struct xdp_statistics now = { 0 };
	socklen_t length = sizeof now;

	*statistics = afxdp->before;
	if (afxdp->source.fd < 0 || getsockopt(afxdp->source.fd, SOL_XDP, XDP_STATISTICS, &now, &length) < 0)
		return;
	statistics->rx_dropped += now.rx_dropped;
	statistics->rx_ring_full += now.rx_ring_full;
	statistics->rx_fill_ring_empty_descs += now.rx_fill_ring_empty_descs;
	statistics->rx_invalid_descs += now.rx_invalid_descs;
}

/* While packets still come: the ring is empty. After stop: everything that was ever redirected has been
 * handed out or counted as lost, also what was on its way when the map entry went. */
static bool afxdp_empty(struct source *source)
{
	struct afxdp *afxdp = afxdp_from(source);
	struct xdp_statistics statistics;
	struct afxdp_counters counters;

	if (afxdp_pool_waiting(&afxdp->pool))
		return false;
	if (!afxdp->stopping)
		return true;
	afxdp_program_counters(afxdp->group->program, afxdp->queue, &counters);
	afxdp_read_statistics(afxdp, &statistics);
	return afxdp->pool.handed_out + statistics.rx_dropped + statistics.rx_ring_full + afxdp->cut_off >=
		       counters.redirected &&
	       !afxdp_pool_waiting(&afxdp->pool);
}

static int afxdp_check(struct source *source);

static void went_away(struct afxdp *afxdp, bool deleted)
{
	afxdp->losses_of_interface += !afxdp->down;
	afxdp->down = true;
	afxdp->deleted |= deleted;
}

/* A socket of an interface that is down says nothing of it. */
static void look_for_interface(struct afxdp *afxdp)
{
	uint64_t now = clock_monotonic_ns();
	struct interfaces_entry entry;

	if (now - afxdp->looked_ns < AFXDP_LOOK_MS * NS_PER_MS / 2)
		return;
	afxdp->looked_ns = now;
	if (interfaces_lookup_index(afxdp->bound, &entry) == 0 && !(entry.flags & IFF_UP))
		went_away(afxdp, false);
}

static bool afxdp_arm(struct source *source)
{
	struct afxdp *afxdp = afxdp_from(source);

	/* kernel: xsk_poll reports no EPOLLERR for the socket's error (since 5.4): look_ms brings us here. */
	if (!afxdp->down && afxdp_check(source) < 0)
		went_away(afxdp, true);
	if (!afxdp->down)
		look_for_interface(afxdp);
	if (xsk_ring_prod__needs_wakeup(&afxdp->pool.fill))
		kick(afxdp);
	/* Edge-triggered: what came since the last burst rang already. Without room only a returned span helps. */
	return afxdp->down || (afxdp_pool_waiting(&afxdp->pool) && afxdp_pool_has_room(&afxdp->pool));
}

static int afxdp_check(struct source *source)
{
	struct afxdp *afxdp = afxdp_from(source);
	int pending = 0;
	socklen_t length = sizeof pending;

	if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &pending, &length) < 0)
		return -errno;
	/* kernel: xsk_notifier, only when the device is unregistered. rx_burst says so when the ring is empty. */
	if (pending == ENETDOWN)
		went_away(afxdp, true);
	if (pending == 0 || pending == ENETDOWN)
		return 0;
	return error_set_errno(&source->error, -pending, "queue %u of %s failed", afxdp->queue,
			       afxdp->group->device.name);
}

static void afxdp_stop(struct source *source)
{
	struct afxdp *afxdp = afxdp_from(source);

	afxdp->stopping = true;
	afxdp_program_unbind(afxdp->group->program, afxdp->queue);
}

/* --- statistics ------------------------------------------------------------------------------- */

/* Packets of queues without a socket of ours: passed to the stack. */
static uint64_t uncaptured(const struct afxdp_group *group)
{
	struct afxdp_counters counters;
	uint64_t packets = 0;

	for (uint32_t queue = 0; queue < group->queues; queue++) {
		if (queue < AFXDP_QUEUES_MOST && group->captured[queue])
			continue;
		afxdp_program_counters(group->program, queue, &counters);
		packets += counters.unbound + counters.passed;
	}
	return packets;
}

static void mode_text(const struct afxdp *afxdp, char *text, size_t size)
{
	const struct afxdp_group *group = afxdp->group;

	snprintf(text, size, "%s%s%s%s%s",
		 afxdp->zerocopy			   ? "zero-copy"
		 : group->plan.mode == AFXDP_GENERIC	   ? "generic copy"
							   : "native copy",
		 group->plan.fragments ? ", multi-buffer" : "", afxdp->unaligned ? ", unaligned" : "",
		 afxdp->huge ? ", huge pages" : "", afxdp->busy_poll ? ", busy poll" : "");
}

static void afxdp_stats(struct source *source, struct source_stats *stats)
{
	struct afxdp *afxdp = afxdp_from(source);
	const struct afxdp_pool *pool = &afxdp->pool;
	struct xdp_statistics statistics;
	struct afxdp_counters counters;

	/* First what is inside seen, then seen: while running, seen is never behind. */
	stats->handed_out = pool->handed_out;
	afxdp_read_statistics(afxdp, &statistics);
	afxdp_program_counters(afxdp->group->program, afxdp->queue, &counters);
	stats->seen = counters.redirected;
	source_stats_add(stats->losses, &stats->loss_count, "rx_dropped", statistics.rx_dropped);
	source_stats_add(stats->losses, &stats->loss_count, "rx_ring_full", statistics.rx_ring_full);
	source_stats_add(stats->losses, &stats->loss_count, "interface_gone", afxdp->cut_off);
	source_stats_add(stats->outside, &stats->outside_count, "xdp_passed", counters.passed);
	source_stats_add(stats->outside, &stats->outside_count, "xdp_unbound", counters.unbound);
	if (afxdp->first)
		source_stats_add(stats->outside, &stats->outside_count, "xdp_other_queues", uncaptured(afxdp->group));
	source_stats_add(stats->events, &stats->event_count, "fill_ring_empty",
			 statistics.rx_fill_ring_empty_descs);
	source_stats_add(stats->events, &stats->event_count, "invalid_descs", statistics.rx_invalid_descs);
	source_stats_add(stats->events, &stats->event_count, "side_copies", pool->side_copies);
	source_stats_add(stats->events, &stats->event_count, "joined_frames", pool->joined);
	source_stats_add(stats->events, &stats->event_count, "without_timestamp", pool->unstamped);
	source_stats_add(stats->events, &stats->event_count, "no_room", pool->blocked);
	source_stats_add(stats->events, &stats->event_count, "kicks", afxdp->kicks);
	source_stats_add(stats->events, &stats->event_count, "interface_losses", afxdp->losses_of_interface);
	stats->spans_total = pool->chunk_count;
	stats->spans_held_most = pool->held_most;
	mode_text(afxdp, stats->mode, sizeof stats->mode);
}

/* --- the end ---------------------------------------------------------------------------------- */

void afxdp_close_socket(struct afxdp *afxdp)
{
	if (afxdp->socket != NULL)
		xsk_socket__delete(afxdp->socket);
	if (afxdp->umem != NULL)
		xsk_umem__delete(afxdp->umem);
	afxdp->socket = NULL;
	afxdp->umem = NULL;
	afxdp->source.fd = -1;
	afxdp_pool_close(&afxdp->pool);
	if (afxdp->area != NULL)
		munmap(afxdp->area, afxdp->area_size);
	if (afxdp->side != NULL)
		munmap(afxdp->side, afxdp->side_size);
	afxdp->area = afxdp->side = NULL;
}

void afxdp_group_close(struct afxdp_group *group)
{
	afxdp_program_close(group->program);
	afxdp_tags_restore(&group->guard);
	if (group->promiscuous >= 0)
		close(group->promiscuous);
	filter_live_close(&group->filter);
	filter_close(group->user);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

static void afxdp_close(struct source *source)
{
	struct afxdp *afxdp = afxdp_from(source);
	struct afxdp_group *group = afxdp->group;

	/* The program goes before the first socket does: no packet is redirected into a socket that closes. */
	if (group->program != NULL)
		afxdp_program_detach(group->program);
	afxdp_close_socket(afxdp);
	free(afxdp);
	if (--group->references == 0)
		afxdp_group_close(group);
}

const struct source_ops afxdp_ops = {
	.name = "afxdp",
	.start = afxdp_start,
	.rx_burst = afxdp_rx_burst,
	.release = afxdp_release,
	.empty = afxdp_empty,
	.arm = afxdp_arm,
	.check = afxdp_check,
	.reopen = afxdp_reopen,
	.stop = afxdp_stop,
	.stats = afxdp_stats,
	.close = afxdp_close,
};
