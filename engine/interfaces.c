#include "engine/interfaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decoders/decode.h"

#define ANSWER_SIZE 32768 /* a dump comes in parts of at most 32 KiB (rtnetlink.c, rtnl_dump) */
#define LINK_IEEE802_11 105
#define LINK_PRISM 119
#define LINK_RADIOTAP 127

/* from if_arp.h of newer kernels */
#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif

void interfaces_link_type(uint16_t hardware_type, uint16_t *link_type, enum interfaces_form *form)
{
	*form = INTERFACES_WITH_LINK;
	switch (hardware_type) {
	case ARPHRD_ETHER:
	case ARPHRD_METRICOM:
	case ARPHRD_LOOPBACK:
		*link_type = LINK_ETHERNET;
		return;
	case ARPHRD_IEEE80211:
		*link_type = LINK_IEEE802_11;
		return;
	case ARPHRD_IEEE80211_PRISM:
		*link_type = LINK_PRISM;
		return;
	case ARPHRD_IEEE80211_RADIOTAP:
		*link_type = LINK_RADIOTAP;
		return;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_SLIP:
	case ARPHRD_CSLIP:
	case ARPHRD_SLIP6:
	case ARPHRD_CSLIP6:
	case ARPHRD_ADAPT:
	case ARPHRD_DLCI:
		*link_type = LINK_RAW;
		*form = INTERFACES_RAW_IP;
		return;
	default:
		/* PPP devices give a header or not, depending on the driver: cooked is the same for all. */
		*link_type = LINK_LINUX_SLL2;
		*form = INTERFACES_COOKED;
	}
}

const char *interfaces_link_name(uint16_t link_type)
{
	switch (link_type) {
	case LINK_ETHERNET:
		return "Ethernet";
	case LINK_LINUX_SLL2:
		return "Linux cooked v2";
	case LINK_RAW:
		return "raw IP";
	case LINK_IEEE802_11:
		return "802.11";
	case LINK_PRISM:
		return "802.11 with Prism header";
	case LINK_RADIOTAP:
		return "802.11 with radiotap header";
	default:
		return NULL;
	}
}

static void fill_any(struct interfaces_entry *entry)
{
	memset(entry, 0, sizeof *entry);
	strcpy(entry->name, INTERFACES_ANY);
	strcpy(entry->description, "all interfaces");
	entry->flags = IFF_UP | IFF_RUNNING;
	entry->hardware_type = ARPHRD_VOID;
	entry->link_type = LINK_LINUX_SLL2;
	entry->form = INTERFACES_COOKED;
}

/* One rtnetlink question; the answer's parts go to take(). */
struct question {
	struct nlmsghdr header;
	struct ifinfomsg link;
	struct rtattr attribute;
	char name[RTA_ALIGN(IF_NAMESIZE)];
};

typedef int (*take_link)(void *context, const struct nlmsghdr *message);

static int answer_part(const char *part, size_t length, bool *done, take_link take, void *context)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)part;

	for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
		int result = 0;

		if (message->nlmsg_type == NLMSG_DONE) {
			*done = true;
			return 0;
		}
		if (message->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
		if (message->nlmsg_type == RTM_NEWLINK)
			result = take(context, message);
		if (result != 0)
			return result;
		if (!(message->nlmsg_flags & NLM_F_MULTI))
			*done = true;
	}
	return 0;
}

/* name or index names one; NULL and 0: all. */
static int ask_links(const char *name, uint32_t index, take_link take, void *context)
{
	struct question question = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof question.link), .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST | (name == NULL && index == 0 ? NLM_F_DUMP : 0), .nlmsg_seq = 1 },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index },
	};
	char *answer = malloc(ANSWER_SIZE);
	bool done = false;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int result = 0;

	if (fd < 0 || answer == NULL) {
		result = fd < 0 ? -errno : -ENOMEM;
		goto end;
	}
	if (name != NULL) {
		question.attribute.rta_type = IFLA_IFNAME;
		question.attribute.rta_len = (unsigned short)RTA_LENGTH(strlen(name) + 1);
		strncpy(question.name, name, sizeof question.name - 1);
		question.header.nlmsg_len += RTA_SPACE(strlen(name) + 1);
	}
	if (send(fd, &question, question.header.nlmsg_len, 0) < 0) {
		result = -errno;
		goto end;
	}
	while (!done && result == 0) {
		ssize_t length = recv(fd, answer, ANSWER_SIZE, 0);

		if (length < 0 && errno == EINTR)
			continue;
		result = length <= 0 ? (length < 0 ? -errno : -EIO)
				     : answer_part(answer, (size_t)length, &done, take, context);
	}
end:
	if (fd >= 0)
		close(fd);
	free(answer);
	return result;
}

static void fill_kind(struct interfaces_entry *entry, const struct rtattr *info)
{
	const struct rtattr *nested = RTA_DATA(info);
	int length = (int)RTA_PAYLOAD(info);

	for (; RTA_OK(nested, length); nested = RTA_NEXT(nested, length)) {
		if (nested->rta_type == IFLA_INFO_KIND && entry->description[0] == '\0')
			snprintf(entry->description, sizeof entry->description, "%.*s",
				 (int)RTA_PAYLOAD(nested), (const char *)RTA_DATA(nested));
	}
}

static void fill_attribute(struct interfaces_entry *entry, const struct rtattr *attribute)
{
	struct rtnl_link_stats64 stats = { 0 };
	size_t size = RTA_PAYLOAD(attribute);

	switch (attribute->rta_type) {
	case IFLA_IFNAME:
		snprintf(entry->name, sizeof entry->name, "%.*s", (int)size, (const char *)RTA_DATA(attribute));
		break;
	case IFLA_IFALIAS:
		snprintf(entry->description, sizeof entry->description, "%.*s", (int)size,
			 (const char *)RTA_DATA(attribute));
		break;
	case IFLA_MTU:
		memcpy(&entry->mtu, RTA_DATA(attribute), sizeof entry->mtu);
		break;
	case IFLA_ADDRESS:
		if (size == sizeof entry->mac)
			memcpy(entry->mac, RTA_DATA(attribute), size);
		break;
	case IFLA_STATS64:
		/* kernel: the structure grew over time; take what this kernel sent. */
		memcpy(&stats, RTA_DATA(attribute), size < sizeof stats ? size : sizeof stats);
		entry->rx_dropped = stats.rx_dropped;
		entry->rx_missed = stats.rx_missed_errors;
		break;
	case IFLA_LINKINFO:
		fill_kind(entry, attribute);
		break;
	default:
		break;
	}
}

static void fill_entry(struct interfaces_entry *entry, const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	const struct rtattr *attribute = IFLA_RTA(link);
	int length = (int)IFLA_PAYLOAD(message);

	memset(entry, 0, sizeof *entry);
	entry->index = (uint32_t)link->ifi_index;
	entry->flags = link->ifi_flags;
	entry->hardware_type = link->ifi_type;
	interfaces_link_type(entry->hardware_type, &entry->link_type, &entry->form);
	for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length))
		fill_attribute(entry, attribute);
	if (entry->hardware_type == ARPHRD_LOOPBACK && entry->description[0] == '\0')
		strcpy(entry->description, "loopback");
}

static int take_one(void *context, const struct nlmsghdr *message)
{
	fill_entry(context, message);
	return 0;
}

static int take_listed(void *context, const struct nlmsghdr *message)
{
	struct interfaces_list *list = context;
	struct interfaces_entry *grown;

	grown = realloc(list->entries, (list->count + 1) * sizeof *grown);
	if (grown == NULL)
		return -ENOMEM;
	list->entries = grown;
	fill_entry(&list->entries[list->count++], message);
	return 0;
}

/* The netmask that `ip broadcast` in a filter needs, and on a listed entry its addresses. Failing to read
 * them costs only those. */
static void fill_addresses(struct interfaces_entry *entries, unsigned count)
{
	struct ifaddrs *all, *one;

	if (getifaddrs(&all) != 0)
		return;
	for (one = all; one != NULL; one = one->ifa_next) {
		struct interfaces_entry *entry = entries;
		const void *address;

		if (one->ifa_addr == NULL ||
		    (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
			continue;
		while (entry < entries + count && strcmp(entry->name, one->ifa_name) != 0)
			entry++;
		if (entry == entries + count)
			continue;
		if (one->ifa_addr->sa_family == AF_INET) {
			address = &((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr;
			if (entry->netmask == 0 && one->ifa_netmask != NULL)
				entry->netmask = ((struct sockaddr_in *)(void *)one->ifa_netmask)->sin_addr.s_addr;
		} else {
			address = &((struct sockaddr_in6 *)(void *)one->ifa_addr)->sin6_addr;
		}
		if (entry->address_count < INTERFACES_ADDRESSES &&
		    inet_ntop(one->ifa_addr->sa_family, address, entry->addresses[entry->address_count],
			      INTERFACES_ADDRESS_TEXT) != NULL)
			entry->address_count++;
	}
	freeifaddrs(all);
}

int interfaces_lookup(const char *name, struct interfaces_entry *entry, struct error *error)
{
	int result;

	if (strcmp(name, INTERFACES_ANY) == 0) {
		fill_any(entry);
		return 0;
	}
	if (name[0] == '\0' || strlen(name) >= IF_NAMESIZE) {
		error_set(error, -EINVAL, "'%.40s' cannot be the name of an interface", name);
		error_hint(error, "names have 1 to %d characters; weir capture -D lists those that are there",
			   IF_NAMESIZE - 1);
		return -EINVAL;
	}
	memset(entry, 0, sizeof *entry);
	result = ask_links(name, 0, take_one, entry);
	if (result == -ENODEV || (result == 0 && entry->index == 0)) {
		error_set(error, -ENODEV, "there is no interface '%s'", name);
		error_hint(error, "weir capture -D lists those that are there");
		return -ENODEV;
	}
	if (result != 0)
		return error_set_errno(error, result, "cannot ask the kernel about interface '%s'", name);
	fill_addresses(entry, 1);
	return 0;
}

int interfaces_lookup_index(uint32_t index, struct interfaces_entry *entry)
{
	memset(entry, 0, sizeof *entry);
	return index == 0 ? -ENODEV : ask_links(NULL, index, take_one, entry);
}

int interfaces_counters(const char *name, uint64_t *rx_dropped, uint64_t *rx_missed)
{
	struct interfaces_entry entry = { 0 };
	int result = ask_links(name, 0, take_one, &entry);

	*rx_dropped = entry.rx_dropped;
	*rx_missed = entry.rx_missed;
	return result;
}

/* tcpdump's order: what is up and running first, "any" before loopback; else as the kernel counts them. */
static uint32_t rank(const struct interfaces_entry *entry)
{
	uint32_t value = 0;

	if (!(entry->flags & IFF_RUNNING))
		value |= 8;
	if (!(entry->flags & IFF_UP))
		value |= 4;
	if (entry->flags & IFF_LOOPBACK)
		value |= 2;
	if (entry->index == 0)
		value |= 1;
	return value;
}

static int by_rank(const void *left, const void *right)
{
	const struct interfaces_entry *a = left, *b = right;
	uint32_t rank_a = rank(a), rank_b = rank(b);

	if (rank_a != rank_b)
		return rank_a < rank_b ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

int interfaces_list(struct interfaces_list *list, struct error *error)
{
	struct interfaces_entry *grown;
	int result;

	*list = (struct interfaces_list){ 0 };
	result = ask_links(NULL, 0, take_listed, list);
	if (result == 0) {
		grown = realloc(list->entries, (list->count + 1) * sizeof *grown);
		if (grown == NULL) {
			result = -ENOMEM;
		} else {
			list->entries = grown;
			fill_any(&list->entries[list->count++]);
		}
	}
	if (result != 0) {
		interfaces_list_close(list);
		return error_set_errno(error, result, "cannot list the interfaces");
	}
	fill_addresses(list->entries, list->count);
	qsort(list->entries, list->count, sizeof list->entries[0], by_rank);
	return 0;
}

void interfaces_list_close(struct interfaces_list *list)
{
	free(list->entries);
	*list = (struct interfaces_list){ 0 };
}

int interfaces_default(char name[IF_NAMESIZE], struct error *error)
{
	struct interfaces_list list;
	int result = interfaces_list(&list, error);

	if (result != 0)
		return result;
	strcpy(name, list.entries[0].name);
	interfaces_list_close(&list);
	return 0;
}
