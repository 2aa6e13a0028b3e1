#include "engine/seal/partfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Opens and locks NAME.part. Whoever else wrote it may have renamed it since it was opened: the name must
 * still lead to what was opened, or the finished file would be cut. */
static int open_part(struct partfile *file, struct error *error)
{
	struct stat opened, named;

	file->fd = openat(file->dirfd, file->part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
		0600);
	if (file->fd < 0)
		return error_set_errno(error, -errno, "cannot create %s", file->part);
	if (fstat(file->fd, &opened) != 0 || fstatat(file->dirfd, file->part, &named, AT_SYMLINK_NOFOLLOW) != 0)
		return error_set_errno(error, -errno, "cannot look at %s", file->part);
	if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 || !S_ISREG(opened.st_mode) || opened.st_nlink != 1 ||
	    opened.st_uid != geteuid() || !same_file(&opened, &named)) {
		close(file->fd);
		file->fd = -1; /* another's: not ours to remove */
		error_set(error, -EBUSY, "%s is there already and not ours", file->part);
		return error_hint(error, "another run may be writing it; otherwise remove it");
	}
	if (ftruncate(file->fd, 0) != 0 || fchmod(file->fd, 0600) != 0)
		return error_set_errno(error, -errno, "cannot empty %s", file->part);
	return 0;
}

int partfile_open(struct partfile *file, int dirfd, const char *path, bool replace, struct error *error)
{
	struct stat status;
	int ret;

	memset(file, 0, sizeof *file);
	file->fd = -1;
	file->dirfd = dirfd;
	file->replace = replace;
	if (snprintf(file->path, sizeof file->path, "%s", path) >= (int)sizeof file->path ||
	    snprintf(file->part, sizeof file->part, "%s.part", path) >= (int)sizeof file->part)
		return error_set_errno(error, -ENAMETOOLONG, "cannot create %s", path);
	if (fstatat(dirfd, path, &status, 0) == 0) {
		if (S_ISREG(status.st_mode) && !replace) {
			error_set(error, -EEXIST, "%s exists", path);
			return error_hint(error, "another name, or --force to replace it");
		}
		file->direct = !S_ISREG(status.st_mode);
	}
	if (file->direct) {
		file->fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return file->fd >= 0 ? 0 : error_set_errno(error, -errno, "cannot open %s", path);
	}
	ret = open_part(file, error);
	if (ret != 0)
		partfile_close(file);
	return ret;
}

static int sync_directory(const struct partfile *file)
{
	char copy[PATH_MAX];
	int fd, ret;

	memcpy(copy, file->path, sizeof copy);
	fd = openat(file->dirfd, dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES ? 0 : -errno; /* a directory may be writable and not readable */
	ret = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
	close(fd);
	return ret;
}

int partfile_commit(struct partfile *file, struct error *error)
{
	unsigned flags = file->replace ? 0 : RENAME_NOREPLACE;
	int ret;

	if (file->direct) {
		ret = close(file->fd) == 0 ? 0 : -errno;
		file->fd = -1;
		return ret == 0 ? 0 : error_set_errno(error, ret, "cannot write %s", file->path);
	}
	if (fsync(file->fd) != 0) {
		ret = error_set_errno(error, -errno, "cannot write %s", file->path);
		goto fail;
	}
	ret = renameat2(file->dirfd, file->part, file->dirfd, file->path, flags) == 0 ? 0 : -errno;
	if (ret == -EINVAL && flags != 0) /* kernel: some file systems (NFS, FUSE) do not know the flag */
		ret = renameat(file->dirfd, file->part, file->dirfd, file->path) == 0 ? 0 : -errno;
	if (ret != 0) {
		error_set_errno(error, ret, "cannot give %s its name", file->path);
		goto fail;
	}
	close(file->fd);
	file->fd = -1;
	ret = sync_directory(file);
	return ret == 0 ? 0 : error_set_errno(error, ret, "cannot sync the directory of %s", file->path);
fail:
	partfile_close(file);
	return ret;
}

void partfile_close(struct partfile *file)
{
	if (file->path[0] == '\0' || file->fd < 0)
		return;
	if (!file->direct)
		unlinkat(file->dirfd, file->part, 0);
	close(file->fd);
	file->fd = -1;
}
