/* What the afpacket*.c files share; nobody else includes it. */
#ifndef WEIR_ENGINE_SOURCES_AFPACKET_INTERNAL_H
#define WEIR_ENGINE_SOURCES_AFPACKET_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/filter/filter_live.h"
#include "engine/interfaces.h"
#include "engine/source.h"
#include "engine/sources/afpacket.h"
#include "engine/sources/block_walk.h"

/* A mapped TPACKET_V3 ring. All zero: none. */
struct afpacket_ring {
	uint8_t *memory;     /* block_count blocks of block_size bytes */
	uint32_t block_size;
	uint32_t block_count;
};

/* Sizes of each worker's ring: as asked for until one was made, then as got. */
struct afpacket_plan {
	uint64_t asked;          /* bytes */
	uint32_t block_size;
	uint32_t block_count;
	uint32_t timeout_ms;     /* block retire */
};

struct afpacket;

/* All workers of one interface. Const after afpacket_open but for what the lock guards. */
struct afpacket_group {
	struct afpacket **members;          /* worker_count, owned */
	unsigned worker_count;
	unsigned open_members;              /* the last to leave frees the group; control thread */
	struct source_options options;
	struct interfaces_entry interface;  /* as it was when opened */
	struct filter_live filter;          /* owned */
	struct afpacket_plan plan;
	struct block_walk_setup walk;
	bool promiscuous;                   /* asked for, and makes sense on this interface */
	bool time_hardware;                 /* asked for and got */

	pthread_mutex_t lock;               /* guards what follows: members meet in reopen */
	uint32_t index;                     /* of the interface that members are bound to */
	int fanout;                         /* PACKET_FANOUT value that later members join with; -1: none yet */
};

struct afpacket_outside {
	uint64_t last;  /* the counter as last read */
	uint64_t total; /* since start, over re-created interfaces */
};

struct afpacket {
	struct source source; /* first: ops cast */
	struct afpacket_group *group;
	unsigned worker;
	struct afpacket_ring ring;

	/* The walk. Blocks [oldest, next) are out: walked, held or returned early. */
	struct block_walk walk;
	bool walking;
	uint32_t next;
	uint32_t oldest;
	uint32_t out;          /* blocks in [oldest, next) */
	uint32_t frontier;     /* first block from oldest on that the kernel still had when last looked */
	uint32_t used;         /* blocks in [oldest, frontier) */
	uint8_t *returned;     /* of each block: released, but an older one is still held; owned */
	uint64_t sequence;     /* seq_num that the next block must have */

	/* Counters since start, over all sockets. */
	uint64_t seen;         /* tp_packets */
	uint64_t dropped;      /* tp_drops */
	uint64_t freezes;
	uint64_t handed_out;
	uint64_t gaps;
	uint64_t resyncs;
	uint64_t losses_of_interface;
	uint64_t ring_errors;
	uint32_t used_most;
	struct afpacket_outside rx_dropped, rx_missed, softnet; /* worker 0 only */

	uint64_t quiet_from_ns; /* monotonic: later, no packet counted before is still on its way into the ring */
	bool away;             /* the socket reported ENETDOWN */
	bool settled;          /* with away: see afpacket_settle */
	bool stopped;
	bool skew_looked_at;
	bool prepared;         /* (lock) has a new socket in the group that still rejects everything */
	uint32_t bound;        /* (lock) interface index its socket was bound to */
};

/* ---- afpacket.c ---- */

extern const struct source_ops afpacket_ops;

static inline struct afpacket *afpacket_from(struct source *source)
{
	return (struct afpacket *)(void *)source;
}

/* A ring for the socket, and the walk at its start. Errors as afpacket_ring_create. */
int afpacket_make_ring(struct afpacket *a, int fd, struct afpacket_plan *plan, struct error *error);

/* Reads the socket's counters for the last time, unmaps its ring and closes it. Every span is back. */
void afpacket_drop_socket(struct afpacket *a);

/* As source_ops. */
void afpacket_close(struct source *source);

/* Frees all that a group holds besides its members. */
void afpacket_group_close(struct afpacket_group *group);

/* One member (or afpacket_open) less; the last closes the group. */
void afpacket_group_leave(struct afpacket_group *group);

/* ---- afpacket_reopen.c ---- */

/* As source_ops. */
int afpacket_check(struct source *source);
int afpacket_reopen(struct source *source);

/* ---- afpacket_ring.c ---- */

/* Sizes from the options, for this machine's pages and memory. */
int afpacket_ring_plan(const struct source_options *options, unsigned workers, struct afpacket_plan *plan,
		       struct error *error);

/* Makes and maps a ring on a socket that has its version and reserve set; when the kernel has no memory, one
 * of half the blocks, and so on; *plan then says what was got. */
int afpacket_ring_create(int fd, struct afpacket_plan *plan, struct afpacket_ring *ring, struct error *error);

void afpacket_ring_close(struct afpacket_ring *ring);

static inline struct tpacket_block_desc *afpacket_block(const struct afpacket_ring *ring, uint32_t index)
{
	return (struct tpacket_block_desc *)(void *)(ring->memory + (size_t)index * ring->block_size);
}

/* ---- afpacket_socket.c ---- */

/* A socket that receives nothing: protocol 0, rejecting filter, version, reserve, timestamps. */
int afpacket_socket_open(const struct afpacket_group *group, int *fd, struct error *error);

/* Binds it to an interface and holds promiscuous mode there. index 0: all. */
int afpacket_socket_bind(const struct afpacket_group *group, int fd, uint32_t index, struct error *error);

/* Joins the group's fanout, or founds it; nothing with one worker. Under the lock, or before threads. */
int afpacket_socket_join(struct afpacket_group *group, int fd, struct error *error);

/* The interface index that the socket is bound to; 0: its interface is gone (or it is bound to all). */
uint32_t afpacket_socket_bound(int fd);

/* When this returns true, packets that passed a filter that was since replaced, or a hook that was since
 * taken away, are in the ring and counted. False: this kernel cannot say; wait some milliseconds instead. */
bool afpacket_settle(void);

/* ---- afpacket_host.c ---- */

/* Asks the device for hardware timestamps of all received packets. 0 or -errno. */
int afpacket_host_time_hardware(const char *name);

/* Offloads that make frames bigger than those on the wire, as `ethtool -K` names with "off": "gro off
 * tso off"; empty: none, or the device does not say. */
void afpacket_host_offloads(const char *name, char *text, size_t size);

/* Packets that the kernel dropped in softnet backlogs, all CPUs and interfaces; 0 when not known. */
uint64_t afpacket_host_softnet_drops(void);

#endif
