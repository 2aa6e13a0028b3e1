/* The raw socket backend: what hand-written sniffers do, as the honest baseline.
 *
 * One AF_PACKET SOCK_RAW socket per source, read with recvmmsg (or one recvmsg per packet with a batch
 * of 1): each packet is copied by the kernel into our buffers and costs its share of a system call.
 * Filter, tag restoration, timestamps, direction and ledger are as in afpacket, so that the two can be
 * compared. A span is the buffers of one call.
 *
 * Owner thread: the worker (see engine/source.h). It does no fanout and no hardware timestamps, and reads
 * Ethernet and raw IP devices only, not "any".
 */
#ifndef WEIR_ENGINE_SOURCES_RAWSOCKET_H
#define WEIR_ENGINE_SOURCES_RAWSOCKET_H

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"

struct rawsocket_options {
	unsigned batch; /* packets of one system call, 1 to SOURCE_BURST; 0: SOURCE_BURST */
};

/* Opens one source on a device and adds the device to the table. options->ring_size is the socket's receive
 * buffer in bytes (0: 8 MiB; beyond net.core.rmem_max it needs CAP_NET_ADMIN). Packets flow from start() on.
 * report: as in source.h. Errors: -EPERM without CAP_NET_RAW, -ENODEV, -EINVAL for a filter or option that
 * cannot be met, -ENETDOWN. */
int rawsocket_open(const char *interface, const struct rawsocket_options *rawsocket,
		   const struct source_options *options, struct interface_table *table, struct source **source,
		   struct source_report *report, struct error *error);

#endif
