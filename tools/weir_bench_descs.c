/* The bare loop over AF_XDP descriptors: no consumer of a socket's rx ring can be cheaper. It has the XDP
 * program, the memory and the way of waiting that the afxdp backend has, so that what differs is what is done
 * for a packet: here nothing, its bytes are not touched. */
#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xdp/xsk.h>

#include "engine/bpf/afxdp_shared.h"
#include "engine/source.h"
#include "engine/sources/afxdp_host.h"
#include "engine/sources/afxdp_program.h"
#include "tools/weir_bench.h"

#define CHUNKS 32768u /* as the backend's default */
#define CHUNK 2048u
#define RX_SIZE CHUNKS
#define BUSY_TRIES 25 /* kernel: a closed socket's queue is given free by deferred work */
#define BUSY_WAIT_US 20000
#define COALESCE_US 100
#define LOOK_MS 20

struct descs {
	uint8_t *area;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod fill;
	struct afxdp_program *program;
	int fd;
};

static int open_socket(struct descs *descs, const char *interface, enum afxdp_mode mode, struct error *error)
{
	const struct xsk_umem_config umem = {
		.fill_size = 2 * CHUNKS,
		.comp_size = 64,
		.frame_size = CHUNK,
		.frame_headroom = mode == AFXDP_ZEROCOPY ? 0 : sizeof(struct afxdp_stamp),
	};
	const struct xsk_socket_config socket = {
		.rx_size = RX_SIZE,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (mode == AFXDP_ZEROCOPY ? XDP_ZEROCOPY : XDP_COPY) | XDP_USE_NEED_WAKEUP,
	};
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	uint32_t at;
	int result;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	descs->area = mmap(NULL, (size_t)CHUNKS * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (descs->area == MAP_FAILED) {
		descs->area = NULL;
		return error_set_errno(error, -ENOMEM, "no memory for the packets");
	}
	madvise(descs->area, (size_t)CHUNKS * CHUNK, MADV_HUGEPAGE);
	result = xsk_umem__create(&descs->umem, descs->area, (uint64_t)CHUNKS * CHUNK, &descs->fill,
				  &descs->completion, &umem);
	if (result == 0)
		result = xsk_socket__create(&descs->socket, interface, 0, descs->umem, &descs->rx, NULL, &socket);
	if (result < 0)
		return error_set_errno(error, result, mode == AFXDP_ZEROCOPY ? "%s cannot do zero-copy"
				       : "cannot open an AF_XDP socket on %s", interface);
	descs->fd = xsk_socket__fd(descs->socket);
	if (xsk_ring_prod__reserve(&descs->fill, CHUNKS, &at) == CHUNKS) {
		for (uint32_t i = 0; i < CHUNKS; i++)
			*xsk_ring_prod__fill_addr(&descs->fill, at + i) = (uint64_t)i * CHUNK;
		xsk_ring_prod__submit(&descs->fill, CHUNKS);
	}
	return 0;
}

static void close_socket(struct descs *descs)
{
	if (descs->socket != NULL)
		xsk_socket__delete(descs->socket);
	if (descs->umem != NULL)
		xsk_umem__delete(descs->umem);
	if (descs->area != NULL)
		munmap(descs->area, (size_t)CHUNKS * CHUNK);
	*descs = (struct descs){ .program = descs->program };
}

static int open_socket_when_free(struct descs *descs, const char *interface, enum afxdp_mode mode, struct error *error)
{
	int result = open_socket(descs, interface, mode, error);

	for (unsigned tries = 1; tries < BUSY_TRIES && result == -EBUSY; tries++) {
		close_socket(descs);
		usleep(BUSY_WAIT_US);
		result = open_socket(descs, interface, mode, error);
	}
	return result;
}

static int open_descs(struct descs *descs, const char *interface, enum afxdp_mode mode, struct error *error)
{
	struct interfaces_entry device;
	uint32_t queues;
	int result = interfaces_lookup(interface, &device, error);

	if (result == 0)
		result = open_socket_when_free(descs, interface, mode, error);
	if (result < 0)
		return result;
	afxdp_host_queues(&device, &queues);
	result = afxdp_program_load(queues, NULL, false, &descs->program, error);
	if (result == 0)
		result = afxdp_program_attach(descs->program, &device, mode, error);
	if (result < 0)
		return result;
	result = afxdp_program_bind(descs->program, 0, descs->fd);
	return result < 0 ? error_set_errno(error, result, "cannot redirect queue 0 of %s", interface) : 0;
}

static void close_descs(struct descs *descs)
{
	afxdp_program_close(descs->program);
	close_socket(descs);
}

/* As the backend's worker: a sleep and a wake-up are not for a single packet, and while packets come they are not
 * waited for. busy: some came since the last call. False: nothing came for a while. */
static bool wait_for_descs(struct descs *descs, bool busy)
{
	struct pollfd wait = { .fd = descs->fd, .events = POLLIN };

	if (xsk_ring_prod__needs_wakeup(&descs->fill))
		recvfrom(descs->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	if (!busy && poll(&wait, 1, LOOK_MS) <= 0)
		return false;
	usleep(COALESCE_US);
	return true;
}

static unsigned take(struct descs *descs, uint64_t *bytes)
{
	uint32_t from, to, length = 0;
	unsigned count = xsk_ring_cons__peek(&descs->rx, SOURCE_BURST, &from);

	/* The fill ring has twice as many places as there are chunks. */
	if (count == 0 || xsk_ring_prod__reserve(&descs->fill, count, &to) != count)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&descs->rx, from + i);

		length += desc->len;
		*xsk_ring_prod__fill_addr(&descs->fill, to + i) = desc->addr & ~(uint64_t)(CHUNK - 1);
	}
	xsk_ring_prod__submit(&descs->fill, count);
	xsk_ring_cons__release(&descs->rx, count);
	*bytes += length;
	return count;
}

int bench_descs(const char *interface, const char *mode, const volatile sig_atomic_t *stop, uint64_t *count,
		uint64_t *bytes, struct error *error)
{
	struct descs descs = { 0 };
	bool idle = false, busy = false;
	int result = open_descs(&descs, interface, strcmp(mode, "generic") == 0    ? AFXDP_GENERIC
						     : strcmp(mode, "zerocopy") == 0 ? AFXDP_ZEROCOPY
										     : AFXDP_NATIVE, error);

	if (result == 0)
		fprintf(stderr, "capturing on %s\n", interface);
	while (result == 0 && (!*stop || !idle)) {
		unsigned taken = take(&descs, bytes);

		*count += taken;
		if (taken == 0)
			idle = !wait_for_descs(&descs, busy);
		busy = taken > 0;
	}
	close_descs(&descs);
	return result;
}
