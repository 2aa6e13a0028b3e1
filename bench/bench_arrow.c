/* Records as Arrow: what one core makes of them.
 *
 *	encode       records side by side in RAM (TCP over IPv4) into columns and messages, thrown away
 *	encode mixed the same with every predicate met both ways, from two queues in turn
 *	encode text  addresses as text
 *	file         the sink, into a file in DIRECTORY (default /dev/shm), on one core
 *	engine       the whole way: RAM-resident blocks, worker on the last CPU, queue, writer on the first with
 *	             what the kernel does of its writes, sink, file
 *	copy         as many bytes written to such a file, and nothing else
 *
 * Millions of records a second.
 */
#include <fcntl.h>
#include <unistd.h>

#include "bench_blocks.h"
#include "engine/engine.h"
#include "engine/sinks/arrow_record.h"
#include "engine/sinks/arrow_writer.h"
#include "tests/analytics/sample.h"

#define RAM_RECORDS 8192u

static int emit_nothing(void *context, const void *data, size_t size)
{
	*(uint64_t *)context += size;
	return 0;
}

static void make_records(struct record *records, bool mixed)
{
	uint64_t state = 1;

	for (uint32_t i = 0; i < RAM_RECORDS; i++) {
		const uint32_t want = LAYER_TCP | LAYER_IPV4;

		do
			sample_record(&records[i], &state, i);
		while (!mixed && ((records[i].layers & want) != want ||
				  (records[i].layers & (LAYER_VLAN | LAYER_TUNNEL))));
	}
}

/* Which records come in which order: side by side, or from two halves in turn. */
static void point(const struct record **pointers, const struct record *records, bool in_turn)
{
	for (uint32_t i = 0; i < RAM_RECORDS; i++)
		pointers[i] = in_turn ? &records[i / 2 + (i & 1) * RAM_RECORDS / 2] : &records[i];
}

static double encode(const struct record **pointers, uint64_t packets, bool text)
{
	static const struct sink_options options = { .application = "bench" };
	struct arrow_column columns[ARROW_RECORD_COLUMNS];
	struct arrow_writer writer;
	uint64_t start, bytes = 0, done = 0;

	arrow_record_columns(columns, text);
	if (arrow_writer_open(&writer, columns, ARROW_RECORD_COLUMNS, 65536, "record", &options, true,
			      emit_nothing, &bytes))
		bench_die("no memory");
	start = clock_monotonic_ns();
	while (done < packets) {
		for (uint32_t i = 0; i < RAM_RECORDS; i += SINK_BATCH) {
			uint32_t filled = 0;

			while (filled < SINK_BATCH) {
				filled += arrow_record_fill(&writer.batch, pointers + i + filled,
							    SINK_BATCH - filled);
				if (writer.batch.rows == writer.batch.capacity)
					arrow_writer_flush(&writer);
			}
		}
		done += RAM_RECORDS;
	}
	start = clock_monotonic_ns() - start;
	arrow_writer_close(&writer);
	return (double)done * 1e3 / (double)start;
}

static double file(const char *spec, const struct record **pointers, uint64_t packets, uint64_t *bytes)
{
	static const struct sink_options options = { .application = "bench" };
	static const struct ledger ledger = { .final = true };
	struct error error;
	struct sink *sink;
	uint64_t start, done = 0;

	unlink(spec + strlen("arrow:"));
	start = clock_monotonic_ns();
	if (sink_open(spec, &options, &sink, &error))
		bench_die(error.message);
	for (; done < packets; done += SINK_BATCH) {
		struct batch batch = { .records = pointers + done % RAM_RECORDS, .count = SINK_BATCH };

		if (sink->ops->write(sink, &batch))
			bench_die(sink->error.message);
	}
	if (sink->ops->finish(sink, &ledger))
		bench_die(sink->error.message);
	start = clock_monotonic_ns() - start;
	*bytes = sink->bytes;
	sink->ops->close(sink);
	return (double)done * 1e3 / (double)start;
}

static double engine(const char *spec, uint64_t packets)
{
	const int last = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	const struct engine_config config = { .pin_cpus = &last, .pin_count = 1 };
	struct interface interface = { .name = "memory", .link_type = LINK_ETHERNET };
	struct blocks_options options = { .mix = "udp,tcp",
					  .size = "60",
					  .flows = 1000,
					  .packets = 1000000,
					  .loops = packets / 1000000 + 1,
					  .first_ns = UINT64_C(1700000000000000000) };
	struct sink_options sink_options = { .application = "bench" };
	struct interface_table *table;
	struct engine *run;
	struct blocks blocks;
	struct error error;
	struct sink *sink;
	uint64_t start;

	unlink(spec + strlen("arrow:"));
	if (interface_table_create(&table, NULL) ||
	    interface_table_add(table, &interface, &options.interface))
		bench_die("no interface table");
	sink_options.interfaces = table;
	blocks_open(&blocks, &options);
	if (sink_open(spec, &sink_options, &sink, &error))
		bench_die(error.message);
	if (engine_create(&config, table, &blocks.source, 1, &sink, 1, &run, &error))
		bench_die(error.message);
	start = clock_monotonic_ns();
	if (engine_start(run, &error) || engine_wait(run, -1) != 1 || engine_result(run, &error))
		bench_die(error.message);
	start = clock_monotonic_ns() - start;
	engine_close(run);
	blocks_close(&blocks, false);
	interface_table_close(table);
	return (double)blocks.packets * (double)options.loops * 1e3 / (double)start;
}

/* The machine's own limit: `bytes` to a file in pieces of 1 MiB; as records of the Arrow file's size. */
static double copy(const char *path, uint64_t bytes, uint64_t packets)
{
	static char piece[1 << 20];
	uint64_t start;
	int fd;

	unlink(path);
	start = clock_monotonic_ns();
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	for (uint64_t done = 0; done < bytes; done += sizeof piece) {
		if (write(fd, piece, sizeof piece) != sizeof piece)
			bench_die("cannot write");
	}
	close(fd);
	return (double)packets * 1e3 / (double)(clock_monotonic_ns() - start);
}

int main(int argc, char **argv)
{
	static struct bench bench = { .name = "arrow", .unit = "M records/s", .base = "", .runs = 5 };
	static struct record like[RAM_RECORDS], mixed[RAM_RECORDS];
	static const struct record *side[RAM_RECORDS], *turn[RAM_RECORDS];
	const char *directory = getenv("DIRECTORY") ? getenv("DIRECTORY") : "/dev/shm";
	uint64_t packets = 4000000, bytes;
	char spec[4096];

	if (!bench_arguments(argc, argv, &bench.runs, &packets, "--packets"))
		return 2;
	bench_pin(0);
	make_records(like, false);
	make_records(mixed, true);
	point(side, like, false);
	point(turn, mixed, true);
	snprintf(spec, sizeof spec, "arrow:%s/bench_arrow.%d.arrow", directory, (int)getpid());
	file(spec, side, packets, &bytes); /* the machine's memory is touched once before it is timed */
	for (unsigned run = 0; run < bench.runs; run++) {
		bench_add(&bench, "encode", encode(side, packets, false), 0);
		bench_add(&bench, "encode mixed", encode(turn, packets, false), 0);
		bench_add(&bench, "encode text", encode(side, packets / 4, true), 0);
		bench_add(&bench, "file", file(spec, side, packets, &bytes), 0);
		bench_add(&bench, "copy", copy(spec + strlen("arrow:"), bytes, packets), 0);
		bench_add(&bench, "engine", engine(spec, packets), 0);
	}
	unlink(spec + strlen("arrow:"));
	bench_print(&bench);
	return 0;
}
