#include "engine/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NETNS_DIRECTORY "/run/netns/"

int netns_enter(const char *name_or_path, struct error *error)
{
	char path[PATH_MAX];
	bool is_path = strchr(name_or_path, '/') != NULL;
	int fd, result;

	if (snprintf(path, sizeof path, "%s%s", is_path ? "" : NETNS_DIRECTORY, name_or_path) >= (int)sizeof path)
		return error_set(error, -ENAMETOOLONG, "the network namespace's name is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		result = error_set_errno(error, -errno, "cannot open the network namespace '%.100s'", name_or_path);
		if (result == -ENOENT)
			error_hint(error, "ip netns list shows those that are there");
		return result;
	}
	result = setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
	close(fd);
	if (result == 0)
		return 0;
	if (result == -EINVAL)
		return error_set(error, result, "'%.100s' is no network namespace", name_or_path);
	error_set_errno(error, result, "cannot enter the network namespace '%.100s'", name_or_path);
	if (result == -EPERM)
		error_hint(error, "that takes CAP_SYS_ADMIN");
	return result;
}
