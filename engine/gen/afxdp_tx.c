#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include "engine/gen/device.h"
#include "engine/gen/shape.h"

#define AFXDP_FRAMES 4096
#define AFXDP_RING 2048

struct afxdp_tx {
	struct gen_device device;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod tx, fill;
	struct xsk_ring_cons comp;
	uint8_t *area;
	size_t area_size;
	uint32_t chunk_size;
	uint32_t free_count;
	uint64_t outstanding;
	uint64_t free[AFXDP_FRAMES];
};

static void afxdp_reap(struct afxdp_tx *x)
{
	uint32_t index, count = xsk_ring_cons__peek(&x->comp, AFXDP_RING, &index);

	for (uint32_t i = 0; i < count; i++)
		x->free[x->free_count++] = *xsk_ring_cons__comp_addr(&x->comp, index + i);
	xsk_ring_cons__release(&x->comp, count);
	x->outstanding -= count;
}

static uint8_t *afxdp_next(struct gen_device *device)
{
	struct afxdp_tx *x = (struct afxdp_tx *)device;

	if (x->free_count == 0)
		afxdp_reap(x);
	if (x->free_count == 0 || xsk_prod_nb_free(&x->tx, 1) == 0)
		return NULL;
	return x->area + x->free[x->free_count - 1];
}

static void afxdp_commit(struct gen_device *device, uint32_t length)
{
	struct afxdp_tx *x = (struct afxdp_tx *)device;
	struct xdp_desc *desc;
	uint32_t index;

	if (xsk_ring_prod__reserve(&x->tx, 1, &index) != 1)
		return;
	desc = xsk_ring_prod__tx_desc(&x->tx, index);
	desc->addr = x->free[--x->free_count];
	desc->len = length;
	desc->options = 0;
	xsk_ring_prod__submit(&x->tx, 1);
	x->outstanding++;
}

static int afxdp_kick(struct gen_device *device)
{
	struct afxdp_tx *x = (struct afxdp_tx *)device;

	if (!xsk_ring_prod__needs_wakeup(&x->tx)) {
		afxdp_reap(x);
		return 0;
	}
	device->kicks++;
	/* kernel: in copy mode one sendto sends TX_BATCH_SIZE (32) descriptors and says EAGAIN for the rest. */
	if (sendto(xsk_socket__fd(x->socket), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
	    errno != EBUSY && errno != ENOBUFS && errno != EINTR) {
		if (errno == ENETDOWN) {
			error_set(&device->error, -ENETDOWN, "the interface is down");
			return error_hint(&device->error, "ip link set IF up");
		}
		return error_set_errno(&device->error, -errno, "cannot send");
	}
	afxdp_reap(x);
	return 0;
}

static int afxdp_drain(struct gen_device *device)
{
	struct afxdp_tx *x = (struct afxdp_tx *)device;

	for (int tries = 0; tries < 2000 && x->outstanding > 0; tries++) {
		int status = afxdp_kick(device);

		if (status != 0)
			return status;
		if (tries > 200)
			poll(NULL, 0, 1);
	}
	return x->outstanding == 0 ? 0 : -ETIMEDOUT;
}

static void afxdp_close(struct gen_device *device)
{
	struct afxdp_tx *x = (struct afxdp_tx *)device;

	if (x->socket != NULL)
		xsk_socket__delete(x->socket);
	if (x->umem != NULL)
		xsk_umem__delete(x->umem);
	if (x->area != NULL)
		munmap(x->area, x->area_size);
	free(x);
}

static const struct gen_device_ops afxdp_ops = {
	.name = "afxdp",
	.next = afxdp_next,
	.commit = afxdp_commit,
	.kick = afxdp_kick,
	.drain = afxdp_drain,
	.close = afxdp_close,
};

static int afxdp_umem(struct afxdp_tx *x, struct error *error)
{
	struct xsk_umem_config config = {
		.fill_size = AFXDP_RING,
		.comp_size = AFXDP_RING,
		.frame_size = x->chunk_size,
	};
	int status;

	x->area_size = (size_t)AFXDP_FRAMES * x->chunk_size;
	x->area = mmap(NULL, x->area_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (x->area == MAP_FAILED) {
		x->area = NULL;
		return error_set_errno(error, -errno, "no memory for the AF_XDP frames");
	}
	for (uint32_t i = 0; i < AFXDP_FRAMES; i++) {
		uint8_t *chunk = x->area + (size_t)i * x->chunk_size;

		for (uint32_t offset = 0; offset < x->device.room; offset++)
			chunk[offset] = shape_filler(offset);
		x->free[x->free_count++] = (uint64_t)i * x->chunk_size;
	}
	status = xsk_umem__create(&x->umem, x->area, x->area_size, &x->fill, &x->comp, &config);
	if (status != 0) {
		error_set_errno(error, status, "cannot register memory for AF_XDP");
		if (status == -EPERM || status == -ENOBUFS)
			error_hint(error, "root or CAP_NET_RAW and CAP_IPC_LOCK are needed");
		return status;
	}
	return 0;
}

int afxdp_tx_open(const char *interface, uint32_t longest, struct gen_device **device, struct error *error)
{
	struct xsk_socket_config config = {
		.tx_size = AFXDP_RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};
	struct afxdp_tx *x;
	int status;

	if (longest > 4096) {
		error_set(error, -EINVAL, "AF_XDP takes frames of up to 4096 bytes here");
		return error_hint(error, "--method txring");
	}
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return error_set_errno(error, -ENOMEM, "cannot make an AF_XDP socket");
	x->device.ops = &afxdp_ops;
	x->device.room = longest;
	x->chunk_size = longest <= 2048 ? 2048 : 4096;
	status = afxdp_umem(x, error);
	if (status == 0) {
		status = xsk_socket__create(&x->socket, interface, 0, x->umem, NULL, &x->tx, &config);
		if (status != 0) {
			error_set_errno(error, status, "cannot open an AF_XDP socket on %s", interface);
			error_hint(error, status == -EBUSY ? "another program has queue 0" : "--method txring works everywhere");
		}
	}
	if (status != 0) {
		afxdp_close(&x->device);
		return status;
	}
	*device = &x->device;
	return 0;
}
