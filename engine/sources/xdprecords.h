/* Records from XDP: the headers are decoded in the kernel, packets are neither copied nor taken.
 *
 * An XDP program (engine/bpf/xdprecords.bpf.c) writes the record of each plain packet into the BPF ring
 * buffer of the CPU that it runs on, and of the others the header bytes, which the worker decodes; the
 * packet goes on to the stack. One source for each CPU. There are no packet bytes: sinks that need them
 * cannot be served, nor checksums be verified.
 *
 * A filter runs in front of the program; one that XDP cannot run is refused, for records cannot be filtered
 * afterwards. VLAN offloads are turned off while it runs, as for afxdp (afxdp_tags.h).
 *
 * Ledger, per CPU: seen = accepted packets = handed out + ring_full (a reserve that failed).
 *
 * An interface that is down or deleted is reported as -ENETDOWN when the ring is dry; reopen attaches the same
 * program to the one of that name that is up again (xdprecords_reopen.c), and rings and counters go on.
 *
 * Compared with afpacket: captured_length is the whole frame's (nothing is cut), STATUS_TAG_RESTORED is not
 * set (the tag is still in its place at XDP), STATUS_CHECKSUM_NOT_READY and STATUS_AGGREGATED cannot be
 * known.
 *
 * Owner threads: xdprecords_open, start and close the control thread, all else the worker of the source. */
#ifndef WEIR_ENGINE_SOURCES_XDPRECORDS_H
#define WEIR_ENGINE_SOURCES_XDPRECORDS_H

#include "decoders/decode.h"
#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "engine/sources/afxdp_attach.h"

#define XDPRECORDS_CPUS_MOST 1024

struct xdprecords_options {
	enum afxdp_mode mode;      /* AUTO, NATIVE or GENERIC */
	struct decode_ports ports; /* extra tunnel ports: their packets are decoded in user space */
};

/* Opens an interface, one source for each CPU that is online, in sources, which has room for max; *count:
 * how many. options->headers_only must be set: no sink needs bytes. options->ring_size: bytes of each ring
 * (0: 4 MiB; rounded up to a power of two). The program is attached when this returns, and counts nothing
 * until start. Errors, each with a hint: -ENODEV, -ENETDOWN, -EPERM, -EBUSY (another XDP program),
 * -EOPNOTSUPP (mode, filter, offloads), -EINVAL, -E2BIG (more CPUs than max), -ENOMEM. */
int xdprecords_open(const char *interface, const struct xdprecords_options *records,
		    const struct source_options *options, struct interface_table *table, struct source **sources,
		    unsigned max, unsigned *count, struct source_report *report, struct error *error);

#endif
