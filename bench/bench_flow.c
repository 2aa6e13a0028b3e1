/* Flows and streams over many at once: packets a second, and memory for each.
 *
 *	flows        the flow table and its rows, as NDJSON into /dev/null, all flows open at once
 *	streams      --format streams the same way
 *	bytes/flow   memory that came with them: resident size after the last packet less before the first
 *
 * Each flow is a TCP connection: SYN, SYN-ACK, then --rounds segments of 100 bytes each way in turn, and at
 * the end FIN both ways; flow after flow in each round, so that every packet finds its entry cold.
 *
 * --write FILE FLOWS [ROUNDS] writes the same packets as a pcap file instead, for other programs
 * (flow_beside.py, sinks_beside.py).
 */
#include <unistd.h>

#include "bench_util.h"
#include "decoders/decode.h"
#include "engine/sink.h"
#include "engine/ledger.h"

#define FIRST_NS UINT64_C(1700000000000000000)
#define STEP_NS 1000u
#define PAYLOAD 100u
#define FRAME_MAX (54 + PAYLOAD)
#define GROUP SINK_BATCH

struct plan {
	uint32_t flows, rounds; /* rounds of data */
};

static uint32_t rounds_of(const struct plan *plan)
{
	return plan->rounds + 4;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}

/* The packet of a flow in a round: its frame, and its length. */
static uint32_t make_frame(const struct plan *plan, uint32_t round, uint32_t flow, uint8_t frame[FRAME_MAX])
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45 };
	bool back = round & 1, data = round >= 2 && round < plan->rounds + 2;
	uint32_t length = 54 + (data ? PAYLOAD : 0), sent = round < 2 ? 0 : (round - 2) / 2 * PAYLOAD;
	uint32_t client = 0x0a000000 + flow / 50000, server = 0xc0a80001;
	uint16_t port = (uint16_t)(10000 + flow % 50000);
	uint8_t flags = round == 0 ? 0x02 : round == 1 ? 0x12 : data ? 0x10 : 0x11;

	if (!data && round >= 2)
		sent = (plan->rounds + (back ? 0 : 1)) / 2 * PAYLOAD;
	memset(frame, 0, length);
	memcpy(frame, head, sizeof head);
	put16(frame + 16, (uint16_t)(length - 14));
	frame[22] = 64;
	frame[23] = 6;
	put32(frame + 26, back ? server : client);
	put32(frame + 30, back ? client : server);
	put16(frame + 34, back ? 80 : port);
	put16(frame + 36, back ? port : 80);
	put32(frame + 38, 1000 + (round >= 2) + sent);
	put32(frame + 42, back || round ? 1001 : 0);
	frame[46] = 0x50;
	frame[47] = flags;
	return length;
}

static size_t resident(void)
{
	unsigned long total, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &total, &pages) != 2)
		bench_die("no /proc/self/statm");
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct sink *open_sink(const char *spec)
{
	static const struct sink_options options = { .application = "bench" };
	struct error error;
	struct sink *sink;

	if (sink_open(spec, &options, &sink, &error))
		bench_die(error.message);
	return sink;
}

/* Feeds all packets; only the sink's time counts. */
static void run(const struct plan *plan, const char *spec, const char *name, struct bench *bench)
{
	static struct record records[GROUP];
	static const struct record *pointers[GROUP];
	static const struct decode_options options;
	static const struct ledger ledger = { .final = true };
	size_t before = resident(), after = 0;
	struct sink *sink = open_sink(spec);
	uint64_t total = (uint64_t)plan->flows * rounds_of(plan), spent = 0, now = FIRST_NS;
	char label[40];

	for (uint64_t n = 0; n < total;) {
		struct batch batch = { .records = pointers };
		uint64_t start;

		while (batch.count < GROUP && n < total) {
			struct record *record = &records[batch.count];
			uint8_t frame[FRAME_MAX];
			uint32_t length = make_frame(plan, (uint32_t)(n / plan->flows),
						     (uint32_t)(n % plan->flows), frame);

			decode_packet(&options, frame, length, length, LINK_ETHERNET, record, NULL);
			record->timestamp_ns = now += STEP_NS;
			pointers[batch.count++] = record;
			n++;
		}
		start = clock_monotonic_ns();
		if (sink->ops->write(sink, &batch))
			bench_die(sink->error.message);
		spent += clock_monotonic_ns() - start;
		if (n / plan->flows == 2 && after == 0)
			after = resident();
	}
	if (sink->ops->finish(sink, &ledger))
		bench_die(sink->error.message);
	sink->ops->close(sink);
	bench_add(bench, name, (double)total * 1e3 / (double)spent, 0);
	snprintf(label, sizeof label, "%s memory", name);
	bench_add(bench, label, (double)(after - before) / plan->flows, 0)->unit = "bytes/flow";
}

static void write_pcap(const struct plan *plan, const char *path)
{
	const uint32_t head[] = { 0xa1b23c4d, 4 << 16 | 2, 0, 0, 65535, 1 };
	uint64_t total = (uint64_t)plan->flows * rounds_of(plan), now = FIRST_NS;
	FILE *out = fopen(path, "wb");

	if (!out)
		bench_die("cannot write the file");
	fwrite(head, sizeof head, 1, out);
	for (uint64_t n = 0; n < total; n++) {
		uint8_t frame[FRAME_MAX];
		uint32_t length =
			make_frame(plan, (uint32_t)(n / plan->flows), (uint32_t)(n % plan->flows), frame);
		uint32_t packet[4] = { (uint32_t)((now += STEP_NS) / 1000000000),
				       (uint32_t)(now % 1000000000), length, length };

		fwrite(packet, sizeof packet, 1, out);
		fwrite(frame, length, 1, out);
	}
	if (fclose(out))
		bench_die("cannot write the file");
	printf("%llu packets of %u flows\n", (unsigned long long)total, plan->flows);
}

int main(int argc, char **argv)
{
	static struct bench bench = { .name = "flow", .unit = "M packets/s", .base = "", .runs = 3 };
	struct plan plan = { .flows = 1000000, .rounds = 6 };
	uint64_t flows = plan.flows;

	if (argc >= 4 && argc <= 5 && strcmp(argv[1], "--write") == 0) {
		plan.flows = (uint32_t)atoi(argv[3]);
		if (argc == 5)
			plan.rounds = (uint32_t)atoi(argv[4]);
		write_pcap(&plan, argv[2]);
		return 0;
	}
	if (!bench_arguments(argc, argv, &bench.runs, &flows, "--flows"))
		return 2;
	plan.flows = (uint32_t)flows;
	bench_pin(0);
	for (unsigned i = 0; i < bench.runs; i++) {
		run(&plan, "flows:ndjson:/dev/null", "flows", &bench);
		run(&plan, "streams:/dev/null", "streams", &bench);
	}
	bench_print(&bench);
	return 0;
}
