#include "engine/seal/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct manifest {
	int fd;
	uint8_t head[MANIFEST_HASH]; /* of the last line */
	char path[PATH_MAX];
	char prefix[PATH_MAX];       /* put before names: empty, or the directory with a slash */
	struct manifest_entry entry;
	char line[MANIFEST_LINE_MAX];
};

struct manifest_reader {
	FILE *file;
	char *line;
	size_t capacity;
	uint64_t number;
	uint8_t head[MANIFEST_HASH];
	char path[PATH_MAX];
};

/* Lines are short and the chain must not depend on what a kernel has: always libcrypto. */
static int hash_line(const char *line, size_t length, uint8_t *out, struct error *error)
{
	struct crypto_hash *hash = NULL;
	int ret;

	ret = crypto_hash_open(&hash, CRYPTO_LIBRARY, CRYPTO_SHA256, NULL, 0, error);
	if (ret != 0)
		return ret;
	ret = crypto_hash_update(hash, line, length);
	if (ret == 0)
		ret = crypto_hash_final(hash, out);
	crypto_hash_close(hash);
	return ret == 0 ? 0 : error_set_errno(error, ret, "cannot hash a line");
}

/* Where the captured files are named from: nothing if they lie beside the manifest. */
static int find_prefix(struct manifest *manifest, const char *directory, struct error *error)
{
	char copy[PATH_MAX], resolved[PATH_MAX];
	struct stat own, files;

	if (directory == NULL)
		return 0;
	memcpy(copy, manifest->path, sizeof copy);
	if (stat(dirname(copy), &own) != 0 || stat(directory, &files) != 0)
		return error_set_errno(error, -errno, "cannot look at %s", directory);
	if (own.st_dev == files.st_dev && own.st_ino == files.st_ino)
		return 0;
	if (realpath(directory, resolved) == NULL)
		return error_set_errno(error, -errno, "cannot look at %s", directory);
	if (snprintf(manifest->prefix, sizeof manifest->prefix, "%s/", resolved) >= (int)sizeof manifest->prefix)
		return error_set_errno(error, -ENAMETOOLONG, "%s", directory);
	return 0;
}

/* The hash that the next line must name, from the end of the file. */
static int find_head(struct manifest *manifest, struct error *error)
{
	struct stat status;
	off_t start;
	ssize_t got;
	char *end, *newline;

	if (fstat(manifest->fd, &status) != 0)
		return error_set_errno(error, -errno, "cannot look at %s", manifest->path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "%s is no regular file", manifest->path);
	if (status.st_size == 0)
		return 0;
	start = status.st_size > MANIFEST_LINE_MAX ? status.st_size - MANIFEST_LINE_MAX : 0;
	got = pread(manifest->fd, manifest->line, (size_t)(status.st_size - start), start);
	if (got != status.st_size - start)
		return error_set_errno(error, got < 0 ? -errno : -EIO, "cannot read %s", manifest->path);
	end = manifest->line + got - 1;
	newline = *end == '\n' ? memrchr(manifest->line, '\n', (size_t)(end - manifest->line)) : NULL;
	if (*end != '\n' || (newline == NULL && start > 0)) {
		error_set(error, -EBADMSG, "the last line of %s is cut", manifest->path);
		return error_hint(error, "keep it as it is and begin another manifest");
	}
	newline = newline == NULL ? manifest->line : newline + 1;
	return hash_line(newline, (size_t)(end - newline), manifest->head, error);
}

int manifest_open(struct manifest **out, const char *path, const char *directory, struct error *error)
{
	struct manifest *manifest = calloc(1, sizeof *manifest);
	int ret;

	*out = NULL;
	if (manifest == NULL)
		return error_set_errno(error, -ENOMEM, "no memory for the manifest");
	manifest->fd = -1;
	ret = -ENAMETOOLONG;
	if (snprintf(manifest->path, sizeof manifest->path, "%s", path) >= (int)sizeof manifest->path) {
		error_set_errno(error, ret, "cannot open %s", path);
		goto fail;
	}
	manifest->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
	if (manifest->fd < 0) {
		ret = error_set_errno(error, -errno, "cannot open %s", path);
		goto fail;
	}
	if (flock(manifest->fd, LOCK_EX | LOCK_NB) != 0) {
		ret = error_set(error, -EBUSY, "%s is being written by another capture", path);
		goto fail;
	}
	ret = find_prefix(manifest, directory, error);
	if (ret == 0)
		ret = find_head(manifest, error);
	if (ret != 0)
		goto fail;
	*out = manifest;
	return 0;
fail:
	manifest_close(manifest);
	return ret;
}

int manifest_hash_fd(int fd, enum crypto_provider provider, uint8_t *sha256, uint64_t *size,
	struct error *error)
{
	struct crypto_hash *hash = NULL;
	ssize_t got;
	int ret;

	*size = 0;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	ret = crypto_hash_open(&hash, provider, CRYPTO_SHA256, NULL, 0, error);
	if (ret != 0)
		return ret;
	while ((got = crypto_hash_file(hash, fd, CRYPTO_CHUNK)) > 0)
		*size += (uint64_t)got;
	ret = got < 0 ? (int)got : crypto_hash_final(hash, sha256);
	crypto_hash_close(hash);
	return ret == 0 ? 0 : error_set_errno(error, ret, "cannot read");
}

/* All of the line or nothing of it. */
static int write_line(struct manifest *manifest, size_t length, struct error *error)
{
	off_t before = lseek(manifest->fd, 0, SEEK_END);
	size_t done = 0;
	int ret = 0;

	while (ret == 0 && done < length) {
		ssize_t written = write(manifest->fd, manifest->line + done, length - done);

		if (written >= 0)
			done += (size_t)written;
		else if (errno != EINTR)
			ret = -errno;
	}
	if (ret == 0 && fdatasync(manifest->fd) != 0)
		ret = -errno;
	if (ret == 0)
		return 0;
	error_set_errno(error, ret, "cannot write %s", manifest->path);
	if (before >= 0 && ftruncate(manifest->fd, before) != 0)
		error_hint(error, "its last line is cut");
	return ret;
}

int manifest_append(struct manifest *manifest, int dirfd, const char *name, uint64_t packets,
	uint64_t first_ns, uint64_t last_ns, enum crypto_provider provider, struct error *error)
{
	struct manifest_entry *entry = &manifest->entry;
	const char *prefix = name[0] == '/' ? "" : manifest->prefix;
	size_t length;
	int fd, ret;

	if (snprintf(entry->name, sizeof entry->name, "%s%s", prefix, name) >= (int)sizeof entry->name)
		return error_set_errno(error, -ENAMETOOLONG, "cannot record %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set_errno(error, -errno, "cannot open %s", name);
	ret = manifest_hash_fd(fd, provider, entry->sha256, &entry->size, error);
	close(fd);
	if (ret != 0)
		return error_set_errno(error, ret, "cannot read %s for the manifest", name);
	entry->packets = packets;
	entry->first_ns = first_ns;
	entry->last_ns = last_ns;
	memcpy(entry->previous, manifest->head, MANIFEST_HASH);
	length = manifest_line_format(manifest->line, entry);
	manifest->line[length] = '\n';
	ret = write_line(manifest, length + 1, error);
	if (ret != 0)
		return ret;
	return hash_line(manifest->line, length, manifest->head, error);
}

void manifest_close(struct manifest *manifest)
{
	if (manifest == NULL)
		return;
	if (manifest->fd >= 0)
		close(manifest->fd);
	free(manifest);
}

int manifest_reader_open(struct manifest_reader **out, const char *path, struct error *error)
{
	struct manifest_reader *reader = calloc(1, sizeof *reader);

	*out = NULL;
	if (reader == NULL)
		return error_set_errno(error, -ENOMEM, "no memory for the manifest");
	snprintf(reader->path, sizeof reader->path, "%s", path);
	reader->capacity = MANIFEST_LINE_MAX + 2;
	reader->line = malloc(reader->capacity);
	reader->file = fopen(path, "re");
	if (reader->line == NULL || reader->file == NULL) {
		int ret = error_set_errno(error, -errno, "cannot open %s", path);

		manifest_reader_close(reader);
		return ret;
	}
	*out = reader;
	return 0;
}

/* One line without its newline, of any bytes; what is beyond the longest possible line is dropped (the line
 * is then malformed). False at the end of the file. */
static bool read_line(struct manifest_reader *reader, size_t *length, bool *ended)
{
	int c;

	*length = 0;
	*ended = false;
	while ((c = getc_unlocked(reader->file)) != EOF) {
		if (c == '\n') {
			*ended = true;
			return true;
		}
		if (*length < reader->capacity)
			reader->line[(*length)++] = (char)c;
	}
	return *length > 0;
}

int manifest_reader_next(struct manifest_reader *reader, struct manifest_entry *entry, struct error *error)
{
	uint8_t before[MANIFEST_HASH];
	size_t length;
	bool ended;
	int ret;

	if (!read_line(reader, &length, &ended)) {
		if (ferror(reader->file))
			return error_set_errno(error, -EIO, "cannot read %s", reader->path);
		return MANIFEST_END;
	}
	reader->number++;
	memcpy(before, reader->head, sizeof before);
	ret = hash_line(reader->line, length, reader->head, error);
	if (ret != 0)
		return ret;
	if (!ended)
		return MANIFEST_TORN;
	if (!manifest_line_parse(reader->line, length, entry))
		return MANIFEST_MALFORMED;
	return memcmp(entry->previous, before, sizeof before) == 0 ? MANIFEST_GOOD : MANIFEST_CHAIN;
}

const uint8_t *manifest_reader_head(const struct manifest_reader *reader)
{
	return reader->head;
}

uint64_t manifest_reader_line(const struct manifest_reader *reader)
{
	return reader->number;
}

void manifest_reader_close(struct manifest_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->file != NULL)
		fclose(reader->file);
	free(reader->line);
	free(reader);
}

enum manifest_file manifest_check(int dirfd, const struct manifest_entry *entry,
	enum crypto_provider provider, struct error *error)
{
	uint8_t sha256[MANIFEST_HASH];
	enum manifest_file result = MANIFEST_FILE_GOOD;
	struct stat status;
	uint64_t size;
	int fd;

	fd = openat(dirfd, entry->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		error_set_errno(error, -errno, "cannot open %s", entry->name);
		return errno == ENOENT || errno == ENOTDIR ? MANIFEST_FILE_MISSING : MANIFEST_FILE_UNREADABLE;
	}
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		error_set(error, -EINVAL, "%s is no regular file", entry->name);
		result = MANIFEST_FILE_UNREADABLE;
	} else if ((uint64_t)status.st_size != entry->size) {
		result = MANIFEST_FILE_SIZE;
	} else if (manifest_hash_fd(fd, provider, sha256, &size, error) != 0) {
		result = MANIFEST_FILE_UNREADABLE;
	} else if (size != entry->size) {
		result = MANIFEST_FILE_SIZE;
	} else if (memcmp(sha256, entry->sha256, sizeof sha256) != 0) {
		result = MANIFEST_FILE_CHANGED;
	}
	close(fd);
	return result;
}
