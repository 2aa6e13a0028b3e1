#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/sources/afpacket_internal.h"

/* The ring goes on where its oldest full block is: normally where we wait anyway. */
static void resynchronise(struct afpacket *a)
{
	uint64_t oldest_sequence = UINT64_MAX;
	uint32_t found = a->next;

	if (a->out > 0)
		return;
	for (uint32_t i = 0; i < a->ring.block_count; i++) {
		const struct tpacket_block_desc *block = afpacket_block(&a->ring, i);

		if (block_walk_acquire(block) && block->hdr.bh1.seq_num < oldest_sequence) {
			oldest_sequence = block->hdr.bh1.seq_num;
			found = i;
		}
	}
	if (found == a->next)
		return;
	a->resyncs++;
	a->next = a->oldest = a->frontier = found;
	a->used = 0;
}

int afpacket_check(struct source *source)
{
	struct afpacket *a = afpacket_from(source);
	socklen_t size = sizeof(int);
	int pending = 0;

	if (a->source.fd < 0 || getsockopt(a->source.fd, SOL_SOCKET, SO_ERROR, &pending, &size) < 0)
		return 0;
	if (pending == ENETDOWN) {
		a->losses_of_interface += !a->away;
		a->away = true;
		a->settled = false;
		return 0; /* rx_burst says it when the ring is dry */
	}
	if (pending == 0 || pending == EAGAIN || pending == EINTR || pending == ENOBUFS) {
		resynchronise(a);
		return 0;
	}
	return error_set_errno(&a->source.error, -pending, "the packet ring of %s failed", a->group->interface.name);
}

/* At most as many blocks as at first: the return queue was sized for those. */
static int remake_ring(struct afpacket *a, int fd)
{
	struct afpacket_plan plan = a->group->plan;

	plan.block_count = a->source.span_count;
	return afpacket_make_ring(a, fd, &plan, &a->source.error);
}

/* A new socket in place of the one whose interface is gone. -EAGAIN: it went away again meanwhile. */
static int replace_socket(struct afpacket *a, uint32_t index)
{
	struct afpacket_group *group = a->group;
	struct error *error = &a->source.error;
	int fd, result;

	/* Opened before the old one is closed, so that its number is another one and nobody takes it
	 * for the same socket; the old ring's memory is given back before the new one is made. */
	result = afpacket_socket_open(group, &fd, error);
	if (result != 0)
		return result;
	afpacket_drop_socket(a);
	a->source.fd = fd;
	result = remake_ring(a, fd);
	if (result == 0)
		result = afpacket_socket_bind(group, fd, index, error);
	if (result == 0)
		result = afpacket_socket_join(group, fd, error);
	if (result != 0) {
		afpacket_drop_socket(a);
		return result == -ENODEV || result == -ENXIO || result == -ENETDOWN ? -EAGAIN : result;
	}
	a->bound = index;
	a->prepared = true;
	return 0;
}

/* Lets packets in on all members, once each has a socket on the interface as it is now. */
static int let_in_together(struct afpacket *a)
{
	struct afpacket_group *group = a->group;

	for (unsigned i = 0; i < group->worker_count; i++) {
		if (group->members[i] != NULL && group->members[i]->bound != group->index)
			return -EAGAIN;
	}
	for (unsigned i = 0; i < group->worker_count; i++) {
		struct afpacket *member = group->members[i];
		int result = 0;

		if (member == NULL || !member->prepared)
			continue;
		if (!member->stopped)
			result = filter_attach(member->source.fd, group->filter.kernel);
		if (result != 0)
			return error_set_errno(&a->source.error, result, "cannot put the filter on %s",
					       group->interface.name);
		member->prepared = false;
	}
	return 0;
}

/* The socket's interface was deleted: prepare a new one if an interface of that name is there and up. */
static int come_back(struct afpacket *a)
{
	struct afpacket_group *group = a->group;
	struct interfaces_entry now;
	int result;

	if (interfaces_lookup(group->interface.name, &now, NULL) != 0 || !(now.flags & IFF_UP))
		return -EAGAIN;
	if (now.link_type != group->interface.link_type || now.form != group->interface.form)
		return error_set(&a->source.error, -EPROTO, "%s came back as another kind of interface",
				 group->interface.name);
	if (now.index != group->index) {
		group->index = now.index;
		group->fanout = -1;
	}
	result = replace_socket(a, now.index);
	return result != 0 ? result : let_in_together(a);
}

int afpacket_reopen(struct source *source)
{
	struct afpacket *a = afpacket_from(source);
	struct interfaces_entry now;
	uint32_t bound;
	int result;

	pthread_mutex_lock(&a->group->lock);
	bound = a->source.fd >= 0 ? afpacket_socket_bound(a->source.fd) : 0;
	if (bound == 0)
		result = come_back(a);
	else if (a->prepared)
		result = let_in_together(a);
	else
		result = interfaces_lookup_index(bound, &now) == 0 && now.flags & IFF_UP ? 0 : -EAGAIN;
	pthread_mutex_unlock(&a->group->lock);
	if (result == 0) {
		a->away = false;
		a->quiet_from_ns = 0;
	}
	return result;
}
