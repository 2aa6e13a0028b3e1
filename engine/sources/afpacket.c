#include "engine/sources/afpacket.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/clock.h"
#include "engine/sources/afpacket_internal.h"

#define SETTLE_NS (20 * NS_PER_MS)      /* instead of afpacket_settle where the kernel cannot */
#define SKEW_NS ((int64_t)NS_PER_SECOND) /* hardware clocks on TAI are 37 s ahead; PTP ones are within µs */
#define LINK_HEADER_MOST (ETH_HLEN + 2 * BLOCK_TAG_SIZE)

static struct afpacket *from_source(struct source *source)
{
	return (struct afpacket *)(void *)source;
}

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
	struct afpacket *a = from_source(source);

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
	struct afpacket *a = from_source(source);

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
	struct afpacket *a = from_source(source);
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
	struct afpacket *a = from_source(source);

	a->returned[span] = true;
	while (a->out > 0 && a->returned[a->oldest]) {
		a->returned[a->oldest] = false;
		block_walk_return(afpacket_block(&a->ring, a->oldest));
		a->oldest = a->oldest + 1 == a->ring.block_count ? 0 : a->oldest + 1;
		a->out--;
		a->used--;
	}
}

static void reset_walk(struct afpacket *a)
{
	a->walking = false;
	a->next = a->oldest = a->out = a->frontier = a->used = 0;
	a->sequence = 1; /* kernel: prb_init_blk_gl_ctx counts blocks from 1 */
	memset(a->returned, 0, a->source.span_count);
}

/* ---- trouble ------------------------------------------------------------------------------- */

/* The ring goes on where its oldest full block is: normally where we wait anyway. */
static void resynchronise(struct afpacket *a)
{
	uint64_t oldest_sequence = UINT64_MAX;
	uint32_t found = a->next;

	if (a->out > 0)
		return;
	for (uint32_t i = 0; i < a->ring.block_count; i++) {
		const struct tpacket_block_desc *block = afpacket_block(&a->ring, i);

		if (block_walk_acquire(block) && block->hdr.bh1.seq_num < oldest_sequence) {
			oldest_sequence = block->hdr.bh1.seq_num;
			found = i;
		}
	}
	if (found == a->next)
		return;
	a->resyncs++;
	a->next = a->oldest = a->frontier = found;
	a->used = 0;
}

static int afpacket_check(struct source *source)
{
	struct afpacket *a = from_source(source);
	socklen_t size = sizeof(int);
	int pending = 0;

	if (a->source.fd < 0 || getsockopt(a->source.fd, SOL_SOCKET, SO_ERROR, &pending, &size) < 0)
		return 0;
	if (pending == ENETDOWN) {
		a->losses_of_interface += !a->away;
		a->away = true;
		a->settled = false;
		return 0; /* rx_burst says it when the ring is dry */
	}
	if (pending == 0 || pending == EAGAIN || pending == EINTR || pending == ENOBUFS) {
		resynchronise(a);
		return 0;
	}
	return error_set_errno(&a->source.error, -pending, "the packet ring of %s failed", a->group->interface.name);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int make_ring(struct afpacket *a, int fd, struct afpacket_plan *plan, struct error *error)
{
	int result = afpacket_ring_create(fd, plan, &a->ring, error);

	if (result == 0)
		reset_walk(a);
	return result;
}

/* At most as many blocks as at first: the return queue was sized for those. */
static int remake_ring(struct afpacket *a, int fd)
{
	struct afpacket_plan plan = a->group->plan;

	plan.block_count = a->source.span_count;
	return make_ring(a, fd, &plan, &a->source.error);
}

static void drop_socket(struct afpacket *a)
{
	read_counters(a);
	afpacket_ring_close(&a->ring);
	if (a->source.fd >= 0)
		close(a->source.fd);
	a->source.fd = -1;
	a->bound = 0;
	a->prepared = false;
}

/* A new socket in place of the one whose interface is gone. -EAGAIN: it went away again meanwhile. */
static int replace_socket(struct afpacket *a, uint32_t index)
{
	struct afpacket_group *group = a->group;
	struct error *error = &a->source.error;
	int fd, result;

	/* Opened before the old one is closed, so that its number is another one and nobody takes it
	 * for the same socket; the old ring's memory is given back before the new one is made. */
	result = afpacket_socket_open(group, &fd, error);
	if (result != 0)
		return result;
	drop_socket(a);
	a->source.fd = fd;
	result = remake_ring(a, fd);
	if (result == 0)
		result = afpacket_socket_bind(group, fd, index, error);
	if (result == 0)
		result = afpacket_socket_join(group, fd, error);
	if (result != 0) {
		drop_socket(a);
		return result == -ENODEV || result == -ENXIO || result == -ENETDOWN ? -EAGAIN : result;
	}
	a->bound = index;
	a->prepared = true;
	return 0;
}

/* Lets packets in on all members, once each has a socket on the interface as it is now. */
static int let_in_together(struct afpacket_group *group)
{
	for (unsigned i = 0; i < group->worker_count; i++) {
		if (group->members[i] != NULL && group->members[i]->bound != group->index)
			return -EAGAIN;
	}
	for (unsigned i = 0; i < group->worker_count; i++) {
		struct afpacket *member = group->members[i];

		if (member != NULL && member->prepared && !member->stopped)
			filter_attach(member->source.fd, group->filter.kernel);
		if (member != NULL)
			member->prepared = false;
	}
	return 0;
}

/* The socket's interface was deleted: prepare a new one if an interface of that name is there and up. */
static int come_back(struct afpacket *a)
{
	struct afpacket_group *group = a->group;
	struct interfaces_entry now;
	int result;

	if (interfaces_lookup(group->interface.name, &now, NULL) != 0 || !(now.flags & IFF_UP))
		return -EAGAIN;
	if (now.link_type != group->interface.link_type || now.form != group->interface.form)
		return error_set(&a->source.error, -EPROTO, "%s came back as another kind of interface",
				 group->interface.name);
	if (now.index != group->index) {
		group->index = now.index;
		group->fanout = -1;
	}
	result = replace_socket(a, now.index);
	return result != 0 ? result : let_in_together(group);
}

static int afpacket_reopen(struct source *source)
{
	struct afpacket *a = from_source(source);
	struct interfaces_entry now;
	uint32_t bound;
	int result;

	pthread_mutex_lock(&a->group->lock);
	bound = a->source.fd >= 0 ? afpacket_socket_bound(a->source.fd) : 0;
	if (bound == 0)
		result = come_back(a);
	else if (a->prepared)
		result = let_in_together(a->group);
	else
		result = interfaces_lookup_index(bound, &now) == 0 && now.flags & IFF_UP ? 0 : -EAGAIN;
	pthread_mutex_unlock(&a->group->lock);
	if (result == 0) {
		a->away = false;
		a->quiet_from_ns = 0;
	}
	return result;
}

static int afpacket_start(struct source *source, struct error *error)
{
	struct afpacket *a = from_source(source);
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
	struct afpacket *a = from_source(source);

	pthread_mutex_lock(&a->group->lock);
	a->stopped = true;
	if (a->source.fd >= 0)
		filter_attach_reject(a->source.fd);
	pthread_mutex_unlock(&a->group->lock);
	a->quiet_from_ns = afpacket_settle() ? 0 : clock_monotonic_ns() + SETTLE_NS;
}

static void group_close(struct afpacket_group *group)
{
	filter_live_close(&group->filter);
	pthread_mutex_destroy(&group->lock);
	free((char *)(uintptr_t)group->options.filter);
	free(group->members);
	free(group);
}

static void afpacket_close(struct source *source)
{
	struct afpacket *a = from_source(source);
	struct afpacket_group *group = a->group;

	drop_socket(a);
	group->members[a->worker] = NULL;
	free(a->returned);
	free(a);
	if (--group->open_members == 0)
		group_close(group);
}

static const struct source_ops afpacket_ops = {
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

/* ---- open ---------------------------------------------------------------------------------- */

static int open_member(struct afpacket_group *group, unsigned worker, struct error *error)
{
	struct afpacket *a = calloc(1, sizeof *a);
	int fd, result;

	if (a == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", group->interface.name);
	a->source = (struct source){ .ops = &afpacket_ops, .fd = -1, .live = true,
				     .drain_ms = 2 * group->plan.timeout_ms + 1 };
	a->group = group;
	a->worker = worker;
	group->members[worker] = a;
	group->open_members++;
	result = afpacket_socket_open(group, &fd, error);
	if (result != 0)
		return result;
	a->source.fd = fd;
	/* The first worker's plan is what was asked for; a fallback holds for those after it too. */
	result = afpacket_ring_create(fd, &group->plan, &a->ring, error);
	if (result != 0)
		return result;
	a->source.span_count = a->ring.block_count;
	a->returned = calloc(a->ring.block_count, sizeof *a->returned);
	if (a->returned == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", group->interface.name);
	reset_walk(a);
	result = afpacket_socket_bind(group, fd, group->index, error);
	if (result == 0)
		result = afpacket_socket_join(group, fd, error);
	a->bound = group->index;
	return result;
}

static enum block_walk_mode walk_mode(const struct interfaces_entry *interface)
{
	if (interface->form == INTERFACES_COOKED)
		return BLOCK_WALK_COOKED;
	return interface->link_type == LINK_ETHERNET ? BLOCK_WALK_ETHERNET : BLOCK_WALK_PLAIN;
}

static int add_to_table(const struct afpacket_group *group, struct interface_table *table, uint16_t *index,
			struct error *error)
{
	struct interface interface = {
		.kernel_index = group->interface.index,
		.link_type = group->interface.link_type,
		.snap_length = group->options.snap_length,
		.user_filter = group->filter.user,
	};
	int result;

	snprintf(interface.name, sizeof interface.name, "%s", group->interface.name);
	snprintf(interface.description, sizeof interface.description, "%s", group->interface.description);
	snprintf(interface.filter, sizeof interface.filter, "%s",
		 group->options.filter != NULL ? group->options.filter : "");
	memcpy(interface.mac, group->interface.mac, sizeof interface.mac);
	result = interface_table_add(table, &interface, index);
	return result == 0 ? 0 : error_set_errno(error, result, "cannot add %s to the interfaces", interface.name);
}

/* Whether the device merges packets: told by how, and told to the walk, which then marks what is longer than
 * any frame of this device. kernel: before 6.3 nothing in the ring says so, and for UDP nothing does still. */
static void look_at_offloads(struct afpacket_group *group, struct source_report *report)
{
	const struct interfaces_entry *interface = &group->interface;
	char offloads[64];

	if (interface->index == 0 || interface->hardware_type == ARPHRD_LOOPBACK)
		return;
	if (interface->form == INTERFACES_WITH_LINK && interface->mtu != 0)
		group->walk.wire_most = interface->mtu + LINK_HEADER_MOST;
	afpacket_host_offloads(interface->name, offloads, sizeof offloads);
	if (offloads[0] != '\0')
		source_report_note(report, "frames on %s may be several packets merged (ethtool -K %s %s ends that)",
				   interface->name, interface->name, offloads);
}

static void write_report(const struct afpacket_group *group, struct source_report *report)
{
	static const char *const modes[] = { "flow hash", "CPU", "queue", "turns", "rollover" };
	const struct afpacket_plan *plan = &group->plan;
	double ring_mib = (double)plan->block_size * plan->block_count / (1 << 20);
	double asked_mib = (double)plan->asked / (1 << 20);
	char sharing[48] = "";

	if (report == NULL)
		return;
	if (group->worker_count > 1)
		snprintf(sharing, sizeof sharing, " each for %u workers by %s", group->worker_count,
			 modes[group->options.fanout]);
	snprintf(report->summary, sizeof report->summary, "%s%s, TPACKET_V3, %.4g MiB ring%s",
		 interfaces_link_name(group->interface.link_type), group->promiscuous ? ", promiscuous" : "", ring_mib,
		 sharing);
	if (ring_mib < asked_mib / 2 && plan->block_count > 2)
		source_report_note(report, "the ring of %s is %.4g MiB, not %.4g: there was no memory for more",
				   group->interface.name, ring_mib, asked_mib);
	if (group->options.snap_length > plan->block_size - 256)
		source_report_note(report, "packets on %s are cut to a block: %u bytes", group->interface.name,
				   plan->block_size);
	if (group->filter.user != NULL)
		source_report_note(report, "the filter on %s runs in the worker, not in the kernel: %s",
				   group->interface.name, group->filter.why);
	if (group->options.time_hardware && !group->time_hardware)
		source_report_note(report, "%s gives no hardware timestamps; the kernel's are used",
				   group->interface.name);
}

static int prepare_group(struct afpacket_group *group, const char *name, struct source_report *report,
			 struct error *error)
{
	struct source_options *options = &group->options;
	int result = interfaces_lookup(name, &group->interface, error);

	if (result != 0)
		return result;
	if (!(group->interface.flags & IFF_UP)) {
		error_set(error, -ENETDOWN, "interface %s is down", name);
		error_hint(error, "ip link set %s up", name);
		return -ENETDOWN;
	}
	result = afpacket_ring_plan(options, group->worker_count, &group->plan, error);
	if (result != 0)
		return result;
	result = filter_live_compile(options->filter, &group->interface, options->snap_length, options->direction,
				     &group->filter, error);
	if (result != 0)
		return result;
	group->index = group->interface.index;
	group->promiscuous = options->promiscuous && group->index != 0 &&
			     group->interface.hardware_type != ARPHRD_LOOPBACK;
	group->time_hardware = options->time_hardware && group->index != 0 && afpacket_host_time_hardware(name) == 0;
	group->walk.mode = walk_mode(&group->interface);
	group->walk.link_type = group->interface.link_type;
	group->walk.snap_length = options->snap_length;
	look_at_offloads(group, report);
	return 0;
}

static int group_create(const char *name, unsigned workers, const struct source_options *options,
			struct source_report *report, struct afpacket_group **out, struct error *error)
{
	struct afpacket_group *group = calloc(1, sizeof *group);
	int result = -ENOMEM;

	*out = NULL;
	if (group == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", name);
	pthread_mutex_init(&group->lock, NULL);
	group->worker_count = workers;
	group->fanout = -1;
	group->options = *options;
	group->options.filter = options->filter != NULL ? strdup(options->filter) : NULL;
	group->members = calloc(workers, sizeof(struct afpacket *));
	if (group->members == NULL || (options->filter != NULL && group->options.filter == NULL))
		error_set_errno(error, result, "cannot open %s", name);
	else
		result = prepare_group(group, name, report, error);
	if (result != 0) {
		group_close(group);
		return result;
	}
	*out = group;
	return 0;
}

int afpacket_open(const char *interface_name, unsigned workers, const struct source_options *options,
		  struct interface_table *table, struct source **sources, struct source_report *report,
		  struct error *error)
{
	struct afpacket_group *group;
	uint16_t index = 0;
	int result;

	if (report != NULL)
		*report = (struct source_report){ 0 };
	if (workers < 1 || workers > AFPACKET_WORKERS_MOST)
		return error_set(error, -EINVAL, "%u workers cannot share an interface (1 to %d can)", workers,
				 AFPACKET_WORKERS_MOST);
	result = group_create(interface_name, workers, options, report, &group, error);
	if (result != 0)
		return result;
	for (unsigned i = 0; i < workers && result == 0; i++)
		result = open_member(group, i, error);
	if (result == 0)
		result = add_to_table(group, table, &index, error);
	group->walk.interface = index;
	for (unsigned i = 0, open = group->open_members; i < open; i++) {
		/* The last member that closes takes the group with it. */
		struct afpacket *member = group->members[i];

		member->source.interface = index;
		if (result == 0)
			sources[i] = &member->source;
		else
			afpacket_close(&member->source);
	}
	if (result == 0)
		write_report(group, report);
	return result;
}
