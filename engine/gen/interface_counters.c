#include "engine/gen/interface_counters.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void read_kind(const struct rtattr *info, char kind[16])
{
	int left = (int)RTA_PAYLOAD(info);

	for (const struct rtattr *a = RTA_DATA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFLA_INFO_KIND)
			strncpy(kind, RTA_DATA(a), 15);
	}
}

static void read_link(const struct nlmsghdr *message, struct interface_counters *counters)
{
	const struct ifinfomsg *link = NLMSG_DATA(message);
	int left = (int)IFLA_PAYLOAD(message);
	struct rtnl_link_stats64 stats;

	counters->flags = link->ifi_flags;
	for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		switch (a->rta_type) {
		case IFLA_STATS64:
			memset(&stats, 0, sizeof stats);
			memcpy(&stats, RTA_DATA(a), RTA_PAYLOAD(a) < sizeof stats ? RTA_PAYLOAD(a) : sizeof stats);
			counters->rx_packets = stats.rx_packets;
			counters->tx_packets = stats.tx_packets;
			counters->rx_dropped = stats.rx_dropped;
			counters->tx_dropped = stats.tx_dropped;
			break;
		case IFLA_MTU:
			memcpy(&counters->mtu, RTA_DATA(a), sizeof counters->mtu);
			break;
		case IFLA_LINK:
			memcpy(&counters->peer, RTA_DATA(a), sizeof counters->peer);
			break;
		case IFLA_LINKINFO:
			read_kind(a, counters->kind);
			break;
		default:
			break;
		}
	}
}

int interface_counters_read(unsigned ifindex, struct interface_counters *counters)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = { .nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex },
	};
	_Alignas(struct nlmsghdr) char answer[16384];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct nlmsghdr *message = (const void *)answer;
	ssize_t got;
	int status = 0;

	memset(counters, 0, sizeof *counters);
	if (fd < 0)
		return -errno;
	if (send(fd, &request, sizeof request, 0) < 0 || (got = recv(fd, answer, sizeof answer, 0)) < 0)
		status = -errno;
	else if (!NLMSG_OK(message, (size_t)got) || message->nlmsg_type != RTM_NEWLINK)
		status = -ENODEV;
	else
		read_link(message, counters);
	close(fd);
	return status;
}
