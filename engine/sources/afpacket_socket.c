#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/membarrier.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sources/afpacket_internal.h"

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof value) == 0 ? 0 : -errno;
}

static int no_socket(int code, struct error *error)
{
	if (code == -EPERM || code == -EACCES) {
		error_set(error, code, "no permission to capture packets");
		error_hint(error, "run as root, or give the program the right: setcap cap_net_raw+ep");
		return code;
	}
	if (code == -EAFNOSUPPORT)
		return error_set(error, code, "this kernel has no packet sockets (CONFIG_PACKET)");
	return error_set_errno(error, code, "cannot open a packet socket");
}

int afpacket_socket_open(const struct afpacket_group *group, int *out, struct error *error)
{
	int type = group->interface.form == INTERFACES_COOKED ? SOCK_DGRAM : SOCK_RAW;
	/* Protocol 0: bound to nothing and receiving nothing until afpacket_socket_bind. */
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);
	int result;

	*out = -1;
	if (fd < 0)
		return no_socket(-errno, error);
	result = filter_attach_reject(fd);
	if (result == 0)
		result = set_int(fd, PACKET_VERSION, TPACKET_V3);
	if (result == 0)
		result = set_int(fd, PACKET_RESERVE, BLOCK_RESERVE);
	if (result == 0 && group->time_hardware)
		result = set_int(fd, PACKET_TIMESTAMP, SOF_TIMESTAMPING_RAW_HARDWARE);
	if (result != 0) {
		close(fd);
		return error_set_errno(error, result, "cannot set up a packet socket");
	}
	*out = fd;
	return 0;
}

int afpacket_socket_bind(const struct afpacket_group *group, int fd, uint32_t index, struct error *error)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)index,
	};
	struct packet_mreq promiscuous = { .mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC };
	const char *name = group->interface.name;
	socklen_t size = sizeof(int);
	int pending = 0;

	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return error_set_errno(error, -errno, "cannot capture on %s", name);
	/* kernel: packet_do_bind reports an interface that is down only here. */
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size) == 0 && pending != 0)
		return error_set_errno(error, -pending, "cannot capture on %s", name);
	if (group->promiscuous &&
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) < 0) {
		int result = error_set_errno(error, -errno, "cannot put %s into promiscuous mode", name);

		error_hint(error, "-p captures without it");
		return result;
	}
	return 0;
}

static int fanout_mode(enum source_fanout fanout)
{
	switch (fanout) {
	case FANOUT_CPU:
		return PACKET_FANOUT_CPU;
	case FANOUT_QM:
		return PACKET_FANOUT_QM;
	case FANOUT_LB:
		return PACKET_FANOUT_LB;
	case FANOUT_ROLLOVER:
		return PACKET_FANOUT_ROLLOVER;
	default:
		/* kernel: fanout_demux_hash takes __skb_get_hash_symmetric. */
		return PACKET_FANOUT_HASH;
	}
}

int afpacket_socket_join(struct afpacket_group *group, int fd, struct error *error)
{
	int mode = fanout_mode(group->options.fanout);
	int value = group->fanout;
	socklen_t size = sizeof value;

	if (group->worker_count == 1)
		return 0;
	if (value < 0)
		value = (mode | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value) < 0) {
		int result = error_set_errno(error, -errno, "cannot share %s among %u workers",
					     group->interface.name, group->worker_count);

		error_hint(error, "--workers 1 needs no sharing");
		return result;
	}
	if (group->fanout < 0) {
		/* kernel: the answer is the id, with type and flags above it; UNIQUEID is for founders only. */
		if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, &size) < 0)
			return error_set_errno(error, -errno, "cannot share %s", group->interface.name);
		group->fanout = value & ~(PACKET_FANOUT_FLAG_UNIQUEID << 16);
	}
	return 0;
}

uint32_t afpacket_socket_bound(int fd)
{
	struct sockaddr_ll address = { 0 };
	socklen_t size = sizeof address;

	/* kernel: packet_notifier sets the index to -1 when the device is unregistered. */
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || address.sll_ifindex < 0)
		return 0;
	return (uint32_t)address.sll_ifindex;
}

bool afpacket_settle(void)
{
	/* kernel: MEMBARRIER_CMD_GLOBAL is synchronize_rcu(), and packets run through filter and ring under
	 * rcu_read_lock. Refused with EINVAL where CPUs run without a tick. */
	return syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}
