#include "engine/output_device.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FULL_RETRY_MS 100

static void set_hint(struct output_device *device, int code)
{
	struct error *error = &device->error;
	const char *kept = device->part ? "; what was written so far is in the .part file" : "";

	switch (code) {
	case -ENOSPC:
	case -EDQUOT:
		if (device->regular)
			error_hint(error, "free some space, or use --on-full wait%s", kept);
		break;
	case -EFBIG:
		error_hint(error, "the largest file size is reached: see ulimit -f and the file system's limit%s", kept);
		break;
	case -EPIPE:
		error_hint(error, "whoever read it has gone");
		break;
	case -EIO:
		error_hint(error, "the device below is failing: see dmesg%s", kept);
		break;
	default:
		if (device->part)
			error_hint(error, "what was written so far is in the .part file");
		break;
	}
}

int output_device_fail(struct output_device *device, int code, uint64_t whole_until)
{
	if (device->error.code != 0) {
		if (whole_until < device->whole_until)
			device->whole_until = whole_until;
		return device->error.code;
	}
	error_set_errno(&device->error, code, "cannot write %s",
			strcmp(device->path, "-") == 0 ? "to standard output" : device->path);
	device->whole_until = whole_until;
	set_hint(device, code);
	return code;
}

static void set_waiting(struct output_device *device, bool waiting)
{
	if (device->waiting != NULL)
		atomic_store_explicit(device->waiting, waiting, memory_order_relaxed);
}

/* True when the write that found no space is to be tried again. */
static bool wait_for_space(struct output_device *device, int code)
{
	struct timespec pause = { .tv_nsec = FULL_RETRY_MS * 1000000L };

	if ((code != -ENOSPC && code != -EDQUOT) || !device->wait_when_full || !device->regular)
		return false;
	if (device->cancel != NULL && atomic_load_explicit(device->cancel, memory_order_relaxed))
		return false;
	set_waiting(device, true);
	nanosleep(&pause, NULL);
	return true;
}

static void wait_writable(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };

	poll(&ready, 1, 1000);
}

int output_device_write_at(struct output_device *device, const uint8_t *data, size_t length, uint64_t offset)
{
	size_t done = 0;
	int code = 0;

	while (done < length) {
		ssize_t wrote = pwrite(device->fd, data + done, length - done, (off_t)(offset + done));

		if (wrote > 0) {
			done += (size_t)wrote;
			continue;
		}
		code = wrote < 0 ? -errno : -EIO;
		if (code == -EINTR || wait_for_space(device, code))
			continue;
		break;
	}
	set_waiting(device, false);
	return done == length ? 0 : output_device_fail(device, code, offset + done);
}

int output_device_write_next(struct output_device *device, const uint8_t *data, size_t length,
			     uint64_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t wrote = write(device->fd, data + done, length - done);

		if (wrote > 0)
			done += (size_t)wrote;
		else if (wrote < 0 && errno == EAGAIN)
			wait_writable(device->fd);
		else if (wrote == 0 || errno != EINTR)
			return output_device_fail(device, wrote < 0 ? -errno : -EIO, offset + done);
	}
	return 0;
}

/* One completion: what the ring did not write is written again the plain way. */
static void complete(struct output_device *device, unsigned index, int result)
{
	struct output_buffer *buffer = &device->buffers[index];
	uint32_t done = result > 0 ? (uint32_t)result : 0;

	buffer->in_flight = false;
	device->in_flight--;
	if (done >= buffer->length)
		return;
	/* kernel: a file system may accept O_DIRECT at open and refuse it in write (EINVAL), as some network and
	 * stacked ones do. pwrite below goes through the page cache; later buffers then do too. */
	if (result == -EINVAL && device->direct_fd >= 0) {
		close(device->direct_fd);
		device->direct_fd = -1;
	}
	output_device_write_at(device, buffer->data + buffer->from + done, buffer->length - done,
			       buffer->offset + done);
}

static void reap_one(struct output_device *device)
{
	struct io_uring_cqe *cqe;
	int code = io_uring_wait_cqe(&device->ring, &cqe);

	if (code == 0) {
		unsigned index = (unsigned)cqe->user_data;
		int result = cqe->res;

		io_uring_cqe_seen(&device->ring, cqe);
		complete(device, index, result);
	}
}

void output_device_await(struct output_device *device, unsigned buffer)
{
	while (device->buffers[buffer].in_flight)
		reap_one(device);
}

void output_device_drain(struct output_device *device)
{
	while (device->in_flight > 0)
		reap_one(device);
}

/* False when the ring did not take it. */
static bool submit_to_ring(struct output_device *device, unsigned index)
{
	struct output_buffer *buffer = &device->buffers[index];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&device->ring);
	int fd = device->direct_fd >= 0 ? device->direct_fd : device->fd;
	int code;

	if (sqe == NULL)
		return false;
	io_uring_prep_write_fixed(sqe, fd, buffer->data + buffer->from, buffer->length, buffer->offset, (int)index);
	sqe->user_data = index;
	buffer->in_flight = true;
	device->in_flight++;
	do {
		code = io_uring_submit(&device->ring);
		if (code == -EAGAIN || code == -EBUSY)
			wait_writable(device->fd); /* the kernel is short of memory for the request: it stays queued */
	} while (code == -EINTR || code == -EAGAIN || code == -EBUSY);
	if (code >= 0)
		return true;
	/* The entry was not taken and never will be: nothing is submitted to this ring again. */
	buffer->in_flight = false;
	device->in_flight--;
	return false;
}

void output_device_submit(struct output_device *device, unsigned index, uint32_t from, uint32_t to,
			  uint64_t offset)
{
	struct output_buffer *buffer = &device->buffers[index];

	if (from >= to || device->error.code != 0)
		return;
	buffer->from = from;
	buffer->length = to - from;
	buffer->offset = offset;
	if (device->ring_on) {
		if (submit_to_ring(device, index))
			return;
		output_device_drain(device);
		output_device_close(device);
	}
	output_device_write_at(device, buffer->data + from, to - from, offset);
}

/* kernel: registering pins the pages and charges them to RLIMIT_MEMLOCK of the user (8 MiB by default, over
 * all outputs), so fewer buffers may go where more do not. */
static bool register_buffers(struct output_device *device, size_t size)
{
	struct iovec pages[OUTPUT_BUFFERS_MAX];

	for (unsigned i = 0; i < device->buffer_count; i++)
		pages[i] = (struct iovec){ .iov_base = device->buffers[i].data, .iov_len = size };
	for (unsigned count = device->buffer_count; count >= 2; count /= 2) {
		int code = io_uring_register_buffers(&device->ring, pages, count);

		if (code == 0) {
			device->buffer_count = count;
			return true;
		}
		if (code != -ENOMEM)
			return false;
	}
	return false;
}

bool output_device_ring(struct output_device *device, size_t size)
{
	int code;

	/* kernel: COOP_TASKRUN is 5.19; an older one says EINVAL and does without. */
	code = io_uring_queue_init(OUTPUT_BUFFERS_MAX, &device->ring, IORING_SETUP_COOP_TASKRUN);
	if (code == -EINVAL)
		code = io_uring_queue_init(OUTPUT_BUFFERS_MAX, &device->ring, 0);
	if (code < 0)
		return false;
	if (!register_buffers(device, size)) {
		io_uring_queue_exit(&device->ring);
		return false;
	}
	device->ring_on = true;
	return true;
}

void output_device_close(struct output_device *device)
{
	if (!device->ring_on)
		return;
	io_uring_queue_exit(&device->ring);
	device->ring_on = false;
}
