#include "engine/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int find_user(const char *name, struct passwd **user, struct error *error)
{
	errno = 0;
	*user = getpwnam(name);
	if (*user != NULL)
		return 0;
	error_set(error, -ENOENT, "there is no user '%.60s'", name);
	error_hint(error, "--user takes a name from /etc/passwd");
	return -ENOENT;
}

static int give_away(const struct privilege_needs *needs, const struct passwd *user, struct error *error)
{
	for (unsigned i = 0; i < needs->output_count; i++) {
		if (lchown(needs->outputs[i], user->pw_uid, user->pw_gid) < 0)
			return error_set_errno(error, -errno, "cannot give '%.100s' to user %s", needs->outputs[i],
					       user->pw_name);
	}
	return 0;
}

/* Keeps the permitted set over the change of user; privilege_drop empties it after. */
static int become(const struct passwd *user, struct error *error)
{
	int result;

	if (user->pw_uid == geteuid() && user->pw_gid == getegid())
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) == 0 && initgroups(user->pw_name, user->pw_gid) == 0 &&
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == 0 &&
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == 0)
		return 0;
	result = error_set_errno(error, -errno, "cannot become user %s", user->pw_name);
	error_hint(error, "--user needs to be started as root");
	return result;
}

/* Whether the finished file can be renamed without special rights. Called with an empty effective set. */
static bool may_rename(const char *output)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s", output) >= (int)sizeof path)
		return false;
	return faccessat(AT_FDCWD, dirname(path), W_OK | X_OK, AT_EACCESS) == 0;
}

static bool directories_closed(const struct privilege_needs *needs)
{
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH);
	capng_apply(CAPNG_SELECT_CAPS);
	for (unsigned i = 0; i < needs->output_count; i++) {
		if (!may_rename(needs->outputs[i]))
			return true;
	}
	return false;
}

static void keep(const bool *held, int capability)
{
	if (capability >= 0 && capability <= CAP_LAST_CAP && held[capability])
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)capability);
}

int privilege_drop(const struct privilege_needs *needs, struct error *error)
{
	bool held[CAP_LAST_CAP + 1];
	bool closed, bounding;
	struct passwd *user = NULL;
	int result;

	result = needs->user != NULL ? find_user(needs->user, &user, error) : 0;
	if (result == 0 && user != NULL)
		result = give_away(needs, user, error);
	if (result == 0 && user != NULL)
		result = become(user, error);
	if (result != 0)
		return result;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return error_set_errno(error, -errno, "cannot forbid new privileges");

	if (capng_get_caps_process() < 0)
		return error_set(error, -EPERM, "cannot read the process's capabilities");
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		held[i] = capng_have_capability(CAPNG_PERMITTED, (unsigned)i) == 1;
	bounding = held[CAP_SETPCAP];
	closed = directories_closed(needs);

	capng_clear(CAPNG_SELECT_CAPS);
	if (bounding) {
		/* Dropping from the bounding set takes CAP_SETPCAP in effect; the last apply empties that too. */
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETPCAP);
		for (int i = 0; i <= CAP_LAST_CAP; i++)
			keep(held, i);
		capng_apply(CAPNG_SELECT_CAPS);
		capng_clear(CAPNG_SELECT_BOTH);
	}
	if (needs->packet_sockets)
		keep(held, CAP_NET_RAW);
	if (closed)
		keep(held, CAP_DAC_OVERRIDE);
	for (unsigned i = 0; i < needs->capability_count; i++)
		keep(held, needs->capabilities[i]);
	if (capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) < 0)
		return error_set(error, -EPERM, "cannot give up capabilities");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L);
	return 0;
}
