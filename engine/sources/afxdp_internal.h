/* What afxdp.c (a running source), afxdp_open.c and afxdp_queue.c (getting there) and afxdp_reopen.c (coming back)
 * share; nobody else includes it. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_INTERNAL_H
#define WEIR_ENGINE_SOURCES_AFXDP_INTERNAL_H

#include <pthread.h>
#include <xdp/xsk.h>

#include "engine/filter/filter_live.h"
#include "engine/interfaces.h"
#include "engine/sources/afxdp.h"
#include "engine/sources/afxdp_pool.h"
#include "engine/sources/afxdp_program.h"
#include "engine/sources/afxdp_tags.h"

#define AFXDP_CHUNK_SMALL 2048u
#define AFXDP_CHUNK_LARGE 4096u
/* Bytes that packets lie behind the chunk's usual start, where copying puts them: a cache line then begins with the
 * stamp. A NIC writes whole lines, and is given none. */
#define AFXDP_STAMP_ROOM ((uint32_t)sizeof(struct afxdp_stamp))
#define AFXDP_KERNEL_HEADROOM 256u /* kernel: XDP_PACKET_HEADROOM, of every chunk */
#define AFXDP_HEADROOM (AFXDP_KERNEL_HEADROOM + AFXDP_STAMP_ROOM) /* bytes of a chunk that no packet gets */
#define AFXDP_LINK_OVERHEAD 22    /* bytes: Ethernet and two tags, above the MTU */
#define AFXDP_LOOK_MS 500         /* how late an interface that goes away may be noticed */

/* One way to open, tried in order. */
struct afxdp_plan {
	enum afxdp_mode mode;  /* NATIVE or GENERIC: how the program is attached */
	uint16_t bind_flags;
	bool fragments;        /* XDP_USE_SG */
};

/* What the sources of one interface have in common. The control thread counts the references. */
struct afxdp_group {
	struct interfaces_entry device;    /* index, flags, MTU and MAC change under the lock: see afxdp_reopen */
	struct source_options options;
	struct afxdp_options afxdp;        /* without its queues */
	struct afxdp_plan plan;            /* what was got */
	pthread_mutex_t lock;              /* workers meet in reopen; guards what changes of device, program and below */
	uint32_t attached;                 /* (lock) index of the interface that the program is attached to */
	struct afxdp_program *program;
	struct afxdp_guard guard;
	struct filter_live filter;         /* of which user may run in the worker */
	struct filter_program *user;       /* or this one, when the filter cannot be translated */
	int promiscuous;                   /* a packet socket that holds the membership; -1: none */
	uint32_t queues;                   /* of the device, at most: the maps' size */
	bool captured[AFXDP_QUEUES_MOST];
	unsigned references;
};

struct afxdp {
	struct source source;
	struct afxdp_group *group;
	struct afxdp_pool pool;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_cons completion; /* unused, but libxdp keeps its address to unmap it */
	uint8_t *area;
	size_t area_size;
	uint8_t *side;
	size_t side_size;
	uint32_t queue;
	bool first;        /* tells of the queues that nobody captures */
	bool huge;         /* the area is on huge pages */
	bool unaligned;
	bool zerocopy;
	bool busy_poll;
	bool down;         /* the interface is down or deleted */
	bool deleted;      /* with down */
	bool stopping;
	uint32_t bound;    /* index of the interface that the socket was bound to */
	uint64_t looked_ns; /* when we last looked whether the interface is up, monotonic */
	uint64_t kicks;
	uint64_t losses_of_interface;
	uint64_t cut_off;  /* packets that were redirected when the socket was bound no more */
	struct xdp_statistics before; /* of the sockets that went with their interface */
};

extern const struct source_ops afxdp_ops;

static inline struct afxdp *afxdp_from(struct source *source)
{
	return (struct afxdp *)(void *)source;
}

/* Statistics of this socket and of those before it. */
void afxdp_read_statistics(const struct afxdp *afxdp, struct xdp_statistics *statistics);

/* A queue's memory and socket, by the group's options; patiently, when the queue is still being given free. The
 * socket gets nothing until the program is attached and the queue is in its map. */
int afxdp_queue_open(struct afxdp *afxdp, const struct afxdp_plan *plan, struct error *error);

/* As source_ops. */
int afxdp_reopen(struct source *source);

/* The interface was deleted and the ring is dry: what the program still redirected is lost, and counted. */
void afxdp_count_cut_off(struct afxdp *afxdp);

/* Closes socket, UMEM and memory, so that another mode can be tried. Safe when there is nothing. */
void afxdp_close_socket(struct afxdp *afxdp);

/* Frees what the group owns: program detached, offloads restored. */
void afxdp_group_close(struct afxdp_group *group);

#endif
