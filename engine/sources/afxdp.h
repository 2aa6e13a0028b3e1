/* Frames from AF_XDP: out of the driver into user memory, before the kernel's stack sees them.
 *
 * One socket, UMEM and worker for each receive queue of the interface; one XDP program for all of them
 * (engine/bpf/afxdp.bpf.c), in front of it the filter, translated to eBPF. What the filter does not match,
 * and every packet of a queue that is not captured, goes on to the stack as if we were not there. What it
 * does match the host never sees: see afxdp_host.h for where that is refused.
 *
 * The modes, best first: zero-copy (the NIC writes into the UMEM), native copy (the driver runs the program,
 * the kernel copies), generic (the stack runs the program on socket buffers). In auto mode each is tried in
 * that order; a mode asked for by name is had or the open fails. The same holds for frames of several
 * buffers (XDP_USE_SG, kernel 6.6): tried, not guessed from versions, and needed only when the MTU is
 * larger than a chunk.
 *
 * Times are those of the program, stored in front of the packet (bpf_ktime_get_tai_ns, before 6.1
 * bpf_ktime_get_ns) and converted by an offset that is sampled again all 100 ms.
 *
 * Ledger: seen = what the program redirected to the queue = handed out + rx_dropped + rx_ring_full +
 * interface_gone. The failures to fill that rx_fill_ring_empty_descs counts lie in rx_dropped already: an event.
 *
 * The end. stop takes the socket out of the map, close detaches the program before it closes sockets.
 * After a SIGKILL the kernel does both, and the guard of afxdp_tags.h restores the offloads.
 *
 * An interface that is down or deleted is reported as -ENETDOWN when the ring is dry. reopen waits for one of
 * that name to be up; when it is another one, with a new socket and UMEM (afxdp_reopen.c). The ledger goes on:
 * program and counters stay, the statistics of the old socket are added, and what the program had redirected
 * to a socket that was bound no more is the loss interface_gone. Received packets only: a NIC's transmit path has no XDP.
 *
 * Owner threads: afxdp_open, start and close the control thread, all else the worker of the source. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_H
#define WEIR_ENGINE_SOURCES_AFXDP_H

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "engine/sources/afxdp_attach.h"

#define AFXDP_QUEUES_MOST 256

struct afxdp_options {
	enum afxdp_mode mode;
	const uint16_t *queues;    /* queue_count of them, each once; NULL: all */
	unsigned queue_count;
	uint32_t chunk_size;       /* bytes, 2048 or 4096 (unaligned: 2048 to 4096); 0: by the MTU */
	bool unaligned;            /* chunks of any size at any place; zero-copy then needs huge pages */
	uint32_t busy_poll_us;     /* SO_BUSY_POLL with SO_PREFER_BUSY_POLL; 0: interrupts as usual */
	uint32_t side_packets;     /* slots of the side pool (afxdp_pool.h); 0: default */
	bool steal;                /* take packets that the host itself may need */
};

/* Opens the interface in the calling thread's network namespace, one source per queue, in sources, which has
 * room for AFXDP_QUEUES_MOST; *count: how many. options->ring_size: bytes of UMEM for each (0: 64 MiB, and 256 MiB for all where there are more than four).
 * The program is attached when this returns, and passes everything until start.
 * Errors, each with a hint: -ENODEV, -ENETDOWN, -EPERM (also: needs steal), -EBUSY (a queue or the interface
 * is taken), -EOPNOTSUPP (the mode, the MTU, the offloads), -EINVAL (options, filter), -ENOMEM, -ENOBUFS. */
int afxdp_open(const char *interface, const struct afxdp_options *afxdp, const struct source_options *options,
	       struct interface_table *table, struct source **sources, unsigned *count,
	       struct source_report *report, struct error *error);

#endif
