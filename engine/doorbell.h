/* A doorbell: how a thread that found nothing to do is woken by the one that has something for it.
 *
 * The sleeper announces, looks again, and only then sleeps; the ringer publishes its work first
 * and then looks whether somebody announced. Between them stands one full fence on each side:
 * without it both could read the old value (store-load reordering, also on x86) and the wake-up
 * would be lost. A ring costs a fence and a load while nobody sleeps, and one write(2) when
 * somebody does.
 *
 *	sleeper                              ringer
 *	announced = what for                 publish work (release)
 *	fence            pairs with:         fence
 *	look for work                        if (announced & work) write(eventfd)
 *	sleep if there is none
 *
 * A wake-up costs as much as a hundred packets, so that the sleeper says what it sleeps for: who publishes
 * something else leaves it asleep.
 */
#ifndef WEIR_ENGINE_DOORBELL_H
#define WEIR_ENGINE_DOORBELL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ringbuf/atomics.h"

/* What a sleeper may be called for; the owner of the bell gives the bits below DOORBELL_CALL a meaning. */
#define DOORBELL_CALL (UINT32_C(1) << 31) /* whatever cannot wait */

struct doorbell {
	int fd;                     /* eventfd, nonblocking; -1: not opened */
	_Atomic uint32_t announced; /* what for, 0: awake; (sleeper) sets, (ringer) clears when it rings */
	uint64_t owed;              /* (sleeper) rings that were announced to it and not yet read from fd */
};

/* 0 or -errno. */
static inline int doorbell_open(struct doorbell *bell)
{
	atomic_init(&bell->announced, 0);
	bell->owed = 0;
	bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return bell->fd < 0 ? -errno : 0;
}

static inline void doorbell_close(struct doorbell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

/* (sleeper) "I am about to sleep, and these and DOORBELL_CALL shall wake me." Look for work after this, and
 * sleep only if there is none. */
static inline void doorbell_announce(struct doorbell *bell, uint32_t what_for)
{
	atomic_store_explicit(&bell->announced, DOORBELL_CALL | what_for, memory_order_relaxed);
	atomic_fence_sleep(); /* pairs with: doorbell_ring */
}

/* (sleeper) Awake again, or did not sleep after all; once for each announcement. Who cleared the announcement
 * writes exactly one: that tells, without a system call, whether there is something to read, also when the
 * ringer has yet to write it. */
static inline void doorbell_awake(struct doorbell *bell)
{
	uint64_t rings;

	bell->owed += atomic_exchange_explicit(&bell->announced, 0, memory_order_relaxed) == 0;
	if (bell->owed > 0 && read(bell->fd, &rings, sizeof rings) == sizeof rings)
		bell->owed -= rings;
}

/* (any thread) Wakes the sleeper, if there is one that sleeps for this, to see what was published before. */
static inline void doorbell_ring(struct doorbell *bell, uint32_t work)
{
	uint64_t one = 1;

	atomic_fence_sleep(); /* pairs with: doorbell_announce */
	if ((atomic_load_explicit(&bell->announced, memory_order_relaxed) & work) == 0)
		return;
	if (atomic_exchange_explicit(&bell->announced, 0, memory_order_relaxed) == 0)
		return;
	/* Cannot fail but for a counter at its maximum, which means that the bell already rings. */
	if (write(bell->fd, &one, sizeof one) < 0)
		return;
}

#endif
