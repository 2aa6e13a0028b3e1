/* The SPSC queue from one core to another, beside Concurrency Kit's ck_ring: nanoseconds a slot when the
 * producer never waits but for a full queue, and of a round trip of one slot through two queues.
 *
 * ck_ring carries pointers; to carry slots by value, as ours does, its pointers go to slots that lie in an
 * array of the queue's size and are used in turn. "one" passes slots one by one, "span" reserves and releases
 * up to 64 at a time, as the worker and the writer do.
 */
#include "bench/bench_util.h"
#include "ringbuf/spsc.h"

#if __has_include(<ck_ring.h>)
#include <ck_ring.h>
#define HAVE_CK 1
#endif

#define CAPACITY 4096u
#define SPAN 64u
#define ROUNDS_DIVISOR 50u /* round trips are so much slower */

static const uint32_t slot_sizes[] = { 8, 64, 128 };

struct line {
	struct spsc queue;
	unsigned char *slots;
	uint32_t slot_size;
	uint64_t amount;
	bool spans;
	uint64_t sum;
};

static inline void relax(void)
{
	__builtin_ia32_pause();
}

/* Each slot is written whole and read whole: what a record's way costs, not an index's. */
static inline void fill(void *slot, uint32_t size, uint64_t value)
{
	uint64_t *words = slot;

	for (uint32_t i = 0; i < size / 8; i++)
		words[i] = value + i;
}

static inline uint64_t take(const void *slot, uint32_t size)
{
	const uint64_t *words = slot;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < size / 8; i++)
		sum += words[i];
	return sum;
}

static struct line *line_open(uint32_t slot_size, uint64_t amount, bool spans)
{
	struct line *line = aligned_alloc(RINGBUF_ISOLATION, sizeof *line);
	unsigned char *slots = aligned_alloc(RINGBUF_ISOLATION, (size_t)CAPACITY * slot_size);

	if (line == NULL || slots == NULL)
		bench_die("no memory");
	memset(line, 0, sizeof *line);
	memset(slots, 0, (size_t)CAPACITY * slot_size);
	line->slots = slots;
	line->slot_size = slot_size;
	line->amount = amount;
	line->spans = spans;
	spsc_init(&line->queue, slots, slot_size, CAPACITY, 0);
	return line;
}

static void line_close(struct line *line)
{
	free(line->slots);
	free(line);
}

static void *consume(void *argument)
{
	struct line *line = argument;
	uint32_t most = line->spans ? SPAN : 1;

	bench_pin(1);
	for (uint64_t done = 0; done < line->amount;) {
		void *span;
		uint32_t got = spsc_peek(&line->queue, 1, &span);

		if (got == 0) {
			relax();
			continue;
		}
		got = got < most ? got : most;
		for (uint32_t i = 0; i < got; i++)
			line->sum +=
				take((unsigned char *)span + (size_t)i * line->slot_size, line->slot_size);
		spsc_release(&line->queue, got);
		done += got;
	}
	return NULL;
}

static double run_spsc(uint32_t slot_size, uint64_t amount, bool spans)
{
	struct line *line = line_open(slot_size, amount, spans);
	uint32_t most = spans ? SPAN : 1;
	pthread_t consumer;
	uint64_t start;
	double spent;

	pthread_create(&consumer, NULL, consume, line);
	start = clock_monotonic_ns();
	for (uint64_t done = 0; done < amount;) {
		void *span;
		uint32_t got = spsc_reserve(&line->queue, 1, &span);

		if (got == 0) {
			relax();
			continue;
		}
		got = got < most ? got : most;
		got = got < amount - done ? got : (uint32_t)(amount - done);
		for (uint32_t i = 0; i < got; i++)
			fill((unsigned char *)span + (size_t)i * slot_size, slot_size, done + i);
		spsc_commit(&line->queue, got);
		done += got;
	}
	pthread_join(consumer, NULL);
	spent = (double)(clock_monotonic_ns() - start) / (double)amount;
	if (line->sum == 1)
		puts("");
	line_close(line);
	return spent;
}

struct pair {
	struct line *there, *back;
};

/* Sends back what comes. */
static void *echo(void *argument)
{
	struct pair *pair = argument;

	bench_pin(1);
	for (uint64_t done = 0; done < pair->there->amount; done++) {
		void *in, *out;

		while (spsc_peek(&pair->there->queue, 1, &in) == 0)
			relax();
		while (spsc_reserve(&pair->back->queue, 1, &out) == 0)
			relax();
		memcpy(out, in, pair->there->slot_size);
		spsc_release(&pair->there->queue, 1);
		spsc_commit(&pair->back->queue, 1);
	}
	return NULL;
}

static double run_round_trip(uint32_t slot_size, uint64_t amount)
{
	struct pair pair = { line_open(slot_size, amount, false), line_open(slot_size, amount, false) };
	pthread_t other;
	uint64_t start, sum = 0;
	double spent;

	pthread_create(&other, NULL, echo, &pair);
	start = clock_monotonic_ns();
	for (uint64_t done = 0; done < amount; done++) {
		void *span;

		while (spsc_reserve(&pair.there->queue, 1, &span) == 0)
			relax();
		fill(span, slot_size, done);
		spsc_commit(&pair.there->queue, 1);
		while (spsc_peek(&pair.back->queue, 1, &span) == 0)
			relax();
		sum += take(span, slot_size);
		spsc_release(&pair.back->queue, 1);
	}
	spent = (double)(clock_monotonic_ns() - start) / (double)amount;
	pthread_join(other, NULL);
	if (sum == 1)
		puts("");
	line_close(pair.there);
	line_close(pair.back);
	return spent;
}

#ifdef HAVE_CK
struct ck_line {
	ck_ring_t ring;
	ck_ring_buffer_t *buffer;
	unsigned char *slots;
	uint32_t slot_size;
	uint64_t amount;
	uint64_t sum;
};

static void *ck_consume(void *argument)
{
	struct ck_line *line = argument;

	bench_pin(1);
	for (uint64_t done = 0; done < line->amount;) {
		void *slot;

		if (!ck_ring_dequeue_spsc(&line->ring, line->buffer, &slot)) {
			relax();
			continue;
		}
		line->sum += take(slot, line->slot_size);
		done++;
	}
	return NULL;
}

static double run_ck(uint32_t slot_size, uint64_t amount)
{
	struct ck_line *line = aligned_alloc(RINGBUF_ISOLATION, (sizeof *line + 127) / 128 * 128);
	pthread_t consumer;
	uint64_t start;
	double spent;

	line->buffer = calloc(CAPACITY, sizeof *line->buffer);
	/* Twice the queue: a slot is written again only when its turn has long been taken out. */
	line->slots = aligned_alloc(RINGBUF_ISOLATION, 2 * (size_t)CAPACITY * slot_size);
	line->slot_size = slot_size;
	line->amount = amount;
	line->sum = 0;
	memset(line->slots, 0, 2 * (size_t)CAPACITY * slot_size);
	ck_ring_init(&line->ring, CAPACITY);
	pthread_create(&consumer, NULL, ck_consume, line);
	start = clock_monotonic_ns();
	for (uint64_t done = 0; done < amount; done++) {
		void *slot = line->slots + (size_t)(done % (2 * CAPACITY)) * slot_size;

		fill(slot, slot_size, done);
		while (!ck_ring_enqueue_spsc(&line->ring, line->buffer, slot))
			relax();
	}
	pthread_join(consumer, NULL);
	spent = (double)(clock_monotonic_ns() - start) / (double)amount;
	free(line->buffer);
	free(line->slots);
	free(line);
	return spent;
}
#endif

int main(int argc, char **argv)
{
	struct bench bench = { .name = "spsc", .unit = "ns/slot", .base = "ck_ring", .runs = 7 };
	uint64_t slots = 20000000;

	if (!bench_arguments(argc, argv, &bench.runs, &slots, "--slots"))
		return 2;
	bench_pin(0);
	for (unsigned run = 0; run < bench.runs; run++) {
		for (size_t i = 0; i < sizeof slot_sizes / sizeof slot_sizes[0]; i++) {
			uint32_t size = slot_sizes[i];
			double ck = 0, ours;
			char name[48];

#ifdef HAVE_CK
			ck = run_ck(size, slots);
			snprintf(name, sizeof name, "ck_ring %u bytes", size);
			bench_add(&bench, name, ck, 0);
#endif
			ours = run_spsc(size, slots, false);
			snprintf(name, sizeof name, "one %u bytes", size);
			bench_add(&bench, name, ours, ck > 0 ? ours / ck : 0);
			ours = run_spsc(size, slots, true);
			snprintf(name, sizeof name, "span %u bytes", size);
			bench_add(&bench, name, ours, ck > 0 ? ours / ck : 0);
			snprintf(name, sizeof name, "round trip %u bytes", size);
			bench_add(&bench, name, run_round_trip(size, slots / ROUNDS_DIVISOR + 1), 0)->unit =
				"ns/trip";
		}
	}
	bench_print(&bench);
	return 0;
}
