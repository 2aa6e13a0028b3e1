/* The traffic generator: paced packets that can be told apart, checked and timed at the other end.
 *
 *	gen_open -> gen_run -> gen_close
 *
 * Thread owner: one thread runs gen_run; gen_halt may be called from a signal handler. Nothing here
 * prints. It does not receive, and it does not choose where it may send: tools/ refuses
 * interfaces that belong to others.
 */
#ifndef WEIR_ENGINE_GEN_GEN_H
#define WEIR_ENGINE_GEN_GEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"
#include "engine/gen/shape.h"

enum gen_method {
	GEN_AUTO = 0,
	GEN_TXRING,   /* PACKET_TX_RING: out of the interface */
	GEN_AFXDP,    /* AF_XDP transmit: out of the interface */
	GEN_XDP_LIVE, /* BPF_PROG_TEST_RUN live frames: as if the interface had received them (kernel 5.18) */
	GEN_XDP_OUT,  /* the same frames redirected out of the interface (ndo_xdp_xmit: XDP frames, no skb) */
};

struct gen_options {
	const char *interface;
	enum gen_method method;
	struct shape_options shape;
	double rate_pps;          /* 0: as fast as it goes */
	uint64_t count;           /* packets; 0: no limit */
	uint64_t duration_ns;     /* 0: no limit */
	uint64_t first_sequence;
	const char *replay;       /* a capture file instead of made packets; NULL: none */
	double speed;             /* replay: times the recorded speed; 0: as fast as it goes */
};

struct gen_result {
	const char *method;
	uint64_t sent;            /* packets that the kernel took */
	uint64_t bytes;           /* of these, without FCS */
	uint64_t first_sequence;
	uint64_t start_ns;        /* UNIX epoch */
	uint64_t elapsed_ns;      /* from the first packet to the end of the last */
	uint64_t cpu_ns;          /* of the sending thread, user and system */
	uint64_t slips, slipped;  /* times that the schedule was given up, packets not sent for it */
	uint64_t refused;         /* by the kernel, as malformed */
	uint64_t skipped;         /* replay: longer than the interface takes */
	uint64_t cut;             /* replay: sent as short as they were captured */
	uint64_t kicks;           /* system calls that sent */
	uint64_t device_sent;     /* counted by the interface as sent meanwhile; xdp-live: none of these */
	uint64_t device_dropped;  /* that the interface counted as dropped on its way out meanwhile */
	bool held;                /* the rate asked for was held within 0.1 % (no rate asked: true) */
};

struct gen;

/* Opens the interface and prepares all packets. Errors: unknown interface, no privilege, a rate, mix or size
 * that is wrong, a file that is none, a kernel that lacks the method. */
int gen_open(const struct gen_options *options, struct gen **gen, struct error *error);

/* Sends until count, duration, the file's end or gen_halt. *result is filled also when it fails midway. */
int gen_run(struct gen *gen, struct gen_result *result, struct error *error);

/* Ends gen_run soon. Safe in a signal handler. */
void gen_halt(struct gen *gen);

/* NULL is allowed. */
void gen_close(struct gen *gen);

/* The plan, for tests and for what a person is told. */
const struct shape *gen_shape(const struct gen *gen);

/* One JSON object and a newline. */
void gen_write_json(const struct gen_options *options, const struct gen_result *result, FILE *out);

#endif
