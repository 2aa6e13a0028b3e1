/* The afxdp backend's BPF side: engine/bpf/afxdp.bpf.c loaded, its maps and its clock.
 *
 * Owner: the control thread loads, attaches and closes; a source's worker binds, unbinds and reads the
 * counters of its own queue. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_PROGRAM_H
#define WEIR_ENGINE_SOURCES_AFXDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "engine/bpf/afxdp_shared.h"
#include "engine/error.h"
#include "engine/filter/filter.h"
#include "engine/sources/afxdp_attach.h"

struct afxdp_program;

/* Loads the program for queues receive queues. filter: runs in front of it (NULL: all). fragments: frames of
 * several buffers may come (XDP_USE_SG). */
int afxdp_program_load(uint32_t queues, const struct filter_program *filter, bool fragments,
		       struct afxdp_program **program, struct error *error);

/* Attaches it; with no socket bound it passes everything. */
int afxdp_program_attach(struct afxdp_program *program, const struct interfaces_entry *interface,
			 enum afxdp_mode mode, struct error *error);
bool afxdp_program_generic(const struct afxdp_program *program);

/* From now on the queue's matching packets go to the socket, or to the stack again. 0 or -errno. */
int afxdp_program_bind(struct afxdp_program *program, uint32_t queue, int socket);
void afxdp_program_unbind(struct afxdp_program *program, uint32_t queue);

/* The queue's counters over all CPUs since the load. */
void afxdp_program_counters(const struct afxdp_program *program, uint32_t queue, struct afxdp_counters *sum);

/* The clock that stamps are of. */
clockid_t afxdp_program_clock(const struct afxdp_program *program);

void afxdp_program_detach(struct afxdp_program *program);

/* Detaches and frees. NULL is allowed. */
void afxdp_program_close(struct afxdp_program *program);

#endif
