#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/sources/afpacket_internal.h"

#define LATE_TIMER_MS 1000 /* a busy machine's retire timer runs late; `empty` mostly ends the wait before */
/* The worker wakes for each block that the kernel fills; one that comes back meanwhile is not missed until as large
 * a part of the ring as this is back. */
#define SPANS_LAZY_SHARE 8
#define LINK_HEADER_MOST (ETH_HLEN + 2 * BLOCK_TAG_SIZE)

static int open_member(struct afpacket_group *group, unsigned worker, struct error *error)
{
	struct afpacket *a = calloc(1, sizeof *a);
	int fd, result;

	if (a == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", group->interface.name);
	a->source = (struct source){ .ops = &afpacket_ops, .fd = -1, .live = true,
				     .drain_ms = 2 * group->plan.timeout_ms + LATE_TIMER_MS };
	a->group = group;
	a->worker = worker;
	group->members[worker] = a;
	group->open_members++;
	result = afpacket_socket_open(group, &fd, error);
	if (result != 0)
		return result;
	a->source.fd = fd;
	/* The first worker's plan is what was asked for; a fallback holds for those after it too. */
	result = afpacket_make_ring(a, fd, &group->plan, error);
	if (result != 0)
		return result;
	a->source.span_count = a->ring.block_count;
	a->source.burst = SOURCE_BURST_SHORT;
	a->source.spans_lazy = a->ring.block_count / SPANS_LAZY_SHARE;
	a->returned = calloc(a->ring.block_count, sizeof *a->returned);
	if (a->returned == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", group->interface.name);
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

/* Whether the device merges packets: said in the report, and to the walk, which then marks what is longer
 * than any frame of this device. kernel: before 6.3 the ring does not say so, and of UDP still not. */
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
		source_report_note(report, "frames may be several packets merged (ethtool -K %s %s ends that)",
				   interface->name, offloads);
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
		source_report_note(report, "the ring is %.4g MiB, not %.4g: there was no memory for more", ring_mib,
				   asked_mib);
	if (group->options.snap_length > plan->block_size - 256)
		source_report_note(report, "packets are cut to a block: %u bytes", plan->block_size);
	if (group->filter.user != NULL)
		source_report_note(report, "the filter runs in the worker, not in the kernel: %s", group->filter.why);
	if (group->options.time_hardware && !group->time_hardware)
		source_report_note(report, "it gives no hardware timestamps; the kernel's are used");
}

static int prepare_group(struct afpacket_group *group, const char *name, struct source_report *report,
			 struct error *error)
{
	struct source_options *options = &group->options;
	int fd, result = interfaces_lookup(name, &group->interface, error);

	/* First of all, so that someone without permission is told that and no more. */
	if (result == 0)
		result = afpacket_socket_open(group, &fd, error);
	if (result != 0)
		return result;
	close(fd);
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
		afpacket_group_close(group);
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
	/* Held by this function too, until it has looked at all members. */
	group->open_members++;
	for (unsigned i = 0; i < workers && result == 0; i++)
		result = open_member(group, i, error);
	if (result == 0)
		result = add_to_table(group, table, &index, error);
	group->walk.interface = index;
	for (unsigned i = 0; i < workers && group->members[i] != NULL; i++) {
		struct afpacket *member = group->members[i];

		member->source.interface = index;
		if (result == 0)
			sources[i] = &member->source;
		else
			afpacket_close(&member->source);
	}
	if (result == 0)
		write_report(group, report);
	afpacket_group_leave(group);
	return result;
}
