#include "engine/sources/afxdp_tags.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/sources/afxdp_host.h"

#define FEATURE_BLOCKS 4 /* of 32 features; the kernel has less than 128 */
#define FEATURES_MOST (32 * FEATURE_BLOCKS)

struct features {
	struct ethtool_gfeatures head;
	struct ethtool_get_features_block blocks[FEATURE_BLOCKS];
};

struct feature_change {
	char name[IF_NAMESIZE];
	struct {
		struct ethtool_sfeatures head;
		struct ethtool_set_features_block blocks[FEATURE_BLOCKS];
	} set;
	bool any;
};

struct feature_names {
	struct ethtool_gstrings head;
	char names[FEATURES_MOST][ETH_GSTRING_LEN];
};

static const char *const receive_features[] = { "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", NULL };
static const char *const send_features[] = { "tx-vlan-hw-insert", "tx-vlan-stag-hw-insert", NULL };

static bool is_listed(const char *const *list, const char *name)
{
	for (; *list != NULL; list++) {
		if (strcmp(*list, name) == 0)
			return true;
	}
	return false;
}

static int feature_count(int fd, const char *name, uint32_t *count)
{
	struct {
		struct ethtool_sset_info head;
		uint32_t count;
	} info = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1u << ETH_SS_FEATURES } };
	int result = afxdp_host_ethtool(fd, name, &info);

	*count = info.count;
	if (result >= 0 && (info.head.sset_mask == 0 || info.count == 0 || info.count > FEATURES_MOST))
		return -ENOTSUP;
	return result < 0 ? result : 0;
}

/* Those of the listed features of a device that are on, as a change that turns them off. 0 or -errno. */
static int features_on(int fd, const char *name, const char *const *list, struct feature_change *change)
{
	static const struct feature_names none;
	struct features now = { .head = { .cmd = ETHTOOL_GFEATURES, .size = FEATURE_BLOCKS } };
	struct feature_names names = none;
	uint32_t count;
	int result;

	memset(change, 0, sizeof *change);
	snprintf(change->name, sizeof change->name, "%s", name);
	change->set.head = (struct ethtool_sfeatures){ .cmd = ETHTOOL_SFEATURES, .size = FEATURE_BLOCKS };
	result = feature_count(fd, name, &count);
	/* kernel: since 6.18 any length but 0 and the right one gives no names. */
	names.head = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
						 .string_set = ETH_SS_FEATURES,
						 .len = count };
	if (result == 0)
		result = afxdp_host_ethtool(fd, name, &now);
	if (result == 0)
		result = afxdp_host_ethtool(fd, name, &names);
	if (result < 0)
		return result;
	change->set.head.size = now.head.size; /* kernel: wants exactly as many blocks as it has */
	for (uint32_t i = 0; i < names.head.len && i < count; i++) {
		uint32_t bit = 1u << (i % 32);

		names.names[i][ETH_GSTRING_LEN - 1] = 0;
		if (!is_listed(list, names.names[i]) || !(now.blocks[i / 32].active & bit))
			continue;
		if (now.blocks[i / 32].never_changed & bit || !(now.blocks[i / 32].available & bit))
			return -EOPNOTSUPP;
		change->set.blocks[i / 32].valid |= bit;
		change->any = true;
	}
	return 0;
}

/* kernel: a positive answer of ETHTOOL_SFEATURES says that not all was as asked. */
static int apply(int fd, struct feature_change *change, bool on)
{
	int result;

	for (unsigned i = 0; i < FEATURE_BLOCKS; i++)
		change->set.blocks[i].requested = on ? change->set.blocks[i].valid : 0;
	result = afxdp_host_ethtool(fd, change->name, &change->set);
	return result > 0 && result & (ETHTOOL_F_UNSUPPORTED | ETHTOOL_F_WISH) ? -EOPNOTSUPP : result;
}

/* --- the guard -------------------------------------------------------------------------------- */

/* The child: nothing but async-signal-safe calls, for the parent may have threads. It waits for the end of
 * the pipe, whatever way the parent went. */
static _Noreturn void guard(int pipe_end, int fd, struct feature_change *changes, unsigned count)
{
	char byte;

	setsid(); /* ^C at the terminal is for the capture */
	prctl(PR_SET_NAME, "weir-guard");
	/* Nobody who waits for the end of our output shall wait for us. */
	pipe_end = fcntl(pipe_end, F_DUPFD, 3);
	fd = fcntl(fd, F_DUPFD, 3);
	dup2(pipe_end, 0);
	dup2(fd, 1);
	close_range(2, ~0u, 0);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	for (unsigned i = 0; i < count; i++)
		apply(1, &changes[i], true);
	_exit(0);
}

static int start_guard(int fd, struct feature_change *changes, unsigned count, struct afxdp_guard *out)
{
	sigset_t all, before;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* No handler of the parent's may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	out->child = fork();
	if (out->child == 0) {
		close(ends[1]);
		guard(ends[0], fd, changes, count);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	if (out->child < 0) {
		close(ends[1]);
		out->child = 0;
		return -errno;
	}
	out->pipe = ends[1];
	return 0;
}

void afxdp_tags_restore(struct afxdp_guard *guard)
{
	if (guard->pipe < 0)
		return;
	close(guard->pipe);
	guard->pipe = -1;
	waitpid(guard->child, NULL, 0);
}

/* --- turning off ------------------------------------------------------------------------------ */

static int refuse(const struct interfaces_entry *interface, int code, struct error *error)
{
	error_set_errno(error, code, "%s takes VLAN tags out of packets and cannot be told not to", interface->name);
	return error_hint(error, "AF_XDP would lose them; --backend afpacket puts them back");
}

static int turn_off(int fd, const struct interfaces_entry *interface, struct feature_change *changes,
		    unsigned count, struct afxdp_guard *guard, struct error *error)
{
	int result = start_guard(fd, changes, count, guard);

	/* The guard first: a kill between the two restores what is still as it was. */
	if (result < 0)
		return error_set_errno(error, result, "cannot start the guard of %s's offloads", interface->name);
	for (unsigned i = 0; i < count && result == 0; i++)
		result = apply(fd, &changes[i], false);
	if (result == 0)
		return 0;
	afxdp_tags_restore(guard);
	return refuse(interface, result, error);
}

int afxdp_tags_keep(const struct interfaces_entry *interface, struct afxdp_guard *guard,
		    struct source_report *report, struct error *error)
{
	struct feature_change changes[2];
	struct afxdp_peer peer;
	char name[IF_NAMESIZE];
	unsigned count = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return error_set_errno(error, -errno, "cannot look at the offloads of %s", interface->name);
	result = features_on(fd, interface->name, receive_features, &changes[0]);
	if (result == 0)
		count += changes[0].any;
	afxdp_host_peer(interface->index, &peer);
	if (result == 0 && peer.veth && !peer.elsewhere && if_indextoname(peer.index, name) != NULL) {
		result = features_on(fd, name, send_features, &changes[count]);
		if (result == 0)
			count += changes[count].any;
	} else if (peer.veth) {
		source_report_note(report, "VLAN tags that the other end of %s leaves to its driver are not seen: "
					   "ethtool -K PEER txvlan off there", interface->name);
	}
	if (result == -EOPNOTSUPP)
		result = refuse(interface, result, error);
	else if (result < 0)
		result = error_set_errno(error, result, "cannot look at the offloads of %s", interface->name);
	else if (count > 0)
		result = turn_off(fd, interface, changes, count, guard, error);
	close(fd);
	return result;
}
