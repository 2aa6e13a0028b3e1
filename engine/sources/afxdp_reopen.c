/* An interface that was deleted and made again. What is bound to an interface goes with it: sockets, the
 * attachment, promiscuous mode, changed offloads. What is not stays: the XDP program with its maps, so that its
 * counters go on and the ledger with them. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "engine/sources/afxdp_host.h"
#include "engine/sources/afxdp_internal.h"

void afxdp_count_cut_off(struct afxdp *afxdp)
{
	struct xdp_statistics statistics;
	struct afxdp_counters counters;
	uint64_t known;

	/* kernel: the program is off the device, and its last packets are through, before sockets are told
	 * (unregister_netdevice_many): the counter stands still. A socket that is bound no more refuses what was
	 * on its way to it, and counts it nowhere (xsk_rcv_check). */
	afxdp_program_counters(afxdp->group->program, afxdp->queue, &counters);
	afxdp_read_statistics(afxdp, &statistics);
	known = afxdp->pool.handed_out + statistics.rx_dropped + statistics.rx_ring_full + afxdp->cut_off;
	if (counters.redirected > known)
		afxdp->cut_off += counters.redirected - known;
}

/* True when it means that the interface went away again meanwhile. */
static bool is_away(int result)
{
	return result == -ENODEV || result == -ENXIO || result == -ENETDOWN;
}

/* What the group does once for the new interface. */
static int adopt(struct afxdp_group *group, const struct interfaces_entry *now, struct error *error)
{
	int result = 0;

	if (now->link_type != group->device.link_type)
		return error_set(error, -EPROTO, "%s came back as another kind of interface", now->name);
	if (!group->afxdp.steal)
		result = afxdp_host_may_steal(now, error);
	if (result < 0)
		return result;
	afxdp_program_detach(group->program);
	afxdp_tags_restore(&group->guard);
	if (group->promiscuous >= 0)
		close(group->promiscuous);
	group->promiscuous = -1;
	result = afxdp_tags_keep(now, &group->guard, NULL, error);
	if (result == 0 && group->options.promiscuous)
		result = afxdp_host_promiscuous(now, &group->promiscuous, error);
	if (result < 0)
		return result;
	/* The name is the same, and others read it. */
	group->device.index = now->index;
	group->device.flags = now->flags;
	group->device.mtu = now->mtu;
	memcpy(group->device.mac, now->mac, sizeof now->mac);
	return 0;
}

/* A new socket in place of the one whose interface is gone; every span is back. */
static int replace_socket(struct afxdp *afxdp, struct error *error)
{
	struct afxdp_group *group = afxdp->group;
	struct afxdp_pool *pool = &afxdp->pool;
	struct xdp_statistics statistics;
	int result;

	afxdp_count_cut_off(afxdp);
	afxdp_read_statistics(afxdp, &statistics);
	afxdp->before = statistics;
	afxdp_close_socket(afxdp);
	memcpy(pool->mac, group->device.mac, sizeof pool->mac);
	result = afxdp_queue_open(afxdp, &group->plan, error);
	if (result < 0)
		return result;
	afxdp_clock_sample(&pool->clock);
	afxdp->bound = group->device.index;
	return 0;
}

static int come_back(struct afxdp *afxdp)
{
	struct afxdp_group *group = afxdp->group;
	struct error *error = &afxdp->source.error;
	struct interfaces_entry now;
	int result = 0;

	if (interfaces_lookup(group->device.name, &now, NULL) < 0 || !(now.flags & IFF_UP))
		return -EAGAIN;
	if (now.index == afxdp->bound && !afxdp->deleted)
		return 0;
	if (now.index != group->device.index)
		result = adopt(group, &now, error);
	if (result == 0 && (afxdp->bound != now.index || afxdp->socket == NULL))
		result = replace_socket(afxdp, error);
	if (result == 0 && group->attached != now.index) {
		result = afxdp_program_attach(group->program, &group->device, group->plan.mode, error);
		if (result == 0)
			group->attached = now.index;
	}
	if (result == 0)
		result = afxdp_program_bind(group->program, afxdp->queue, afxdp->source.fd);
	return result;
}

int afxdp_reopen(struct source *source)
{
	struct afxdp *afxdp = afxdp_from(source);
	int result;

	pthread_mutex_lock(&afxdp->group->lock);
	result = come_back(afxdp);
	pthread_mutex_unlock(&afxdp->group->lock);
	if (result == 0)
		afxdp->down = afxdp->deleted = false;
	return is_away(result) ? -EAGAIN : result;
}
