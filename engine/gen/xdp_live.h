/* Packets pushed in by BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES (kernel 5.18).
 *
 * The kernel runs an XDP program over and over on frames of a page pool, and what the program passes
 * goes up the stack as if the interface had received it. Each call takes one template frame only, so
 * the program itself makes every packet: it copies the header of the shape's next template, writes
 * ports, sequence number and time, mends the checksum, and cuts the frame to its length. It also
 * keeps the pace: while nothing is due it drops the frame, which costs some 30 ns, so that one call
 * lasts a whole run and packets still leave one by one. (The kernel takes some 30 ms to end a call: a
 * grace period for the page pool.) A call ends when a signal comes; a timer sends one.
 *
 * The program is made of raw instructions (as few as the shape needs), the tables and the state are
 * one map that user space has mapped. Thread owner: the sending thread.
 */
#ifndef WEIR_ENGINE_GEN_XDP_LIVE_H
#define WEIR_ENGINE_GEN_XDP_LIVE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/gen/shape.h"

struct xdp_live;

/* ifindex: received on it, or with `out` sent out of it. rate_pps 0: as fast as it goes. shape must stay.
 * Errors: -EPERM, -EOPNOTSUPP (the kernel has no live frames), -EINVAL. */
int xdp_live_open(unsigned ifindex, bool out, const struct shape *shape, double rate_pps,
		  struct xdp_live **live, struct error *error);

/* Sends for about span_ns, never beyond `limit` packets since open (0: no limit). 0 or -errno;
 * -EINTR: the time is over or another signal came. Uses the signal XDP_LIVE_SIGNAL while it runs. */
int xdp_live_push(struct xdp_live *live, uint64_t limit, uint64_t span_ns, struct error *error);

#define XDP_LIVE_SIGNAL (SIGRTMAX - 1)

/* What the program has counted since open; elapsed from the first packet to the last. */
struct xdp_live_counts {
	uint64_t sent, bytes, slips, slipped, elapsed_ns;
};

void xdp_live_counts(const struct xdp_live *live, struct xdp_live_counts *counts);

/* The sequence number of the first packet; before the first push. */
void xdp_live_first(struct xdp_live *live, uint64_t sequence);

void xdp_live_close(struct xdp_live *live);

#endif
