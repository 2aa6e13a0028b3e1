/* The filter of a live AF_PACKET interface: what the kernel runs on its socket, what is left to the worker.
 *
 * The kernel's part is made of a prologue that enforces the direction (packet type; on loopback devices the
 * outgoing copy of each packet goes, so that each is seen once), the person's filter, and the snap length as
 * its return value. Ethernet is compiled on an activated libpcap handle, so that `vlan` looks at the
 * stripped tag; the handle sees nothing, is bound for a moment, and closed before this returns. Cooked
 * interfaces are compiled for SLL2 and shifted, because the kernel runs the program on bytes that begin
 * behind the link header. Owner: the control thread; results are read-only.
 */
#ifndef WEIR_ENGINE_FILTER_FILTER_LIVE_H
#define WEIR_ENGINE_FILTER_FILTER_LIVE_H

#include "engine/filter/filter.h"
#include "engine/interfaces.h"

struct filter_live {
	struct filter_program *kernel; /* after filter_live_compile never empty: at least "accept snap" */
	struct filter_program *user;   /* NULL: nothing is left to the worker */
	char why[160];                 /* with user: why the kernel does not run it */
};

/* Compiles text (NULL or empty: all) for one interface in the calling thread's network namespace.
 * snap_length: bytes of the frame that travel, link header included. Errors: -EINVAL with libpcap's
 * message; -EPERM, -ENODEV and others of the sockets that it opens for a moment. */
int filter_live_compile(const char *text, const struct interfaces_entry *interface, uint32_t snap_length,
			enum source_direction direction, struct filter_live *live, struct error *error);

/* Frees; safe on all zero. */
void filter_live_close(struct filter_live *live);

/* Puts a program on a socket. Returns 0 or -errno. */
int filter_attach(int fd, const struct filter_program *program);

/* Puts a program on a socket that rejects every packet. Returns 0 or -errno. */
int filter_attach_reject(int fd);

#endif
