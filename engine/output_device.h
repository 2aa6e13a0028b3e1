/* The lower half of an output: how bytes reach the descriptor.
 *
 * Owner: the writer thread, through output.c alone. A write at an offset either goes to an io_uring
 * (several in flight) or is done at once with pwrite; what the ring could not do whole (short,
 * interrupted, refused, no space) is done again with pwrite, so that there is one place where errors are
 * seen and named. It knows buffers and offsets, and nothing of reservations.
 */
#ifndef WEIR_ENGINE_OUTPUT_DEVICE_H
#define WEIR_ENGINE_OUTPUT_DEVICE_H

#include <liburing.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#define OUTPUT_ALIGN 4096u
#define OUTPUT_BUFFERS_MAX 64

struct output_buffer {
	uint8_t *data;     /* page-aligned */
	uint64_t offset;   /* in the file, of the bytes in flight */
	uint32_t from;     /* the bytes in flight: data[from] on, length of them */
	uint32_t length;
	bool in_flight;
};

struct output_device {
	const char *path;        /* as the user named it; not owned */
	int fd;                  /* through the page cache; owned, -1: none */
	int direct_fd;           /* the same file with O_DIRECT; owned, -1: none */
	bool regular;            /* pwrite and wait_when_full make sense */
	bool part;               /* the file has its .part name */
	bool wait_when_full;
	const _Atomic bool *cancel;
	_Atomic bool *waiting;
	bool ring_on;            /* ring is set up and the buffers are registered */
	unsigned in_flight;
	unsigned buffer_count;
	struct output_buffer buffers[OUTPUT_BUFFERS_MAX];
	struct io_uring ring;
	uint64_t whole_until;    /* after an error: bytes before it are in the file */
	struct error error;      /* the first one */
};

/* Sets up the ring and registers up to buffer_count buffers of size bytes each, halving the count when the
 * kernel refuses so many; buffer_count becomes what was registered. False: pwrite it is. */
bool output_device_ring(struct output_device *device, size_t size);

/* Writes data[from .. to) of the buffer at offset: hands it to the ring, or writes it before it returns.
 * The buffer must not be changed until in_flight is false. An error is in device->error. */
void output_device_submit(struct output_device *device, unsigned buffer, uint32_t from, uint32_t to,
			  uint64_t offset);

/* Waits until the buffer is not in flight. */
void output_device_await(struct output_device *device, unsigned buffer);

/* Waits until none is. */
void output_device_drain(struct output_device *device);

/* Writes through the page cache, at once. 0 or -errno, with device->error. */
int output_device_write_at(struct output_device *device, const uint8_t *data, size_t length, uint64_t offset);

/* Writes to something that has no offsets. 0 or -errno, with device->error; offset is only counted. */
int output_device_write_next(struct output_device *device, const uint8_t *data, size_t length,
			     uint64_t offset);

/* Notes the first error with its cause and hint; returns code. */
int output_device_fail(struct output_device *device, int code, uint64_t whole_until);

/* Ends the ring; the buffers may be unmapped then. Does not close descriptors. */
void output_device_close(struct output_device *device);

#endif
