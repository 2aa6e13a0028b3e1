/* The BPF program of the live frames, as a list of instructions, and the state that it shares with user
 * space. Built for one shape: what the shape does not vary is left out.
 *
 * Pure: writes into the caller's array.
 */
#ifndef WEIR_ENGINE_GEN_XDP_PROGRAM_H
#define WEIR_ENGINE_GEN_XDP_PROGRAM_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/gen/shape.h"

#define XDP_PROGRAM_MAX 512

/* The head of the map's one value; the shape's templates follow. The program writes it while it runs,
 * user space between the runs. Times are CLOCK_MONOTONIC ns; `interval`, `debt` and `due` are ns << 16,
 * due counted from start. */
struct xdp_state {
	uint64_t sequence;
	uint64_t sent;
	uint64_t bytes;
	uint64_t limit;
	uint64_t epoch_offset; /* add to the monotonic clock for UNIX time */
	uint64_t start;        /* the first packet; 0: none yet */
	uint64_t last;
	uint64_t interval;
	uint64_t due;
	uint64_t debt;
	uint64_t slips;
	uint64_t slipped;
	uint32_t flow, slot, port, step, rounds, padding;
	uint8_t size_of_step[16];
	uint8_t reserved[256 - 136];
};

/* Writes the program; returns its length. redirect: the interface to send out of, 0: pass up the stack. */
uint32_t xdp_program_build(struct bpf_insn program[XDP_PROGRAM_MAX], const struct shape *shape, int map_fd,
			   bool paced, unsigned redirect);

#endif
