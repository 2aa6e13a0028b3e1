/* Network namespaces, by name as `ip netns` has them, or by path (/proc/PID/ns/net).
 *
 * Owner: the control thread, before it opens sources: threads that it starts later inherit its namespace.
 */
#ifndef WEIR_ENGINE_NETNS_H
#define WEIR_ENGINE_NETNS_H

#include "engine/error.h"

/* Moves the calling thread into a namespace. A text with a slash is a path, another one a name below
 * /run/netns. -ENOENT, -EPERM, -EINVAL (a file that is no network namespace). */
int netns_enter(const char *name_or_path, struct error *error);

#endif
