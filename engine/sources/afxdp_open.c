#include "engine/sources/afxdp.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/sources/afxdp_host.h"
#include "engine/sources/afxdp_internal.h"
#include "engine/uapi.h"

/* As much as the other backends' rings, for up to four queues together: at a million packets a second its half lasts 16 ms,
 * for which a worker may be kept from its CPU. */
#define UMEM_DEFAULT (UINT64_C(64) << 20)
#define UMEM_ALL_QUEUES (4 * UMEM_DEFAULT)
#define CHUNKS_LEAST 256
#define SIDE_DEFAULT 1024
#define DRAIN_MS 1000
#define COALESCE_US 100 /* of latency, for the batch that comes in that time */
#define COALESCE_CHUNKS 8192 /* that many chunks bear it: at 10 Gbit/s 60-byte packets take a fifth of them meanwhile */

#define PLANS_MOST 6

/* --- what to try ------------------------------------------------------------------------------ */

static uint32_t chunk_size_for(const struct afxdp_options *afxdp, const struct interfaces_entry *device)
{
	uint32_t frame = device->mtu + AFXDP_LINK_OVERHEAD + AFXDP_HEADROOM;

	if (afxdp->chunk_size != 0)
		return afxdp->chunk_size;
	if (frame <= AFXDP_CHUNK_SMALL)
		return AFXDP_CHUNK_SMALL;
	return afxdp->unaligned && frame < AFXDP_CHUNK_LARGE ? (frame + 63) & ~63u : AFXDP_CHUNK_LARGE;
}

static unsigned make_plans(const struct afxdp_options *afxdp, bool jumbo, struct afxdp_plan *plans)
{
	const uint16_t zerocopy = XDP_ZEROCOPY | XDP_USE_NEED_WAKEUP, copy = XDP_COPY | XDP_USE_NEED_WAKEUP;
	enum afxdp_mode mode = afxdp->mode;
	unsigned count = 0;

	/* Zero-copy drivers with frames of several buffers are few: not asked for without need. */
	if (mode == AFXDP_AUTO || mode == AFXDP_ZEROCOPY)
		plans[count++] = (struct afxdp_plan){ AFXDP_NATIVE, jumbo ? zerocopy | XDP_USE_SG : zerocopy, jumbo };
	for (unsigned way = AFXDP_NATIVE; way <= AFXDP_GENERIC; way++) {
		if (mode != AFXDP_AUTO && mode != way)
			continue;
		plans[count++] = (struct afxdp_plan){ way, copy | XDP_USE_SG, true };
		if (!jumbo)
			plans[count++] = (struct afxdp_plan){ way, copy, false };
	}
	return count;
}

/* --- the program ------------------------------------------------------------------------------ */

/* A filter that XDP cannot run would be run by the worker, behind the redirection: all packets are taken. */
static int leave_filter_to_worker(struct afxdp_group *group, bool steal, const char *why,
				  struct source_report *report, struct error *error)
{
	int result;

	if (!steal) {
		char cause[160];

		snprintf(cause, sizeof cause, "%.150s", why);
		error_set(error, -EOPNOTSUPP, "%s, so that every packet of %s would be taken from the stack", cause,
			  group->device.name);
		return error_hint(error, "--steal if that is meant; --backend afpacket takes none");
	}
	source_report_note(report, "the filter runs in user space: %s", why);
	if (group->filter.user != NULL || group->user != NULL)
		return 0;
	result = filter_compile(group->options.filter, LINK_ETHERNET, &group->user, error);
	return result;
}

static int load_program(struct afxdp_group *group, const struct afxdp_options *options, bool fragments,
			struct source_report *report, struct error *error)
{
	bool wanted = group->options.filter != NULL && group->options.filter[0] != 0;
	const struct filter_program *filter = wanted && group->filter.user == NULL && group->user == NULL
						      ? group->filter.kernel
						      : NULL;
	int result = afxdp_program_load(group->queues, filter, fragments, &group->program, error);

	if (result != -EOPNOTSUPP || filter == NULL)
		return result;
	result = leave_filter_to_worker(group, options->steal, error->message, report, error);
	if (result < 0)
		return result;
	return afxdp_program_load(group->queues, NULL, fragments, &group->program, error);
}

/* --- all queues ------------------------------------------------------------------------------- */

static void undo(struct afxdp_group *group, struct source **sources, unsigned count)
{
	afxdp_program_close(group->program);
	group->program = NULL;
	for (unsigned i = 0; i < count; i++)
		afxdp_close_socket((struct afxdp *)sources[i]);
}

static int try_plan(struct afxdp_group *group, const struct afxdp_options *options, const struct afxdp_plan *plan,
		    struct source **sources, unsigned count, struct source_report *report, struct error *error)
{
	int result = 0;

	for (unsigned i = 0; i < count && result == 0; i++)
		result = afxdp_queue_open((struct afxdp *)sources[i], plan, error);
	if (result == 0)
		result = load_program(group, options, plan->fragments, report, error);
	if (result == 0)
		result = afxdp_program_attach(group->program, &group->device, plan->mode, error);
	if (result < 0)
		undo(group, sources, count);
	group->plan = *plan;
	return result;
}

/* Whether another plan may succeed where this one failed. */
static bool is_final(int result)
{
	return result == 0 || result == -EBUSY || result == -EPERM || result == -ENODEV || result == -ENETDOWN ||
	       result == -ENOMEM || result == -ENOBUFS;
}

static int try_plans(struct afxdp_group *group, const struct afxdp_options *options, struct source **sources,
		     unsigned count, struct source_report *report, struct error *error)
{
	uint32_t chunk = ((struct afxdp *)sources[0])->pool.chunk_size;
	bool jumbo = group->device.mtu + AFXDP_LINK_OVERHEAD + AFXDP_HEADROOM > chunk;
	struct afxdp_plan plans[PLANS_MOST];
	unsigned plan_count = make_plans(options, jumbo, plans);
	int result = -EOPNOTSUPP;

	for (unsigned i = 0; i < plan_count; i++) {
		result = try_plan(group, options, &plans[i], sources, count, report, error);
		if (is_final(result))
			break;
	}
	return result;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int check_options(const struct afxdp_group *group, const struct afxdp_options *afxdp, uint32_t in_use,
			 struct error *error)
{
	const struct interfaces_entry *device = &group->device;
	uint32_t chunk = afxdp->chunk_size;

	if (device->index == 0 || device->link_type != LINK_ETHERNET)
		return error_set(error, -EINVAL, "AF_XDP captures on Ethernet devices only, not on %s", device->name);
	if (!(device->flags & IFF_UP)) {
		error_set(error, -ENETDOWN, "%s is down", device->name);
		return error_hint(error, "ip link set %s up", device->name);
	}
	if (group->options.direction == SOURCE_OUT) {
		error_set(error, -EINVAL, "AF_XDP sees received packets only");
		return error_hint(error, "-Q in, or --backend afpacket");
	}
	if (group->options.time_hardware) {
		error_set(error, -EINVAL, "the afxdp backend has no hardware timestamps");
		return error_hint(error, "--backend afpacket has");
	}
	if (chunk != 0 && (chunk < AFXDP_CHUNK_SMALL || chunk > AFXDP_CHUNK_LARGE || (!afxdp->unaligned && chunk & (chunk - 1))))
		return error_set(error, -EINVAL, "chunks are of 2048 or 4096 bytes (unaligned: between), not %u", chunk);
	for (unsigned i = 0; i < afxdp->queue_count; i++) {
		if (afxdp->queues[i] >= in_use || afxdp->queues[i] >= AFXDP_QUEUES_MOST) {
			error_set(error, -EINVAL, "%s has no queue %u", device->name, afxdp->queues[i]);
			return error_hint(error, "it has %u: 0 to %u", in_use, in_use - 1);
		}
	}
	return 0;
}

/* A smaller memory is looked at more often; who polls wants no pause. */
static uint32_t coalesce_us(const struct afxdp_options *options, uint32_t chunk_count)
{
	if (options->busy_poll_us != 0)
		return 0;
	return chunk_count < COALESCE_CHUNKS ? COALESCE_US * chunk_count / COALESCE_CHUNKS + 1 : COALESCE_US;
}

static struct afxdp *make_source(struct afxdp_group *group, const struct afxdp_options *options,
				 uint32_t queue, unsigned queue_count)
{
	uint64_t umem = queue_count <= 4 ? UMEM_DEFAULT : UMEM_ALL_QUEUES / queue_count;
	struct afxdp *afxdp = calloc(1, sizeof *afxdp);
	struct afxdp_pool *pool;
	uint64_t chunks;

	if (afxdp == NULL)
		return NULL;
	pool = &afxdp->pool;
	pool->chunk_size = chunk_size_for(options, &group->device);
	chunks = (group->options.ring_size != 0 ? group->options.ring_size : umem) / pool->chunk_size;
	pool->chunk_count = chunks < CHUNKS_LEAST ? CHUNKS_LEAST : chunks > 1u << 24 ? 1u << 24 : (uint32_t)chunks;
	pool->chunk_count &= ~1u; /* kernel: the area is whole pages */
	pool->share = pool->chunk_count / 2;
	pool->side_count = options->side_packets != 0 ? options->side_packets : SIDE_DEFAULT;
	pool->snap_length = group->options.snap_length;
	pool->headers_only = group->options.headers_only;
	memcpy(pool->mac, group->device.mac, sizeof pool->mac);
	afxdp->group = group;
	afxdp->queue = queue;
	afxdp->unaligned = options->unaligned;
	afxdp->source = (struct source){
		.ops = &afxdp_ops,
		.fd = -1,
		.live = true,
		.drain_ms = DRAIN_MS,
		.look_ms = AFXDP_LOOK_MS,
		.coalesce_us = coalesce_us(options, pool->chunk_count),
		.span_count = pool->chunk_count + pool->side_count,
	};
	group->references++;
	if (queue < AFXDP_QUEUES_MOST)
		group->captured[queue] = true;
	return afxdp;
}

static int make_sources(struct afxdp_group *group, const struct afxdp_options *options, uint32_t in_use,
			struct source **sources, unsigned *count, struct error *error)
{
	unsigned wanted = options->queue_count != 0 ? options->queue_count : in_use;

	if (wanted > AFXDP_QUEUES_MOST)
		return error_set(error, -EINVAL, "%s has %u queues, more than %u", group->device.name, wanted,
				 AFXDP_QUEUES_MOST);
	for (*count = 0; *count < wanted; (*count)++) {
		struct afxdp *afxdp = make_source(group, options,
						  options->queue_count != 0 ? options->queues[*count] : *count, wanted);

		if (afxdp == NULL)
			return error_set(error, -ENOMEM, "no memory for an AF_XDP socket");
		afxdp->first = *count == 0;
		sources[*count] = &afxdp->source;
	}
	return 0;
}

static int add_to_table(struct afxdp_group *group, struct interface_table *table, struct source **sources,
			unsigned count, struct error *error)
{
	const struct interfaces_entry *device = &group->device;
	struct interface entry = {
		.kernel_index = device->index,
		.link_type = device->link_type,
		.snap_length = group->options.snap_length,
		.user_filter = group->user != NULL ? group->user : group->filter.user,
	};
	int result;

	snprintf(entry.name, sizeof entry.name, "%s", device->name);
	snprintf(entry.description, sizeof entry.description, "%s", device->description);
	snprintf(entry.filter, sizeof entry.filter, "%s", group->options.filter ? group->options.filter : "");
	memcpy(entry.mac, device->mac, sizeof entry.mac);
	result = interface_table_add(table, &entry, &sources[0]->interface);
	if (result < 0)
		return error_set_errno(error, result, "cannot note %s", entry.name);
	for (unsigned i = 0; i < count; i++)
		((struct afxdp *)sources[i])->pool.interface = sources[i]->interface = sources[0]->interface;
	return 0;
}

static void fill_report(struct source **sources, unsigned count, struct source_report *report)
{
	struct source_stats stats = { 0 };

	if (report == NULL)
		return;
	afxdp_ops.stats(sources[0], &stats);
	snprintf(report->summary, sizeof report->summary, "Ethernet, AF_XDP %s, %u queue%s, %zu MiB each",
		 stats.mode, count, count == 1 ? "" : "s", ((struct afxdp *)sources[0])->area_size >> 20);
}

/* What does not depend on the mode. */
static int prepare(struct afxdp_group *group, const struct afxdp_options *afxdp, uint32_t *in_use,
		   struct source_report *report, struct error *error)
{
	struct interfaces_entry plain = group->device;
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int result;

	*in_use = afxdp_host_queues(&group->device, &group->queues);
	result = check_options(group, afxdp, *in_use, error);
	if (result == 0 && !afxdp->steal)
		result = afxdp_host_may_steal(&group->device, error);
	/* Only received packets come here: no direction to enforce, which XDP could not see. */
	plain.hardware_type = ARPHRD_ETHER;
	if (result == 0)
		result = filter_live_compile(group->options.filter, &plain, group->options.snap_length,
					     SOURCE_IN_OUT, &group->filter, error);
	if (result == 0 && group->filter.user != NULL)
		result = leave_filter_to_worker(group, afxdp->steal, group->filter.why, report, error);
	if (result < 0)
		return result;
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* what cannot be had shows when the UMEM is registered */
	result = afxdp_tags_keep(&group->device, &group->guard, report, error);
	if (result == 0 && group->options.promiscuous)
		result = afxdp_host_promiscuous(&group->device, &group->promiscuous, error);
	return result;
}

int afxdp_open(const char *interface, const struct afxdp_options *afxdp, const struct source_options *options,
	       struct interface_table *table, struct source **sources, unsigned *count,
	       struct source_report *report, struct error *error)
{
	struct afxdp_group *group = calloc(1, sizeof *group);
	struct error unseen;
	uint32_t in_use;
	int result;

	*count = 0;
	error = error != NULL ? error : &unseen;
	if (group == NULL)
		return error_set(error, -ENOMEM, "no memory for AF_XDP");
	group->promiscuous = group->guard.pipe = -1;
	group->options = *options;
	group->afxdp = *afxdp;
	group->afxdp.queues = NULL;
	pthread_mutex_init(&group->lock, NULL);
	result = interfaces_lookup(interface, &group->device, error);
	if (result == 0)
		result = prepare(group, afxdp, &in_use, report, error);
	if (result == 0)
		result = make_sources(group, afxdp, in_use, sources, count, error);
	if (result == 0)
		result = try_plans(group, afxdp, sources, *count, report, error);
	if (result == 0)
		result = add_to_table(group, table, sources, *count, error);
	if (result == 0) {
		group->attached = group->device.index;
		for (unsigned i = 0; i < *count; i++)
			((struct afxdp *)sources[i])->bound = group->device.index;
		fill_report(sources, *count, report);
		return 0;
	}
	if (*count == 0)
		afxdp_group_close(group);
	for (unsigned i = 0; i < *count; i++)
		sources[i]->ops->close(sources[i]);
	*count = 0;
	return result;
}
