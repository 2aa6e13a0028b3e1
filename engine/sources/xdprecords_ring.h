/* Reads one BPF ring buffer out of its mapping, without a call per sample.
 *
 * The kernel's side (kernel/bpf/ringbuf.c): samples lie one behind the other, each with an 8-byte header
 * whose first word is the length and two flags; BUSY: still being written, DISCARD: to be skipped. producer
 * counts the bytes ever reserved, consumer the bytes ever given back; both run freely. The data pages are
 * mapped twice in a row, so that no sample ever wraps.
 *
 * A span is what one call of xdprecords_ring_rx hands out. Spans may come back in any order; the kernel
 * gets its bytes back in the ring's order.
 *
 * Pure over memory. Owner: the worker. */
#ifndef WEIR_ENGINE_SOURCES_XDPRECORDS_RING_H
#define WEIR_ENGINE_SOURCES_XDPRECORDS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/source.h"

#define XDPRECORDS_SPANS 256 /* handed out at most; a power of two */

struct xdprecords_ring {
	/* Set by the caller, const after. */
	const uint8_t *data;
	uint64_t mask;            /* bytes of the ring - 1 */
	uint64_t *consumer;       /* (u) writes, (k) reads */
	const uint64_t *producer; /* (k) writes, (u) reads */
	uint16_t interface;

	uint64_t position;        /* of the next sample to read */
	uint64_t ends[XDPRECORDS_SPANS]; /* where each span ends */
	bool returned[XDPRECORDS_SPANS];
	uint32_t oldest, newest;  /* spans that are out: [oldest, newest), running freely */
	uint32_t out_most;
	uint64_t handed_out;
	uint64_t finished_here;   /* of these: header bytes, for decode_packet */
	uint64_t discarded;       /* samples that the program gave up for a larger one */
	uint64_t last_ns;         /* the newest time handed out */
};

/* Hands out up to max records and header bytes of one span. Returns how many. */
unsigned xdprecords_ring_rx(struct xdprecords_ring *ring, struct frame *frames, unsigned max);

void xdprecords_ring_release(struct xdprecords_ring *ring, uint32_t span);

/* True when a sample is ready. Orders the look behind the last release (a full fence): the kernel wakes us
 * only for a sample at which it sees us standing. */
bool xdprecords_ring_waiting(struct xdprecords_ring *ring);

#endif
