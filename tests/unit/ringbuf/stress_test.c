/* Two threads on one queue: every slot arrives once, in order, whole. To be run under ThreadSanitizer as
 * well, which knows C11 atomics: a missing pairing is a report there even where x86 forgives it. */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/spsc.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOTS_MOST UINT64_C(300000)
#else
#define SLOTS_MOST UINT64_C(3000000)
#endif

struct slot {
	uint64_t sequence;
	uint64_t words[7]; /* each derived from the sequence: a torn or stale slot shows */
};

struct run {
	struct spsc queue;
	struct slot *slots;
	uint32_t capacity;
	uint64_t count; /* slots to pass through */
	uint64_t errors;
	_Atomic bool watch;
	uint64_t watched;
};

static uint64_t word(uint64_t sequence, unsigned index)
{
	uint64_t mixed = (sequence + index) * UINT64_C(0x9e3779b97f4a7c15);

	return mixed ^ mixed >> 29;
}

/* Commits in uneven parts: some of a reservation, all of it, one slot. */
static void *produce(void *argument)
{
	struct run *run = argument;
	unsigned seed = 1;

	for (uint64_t sequence = 0; sequence < run->count;) {
		void *span;
		uint32_t want = 1 + (uint32_t)rand_r(&seed) % run->capacity;
		uint32_t got = spsc_reserve(&run->queue, want, &span);
		struct slot *slots = span;

		if (got == 0) {
			sched_yield();
			continue;
		}
		got = got < want ? got : want;
		if (got > run->count - sequence)
			got = (uint32_t)(run->count - sequence);
		for (uint32_t i = 0; i < got; i++, sequence++) {
			slots[i].sequence = sequence;
			for (unsigned w = 0; w < 7; w++)
				slots[i].words[w] = word(sequence, w);
		}
		spsc_commit(&run->queue, got);
	}
	return NULL;
}

static void check(struct run *run, const struct slot *slot, uint64_t expected)
{
	bool good = slot->sequence == expected;

	for (unsigned w = 0; w < 7; w++)
		good = good && slot->words[w] == word(expected, w);
	if (!good && run->errors++ < 5)
		fprintf(stderr, "slot %llu holds %llu\n", (unsigned long long)expected,
			(unsigned long long)slot->sequence);
}

/* Looks ahead with peek_from while it holds slots, and releases in uneven parts. */
static void *consume(void *argument)
{
	struct run *run = argument;
	unsigned seed = 2;
	uint64_t expected = 0;
	uint32_t held = 0;

	while (expected < run->count || held > 0) {
		void *span;
		uint32_t got = expected < run->count ? spsc_peek_from(&run->queue, held, 1, &span) : 0;

		if (got == 0 && held == 0) {
			sched_yield();
			continue;
		}
		for (uint32_t i = 0; i < got; i++)
			check(run, (const struct slot *)span + i, expected++);
		held += got;
		if (held == run->capacity || got == 0 || rand_r(&seed) % 3 == 0) {
			uint32_t give = 1 + (uint32_t)rand_r(&seed) % held;

			spsc_release(&run->queue, give);
			held -= give;
		}
	}
	return NULL;
}

/* A third party that only looks: never sees more than the capacity. */
static void *observe(void *argument)
{
	struct run *run = argument;

	while (atomic_load(&run->watch)) {
		if (spsc_used(&run->queue) > run->capacity)
			run->errors++;
		run->watched++;
		sched_yield();
	}
	return NULL;
}

static bool stress(uint32_t capacity)
{
	/* A queue of a few slots changes threads for each of them, which takes its time. */
	uint64_t slots = capacity < 64 ? SLOTS_MOST / 10 : SLOTS_MOST;
	uint32_t start = UINT32_MAX - (uint32_t)(slots / 2); /* the counters wrap half-way */
	struct run *run = aligned_alloc(RINGBUF_ISOLATION, sizeof *run);
	pthread_t producer, consumer, observer;
	bool good;

	memset(run, 0, sizeof *run);
	run->capacity = capacity;
	run->count = slots;
	run->slots = aligned_alloc(64, capacity * sizeof *run->slots);
	atomic_init(&run->watch, true);
	if (!spsc_init(&run->queue, run->slots, sizeof *run->slots, capacity, start))
		return false;
	pthread_create(&consumer, NULL, consume, run);
	pthread_create(&observer, NULL, observe, run);
	pthread_create(&producer, NULL, produce, run);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	atomic_store(&run->watch, false);
	pthread_join(observer, NULL);
	good = run->errors == 0 && spsc_used(&run->queue) == 0 &&
	       atomic_load_own(&run->queue.tail) == start + (uint32_t)slots;
	printf("%s capacity %u start %u: %llu slots, %llu errors, looked at %llu times\n",
	       good ? "ok" : "FAILED", capacity, start, (unsigned long long)slots,
	       (unsigned long long)run->errors, (unsigned long long)run->watched);
	free(run->slots);
	free(run);
	return good;
}

int main(void)
{
	static const uint32_t capacities[] = { 1, 2, 8, 64, 1024 };
	bool good = true;

	for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
		good &= stress(capacities[i]);
	return good ? 0 : 1;
}
