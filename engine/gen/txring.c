#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/gen/device.h"
#include "engine/gen/shape.h"

#define TXRING_FRAMES 1024
/* kernel: without PACKET_TX_HAS_OFF the data begins behind the header, sockaddr_ll not counted. */
#define TXRING_DATA TPACKET_ALIGN(sizeof(struct tpacket2_hdr))
/* kernel: a frame of the ring becomes an skb whose pages ARE the ring, and veth orphans the skb, which
 * frees the ring's slot while a receiver may still hold the skb in its socket: the next packet would
 * then overwrite one that was not read yet. With a virtio_net_hdr whose hdr_len is the whole frame,
 * tpacket_snd copies the frame into the skb instead. */
#define TXRING_VNET sizeof(struct virtio_net_hdr)

struct txring {
	struct gen_device device;
	int fd;
	uint8_t *map;
	size_t map_size;
	uint32_t frame_size;
	uint32_t index;
};

static struct tpacket2_hdr *txring_header(struct txring *ring, uint32_t index)
{
	return (struct tpacket2_hdr *)(void *)(ring->map + (size_t)index * ring->frame_size);
}

static uint8_t *txring_next(struct gen_device *device)
{
	struct txring *ring = (struct txring *)device;
	struct tpacket2_hdr *header = txring_header(ring, ring->index);
	/* pairs with: the kernel's __packet_set_status in tpacket_destruct_skb. */
	uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);

	if (status == TP_STATUS_WRONG_FORMAT) {
		device->malformed++;
		status = TP_STATUS_AVAILABLE;
	}
	return status == TP_STATUS_AVAILABLE ? (uint8_t *)header + TXRING_DATA + TXRING_VNET : NULL;
}

static void txring_commit(struct gen_device *device, uint32_t length)
{
	struct txring *ring = (struct txring *)device;
	struct tpacket2_hdr *header = txring_header(ring, ring->index);

	((struct virtio_net_hdr *)(void *)((uint8_t *)header + TXRING_DATA))->hdr_len = (uint16_t)length;
	header->tp_len = length + TXRING_VNET;
	/* pairs with: the kernel's packet_current_frame in tpacket_snd. */
	__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	ring->index = ring->index + 1 == TXRING_FRAMES ? 0 : ring->index + 1;
}

static int txring_kick(struct gen_device *device)
{
	struct txring *ring = (struct txring *)device;

	device->kicks++;
	if (send(ring->fd, NULL, 0, MSG_DONTWAIT) >= 0 || errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
		return 0;
	if (errno == ENETDOWN) {
		error_set(&device->error, -ENETDOWN, "the interface is down");
		return error_hint(&device->error, "ip link set IF up");
	}
	return error_set_errno(&device->error, -errno, "cannot send");
}

static int txring_drain(struct gen_device *device)
{
	struct txring *ring = (struct txring *)device;

	for (int tries = 0; tries < 1000; tries++) {
		bool busy = false;
		int status;

		for (uint32_t i = 0; i < TXRING_FRAMES && !busy; i++)
			busy = __atomic_load_n(&txring_header(ring, i)->tp_status, __ATOMIC_ACQUIRE) &
			       (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING);
		if (!busy)
			return 0;
		status = txring_kick(device);
		if (status != 0)
			return status;
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

static void txring_close(struct gen_device *device)
{
	struct txring *ring = (struct txring *)device;

	if (ring->map != NULL)
		munmap(ring->map, ring->map_size);
	if (ring->fd >= 0)
		close(ring->fd);
	free(ring);
}

static const struct gen_device_ops txring_ops = {
	.name = "txring",
	.next = txring_next,
	.commit = txring_commit,
	.kick = txring_kick,
	.drain = txring_drain,
	.close = txring_close,
};

static int txring_map(struct txring *ring, struct error *error)
{
	struct tpacket_req request = { 0 };
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	request.tp_frame_size = ring->frame_size;
	request.tp_frame_nr = TXRING_FRAMES;
	request.tp_block_size = ring->frame_size > page ? ring->frame_size : page;
	request.tp_block_nr = TXRING_FRAMES / (request.tp_block_size / ring->frame_size);
	if (setsockopt(ring->fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof request) != 0)
		return error_set_errno(error, -errno, "cannot make a transmit ring");
	ring->map_size = (size_t)request.tp_block_size * request.tp_block_nr;
	ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, 0);
	if (ring->map == MAP_FAILED) {
		ring->map = NULL;
		return error_set_errno(error, -errno, "cannot map the transmit ring");
	}
	for (uint32_t i = 0; i < TXRING_FRAMES; i++) {
		uint8_t *data = (uint8_t *)txring_header(ring, i) + TXRING_DATA + TXRING_VNET;

		for (uint32_t offset = 0; offset < ring->device.room; offset++)
			data[offset] = shape_filler(offset);
	}
	return 0;
}

int txring_open(unsigned ifindex, uint32_t longest, struct gen_device **device, struct error *error)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	struct txring *ring = calloc(1, sizeof *ring);
	int one = 1, version = TPACKET_V2;

	if (ring == NULL)
		return error_set_errno(error, -ENOMEM, "cannot make a transmit ring");
	ring->device.ops = &txring_ops;
	ring->device.room = longest;
	ring->frame_size = 256;
	while (ring->frame_size < longest + TXRING_DATA + TXRING_VNET)
		ring->frame_size *= 2;
	/* Protocol 0: this socket receives nothing. */
	ring->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (ring->fd < 0) {
		error_set_errno(error, -errno, "cannot open a packet socket");
		if (error->code == -EPERM)
			error_hint(error, "root or CAP_NET_RAW is needed");
		goto fail;
	}
	/* kernel: PACKET_LOSS makes a malformed frame one that is skipped, not one that stops the ring. */
	if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
	    setsockopt(ring->fd, SOL_PACKET, PACKET_LOSS, &one, sizeof one) != 0 ||
	    setsockopt(ring->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) != 0 ||
	    setsockopt(ring->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0) {
		error_set_errno(error, -errno, "cannot set up the packet socket");
		goto fail;
	}
	if (txring_map(ring, error) != 0)
		goto fail;
	if (bind(ring->fd, (struct sockaddr *)&address, sizeof address) != 0) {
		error_set_errno(error, -errno, "cannot bind to the interface");
		goto fail;
	}
	*device = &ring->device;
	return 0;
fail:
	txring_close(&ring->device);
	return error != NULL ? error->code : -EIO;
}
