/* The xdp-records backend's BPF side: engine/bpf/xdprecords.bpf.c loaded, its rings and its clock.
 *
 * Owner: the control thread loads, attaches and closes; a source's worker binds, unbinds and reads the
 * counters of its own CPU, and any worker keeps the clock's offset. */
#ifndef WEIR_ENGINE_SOURCES_XDPRECORDS_PROGRAM_H
#define WEIR_ENGINE_SOURCES_XDPRECORDS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/bpf/xdprecords_shared.h"
#include "engine/error.h"
#include "engine/filter/filter.h"
#include "engine/sources/xdprecords.h"

struct xdprecords_program;

/* Loads the program for an interface. filter: NULL: all. fragments: see translate.h; false loads on any
 * kernel. */
int xdprecords_program_load(const struct interfaces_entry *interface, const struct decode_ports *ports,
			    const struct filter_program *filter, bool fragments,
			    struct xdprecords_program **program, struct error *error);

int xdprecords_program_attach(struct xdprecords_program *program, const struct interfaces_entry *interface,
			      enum afxdp_mode mode, struct error *error);
bool xdprecords_program_generic(const struct xdprecords_program *program);

/* CPUs that the kernel may ever have. */
uint32_t xdprecords_program_cpus(const struct xdprecords_program *program);

/* The CPU's records go to this ring (a descriptor of a BPF ring buffer). 0 or -errno. */
int xdprecords_program_bind(struct xdprecords_program *program, uint32_t cpu, int ring);
void xdprecords_program_unbind(struct xdprecords_program *program, uint32_t cpu);

/* The counters of all CPUs, xdprecords_program_cpus() of them. */
void xdprecords_program_counters(const struct xdprecords_program *program, struct xdprecords_counters *all);

/* Samples the clocks and tells the program the offset. */
void xdprecords_program_set_clock(struct xdprecords_program *program);

/* The interface's address, by which packets for us and for others are told apart. */
void xdprecords_program_set_mac(struct xdprecords_program *program, const uint8_t mac[6]);

/* The program that makes records, for tests under BPF_PROG_TEST_RUN. */
int xdprecords_program_descriptor(const struct xdprecords_program *program);

void xdprecords_program_detach(struct xdprecords_program *program);
void xdprecords_program_close(struct xdprecords_program *program);

#endif
