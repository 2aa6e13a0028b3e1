/* An interface that was deleted and made again: the program, its maps and the ring buffers belong to no interface
 * and stay, so that the ledger goes on; the attachment, the offloads and promiscuous mode are made again. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "engine/sources/afxdp_host.h"
#include "engine/sources/xdprecords_internal.h"

/* What the first source to come back does for all. */
static int adopt(struct xdprecords_group *group, const struct interfaces_entry *now, struct error *error)
{
	int result;

	if (now->link_type != group->device.link_type)
		return error_set(error, -EPROTO, "%s came back as another kind of interface", now->name);
	xdprecords_program_detach(group->program);
	afxdp_tags_restore(&group->guard);
	if (group->promiscuous >= 0)
		close(group->promiscuous);
	group->promiscuous = -1;
	result = afxdp_tags_keep(now, &group->guard, NULL, error);
	if (result == 0 && group->options.promiscuous)
		result = afxdp_host_promiscuous(now, &group->promiscuous, error);
	if (result < 0)
		return result;
	xdprecords_program_set_mac(group->program, now->mac);
	result = xdprecords_program_attach(group->program, now, group->mode, error);
	if (result < 0)
		return result;
	/* The name is the same, and others read it. */
	group->device.index = now->index;
	group->device.flags = now->flags;
	group->device.mtu = now->mtu;
	memcpy(group->device.mac, now->mac, sizeof now->mac);
	return 0;
}

int xdprecords_reopen(struct source *source)
{
	struct xdprecords *records = xdprecords_from(source);
	struct xdprecords_group *group = records->group;
	struct interfaces_entry now;
	int result = 0;

	pthread_mutex_lock(&group->lock);
	if (interfaces_lookup(group->device.name, &now, NULL) < 0 || !(now.flags & IFF_UP))
		result = -EAGAIN;
	else if (now.index != group->device.index)
		result = adopt(group, &now, &source->error);
	pthread_mutex_unlock(&group->lock);
	if (result == 0) {
		records->bound = now.index;
		records->down = false;
	}
	return result == -ENODEV || result == -ENXIO || result == -ENETDOWN ? -EAGAIN : result;
}
