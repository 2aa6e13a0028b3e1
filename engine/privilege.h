/* Giving up root's powers once everything is open.
 *
 * What stays is the least that the run can still need: the right to open packet sockets again, and, only if
 * an output's directory is otherwise closed to it, the right to rename the finished file there. Owner: the
 * control thread, before any other thread exists (the sets are per thread and inherited).
 */
#ifndef WEIR_ENGINE_PRIVILEGE_H
#define WEIR_ENGINE_PRIVILEGE_H

#include <stdbool.h>

#include "engine/error.h"

struct privilege_needs {
	bool packet_sockets;         /* an interface may go away and come back: CAP_NET_RAW */
	const int *capabilities;     /* CAP_* that a backend needs besides, capability_count of them */
	unsigned capability_count;
	const char *const *outputs;  /* paths of open output files, output_count of them (as they are named now) */
	unsigned output_count;
	const char *user;            /* become this user and its groups; the outputs become its own. NULL: stay */
};

/* Sets no_new_privs, switches the user if asked, and empties all capability sets but for what is needed (and
 * held now: without capabilities this is no error). Errors: -ENOENT (no such user), -EPERM (cannot
 * become it), -errno of an output that cannot be given away. After an error the process may have
 * given up a part: end it. */
int privilege_drop(const struct privilege_needs *needs, struct error *error);

#endif
