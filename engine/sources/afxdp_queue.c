#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/sources/afxdp_internal.h"
#include "engine/uapi.h"

#define RX_MOST (1u << 20)      /* descs: 16 MiB of the kernel's memory */
#define SIDE_JOINED 69632       /* bytes: a 64 KiB frame with its headers, several cache sets */
#define HUGE_PAGE (2u << 20)
#define BUSY_BUDGET 64
#define BUSY_TRIES 25
#define BUSY_WAIT_US 20000

static uint32_t power_of_two(uint32_t least)
{
	uint32_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void *map(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int make_memory(struct afxdp *afxdp, bool fragments)
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

	pool->side_stride = fragments ? SIDE_JOINED : pool->chunk_size;
	/* Pages that no copy reaches are never touched. */
	afxdp->side_size = pool->side_stride * pool->side_count;
	afxdp->side = map(afxdp->side_size, MAP_NORESERVE);
	pool->side = afxdp->side;
	return afxdp->side == NULL ? -ENOMEM : afxdp_pool_init(pool);
}

/* --- one queue -------------------------------------------------------------------------------- */

static int explain_bind(const struct afxdp *afxdp, const struct afxdp_plan *plan, int code, struct error *error)
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
				  AFXDP_CHUNK_LARGE - AFXDP_HEADROOM - AFXDP_LINK_OVERHEAD);
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

static int open_queue(struct afxdp *afxdp, const struct afxdp_options *options, const struct afxdp_plan *plan,
		      struct error *error)
{
	struct afxdp_pool *pool = &afxdp->pool;
	/* A desc for each chunk: what is absorbed while the worker sleeps or waits for its CPU is bounded by memory alone. */
	uint32_t rx = power_of_two(pool->chunk_count);
	struct xsk_umem_config umem = {
		.fill_size = 2 * power_of_two(pool->chunk_count),
		.comp_size = 64,
		.frame_size = pool->chunk_size,
		.frame_headroom = plan->bind_flags & XDP_ZEROCOPY ? 0 : AFXDP_STAMP_ROOM,
		.flags = options->unaligned ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0,
	};
	struct xsk_socket_config socket = {
		.rx_size = rx < RX_MOST ? rx : RX_MOST,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = plan->bind_flags,
	};
	struct xdp_options got = { 0 };
	socklen_t length = sizeof got;
	int result = make_memory(afxdp, plan->fragments);

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
int afxdp_queue_open(struct afxdp *afxdp, const struct afxdp_plan *plan, struct error *error)
{
	int result = -EBUSY;

	for (unsigned tries = 0; tries < BUSY_TRIES && result == -EBUSY; tries++) {
		if (tries > 0) {
			afxdp_close_socket(afxdp);
			usleep(BUSY_WAIT_US);
		}
		result = open_queue(afxdp, &afxdp->group->afxdp, plan, error);
	}
	return result;
}
