#include "tests/fuzz/every_sink.h"

#include <string.h>

#include "decoders/decode.h"
#include "engine/sink.h"
#include "tests/fuzz/fuzz.h"

#define INTERFACES 3u

struct output_kind {
	const char *spec;
	const char *format;
	bool packet; /* wants the packet's bytes */
};

static const struct output_kind kinds[] = {
	{ "text:/dev/null", NULL, false },    { "text:/dev/null", "addresses", false },
	{ "text:/dev/null", "line", false },  { "text:/dev/null", "ip", false },
	{ "text:/dev/null", "brief", false }, { "text:/dev/null", "tcp", true },
	{ "text:/dev/null", "arp", true },    { "ndjson:/dev/null", NULL, false },
	{ "csv:/dev/null", NULL, false },     { "records:/dev/null", NULL, false },
	{ "pcapng:/dev/null", NULL, true },   { "pcap:/dev/null", NULL, true },
	{ "arrows:/dev/null", NULL, false },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static struct interface_table *interfaces;
static struct sink_options options[KINDS];
static struct sink *sinks[KINDS];

/* Opened once for the process: /dev/null takes everything. */
static void open_all(void)
{
	struct error error = { 0 };

	FUZZ_CHECK(interface_table_create(&interfaces, &error) == 0);
	for (unsigned i = 0; i < INTERFACES; i++) {
		struct interface interface = { .name = "if \"x\",\n", .link_type = LINK_ETHERNET };
		uint16_t index;

		FUZZ_CHECK(interface_table_add(interfaces, &interface, &index) == 0);
	}
	for (size_t i = 0; i < KINDS; i++) {
		options[i] = (struct sink_options){ .interfaces = interfaces,
						    .format = kinds[i].format,
						    .application = "fuzz",
						    .snap_length = 262144,
						    .colour = i == 0 };
		if (sink_open(kinds[i].spec, &options[i], &sinks[i], &error) != 0) {
			fprintf(stderr, "%s: %s\n", kinds[i].spec, error.message);
			abort();
		}
	}
}

void every_sink_write(const struct record *record, bool with_packet)
{
	struct record copy = *record;
	const struct record *records[] = { &copy };
	struct batch batch;

	if (interfaces == NULL)
		open_all();
	copy.interface %= INTERFACES;
	batch = (struct batch){ .records = records, .count = 1, .interfaces = interfaces };
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].packet && !with_packet)
			continue;
		if (sinks[i]->ops->write(sinks[i], &batch) != 0) {
			fprintf(stderr, "%s (%s): %s\n", kinds[i].spec, kinds[i].format,
				sinks[i]->error.message);
			abort();
		}
	}
}
