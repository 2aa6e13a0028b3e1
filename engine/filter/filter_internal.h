/* What filter.c and filter_live.c share; nobody else includes it. */
#ifndef WEIR_ENGINE_FILTER_FILTER_INTERNAL_H
#define WEIR_ENGINE_FILTER_FILTER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/filter/filter.h"

#define FILTER_SNAP_MOST 262144 /* as tcpdump */

struct pcap;

/* libpcap's DLT_ value of a LINKTYPE_ value. */
int filter_dlt(uint16_t link_type);

/* Compiles text on an open libpcap handle. netmask: network order, for `ip broadcast`. */
int filter_take(const char *text, struct pcap *handle, uint32_t netmask, struct filter_program **program,
		struct error *error);

/* For live packets, on a dead handle: as filter_compile, but with loads that only the kernel knows. text is
 * not empty. */
int filter_compile_live(const char *text, uint16_t link_type, uint32_t netmask,
			struct filter_program **program, struct error *error);

/* NULL or blanks only. */
bool filter_is_empty(const char *text);

#endif
