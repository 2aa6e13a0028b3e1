#include "engine/sinks/stream_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/format.h"

#define OPEN_FILES 256u
#define NAME_MAX_BYTES 160
#define SAME_NAME_MAX 65535u

struct open_file {
	uint64_t id;
	int fd; /* -1: none */
};

struct stream_files {
	int directory;
	uint64_t made;
	struct open_file open[OPEN_FILES];
	char name[4096]; /* of the directory, for errors */
};

int stream_files_open(const char *directory, struct stream_files **files, struct error *error)
{
	struct stream_files *made = calloc(1, sizeof *made);

	*files = NULL;
	if (!made)
		return error_set_errno(error, -ENOMEM, "%s", directory);
	for (unsigned i = 0; i < OPEN_FILES; i++)
		made->open[i].fd = -1;
	snprintf(made->name, sizeof made->name, "%s", directory);
	mkdir(directory, 0777);
	made->directory = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (made->directory < 0) {
		int rc = error_set_errno(error, -errno, "cannot open the directory %s", directory);

		free(made);
		return error_hint(error, "--stream-payload wants a directory that may be written"), rc;
	}
	*files = made;
	return 0;
}

/* 010.000.000.001.00080, or the IPv6 address as it is. */
static char *name_endpoint(char *p, const struct record *record, const uint8_t *address, uint16_t port)
{
	if (record->layers & LAYER_IPV6) {
		p = format_ipv6(p, address);
	} else {
		for (unsigned i = 12; i < 16; i++) {
			p = format_fixed(p, address[i], 3);
			if (i < 15)
				*p++ = '.';
		}
	}
	*p++ = '.';
	return format_fixed(p, port, 5);
}

static void name_file(char *p, const struct record *record, unsigned number)
{
	p = name_endpoint(p, record, record->src_ip, record->src_port);
	*p++ = '-';
	p = name_endpoint(p, record, record->dst_ip, record->dst_port);
	if (number > 1) {
		*p++ = 'c';
		p = format_u32(p, number - 1);
	}
	*p = '\0';
}

static int file_make(struct stream_files *files, struct stream_file *file, const struct record *record)
{
	char name[NAME_MAX_BYTES];

	for (unsigned number = 1; number <= SAME_NAME_MAX; number++) {
		int fd;

		name_file(name, record, number);
		fd = openat(files->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    0666);
		if (fd >= 0) {
			file->number = (uint16_t)number;
			files->made++;
			return fd;
		}
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

static int file_open(struct stream_files *files, uint64_t id, struct stream_file *file,
		     const struct record *record)
{
	struct open_file *entry = &files->open[id % OPEN_FILES];
	int fd;

	if (entry->fd >= 0 && entry->id == id)
		return entry->fd;
	if (file->number) {
		char name[NAME_MAX_BYTES];

		name_file(name, record, file->number);
		fd = openat(files->directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		fd = fd < 0 ? -errno : fd;
	} else {
		fd = file_make(files, file, record);
	}
	if (fd < 0)
		return fd;
	if (entry->fd >= 0)
		close(entry->fd);
	*entry = (struct open_file){ id, fd };
	return fd;
}

int stream_files_write(struct stream_files *files, uint64_t id, struct stream_file *file,
		       const struct record *record, const uint8_t *bytes, uint32_t length, uint64_t offset,
		       struct error *error)
{
	int fd = file_open(files, id, file, record);

	if (fd < 0)
		return error_set_errno(error, fd, "cannot write a stream's file in %s", files->name);
	while (length) {
		ssize_t n = pwrite(fd, bytes, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(error, -errno, "cannot write a stream's file in %s",
					       files->name);
		bytes += n;
		offset += (uint64_t)n;
		length -= (uint32_t)n;
	}
	return 0;
}

void stream_files_done(struct stream_files *files, uint64_t id)
{
	struct open_file *entry = &files->open[id % OPEN_FILES];

	if (entry->fd >= 0 && entry->id == id) {
		close(entry->fd);
		entry->fd = -1;
	}
}

uint64_t stream_files_count(const struct stream_files *files)
{
	return files->made;
}

void stream_files_close(struct stream_files *files)
{
	if (!files)
		return;
	for (unsigned i = 0; i < OPEN_FILES; i++) {
		if (files->open[i].fd >= 0)
			close(files->open[i].fd);
	}
	close(files->directory);
	free(files);
}
