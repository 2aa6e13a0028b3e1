/* Live packets from AF_PACKET: a TPACKET_V3 ring for each worker.
 *
 * The kernel copies packets into blocks that this process has mapped; a block changes hands through
 * its status word (block_walk.h). Several workers on one interface form a fanout group, in which the
 * kernel shares packets out, by default by a flow hash that is the same for both directions.
 *
 * Start-up, so that no packet is foreign, doubled or from before the start: each socket is made with
 * protocol 0 (it receives nothing), gets its options, its ring and a filter that rejects everything, is
 * bound, joins the group; only `start` puts the real filter in place. A socket that is bound and not
 * yet in its group gets packets that the group gets too: hence the rejecting filter. (From 6.13 on the
 * group can be joined before the bind; one order for all kernels is kept.)
 *
 * Blocks go back in order: a span that is released early waits for those before it, because the
 * kernel waits for its next block and for no other.
 *
 * An interface that goes down or is deleted: what the ring holds is handed out, then rx_burst says
 * -ENETDOWN. reopen goes on with the same socket when the interface is only up again; after a deletion it
 * makes new sockets and rings as soon as an interface of that name is there (a packet socket cannot be
 * bound anew once it is in a group). All workers of a group come back together.
 *
 * Owner threads: afpacket_open and start the control thread, all else the worker of the source; reopen
 * takes the group's lock, for the members meet there. It does not decode, queue or write, and it never
 * changes the interface's own settings, but for promiscuous mode and asked-for hardware timestamps.
 */
#ifndef WEIR_ENGINE_SOURCES_AFPACKET_H
#define WEIR_ENGINE_SOURCES_AFPACKET_H

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"

#define AFPACKET_WORKERS_MOST 256         /* members of a fanout group (kernel: PACKET_FANOUT_MAX) */
#define AFPACKET_RING_DEFAULT (64u << 20)
#define AFPACKET_BLOCK_DEFAULT (1u << 20)
#define AFPACKET_TIMEOUT_DEFAULT_MS 10

/* Opens interface_name ("any": all of them, cooked) in the calling thread's network namespace with one ring
 * for each of `workers` (1 to AFPACKET_WORKERS_MOST), adds it to the table and gives the sources,
 * workers of them; the caller closes each. Threads that call reopen later must live in the same namespace.
 * report may be NULL. Nothing is received before `start`.
 * Errors: -ENODEV, -ENETDOWN (the interface is not up), -EPERM, -EINVAL (filter, sizes), -ENOMEM (ring). */
int afpacket_open(const char *interface_name, unsigned workers, const struct source_options *options,
		  struct interface_table *table, struct source **sources, struct source_report *report,
		  struct error *error);

#endif
