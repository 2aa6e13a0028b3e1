/* The network interfaces of this network namespace.
 *
 * Everything comes from rtnetlink: in an unprivileged namespace /sys/class/net still shows the host's
 * devices. Owner: the control thread while setting up, and a worker that waits for an interface to come
 * back. It keeps no state and does not watch for changes: a source learns of them from its own socket.
 */
#ifndef WEIR_ENGINE_INTERFACES_H
#define WEIR_ENGINE_INTERFACES_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

#define INTERFACES_ANY "any"          /* the name that stands for all of them */
#define INTERFACES_ADDRESSES 16       /* listed of one interface at most */
#define INTERFACES_ADDRESS_TEXT 64

/* How frames of a device reach a packet socket. */
enum interfaces_form {
	INTERFACES_WITH_LINK = 0, /* SOCK_RAW: bytes start with the link header that link_type names */
	INTERFACES_RAW_IP,        /* SOCK_RAW on a device without link header: bytes start with IP */
	INTERFACES_COOKED,        /* SOCK_DGRAM: bytes start behind the link header; an SLL2 header goes in front */
};

struct interfaces_entry {
	char name[IF_NAMESIZE];
	char description[128];        /* alias, or what kind of device it is; may be empty */
	uint32_t index;               /* 0: "any" */
	uint32_t flags;               /* IFF_* */
	uint32_t mtu;                 /* bytes; 0: unknown */
	uint16_t hardware_type;       /* ARPHRD_* */
	uint16_t link_type;           /* LINKTYPE_ value of what a capture on it gives */
	enum interfaces_form form;
	uint8_t mac[6];               /* all zero: none */
	uint32_t netmask;             /* of its first IPv4 address, network order; 0: none */
	uint64_t rx_dropped;          /* IFLA_STATS64: by the stack or the driver, before or after capture */
	uint64_t rx_missed;           /* by the device: no room in its rings */
	unsigned address_count;       /* filled by interfaces_list only */
	char addresses[INTERFACES_ADDRESSES][INTERFACES_ADDRESS_TEXT];
};

struct interfaces_list {
	struct interfaces_entry *entries; /* owned; in tcpdump's order: the first is its default */
	unsigned count;
};

/* Looks one up by name ("any" too, with index 0 and link type SLL2). -ENODEV with a hint when there is
 * none, -EINVAL for a name that cannot be one. */
int interfaces_lookup(const char *name, struct interfaces_entry *entry, struct error *error);

/* The one with that index (not "any"), without its addresses. 0, -ENODEV, or another -errno. */
int interfaces_lookup_index(uint32_t index, struct interfaces_entry *entry);

/* IFLA_STATS64 of one: what it dropped and what its device missed since it was made. 0 or -errno. */
int interfaces_counters(const char *name, uint64_t *rx_dropped, uint64_t *rx_missed);

/* All of them and "any", with addresses. */
int interfaces_list(struct interfaces_list *list, struct error *error);

/* Frees what the list owns; the list may be all zero. */
void interfaces_list_close(struct interfaces_list *list);

/* What tcpdump captures on without -i: the first of its list, i.e. the first that is up and running,
 * "any" before a loopback device. */
int interfaces_default(char name[IF_NAMESIZE], struct error *error);

/* Where libpcap's mapping of ARPHRD_ values to link types is followed: link type and form of a device. */
void interfaces_link_type(uint16_t hardware_type, uint16_t *link_type, enum interfaces_form *form);

/* "Ethernet", "Linux cooked v2", "Raw IP", ...; "link type N" is not made here: NULL for others. */
const char *interfaces_link_name(uint16_t link_type);

#endif
