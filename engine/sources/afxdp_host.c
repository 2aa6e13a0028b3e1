#include "engine/sources/afxdp_host.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_SIZE 32768

/* --- rtnetlink -------------------------------------------------------------------------------- */

/* What a dump is asked for, and what came out. */
struct question {
	uint32_t index; /* of the interface */
	bool yes;
};

static bool route_goes_out(const struct rtattr *attribute, int left, uint32_t index)
{
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		uint32_t out;

		if (attribute->rta_type == RTA_OIF) {
			memcpy(&out, RTA_DATA(attribute), sizeof out);
			if (out == index)
				return true;
		} else if (attribute->rta_type == RTA_MULTIPATH) {
			const struct rtnexthop *hop = RTA_DATA(attribute);
			int hops = (int)RTA_PAYLOAD(attribute);

			for (; hops >= (int)sizeof *hop && RTNH_OK(hop, hops);
			     hops -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
				if ((uint32_t)hop->rtnh_ifindex == index)
					return true;
			}
		}
	}
	return false;
}

static void look_at_route(const struct nlmsghdr *message, struct question *question)
{
	const struct rtmsg *route = NLMSG_DATA(message);

	if (message->nlmsg_type == RTM_NEWROUTE && route->rtm_dst_len == 0 && route->rtm_type == RTN_UNICAST &&
	    route_goes_out(RTM_RTA(route), (int)RTM_PAYLOAD(message), question->index))
		question->yes = true;
}

static void look_at_address(const struct nlmsghdr *message, struct question *question)
{
	const struct ifaddrmsg *address = NLMSG_DATA(message);

	if (message->nlmsg_type == RTM_NEWADDR && address->ifa_index == question->index &&
	    !(address->ifa_family == AF_INET6 && address->ifa_scope == RT_SCOPE_LINK))
		question->yes = true;
}

/* Asks for a dump and shows each answer to look. 0 or -errno. */
static int dump(uint16_t type, void (*look)(const struct nlmsghdr *, struct question *),
		struct question *question)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg family;
	} request = {
		.header = { .nlmsg_len = sizeof request, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), result = 1;

	if (fd < 0 || send(fd, &request, sizeof request, 0) < 0)
		result = -errno;
	while (result == 1) {
		ssize_t length = recv(fd, answer, sizeof answer, 0);
		unsigned left = (unsigned)length;

		if (length <= 0) {
			result = -errno;
			break;
		}
		for (struct nlmsghdr *message = (void *)answer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
				result = 0;
			else
				look(message, question);
		}
	}
	if (fd >= 0)
		close(fd);
	return result;
}

int afxdp_host_may_steal(const struct interfaces_entry *interface, struct error *error)
{
	struct question route = { .index = interface->index }, address = { .index = interface->index };
	int result = dump(RTM_GETROUTE, look_at_route, &route);

	if (result == 0)
		result = dump(RTM_GETADDR, look_at_address, &address);
	if (result < 0)
		return error_set_errno(error, result, "cannot read the routes and addresses of %s", interface->name);
	if (!route.yes && !address.yes)
		return 0;
	error_set(error, -EPERM, "AF_XDP takes the packets of %s away from this host, %s", interface->name,
		  route.yes ? "whose default route goes through it" : "which has an address there");
	return error_hint(error, "--steal if that is meant; --backend afpacket and xdp-records only look on");
}

/* --- ethtool ---------------------------------------------------------------------------------- */

int afxdp_host_ethtool(int fd, const char *name, void *command)
{
	struct ifreq request = { .ifr_data = command };
	int result;

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	result = ioctl(fd, SIOCETHTOOL, &request);
	return result < 0 ? -errno : result;
}

uint32_t afxdp_host_queues(const struct interfaces_entry *interface, uint32_t *most)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t queues = 0;

	*most = 0;
	if (fd >= 0) {
		if (afxdp_host_ethtool(fd, interface->name, &channels) == 0) {
			queues = channels.combined_count + channels.rx_count;
			*most = channels.max_combined + channels.max_rx;
		}
		close(fd);
	}
	if (queues == 0)
		queues = 1;
	if (*most < queues)
		*most = queues;
	return queues;
}

int afxdp_host_promiscuous(const struct interfaces_entry *interface, int *fd, struct error *error)
{
	struct packet_mreq request = { .mr_ifindex = (int)interface->index, .mr_type = PACKET_MR_PROMISC };

	*fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (*fd < 0 || setsockopt(*fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) < 0) {
		error_set_errno(error, -errno, "cannot set %s to promiscuous mode", interface->name);
		return error_hint(error, "-p captures without");
	}
	return 0;
}

/* --- the peer of a veth ----------------------------------------------------------------------- */

static void read_peer(struct nlmsghdr *message, struct afxdp_peer *peer)
{
	struct ifinfomsg *link = NLMSG_DATA(message);
	struct rtattr *attribute = IFLA_RTA(link);
	int left = (int)IFLA_PAYLOAD(message);

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == IFLA_LINK)
			memcpy(&peer->index, RTA_DATA(attribute), sizeof peer->index);
		else if (attribute->rta_type == IFLA_LINK_NETNSID)
			peer->elsewhere = true;
		else if ((attribute->rta_type & NLA_TYPE_MASK) == IFLA_LINKINFO) {
			struct rtattr *info = RTA_DATA(attribute);
			int inside = (int)RTA_PAYLOAD(attribute);

			for (; RTA_OK(info, inside); info = RTA_NEXT(info, inside)) {
				if (info->rta_type == IFLA_INFO_KIND && strcmp(RTA_DATA(info), "veth") == 0)
					peer->veth = true;
			}
		}
	}
}

void afxdp_host_peer(uint32_t index, struct afxdp_peer *peer)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = { .nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_index = (int)index },
	};
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t length = -1;

	memset(peer, 0, sizeof *peer);
	if (fd >= 0 && send(fd, &request, sizeof request, 0) >= 0)
		length = recv(fd, answer, sizeof answer, 0);
	if (length > 0 && NLMSG_OK((struct nlmsghdr *)answer, (unsigned)length) &&
	    ((struct nlmsghdr *)answer)->nlmsg_type == RTM_NEWLINK)
		read_peer((struct nlmsghdr *)answer, peer);
	if (fd >= 0)
		close(fd);
}
