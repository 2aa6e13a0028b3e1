/* Packet filters: pcap-filter(7) text to programs that run in the kernel or in the worker.
 *
 * A live Ethernet interface is compiled on an activated libpcap handle that is closed again, so that VLAN
 * tests use the ancillary loads that see a stripped tag (filter_live.h); files are compiled as tcpdump -r
 * does, where tags lie in the bytes. What the kernel refuses (backward jumps of protochain, more than 4096
 * instructions) runs in the worker, on frames whose tags are restored, in the form for files.
 *
 * Not done: LINKTYPE_NULL files of a machine of the other byte order are compiled for this one's.
 */
#ifndef WEIR_ENGINE_FILTER_H
#define WEIR_ENGINE_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/source.h"

/* Classic BPF that runs over bytes in user space. Read-only after compilation: any thread may run it. */
struct filter_program {
	struct sock_filter *code; /* owned */
	unsigned length;          /* instructions; 0: accepts all */
};

/* Compiles for the bytes of a capture file's link type (LINKTYPE_ value). text NULL or empty: accepts all.
 * -EINVAL with libpcap's message for text that does not parse, or asks for what only the kernel knows of a
 * live packet (inbound on Ethernet). */
int filter_compile(const char *text, uint16_t link_type, struct filter_program **program,
		   struct error *error);

/* Frees; NULL is allowed. */
void filter_close(struct filter_program *program);

/* True when the program accepts the packet: bytes as captured, wire_length for `len`. */
bool filter_match(const struct filter_program *program, const uint8_t *data, uint32_t captured_length,
		  uint32_t wire_length);

#endif
