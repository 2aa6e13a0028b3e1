/* What xdprecords.c and xdprecords_reopen.c (coming back) share; nobody else includes it. */
#ifndef WEIR_ENGINE_SOURCES_XDPRECORDS_INTERNAL_H
#define WEIR_ENGINE_SOURCES_XDPRECORDS_INTERNAL_H

#include <pthread.h>

#include "engine/filter/filter_live.h"
#include "engine/interfaces.h"
#include "engine/sources/afxdp_tags.h"
#include "engine/sources/xdprecords.h"
#include "engine/sources/xdprecords_program.h"
#include "engine/sources/xdprecords_ring.h"

/* What the sources of one interface have in common. The control thread counts the references. */
struct xdprecords_group {
	struct interfaces_entry device;    /* index, flags, MTU and MAC change under the lock */
	struct source_options options;
	enum afxdp_mode mode;              /* that was got */
	pthread_mutex_t lock;              /* workers meet in reopen; guards what changes of device and program */
	struct xdprecords_program *program;
	struct afxdp_guard guard;
	struct filter_live filter;
	int promiscuous;
	uint32_t ring_size;
	unsigned references;
	bool read_cpus[XDPRECORDS_CPUS_MOST];
};

struct xdprecords {
	struct source source;
	struct xdprecords_group *group;
	struct xdprecords_ring ring;
	uint32_t cpu;
	bool first;
	bool stopping;
	bool down;                 /* the interface is down or deleted */
	uint32_t bound;            /* index of the interface that its records come from */
	uint64_t losses_of_interface;
	uint64_t looked_ns;        /* when we last saw that it is there, monotonic */
	void *consumer_page;
	void *producer_pages;      /* the producer's page, then the data twice */
	size_t producer_size;
	struct xdprecords_counters *counters; /* room for all CPUs' */
	uint64_t clock_at_ns;      /* the newest record's time when the clocks were last sampled */
};

static inline struct xdprecords *xdprecords_from(struct source *source)
{
	return (struct xdprecords *)(void *)source;
}

/* As source_ops. */
int xdprecords_reopen(struct source *source);

#endif
