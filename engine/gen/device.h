/* The contract of a transmit method that takes frames one by one: a TX ring.
 *
 * next gives the place for one frame, commit says how long it became, kick hands everything committed
 * so far to the kernel. Each place has the filler (shape_filler) in it when a method opens. One owner:
 * the sending thread.
 */
#ifndef WEIR_ENGINE_GEN_DEVICE_H
#define WEIR_ENGINE_GEN_DEVICE_H

#include <stdint.h>

#include "engine/error.h"

struct gen_device;

struct gen_device_ops {
	const char *name;

	/* Place for a frame of up to room() bytes, or NULL: the ring is full, kick. */
	uint8_t *(*next)(struct gen_device *device);

	/* The place that next gave holds a frame of length bytes. */
	void (*commit)(struct gen_device *device, uint32_t length);

	/* Sends what was committed. 0, or -errno with device->error filled. */
	int (*kick)(struct gen_device *device);

	/* Waits until the kernel has sent everything, at most a second. 0 or -errno. */
	int (*drain)(struct gen_device *device);

	void (*close)(struct gen_device *device);
};

struct gen_device {
	const struct gen_device_ops *ops;
	uint32_t room;        /* bytes of a frame at most */
	uint64_t malformed;   /* frames that the kernel refused */
	uint64_t kicks;       /* system calls */
	struct error error;
};

/* PACKET_TX_RING, past the queueing discipline (PACKET_QDISC_BYPASS, kernel 3.14).
 * longest: bytes of the longest frame. */
int txring_open(unsigned ifindex, uint32_t longest, struct gen_device **device, struct error *error);

/* An AF_XDP socket that only transmits, queue 0; zero-copy where the driver has it, else copy. */
int afxdp_tx_open(const char *interface, uint32_t longest, struct gen_device **device, struct error *error);

#endif
