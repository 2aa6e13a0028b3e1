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

#define CHUNKS_DEFAULT 8192
#define CHUNKS_LEAST 256
#define CHUNK_SMALL 2048u
#define CHUNK_LARGE 4096u
#define RX_MOST 4096            /* descs: the burst that is absorbed while the worker sleeps */
#define SIDE_DEFAULT 1024
#define SIDE_JOINED 69632       /* bytes: a 64 KiB frame with its headers, several cache sets */
#define HUGE_PAGE (2u << 20)
#define KERNEL_HEADROOM 256     /* kernel: XDP_PACKET_HEADROOM, of every chunk */
#define LINK_OVERHEAD 22        /* Ethernet and two tags, above the MTU */
#define DRAIN_MS 1000
#define LOOK_MS 500             /* how late a deleted interface may be noticed */
#define COALESCE_US 100 /* of latency, for the batch that comes in that time */
#define BUSY_BUDGET 64
#define BUSY_TRIES 25
#define BUSY_WAIT_US 20000

/* One way to open, tried in order. */
struct plan {
	enum afxdp_mode mode;  /* NATIVE or GENERIC: how the program is attached */
	uint16_t bind_flags;
	bool fragments;
};

#define PLANS_MOST 6

static uint32_t power_of_two(uint32_t least)
{
	uint32_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

/* --- what to try ------------------------------------------------------------------------------ */

static uint32_t chunk_size_for(const struct afxdp_options *afxdp, const struct interfaces_entry *device)
{
	uint32_t frame = device->mtu + LINK_OVERHEAD + KERNEL_HEADROOM;

	if (afxdp->chunk_size != 0)
		return afxdp->chunk_size;
	if (frame <= CHUNK_SMALL)
		return CHUNK_SMALL;
	return afxdp->unaligned && frame < CHUNK_LARGE ? (frame + 63) & ~63u : CHUNK_LARGE;
}

static unsigned make_plans(const struct afxdp_options *afxdp, bool jumbo, struct plan *plans)
{
	const uint16_t zerocopy = XDP_ZEROCOPY | XDP_USE_NEED_WAKEUP, copy = XDP_COPY | XDP_USE_NEED_WAKEUP;
	enum afxdp_mode mode = afxdp->mode;
	unsigned count = 0;

	/* Zero-copy drivers with frames of several buffers are few: not asked for without need. */
	if (mode == AFXDP_AUTO || mode == AFXDP_ZEROCOPY)
		plans[count++] = (struct plan){ AFXDP_NATIVE, jumbo ? zerocopy | XDP_USE_SG : zerocopy, jumbo };
	for (unsigned way = AFXDP_NATIVE; way <= AFXDP_GENERIC; way++) {
		if (mode != AFXDP_AUTO && mode != way)
			continue;
		plans[count++] = (struct plan){ way, copy | XDP_USE_SG, true };
		if (!jumbo)
			plans[count++] = (struct plan){ way, copy, false };
	}
	return count;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void *map(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int make_memory(struct afxdp *afxdp, const struct afxdp_options *options, bool fragments)
{
	struct afxdp_pool *pool = &afxdp->pool;
	size_t wanted = (size_t)pool->chunk_size * pool->chunk_count;

	afxdp->area_size = (wanted + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	afxdp->area = map(afxdp->area_size, MAP_HUGETLB);
	afxdp->huge = afxdp->area != NULL;
	if (!afxdp->huge)
		afxdp->area = map(afxdp->area_size, 0);
	if (afxdp->area == NULL)
		return -ENOMEM;
	if (!afxdp->huge)
		madvise(afxdp->area, afxdp->area_size, MADV_HUGEPAGE);
	pool->area = afxdp->area;

	pool->side_count = options->side_packets != 0 ? options->side_packets : SIDE_DEFAULT;
	pool->side_stride = fragments ? SIDE_JOINED : pool->chunk_size;
	/* Pages that no copy reaches are never touched. */
	afxdp->side_size = pool->side_stride * pool->side_count;
	afxdp->side = map(afxdp->side_size, MAP_NORESERVE);
	pool->side = afxdp->side;
	return afxdp->side == NULL ? -ENOMEM : afxdp_pool_init(pool);
}

/* --- one queue -------------------------------------------------------------------------------- */

static int explain_bind(const struct afxdp *afxdp, const struct plan *plan, int code, struct error *error)
{
	const char *name = afxdp->group->device.name;

	error_set_errno(error, code, "cannot open an AF_XDP socket on queue %u of %s", afxdp->queue, name);
	switch (code) {
	case -EBUSY:
		error_set(error, code, "queue %u of %s is taken by another AF_XDP socket", afxdp->queue, name);
		return error_hint(error, "--queues names those to capture");
	case -EPERM:
		return error_hint(error, "it needs CAP_NET_RAW: run as root");
	case -ENOBUFS:
	case -ENOMEM:
		return error_hint(error, "raise the locked memory (ulimit -l) or take a smaller ring");
	case -ENETDOWN:
		return error_hint(error, "ip link set %s up", name);
	case -EAFNOSUPPORT:
		return error_hint(error, "this kernel was built without XDP_SOCKETS");
	default:
		break;
	}
	if (plan->bind_flags & XDP_ZEROCOPY) {
		error_set_errno(error, code, "%s cannot do zero-copy", name);
		return error_hint(error, "its driver, or this kernel, has none: --xdp-mode native copies");
	}
	if (plan->bind_flags & XDP_USE_SG) {
		error_set_errno(error, code, "%s's MTU of %u is too large for AF_XDP here", name,
				afxdp->group->device.mtu);
		return error_hint(error, "frames in several buffers need kernel 6.6; an MTU up to %u needs none",
				  CHUNK_LARGE - KERNEL_HEADROOM - LINK_OVERHEAD);
	}
	return code;
}

static int set_busy_poll(struct afxdp *afxdp, uint32_t microseconds, struct error *error)
{
	int on = 1, time = (int)microseconds, budget = BUSY_BUDGET, fd = afxdp->source.fd;

	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &time, sizeof time) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget) < 0) {
		error_set_errno(error, -errno, "cannot busy poll on %s", afxdp->group->device.name);
		return error_hint(error, "it needs kernel 5.11 and CAP_NET_ADMIN");
	}
	afxdp->busy_poll = true;
	return 0;
}

static int open_queue(struct afxdp *afxdp, const struct afxdp_options *options, const struct plan *plan,
		      struct error *error)
{
	struct afxdp_pool *pool = &afxdp->pool;
	uint32_t rx = power_of_two(pool->chunk_count / 2 + 1) / 2;
	struct xsk_umem_config umem = {
		.fill_size = 2 * power_of_two(pool->chunk_count),
		.comp_size = 64,
		.frame_size = pool->chunk_size,
		.flags = options->unaligned ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0,
	};
	struct xsk_socket_config socket = {
		.rx_size = rx < RX_MOST ? rx : RX_MOST,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = plan->bind_flags,
	};
	struct xdp_options got = { 0 };
	socklen_t length = sizeof got;
	int result = make_memory(afxdp, options, plan->fragments);

	if (result < 0)
		return error_set_errno(error, result, "cannot get %zu MB for queue %u of %s", afxdp->area_size >> 20,
				       afxdp->queue, afxdp->group->device.name);
	if (options->unaligned && plan->bind_flags & XDP_ZEROCOPY && !afxdp->huge) {
		error_set(error, -EOPNOTSUPP, "zero-copy with unaligned chunks needs huge pages");
		return error_hint(error, "sysctl vm.nr_hugepages=%zu", afxdp->area_size / HUGE_PAGE);
	}
	result = xsk_umem__create(&afxdp->umem, afxdp->area, (uint64_t)pool->chunk_size * pool->chunk_count,
				  &pool->fill, &afxdp->completion, &umem);
	if (result == 0)
		result = xsk_socket__create(&afxdp->socket, afxdp->group->device.name, afxdp->queue, afxdp->umem,
					    &pool->rx, NULL, &socket);
	if (result < 0)
		return explain_bind(afxdp, plan, result, error);
	afxdp->source.fd = xsk_socket__fd(afxdp->socket);
	if (getsockopt(afxdp->source.fd, SOL_XDP, XDP_OPTIONS, &got, &length) == 0)
		afxdp->zerocopy = got.flags & XDP_OPTIONS_ZEROCOPY;
	afxdp_pool_fill(pool);
	return options->busy_poll_us != 0 ? set_busy_poll(afxdp, options->busy_poll_us, error) : 0;
}

/* kernel: a closed socket's queue is given free by deferred work. One that was closed a moment ago, by us in
 * another mode or by a capture that ended, is not yet another program's. */
static int open_patiently(struct afxdp *afxdp, const struct afxdp_options *options, const struct plan *plan,
			  struct error *error)
{
	int result = -EBUSY;

	for (unsigned tries = 0; tries < BUSY_TRIES && result == -EBUSY; tries++) {
		if (tries > 0) {
			afxdp_close_socket(afxdp);
			usleep(BUSY_WAIT_US);
		}
		result = open_queue(afxdp, options, plan, error);
	}
	return result;
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

static int try_plan(struct afxdp_group *group, const struct afxdp_options *options, const struct plan *plan,
		    struct source **sources, unsigned count, struct source_report *report, struct error *error)
{
	int result = 0;

	for (unsigned i = 0; i < count && result == 0; i++)
		result = open_patiently((struct afxdp *)sources[i], options, plan, error);
	if (result == 0)
		result = load_program(group, options, plan->fragments, report, error);
	if (result == 0)
		result = afxdp_program_attach(group->program, &group->device, plan->mode, error);
	if (result < 0)
		undo(group, sources, count);
	group->fragments = plan->fragments;
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
	bool jumbo = group->device.mtu + LINK_OVERHEAD + KERNEL_HEADROOM > chunk;
	struct plan plans[PLANS_MOST];
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
	if (chunk != 0 && (chunk < CHUNK_SMALL || chunk > CHUNK_LARGE || (!afxdp->unaligned && chunk & (chunk - 1))))
		return error_set(error, -EINVAL, "chunks are of 2048 or 4096 bytes (unaligned: between), not %u", chunk);
	for (unsigned i = 0; i < afxdp->queue_count; i++) {
		if (afxdp->queues[i] >= in_use || afxdp->queues[i] >= AFXDP_QUEUES_MOST) {
			error_set(error, -EINVAL, "%s has no queue %u", device->name, afxdp->queues[i]);
			return error_hint(error, "it has %u: 0 to %u", in_use, in_use - 1);
		}
	}
	return 0;
}

static int hold_promiscuous(struct afxdp_group *group, struct error *error)
{
	struct packet_mreq request = { .mr_ifindex = (int)group->device.index, .mr_type = PACKET_MR_PROMISC };

	if (!group->options.promiscuous)
		return 0;
	group->promiscuous = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (group->promiscuous < 0 || setsockopt(group->promiscuous, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
						 sizeof request) < 0) {
		error_set_errno(error, -errno, "cannot set %s to promiscuous mode", group->device.name);
		return error_hint(error, "-p captures without");
	}
	return 0;
}

static struct afxdp *make_source(struct afxdp_group *group, const struct afxdp_options *options,
				 uint32_t queue)
{
	struct afxdp *afxdp = calloc(1, sizeof *afxdp);
	struct afxdp_pool *pool;
	uint64_t chunks = CHUNKS_DEFAULT;

	if (afxdp == NULL)
		return NULL;
	pool = &afxdp->pool;
	pool->chunk_size = chunk_size_for(options, &group->device);
	if (group->options.ring_size != 0)
		chunks = group->options.ring_size / pool->chunk_size;
	pool->chunk_count = chunks < CHUNKS_LEAST ? CHUNKS_LEAST : chunks > 1u << 24 ? 1u << 24 : (uint32_t)chunks;
	pool->chunk_count &= ~1u; /* kernel: the area is whole pages */
	pool->share = pool->chunk_count / 2;
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
		.look_ms = LOOK_MS,
		.coalesce_us = COALESCE_US,
		.span_count = pool->chunk_count + (options->side_packets != 0 ? options->side_packets : SIDE_DEFAULT),
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
						  options->queue_count != 0 ? options->queues[*count] : *count);

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
	return result == 0 ? hold_promiscuous(group, error) : result;
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
