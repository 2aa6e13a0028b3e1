#include "engine/output.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/output_device.h"

/* With O_DIRECT each write has its price at the device and in the journal: long ones. Into the page cache
 * short ones, which are still in the processor's cache when they are copied. */
#define DIRECT_BUFFER_SIZE (1024u * 1024)
#define DIRECT_BUFFERS 8u
#define CACHED_BUFFER_SIZE (256u * 1024)
#define CACHED_BUFFERS 16u
#define BUFFER_SIZE_MAX (256u * 1024 * 1024)

struct output {
	struct output_device device;
	char *path;          /* as the user named it */
	char *directory;     /* the file's, symbolic links resolved */
	char *name;          /* its last component */
	char *part_name;     /* the name that it is written under */
	int dir_fd;
	bool terminal;
	bool prompt;
	bool finished;
	bool discarded;

	uint8_t *memory;     /* all buffers, each followed by room for a reservation that runs over its end */
	size_t memory_size;
	size_t buffer_size;
	unsigned current;    /* buffer being filled */
	uint64_t base;       /* file offset of its first byte */
	size_t used;         /* bytes committed to it */
	size_t flushed;      /* of these, already in the file */
};

/* ---- opening ---- */

static int open_failed(struct error *error, int code, const char *path)
{
	error_set_errno(error, code, "cannot open %s for writing", path);
	switch (code) {
	case -ENOENT:
		return error_hint(error, "its directory does not exist");
	case -EACCES:
	case -EPERM:
		return error_hint(error, "choose a directory that you may write to");
	case -EISDIR:
		return error_hint(error, "it is a directory: name a file in it");
	case -EROFS:
		return error_hint(error, "the file system is mounted read-only");
	case -ELOOP:
		return error_hint(error, "the .part name is a symbolic link: remove it");
	case -ENOSPC:
	case -EDQUOT:
		return error_hint(error, "free some space first");
	}
	return code;
}

static int look_at_stream(struct output *output)
{
	struct stat status;

	output->terminal = isatty(output->device.fd);
	output->prompt = output->terminal || (fstat(output->device.fd, &status) == 0 &&
					      (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)));
	return 0;
}

/* Pipes, terminals, devices: what is there already and is no regular file. */
static int open_stream(struct output *output, struct error *error)
{
	int fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return open_failed(error, -errno, output->path);
	output->device.fd = fd;
	return look_at_stream(output);
}

static int open_stdout(struct output *output, struct error *error)
{
	output->device.fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	if (output->device.fd < 0)
		return error_set_errno(error, -errno, "cannot write to standard output");
	return look_at_stream(output);
}

/* directory, name and part_name from the path; a symbolic link is followed, so that the rename replaces the
 * file and not the link. */
static int split_path(struct output *output, bool part)
{
	char *resolved = realpath(output->path, NULL);
	const char *path = resolved != NULL ? resolved : output->path;
	const char *slash = strrchr(path, '/');

	output->name = strdup(slash != NULL ? slash + 1 : path);
	if (slash == NULL)
		output->directory = strdup(".");
	else
		output->directory = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	free(resolved);
	if (output->name == NULL || output->directory == NULL)
		return -ENOMEM;
	if (output->name[0] == '\0')
		return -EISDIR;
	if (asprintf(&output->part_name, "%s%s", output->name, part ? ".part" : "") < 0) {
		output->part_name = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int open_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* One that may be written and searched but not listed. */
	if (fd < 0 && errno == EACCES)
		fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Creates and locks the file under its .part name. The lock says that somebody is writing it: a second writer
 * is refused, a file left by one that died is written over. */
static int open_locked(struct output *output)
{
	struct stat mine, named;

	for (;;) {
		int fd = openat(output->dir_fd, output->part_name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);

		if (fd < 0)
			return -errno;
		output->device.fd = fd;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
			return -EBUSY;
		/* Between open and lock the other writer may have finished and given the file its name. */
		if (fstat(fd, &mine) < 0)
			return -errno;
		if (fstatat(output->dir_fd, output->part_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		    mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
			return ftruncate(fd, 0) < 0 ? -errno : 0;
		close(fd);
		output->device.fd = -1;
	}
}

/* kernel: since 6.6 tmpfs takes O_DIRECT, and copies all the same; io_uring then lets several writes of one
 * file loose at once (it keeps buffered ones in order), only to queue at the inode's lock. */
static bool in_memory(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 && (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

static int open_regular(struct output *output, const struct output_options *options, struct error *error)
{
	int code = split_path(output, !options->no_part);

	if (code < 0)
		return open_failed(error, code, output->path);
	output->dir_fd = open_directory(output->directory);
	if (output->dir_fd < 0)
		return open_failed(error, output->dir_fd, output->path);
	/* A rename would replace a file that could not be opened for writing. */
	if (faccessat(output->dir_fd, output->name, W_OK, AT_EACCESS) < 0 && errno == EACCES)
		return open_failed(error, -EACCES, output->path);
	code = open_locked(output);
	if (code == -EBUSY) {
		error_set(error, code, "%s is being written already", output->path);
		return error_hint(error, "choose another name");
	}
	if (code < 0)
		return open_failed(error, code, output->path);
	output->device.regular = true;
	output->device.part = !options->no_part;
	if (!options->no_direct && !options->flush_each && !in_memory(output->device.fd))
		output->device.direct_fd = openat(output->dir_fd, output->part_name,
						  O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
	return 0;
}

static int open_file(struct output *output, const struct output_options *options, struct error *error)
{
	struct stat status;

	if (strcmp(output->path, "-") == 0)
		return open_stdout(output, error);
	if (stat(output->path, &status) == 0 && !S_ISREG(status.st_mode)) {
		if (S_ISDIR(status.st_mode))
			return open_failed(error, -EISDIR, output->path);
		return open_stream(output, error);
	}
	return open_regular(output, options, error);
}

static int make_buffers(struct output *output, const struct output_options *options, struct error *error)
{
	struct output_device *device = &output->device;
	bool direct = device->direct_fd >= 0;
	size_t stride;

	output->buffer_size = direct ? DIRECT_BUFFER_SIZE : CACHED_BUFFER_SIZE;
	device->buffer_count = direct ? DIRECT_BUFFERS : CACHED_BUFFERS;
	if (options->buffer_size != 0)
		output->buffer_size = options->buffer_size;
	if (options->buffers != 0)
		device->buffer_count = options->buffers;
	if (output->buffer_size % OUTPUT_ALIGN != 0 || output->buffer_size > BUFFER_SIZE_MAX ||
	    device->buffer_count < 2 || device->buffer_count > OUTPUT_BUFFERS_MAX)
		return error_set(error, -EINVAL, "output buffers of %zu bytes, %u of them", output->buffer_size,
				 device->buffer_count);
	stride = output->buffer_size + OUTPUT_RESERVE_MAX;
	output->memory_size = stride * device->buffer_count;
	output->memory = mmap(NULL, output->memory_size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (output->memory == MAP_FAILED) {
		output->memory = NULL;
		return error_set_errno(error, -ENOMEM, "no memory for the buffers of %s", output->path);
	}
	for (unsigned i = 0; i < device->buffer_count; i++)
		device->buffers[i].data = output->memory + i * stride;
	return 0;
}

int output_open(const char *path, const struct output_options *options, struct output **output,
		struct error *error)
{
	struct output *made = calloc(1, sizeof *made);
	int code;

	*output = NULL;
	if (made == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open %s", path);
	made->dir_fd = -1;
	made->device.fd = -1;
	made->device.direct_fd = -1;
	made->device.wait_when_full = options->wait_when_full;
	made->device.cancel = options->cancel;
	made->device.waiting = options->waiting;
	made->path = strdup(path);
	made->device.path = made->path;
	code = made->path != NULL ? 0 : error_set_errno(error, -ENOMEM, "cannot open %s", path);
	if (code == 0)
		code = open_file(made, options, error);
	if (code == 0)
		code = make_buffers(made, options, error);
	if (code < 0) {
		output_discard(made);
		output_close(made);
		return code;
	}
	if (made->device.regular && !options->no_uring && !options->flush_each)
		output_device_ring(&made->device, made->buffer_size);
	*output = made;
	return 0;
}

/* ---- filling ---- */

static uint8_t *current_data(const struct output *output)
{
	return output->device.buffers[output->current].data;
}

/* The current buffer is full: to the file with it, and what ran over its end goes to the next one's start. */
static void turn(struct output *output)
{
	struct output_device *device = &output->device;
	uint8_t *data = current_data(output);
	size_t over = output->used - output->buffer_size;
	size_t from = output->flushed;
	unsigned next = (output->current + 1) % device->buffer_count;

	if (device->direct_fd >= 0)
		from -= from % OUTPUT_ALIGN;
	output_device_submit(device, output->current, (uint32_t)from, (uint32_t)output->buffer_size,
			     output->base + from);
	output_device_await(device, next);
	memcpy(device->buffers[next].data, data + output->buffer_size, over);
	output->current = next;
	output->base += output->buffer_size;
	output->used = over;
	output->flushed = 0;
}

static int write_sequential(struct output *output)
{
	int code = output_device_write_next(&output->device, current_data(output), output->used, output->base);

	output->base += output->used;
	output->used = 0;
	return code;
}

void *output_reserve(struct output *output, size_t length)
{
	if (output->device.error.code != 0)
		return NULL;
	if (length > OUTPUT_RESERVE_MAX) {
		output_device_fail(&output->device, -EMSGSIZE, output_offset(output));
		return NULL;
	}
	return current_data(output) + output->used;
}

void output_commit(struct output *output, size_t length)
{
	output->used += length;
	if (output->used < output->buffer_size)
		return;
	if (!output->device.regular) {
		write_sequential(output);
		return;
	}
	while (output->used >= output->buffer_size)
		turn(output);
}

int output_write(struct output *output, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	while (length > 0) {
		size_t part = length < OUTPUT_RESERVE_MAX ? length : OUTPUT_RESERVE_MAX;
		void *room = output_reserve(output, part);

		if (room == NULL)
			return output->device.error.code;
		memcpy(room, bytes, part);
		output_commit(output, part);
		bytes += part;
		length -= part;
	}
	return output->device.error.code;
}

int output_flush(struct output *output)
{
	struct output_device *device = &output->device;
	int code;

	output_device_drain(device);
	if (device->error.code != 0)
		return device->error.code;
	if (!device->regular)
		return output->used > 0 ? write_sequential(output) : 0;
	/* The tail is no multiple of a block: through the page cache, and again with its whole buffer later. */
	code = output_device_write_at(device, current_data(output) + output->flushed, output->used - output->flushed,
				      output->base + output->flushed);
	if (code == 0)
		output->flushed = output->used;
	return code;
}

int output_patch(struct output *output, uint64_t offset, const void *data, size_t length)
{
	int code;

	if (!output_seekable(output))
		return -ESPIPE;
	if (offset > output_offset(output) || length > output_offset(output) - offset)
		return -EINVAL;
	code = output_flush(output);
	if (code == 0)
		code = output_device_write_at(&output->device, data, length, offset);
	/* The current buffer may be written once more from its start: keep it the same as the file. */
	if (code == 0 && offset + length > output->base) {
		uint64_t from = offset > output->base ? offset : output->base;

		memcpy(current_data(output) + (from - output->base), (const uint8_t *)data + (from - offset),
		       offset + length - from);
	}
	return code;
}

bool output_seekable(const struct output *output)
{
	return output->device.regular;
}

bool output_is_terminal(const struct output *output)
{
	return output->terminal;
}

uint64_t output_offset(const struct output *output)
{
	return output->base + output->used;
}

int output_error(const struct output *output, struct error *error)
{
	if (error != NULL)
		*error = output->device.error;
	return output->device.error.code;
}

uint64_t output_whole_until(struct output *output)
{
	output_device_drain(&output->device);
	return output->device.error.code != 0 ? output->device.whole_until : output->base + output->flushed;
}

bool output_is_prompt(const struct output *output)
{
	return output->prompt;
}

void output_discard(struct output *output)
{
	output->discarded = true;
}

const char *output_method(const struct output *output)
{
	if (!output->device.regular)
		return "write";
	if (!output->device.ring_on)
		return "pwrite";
	return output->device.direct_fd >= 0 ? "io_uring+O_DIRECT" : "io_uring";
}

/* ---- the end ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Closes the file and sees the error that some file systems keep for close. */
static int close_checked(struct output *output)
{
	int fd = output->device.fd;

	output->device.fd = -1;
	/* kernel: after EINTR the descriptor is closed all the same. */
	if (close(fd) < 0 && errno != EINTR)
		return output_device_fail(&output->device, -errno, output_offset(output));
	return 0;
}

static int sync_data(struct output *output)
{
	int code;

	do
		code = fdatasync(output->device.fd) < 0 ? -errno : 0;
	while (code == -EINTR);
	return code < 0 ? output_device_fail(&output->device, code, output_offset(output)) : 0;
}

static int give_name(struct output *output)
{
	struct error *error = &output->device.error;
	int code;

	if (renameat(output->dir_fd, output->part_name, output->dir_fd, output->name) == 0) {
		fsync(output->dir_fd); /* the name too is to outlive a power cut; not every file system can */
		return 0;
	}
	code = -errno;
	output_device_fail(&output->device, code, output_offset(output));
	error_set_errno(error, code, "cannot rename %s.part to %s", output->path, output->path);
	if (code == -ENOENT)
		return error_hint(error, "it was moved or deleted while it was written");
	return error_hint(error, "the .part file is complete: rename it by hand");
}

static int finish_regular(struct output *output)
{
	int lock, code = sync_data(output);

	if (code < 0)
		return code;
	close_fd(&output->device.direct_fd);
	/* Holds the lock until the file has its name: the lock belongs to the open file, not to the descriptor. */
	lock = fcntl(output->device.fd, F_DUPFD_CLOEXEC, 0);
	code = close_checked(output);
	if (code == 0 && output->device.part)
		code = give_name(output);
	close_fd(&lock);
	return code;
}

int output_finish(struct output *output, struct error *error)
{
	int code = output_flush(output);

	if (code == 0)
		code = output->device.regular ? finish_regular(output) : close_checked(output);
	output->finished = code == 0;
	output_error(output, error);
	return code;
}

void output_close(struct output *output)
{
	struct output_device *device;

	if (output == NULL)
		return;
	device = &output->device;
	if (output->discarded && device->part && device->fd >= 0)
		unlinkat(output->dir_fd, output->part_name, 0);
	else if (device->fd >= 0 && !output->finished && device->error.code == 0)
		output_flush(output);
	output_device_drain(device);
	output_device_close(device);
	/* Buffers behind a failed one may have been written: no reader shall find a hole before them. */
	if (device->fd >= 0 && device->regular && device->error.code != 0 &&
	    ftruncate(device->fd, (off_t)device->whole_until) < 0)
		device->whole_until = 0; /* a disk that fails in everything: nothing more can be done */
	close_fd(&device->direct_fd);
	close_fd(&device->fd);
	close_fd(&output->dir_fd);
	if (output->memory != NULL)
		munmap(output->memory, output->memory_size);
	free(output->path);
	free(output->directory);
	free(output->name);
	free(output->part_name);
	free(output);
}
