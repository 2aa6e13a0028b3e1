/* An interface's counters and kind, by netlink: sysfs shows another namespace's interfaces where a
 * user namespace kept the mount. Each call opens and closes its own socket; any thread. */
#ifndef WEIR_ENGINE_GEN_INTERFACE_COUNTERS_H
#define WEIR_ENGINE_GEN_INTERFACE_COUNTERS_H

#include <stdint.h>

struct interface_counters {
	uint64_t rx_packets, tx_packets, rx_dropped, tx_dropped;
	unsigned flags;       /* IFF_UP, IFF_LOOPBACK, ... */
	unsigned mtu;
	unsigned peer;        /* veth: the other end's index, when it is in this namespace; else 0 */
	char kind[16];        /* "veth", "vxlan", ...; empty for a NIC */
};

/* 0 or -errno; *counters is zero then. */
int interface_counters_read(unsigned ifindex, struct interface_counters *counters);

#endif
