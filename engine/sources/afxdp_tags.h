/* Keeps VLAN tags in the bytes while a capture runs.
 *
 * XDP does not see a tag that the hardware has taken out, so the offloads that do this are turned off, and
 * for a veth pair also those of the peer that leave the tag beside the bytes. They are restored by a guard: a
 * child process that waits on a pipe and restores when the pipe closes. It closes when the capture ends,
 * also by SIGKILL. The guard keeps the privileges that restoring needs, and does nothing else.
 *
 * Owner: the control thread. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_TAGS_H
#define WEIR_ENGINE_SOURCES_AFXDP_TAGS_H

#include "engine/error.h"
#include "engine/interfaces.h"
#include "engine/source.h"

struct afxdp_guard {
	int pipe;  /* closing it lets the guard restore; -1: there is none */
	int child; /* process id */
};

/* Turns the offloads off, and starts the guard when one was on. -EOPNOTSUPP when one cannot be turned off.
 * Notes in *report what it cannot reach. *guard is { -1, 0 } before. */
int afxdp_tags_keep(const struct interfaces_entry *interface, struct afxdp_guard *guard,
		    struct source_report *report, struct error *error);

/* Restores, and waits until it is done. Safe on { -1, 0 }. */
void afxdp_tags_restore(struct afxdp_guard *guard);

#endif
