/* What ordering costs: 1 to 64 full queues merged by one thread, nothing else running.
 *
 * The records of all queues interleave packet by packet (the worst case: each record changes the queue) or in
 * runs of 64 (what fanout by flow gives). Filling is not measured. The walk is a plain pass over the same
 * number of records in one array.
 */
#include "bench_util.h"
#include "engine/merge.h"
#include "engine/sink.h"
#include "engine/slot.h"

#define QUEUES_MAX 64

static uint64_t sink_sum;

static void nothing(void *context, unsigned queue)
{
	(void)context;
	(void)queue;
}

static double walk_ns(const struct record *records, uint64_t count)
{
	uint64_t start = bench_thread_ns();

	for (uint64_t i = 0; i < count; i++)
		sink_sum += records[i].timestamp_ns;
	return (double)(bench_thread_ns() - start) / (double)count;
}

/* Fills queue q of n with its share, in runs, then END. */
static void fill(struct spsc *queue, unsigned q, unsigned n, uint64_t total, unsigned run)
{
	for (uint64_t i = 0; i < total; i++) {
		void *slot;

		if (i / run % n != q)
			continue;
		if (spsc_reserve(queue, 1, &slot) == 0)
			bench_die("a queue is too small");
		memset(slot, 0, sizeof(struct record));
		((struct record *)slot)->timestamp_ns = 1 + i;
		spsc_commit(queue, 1);
	}
	void *slot;

	if (spsc_reserve(queue, 1, &slot) == 0)
		bench_die("a queue is too small");
	slot_set_control(slot, SLOT_END, 0, 0);
	spsc_commit(queue, 1);
}

static double merge_ns(struct spsc **queues, unsigned count, uint64_t total)
{
	static const struct record *pointers[SINK_BATCH];
	struct merge_batch batch = { .records = pointers, .max = SINK_BATCH };
	bool live[QUEUES_MAX] = { false };
	uint64_t start, seen = 0, last = 0;
	struct merge *merge;

	if (merge_create(queues, live, count, 0, false, &merge) != 0)
		bench_die("no merge");
	start = bench_thread_ns();
	while (!merge_ended(merge)) {
		merge_collect(merge, &batch, 0);
		for (unsigned i = 0; i < batch.count; i++) {
			if (pointers[i]->timestamp_ns < last)
				bench_die("out of order");
			last = pointers[i]->timestamp_ns;
		}
		seen += batch.count;
		merge_release(merge, nothing, NULL);
	}
	start = bench_thread_ns() - start;
	merge_close(merge);
	if (seen != total)
		bench_die("the merge lost records");
	return (double)start / (double)total;
}

int main(int argc, char **argv)
{
	static struct bench bench = { .name = "merge", .unit = "ns/record", .base = "the walk", .runs = 7 };
	static struct spsc queues[QUEUES_MAX];
	struct spsc *pointers[QUEUES_MAX];
	uint64_t total = 1 << 18;
	struct record *memory, *plain;

	if (!bench_arguments(argc, argv, &bench.runs, &total, "--records"))
		return 2;
	bench_pin(0);
	memory = aligned_alloc(4096, (4 * total + 8192 * QUEUES_MAX) * sizeof *memory);
	plain = aligned_alloc(4096, (total / 32 + 1) * 32 * sizeof *plain);
	if (memory == NULL || plain == NULL)
		bench_die("no memory");
	memset(plain, 1, total * sizeof *plain);
	for (unsigned run = 0; run < bench.runs; run++) {
		double walk = walk_ns(plain, total);

		bench_add(&bench, "walk", walk, 1);
		for (unsigned n = 1; n <= QUEUES_MAX; n *= 2) {
			for (unsigned length = 1; length <= 64; length *= 64) {
				uint32_t capacity = 128;
				char name[48];
				double ns;

				while (capacity < total / n + 2 * length + 1)
					capacity *= 2;
				for (unsigned q = 0; q < n; q++) {
					if (!spsc_init(&queues[q], memory + (size_t)q * capacity, sizeof *memory,
						       capacity, 0))
						bench_die("no queue");
					pointers[q] = &queues[q];
					fill(&queues[q], q, n, total, length);
				}
				ns = merge_ns(pointers, n, total);
				snprintf(name, sizeof name, "%u queues, runs of %u", n, length);
				bench_add(&bench, name, ns, ns / walk);
			}
		}
	}
	bench_print(&bench);
	free(memory);
	free(plain);
	return 0;
}
