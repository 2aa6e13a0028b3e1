/* A doorbell: how a thread that found nothing to do is woken by the one that has something for it.
 *
 * The sleeper announces, looks again, and only then sleeps; the ringer publishes its work first
 * and then looks whether somebody announced. Between them stands one full fence on each side:
 * without it both could read the old value (store-load reordering, also on x86) and the wake-up
 * would be lost. A ring costs a fence and a load while nobody sleeps, and one write(2) when
 * somebody does.
 *
 *	sleeper                              ringer
 *	announced = 1                        publish work (release)
 *	fence            pairs with:         fence
 *	look for work                        if (announced) write(eventfd)
 *	sleep if there is none
 */
#ifndef WEIR_ENGINE_DOORBELL_H
#define WEIR_ENGINE_DOORBELL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ringbuf/atomics.h"

struct doorbell {
	int fd;                     /* eventfd, nonblocking; -1: not opened */
	_Atomic uint32_t announced; /* (sleeper) sets, (ringer) clears when it rings */
};

/* 0 or -errno. */
static inline int doorbell_open(struct doorbell *bell)
{
	atomic_init(&bell->announced, 0);
	bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return bell->fd < 0 ? -errno : 0;
}

static inline void doorbell_close(struct doorbell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

/* (sleeper) "I am about to sleep." Look for work after this, and sleep only if there is none. */
static inline void doorbell_announce(struct doorbell *bell)
{
	atomic_store_explicit(&bell->announced, 1, memory_order_relaxed);
	atomic_fence_sleep(); /* pairs with: doorbell_ring */
}

/* (sleeper) Awake again, or did not sleep after all. */
static inline void doorbell_awake(struct doorbell *bell)
{
	uint64_t rings;

	atomic_store_explicit(&bell->announced, 0, memory_order_relaxed);
	if (read(bell->fd, &rings, sizeof rings) < 0)
		return; /* nobody had rung: EAGAIN */
}

/* (any thread) Wakes the sleeper, if there is one, to see what was published before this. */
static inline void doorbell_ring(struct doorbell *bell)
{
	uint64_t one = 1;

	atomic_fence_sleep(); /* pairs with: doorbell_announce */
	if (atomic_load_explicit(&bell->announced, memory_order_relaxed) == 0)
		return;
	if (atomic_exchange_explicit(&bell->announced, 0, memory_order_relaxed) == 0)
		return;
	/* Cannot fail but for a counter at its maximum, which means that the bell already rings. */
	if (write(bell->fd, &one, sizeof one) < 0)
		return;
}

#endif
