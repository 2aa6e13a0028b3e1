/* What the afxdp backend asks of the host before it takes an interface's packets.
 *
 * A packet that AF_XDP takes never reaches the stack. So an interface that carries the host's own traffic
 * (its default route, or an address) is refused unless told otherwise.
 *
 * Owner: the control thread, or under a lock a worker that comes back. It changes nothing (see afxdp_tags.h). */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_HOST_H
#define WEIR_ENGINE_SOURCES_AFXDP_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/interfaces.h"

/* Refuses (-EPERM, and why in the message) when the interface has the default route, or an address other
 * than the IPv6 link-local one that every interface gets. */
int afxdp_host_may_steal(const struct interfaces_entry *interface, struct error *error);

/* Receive queues in use (ethtool's channels), at least 1; *most: how many there can be. */
uint32_t afxdp_host_queues(const struct interfaces_entry *interface, uint32_t *most);

/* A packet socket that holds promiscuous mode as long as it is open. Errors with a hint. */
int afxdp_host_promiscuous(const struct interfaces_entry *interface, int *fd, struct error *error);

/* The other end of a veth pair. */
struct afxdp_peer {
	bool veth;
	bool elsewhere; /* in another network namespace: index means nothing here */
	uint32_t index;
};

/* Fills all zero when it cannot be known. */
void afxdp_host_peer(uint32_t index, struct afxdp_peer *peer);

/* One SIOCETHTOOL on an AF_INET socket. Returns what the ioctl did (0 or more), or -errno. */
int afxdp_host_ethtool(int fd, const char *name, void *command);

#endif
