/* What afxdp.c (a running source) and afxdp_open.c (getting there) share; nobody else includes it. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_INTERNAL_H
#define WEIR_ENGINE_SOURCES_AFXDP_INTERNAL_H

#include <xdp/xsk.h>

#include "engine/filter/filter_live.h"
#include "engine/interfaces.h"
#include "engine/sources/afxdp.h"
#include "engine/sources/afxdp_pool.h"
#include "engine/sources/afxdp_program.h"
#include "engine/sources/afxdp_tags.h"

/* What the sources of one interface have in common. The control thread counts the references. */
struct afxdp_group {
	struct interfaces_entry device;
	struct source_options options;
	struct afxdp_program *program;
	struct afxdp_guard guard;
	struct filter_live filter;         /* of which user may run in the worker */
	struct filter_program *user;       /* or this one, when the filter cannot be translated */
	int promiscuous;                   /* a packet socket that holds the membership; -1: none */
	uint32_t queues;                   /* of the device, at most: the maps' size */
	bool captured[AFXDP_QUEUES_MOST];
	bool fragments;                    /* XDP_USE_SG was got */
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
	bool down;         /* the interface was deleted */
	bool stopping;
	uint64_t kicks;
};

extern const struct source_ops afxdp_ops;

/* Closes socket, UMEM and memory, so that another mode can be tried. Safe when there is nothing. */
void afxdp_close_socket(struct afxdp *afxdp);

/* Frees what the group owns: program detached, offloads restored. */
void afxdp_group_close(struct afxdp_group *group);

#endif
