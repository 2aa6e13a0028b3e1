#include "engine/sinks/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC "WEIRSPL1"
#define NAME_BYTES 32 /* 20 digits, ".rows" */

struct chunk_header {
	char magic[8];
	uint32_t row_size, count;
	uint64_t number;
};
_Static_assert(sizeof(struct chunk_header) == 24, "no padding in the file");

struct entry {
	uint64_t number;
	uint32_t count;
};

struct spool {
	int directory, lock;
	size_t row_size;
	uint64_t limit, bytes, rows;
	struct entry *entries; /* the queue: entries[first..last), oldest first */
	size_t first, last, capacity;
};

static void name_of(uint64_t number, const char *suffix, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%020" PRIu64 "%s", number, suffix);
}

static int push(struct spool *spool, uint64_t number, uint32_t count)
{
	if (spool->last == spool->capacity && spool->first > spool->capacity / 2) {
		memmove(spool->entries, spool->entries + spool->first,
			(spool->last - spool->first) * sizeof *spool->entries);
		spool->last -= spool->first;
		spool->first = 0;
	}
	if (spool->last == spool->capacity) {
		size_t capacity = spool->capacity ? spool->capacity * 2 : 256;
		struct entry *entries = reallocarray(spool->entries, capacity, sizeof *entries);

		if (!entries)
			return -ENOMEM;
		spool->entries = entries;
		spool->capacity = capacity;
	}
	spool->entries[spool->last++] = (struct entry){ number, count };
	spool->rows += count;
	spool->bytes += sizeof(struct chunk_header) + count * spool->row_size;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* What an earlier run left. */
static int find_chunks(struct spool *spool)
{
	DIR *stream = fdopendir(openat(spool->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *item;
	int rc = 0;

	if (!stream)
		return -errno;
	while (rc == 0 && (item = readdir(stream))) {
		uint64_t number;
		struct stat status;
		int end = 0;

		if (strstr(item->d_name, ".tmp"))
			unlinkat(spool->directory, item->d_name, 0); /* was never whole */
		if (sscanf(item->d_name, "%20" SCNu64 ".rows%n", &number, &end) != 1 || end == 0 ||
		    item->d_name[end] || fstatat(spool->directory, item->d_name, &status, 0) < 0 ||
		    (size_t)status.st_size < sizeof(struct chunk_header))
			continue;
		rc = push(spool, number,
			  (uint32_t)(((size_t)status.st_size - sizeof(struct chunk_header)) /
				     spool->row_size));
	}
	closedir(stream);
	if (spool->last)
		qsort(spool->entries, spool->last, sizeof *spool->entries, by_number);
	return rc;
}

/* The target's own directory: its letters and digits, and a hash of all of it. */
static void directory_name(const char *target, char name[64])
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
	size_t length = 0;

	for (const char *p = target; *p; p++) {
		hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
		if (length < 40)
			name[length++] = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
							 (*p >= '0' && *p <= '9')
						 ? *p
						 : '_';
	}
	snprintf(name + length, 64 - length, "-%016" PRIx64, hash);
}

int spool_open(const char *directory, const char *target, size_t row_size, uint64_t limit,
	       struct spool **spool, struct error *error)
{
	struct spool *made = calloc(1, sizeof *made);
	char name[64];
	int parent, rc;

	*spool = NULL;
	if (!made)
		return error_set_errno(error, -ENOMEM, "--spool");
	made->directory = made->lock = -1;
	made->row_size = row_size;
	made->limit = limit;
	directory_name(target, name);
	mkdir(directory, 0777);
	parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		mkdirat(parent, name, 0700);
		made->directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	rc = made->directory < 0 ? -errno : 0;
	if (parent >= 0)
		close(parent);
	if (rc == 0) {
		made->lock = openat(made->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		rc = made->lock < 0 || flock(made->lock, LOCK_EX | LOCK_NB) < 0 ? -errno : find_chunks(made);
	}
	if (rc == -EWOULDBLOCK) {
		rc = error_set(error, -EBUSY, "the spool %s/%s is in use by another weir", directory, name);
		error_hint(error, "give each its own --spool");
	} else if (rc) {
		error_set_errno(error, rc, "cannot use the spool %s", directory);
	}
	if (rc)
		spool_close(made);
	else
		*spool = made;
	return rc;
}

static int write_all(int fd, struct iovec *parts, int count)
{
	while (count) {
		ssize_t n = writev(fd, parts, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (count && (size_t)n >= parts->iov_len) {
			n -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count) {
			parts->iov_base = (char *)parts->iov_base + n;
			parts->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int spool_add(struct spool *spool, uint64_t number, const void *first, uint32_t first_count,
	      const void *second, uint32_t second_count)
{
	uint32_t count = first_count + second_count;
	struct chunk_header header = { .row_size = (uint32_t)spool->row_size,
				       .count = count,
				       .number = number };
	struct iovec parts[3] = {
		{ &header, sizeof header },
		{ (void *)(uintptr_t)first, first_count * spool->row_size },
		{ (void *)(uintptr_t)second, second_count * spool->row_size },
	};
	char name[NAME_BYTES], temporary[NAME_BYTES];
	int fd, rc;

	if (spool->bytes + sizeof header + count * spool->row_size > spool->limit)
		return -EDQUOT;
	memcpy(header.magic, MAGIC, sizeof header.magic);
	name_of(number, ".rows", name);
	name_of(number, ".tmp", temporary);
	fd = openat(spool->directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, parts, 3);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(spool->directory, temporary, spool->directory, name) < 0)
		rc = -errno;
	if (rc == 0)
		rc = push(spool, number, count);
	else
		unlinkat(spool->directory, temporary, 0);
	/* A chunk that is older than what lies there (it was in memory until now) goes to its place. */
	for (size_t i = spool->last; rc == 0 && i > spool->first + 1 && spool->entries[i - 2].number > number;
	     i--) {
		spool->entries[i - 1] = spool->entries[i - 2];
		spool->entries[i - 2] = (struct entry){ number, count };
	}
	return rc;
}

static void forget_first(struct spool *spool)
{
	const struct entry *entry = &spool->entries[spool->first++];

	spool->rows -= entry->count;
	spool->bytes -= sizeof(struct chunk_header) + entry->count * spool->row_size;
}

static int read_chunk(struct spool *spool, uint64_t number, void *rows, uint32_t max, uint32_t *count)
{
	struct chunk_header header;
	char name[NAME_BYTES];
	size_t size;
	int fd, rc = -EBADMSG;

	name_of(number, ".rows", name);
	fd = openat(spool->directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (read(fd, &header, sizeof header) == (ssize_t)sizeof header &&
	    memcmp(header.magic, MAGIC, 8) == 0 && header.row_size == spool->row_size &&
	    header.count <= max && header.number == number) {
		size = header.count * spool->row_size;
		*count = header.count;
		if (pread(fd, rows, size, sizeof header) == (ssize_t)size)
			rc = 0;
	}
	close(fd);
	return rc;
}

int spool_read(struct spool *spool, void *rows, uint32_t max, uint32_t *count, uint64_t *number)
{
	while (spool->first < spool->last) {
		char name[NAME_BYTES], aside[NAME_BYTES];

		*number = spool->entries[spool->first].number;
		if (read_chunk(spool, *number, rows, max, count) == 0)
			return 0;
		name_of(*number, ".rows", name);
		name_of(*number, ".bad", aside);
		renameat(spool->directory, name, spool->directory, aside);
		forget_first(spool);
	}
	*count = 0;
	return 0;
}

void spool_remove(struct spool *spool, uint64_t number)
{
	char name[NAME_BYTES];

	if (spool->first == spool->last || spool->entries[spool->first].number != number)
		return;
	name_of(number, ".rows", name);
	unlinkat(spool->directory, name, 0);
	forget_first(spool);
}

uint64_t spool_chunks(const struct spool *spool)
{
	return spool->last - spool->first;
}

uint64_t spool_rows(const struct spool *spool)
{
	return spool->rows;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->directory >= 0)
		close(spool->directory);
	if (spool->lock >= 0)
		close(spool->lock);
	free(spool->entries);
	free(spool);
}
