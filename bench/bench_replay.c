/* The whole pipeline over RAM-resident blocks, and the same with its stages taken out one by one.
 *
 *	walk        the bare walk
 *	frames      the source's rx_burst: frames handed out, spans released
 *	decode      and decode_packet into a record, in an array that stays in the first-level cache's reach
 *	queue       and the records through the SPSC queue to a second core, which only releases them
 *	merge       and that core runs the merge over one queue
 *	engine      the real thing: worker, queue, writer, the counting sink
 *	engine hold the same with packets held until the sink has seen them (null:packet)
 *	engine skew two workers on two interfaces, one with four times the packets of the other
 *
 * ns per packet: of the thread's CPU time up to decode, of the wall clock from queue on, where two cores work.
 */
#include "bench_blocks.h"
#include "decoders/decode.h"
#include "engine/engine.h"
#include "engine/merge.h"
#include "engine/slot.h"
#include "engine/worker.h"
#include "ringbuf/spsc.h"

#define FIRST_NS UINT64_C(1700000000000000000)

static double frames_ns(struct blocks *blocks, bool decode, struct record *records)
{
	const struct decode_options options = { 0 };
	struct source *source = blocks->source;
	struct frame frames[SOURCE_BURST];
	uint64_t start = bench_thread_ns(), done = 0;

	while (done < blocks->packets) {
		int count = source->ops->rx_burst(source, frames, source_burst(source));

		if (count <= 0)
			bench_die("the blocks ended early");
		for (int i = 0; i < count; i++) {
			if (decode) {
				struct record *record = &records[i];

				decode_packet(&options, frames[i].data, frames[i].captured_len, frames[i].wire_len,
					      frames[i].link_type, record, NULL);
				record->timestamp_ns = frames[i].timestamp_ns;
			}
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
		}
		done += (unsigned)count;
	}
	return (double)(bench_thread_ns() - start) / (double)blocks->packets;
}

struct consumer {
	struct spsc queue;
	uint64_t packets;
	bool merge;
};

static void nothing(void *context, unsigned queue)
{
	(void)context;
	(void)queue;
}

static void *consume_merge(struct consumer *consumer)
{
	static const struct record *pointers[SINK_BATCH];
	struct spsc *queue = &consumer->queue;
	struct merge_batch batch = { .records = pointers, .max = SINK_BATCH };
	struct merge *merge;
	bool live = false;

	if (merge_create(&queue, &live, 1, 0, false, &merge) != 0)
		bench_die("no merge");
	while (!merge_ended(merge)) {
		merge_collect(merge, &batch, FIRST_NS);
		merge_release(merge, nothing, NULL);
		if (batch.count == 0)
			__builtin_ia32_pause();
	}
	merge_close(merge);
	return NULL;
}

static void *consume(void *context)
{
	struct consumer *consumer = context;

	bench_pin(1);
	if (consumer->merge)
		return consume_merge(consumer);
	for (uint64_t done = 0; done < consumer->packets + 1;) {
		void *span;
		uint32_t count = spsc_peek(&consumer->queue, 64, &span);

		if (count == 0)
			__builtin_ia32_pause();
		spsc_release(&consumer->queue, count);
		done += count;
	}
	return NULL;
}

static struct record *wait_slots(struct spsc *queue, uint32_t *count)
{
	void *span;

	while ((*count = spsc_reserve(queue, SOURCE_BURST, &span)) == 0)
		__builtin_ia32_pause();
	return span;
}

/* As the worker does it: decode into the slot, commit per burst. */
static void produce(struct blocks *blocks, struct spsc *queue)
{
	const struct decode_options options = { 0 };
	struct source *source = blocks->source;
	struct frame frames[SOURCE_BURST];
	uint32_t room = 0, used = 0;
	struct record *slots = NULL;

	for (uint64_t done = 0; done < blocks->packets;) {
		int count = source->ops->rx_burst(source, frames, source_burst(source));

		if (count <= 0)
			bench_die("the blocks ended early");
		for (int i = 0; i < count; i++) {
			if (used == room) {
				spsc_commit(queue, used);
				slots = wait_slots(queue, &room);
				used = 0;
			}
			decode_packet(&options, frames[i].data, frames[i].captured_len, frames[i].wire_len,
				      frames[i].link_type, &slots[used], NULL);
			slots[used++].timestamp_ns = frames[i].timestamp_ns;
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
		}
		done += (unsigned)count;
	}
	if (used == room) {
		spsc_commit(queue, used);
		slots = wait_slots(queue, &room);
		used = 0;
	}
	slot_set_control(&slots[used++], SLOT_END, 0, 0);
	spsc_commit(queue, used);
}

static double queue_ns(struct blocks *blocks, bool merge)
{
	struct consumer consumer = { .packets = blocks->packets, .merge = merge };
	struct record *memory = aligned_alloc(4096, WORKER_QUEUE_DEFAULT * sizeof *memory);
	pthread_t thread;
	uint64_t start;
	double ns;

	if (memory == NULL)
		bench_die("no memory for the queue");
	memset(memory, 0, WORKER_QUEUE_DEFAULT * sizeof *memory);
	if (!spsc_init(&consumer.queue, memory, sizeof *memory, WORKER_QUEUE_DEFAULT, 0) ||
	    pthread_create(&thread, NULL, consume, &consumer) != 0)
		bench_die("no consumer");
	start = clock_monotonic_ns();
	produce(blocks, &consumer.queue);
	pthread_join(thread, NULL);
	ns = (double)(clock_monotonic_ns() - start) / (double)blocks->packets;
	free(memory);
	return ns;
}

/* One engine run over `sources`, closed with it. Returns ns per packet of the ledger's count. */
static double engine_ns(struct source **sources, unsigned count, struct interface_table *table,
			const char *sink_spec, uint64_t packets)
{
	struct sink_options sink_options = { .interfaces = table, .application = "bench", .snap_length = 262144 };
	int cpus[] = { 0, 1 };
	struct engine_config config = { .pin_cpus = cpus, .pin_count = 1 };
	struct engine *engine;
	struct ledger ledger;
	struct error error = { 0 };
	struct sink *sink;
	uint64_t start, ns;

	if (sink_open(sink_spec, &sink_options, &sink, &error) != 0 ||
	    engine_create(&config, table, sources, count, &sink, 1, &engine, &error) != 0)
		bench_die(error.message);
	start = clock_monotonic_ns();
	if (engine_start(engine, &error) != 0)
		bench_die(error.message);
	engine_wait(engine, -1);
	ns = clock_monotonic_ns() - start;
	if (engine_result(engine, &error) != 0)
		bench_die(error.message);
	if (engine_ledger(engine, &ledger) != 0 || !ledger.balanced || ledger.written != packets)
		bench_die("the ledger does not balance");
	ledger_close(&ledger);
	engine_close(engine);
	return (double)ns / (double)packets;
}

static double whole_ns(const char *sink_spec, unsigned workers, uint64_t packets, unsigned loops)
{
	struct interface_table *table;
	struct source *sources[2];
	struct blocks blocks[2];
	uint64_t total = 0;
	double ns;

	if (interface_table_create(&table, NULL) != 0)
		bench_die("no interface table");
	for (unsigned i = 0; i < workers; i++) {
		struct interface interface = { .link_type = LINK_ETHERNET };
		struct blocks_options options = { .mix = "udp,tcp", .size = "60", .flows = 1000,
						  .packets = i == 0 ? packets : packets / 4, .loops = loops,
						  .first_ns = FIRST_NS, .handshake = true };

		snprintf(interface.name, sizeof interface.name, "memory%u", i);
		interface_table_add(table, &interface, &options.interface);
		blocks_open(&blocks[i], &options);
		sources[i] = blocks[i].source;
		total += blocks[i].packets * loops;
	}
	ns = engine_ns(sources, workers, table, sink_spec, total);
	for (unsigned i = 0; i < workers; i++)
		blocks_close(&blocks[i], false);
	interface_table_close(table);
	return ns;
}

int main(int argc, char **argv)
{
	static struct bench bench = { .name = "replay", .unit = "ns/packet", .base = "the bare walk", .runs = 7 };
	static struct record records[SOURCE_BURST];
	uint64_t packets = 1000000;
	struct blocks blocks;
	struct blocks_options options = { .mix = "udp,tcp", .size = "60", .flows = 1000, .first_ns = FIRST_NS };

	if (!bench_arguments(argc, argv, &bench.runs, &packets, "--packets"))
		return 2;
	bench_pin(0);
	options.packets = packets;
	blocks_open(&blocks, &options);
	frames_ns(&blocks, true, records); /* warm */
	for (unsigned run = 0; run < bench.runs; run++) {
		double walk = blocks_walk_ns(&blocks);
		double ns[] = {
			frames_ns(&blocks, false, records), frames_ns(&blocks, true, records), queue_ns(&blocks, false),
			queue_ns(&blocks, true), whole_ns("null:", 1, packets, 4), whole_ns("null:packet", 1, packets, 4),
			whole_ns("null:", 2, packets, 4),
		};
		static const char *const names[] = { "frames", "decode", "queue", "merge", "engine", "engine hold",
						     "engine skew" };

		double prefetched = blocks_walk_prefetch_ns(&blocks);

		bench_add(&bench, "walk", walk, 1);
		bench_add(&bench, "walk prefetched", prefetched, prefetched / walk);
		for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++)
			bench_add(&bench, names[i], ns[i], ns[i] / walk);
	}
	bench_print(&bench);
	blocks_close(&blocks, true);
	return 0;
}
