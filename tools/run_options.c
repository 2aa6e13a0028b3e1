#include "tools/run_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

#define SNAP_LENGTH_MAX 262144
#define FILTER_FILE_MAX (1024 * 1024)

enum {
	OPT_FORMAT = 256, OPT_DURATION, OPT_WORKERS, OPT_PIN, OPT_FANOUT, OPT_RING_SIZE, OPT_BLOCK_SIZE,
	OPT_BLOCK_TIMEOUT, OPT_NETNS, OPT_UNORDERED, OPT_STATS, OPT_STATS_JSON, OPT_HEADERS_ONLY, OPT_ON_FULL,
	OPT_ON_LOSS, OPT_TUNNEL, OPT_TUNNEL_PORT, OPT_CHECKSUMS, OPT_USER, OPT_BACKEND, OPT_COLOUR, OPT_FILTER,
	OPT_SEAL, OPT_MANIFEST, OPT_CRYPTO, OPT_COUNT, OPT_HARDWARE_TIME,
	OPT_STREAM_PAYLOAD, OPT_SPOOL,
};

/* One row an option: what getopt needs, which commands have it, what --help says. */
struct option_row {
	int value;
	const char *name;     /* long name, NULL: short only */
	const char *argument; /* NULL: none; starting with [: optional */
	unsigned commands;
	const char *help;
};

#define BOTH (RUN_CAPTURE | RUN_READ)

static const struct option_row rows[] = {
	{ 'i', "interface", "IF", RUN_CAPTURE, "capture on IF; may be repeated; any: all (default: the first that is up)" },
	{ 'D', "list-interfaces", NULL, RUN_CAPTURE, "list the interfaces and exit" },
	{ 'w', "write", "OUT", BOTH, "write to OUT, by extension (.pcapng .pcap .ndjson .csv .weir .arrow), prefix (ndjson:-, flows:x.csv) or scheme "
	  "(clickhouse:// kafka:// tcp:// unix: ipfix://); may be repeated" },
	{ OPT_FORMAT, "format", "F", BOTH, "on stdout: text, addresses, line, ip, tcp, arp, brief, ndjson, csv, streams" },
	{ OPT_STREAM_PAYLOAD, "stream-payload", "DIR", BOTH, "with streams: each direction's bytes into a file in DIR" },
	{ OPT_SPOOL, "spool", "DIR", BOTH, "keep in DIR what a network output cannot take, and send it later" },
	{ 'c', "packets", "N", BOTH, "stop after N packets (read: without N, only count)" },
	{ OPT_COUNT, "count", NULL, RUN_READ, "print only how many packets match" },
	{ OPT_DURATION, "duration", "S", RUN_CAPTURE, "stop after S seconds" },
	{ 's', "snapshot-length", "N", RUN_CAPTURE, "keep N bytes of each packet (default 262144)" },
	{ OPT_HEADERS_ONLY, "headers-only", "N", RUN_CAPTURE, "copy N bytes when no output needs packets (default 512)" },
	{ 'p', "no-promiscuous-mode", NULL, RUN_CAPTURE, "do not put the interface into promiscuous mode" },
	{ 'Q', "direction", "in|out|inout", RUN_CAPTURE, "which direction to capture" },
	{ OPT_BACKEND, "backend", "B", RUN_CAPTURE, "auto (afpacket), afpacket, afxdp, rawsocket, xdp-records" },
	{ BACKEND_XDP_MODE, "xdp-mode", "MODE", RUN_CAPTURE, "afxdp, xdp-records: auto, zerocopy, native, generic" },
	{ BACKEND_QUEUES, "queues", "LIST", RUN_CAPTURE, "afxdp: these receive queues (0,2-3; default all)" },
	{ BACKEND_STEAL, "steal", NULL, RUN_CAPTURE, "afxdp: take packets that this host itself may need" },
	{ BACKEND_CHUNK_SIZE, "chunk-size", "N", RUN_CAPTURE, "afxdp: bytes for a packet (2048 or 4096; default by the MTU)" },
	{ BACKEND_UNALIGNED, "unaligned", NULL, RUN_CAPTURE, "afxdp: chunks of any size" },
	{ BACKEND_BUSY_POLL, "busy-poll", "US", RUN_CAPTURE, "afxdp: poll the driver for US microseconds, without interrupts" },
	{ BACKEND_BATCH, "batch", "N", RUN_CAPTURE, "rawsocket: packets of one system call (default 64)" },
	{ OPT_WORKERS, "workers", "N", RUN_CAPTURE, "workers (and rings) for each interface (default 1)" },
	{ OPT_PIN, "pin", "CPUS", BOTH, "pin workers to these CPUs in turn (0,2-3), or none" },
	{ OPT_FANOUT, "fanout", "MODE", RUN_CAPTURE, "how packets are spread: hash, cpu, qm, lb, rollover" },
	{ OPT_RING_SIZE, "ring-size", "SIZE", RUN_CAPTURE, "ring of each worker (default 64M)" },
	{ OPT_BLOCK_SIZE, "block-size", "SIZE", RUN_CAPTURE, "block of the ring (default 1M)" },
	{ OPT_BLOCK_TIMEOUT, "block-timeout", "MS", RUN_CAPTURE, "hand over a block after MS at most (default 10)" },
	{ OPT_HARDWARE_TIME, "hardware-time", NULL, RUN_CAPTURE, "ask the NIC for timestamps" },
	{ OPT_NETNS, "netns", "NAME", RUN_CAPTURE, "capture in a network namespace (a name or a path)" },
	{ OPT_UNORDERED, "unordered", NULL, BOTH, "write in the order of arrival, not of time" },
	{ 'U', "packet-buffered", NULL, BOTH, "write out every packet at once" },
	{ OPT_ON_FULL, "on-full", "exit|wait", BOTH, "what to do on a full disk (default exit)" },
	{ OPT_ON_LOSS, "on-interface-loss", "wait|exit", RUN_CAPTURE, "what to do when an interface goes away (default wait)" },
	{ OPT_STATS, "stats", "S", RUN_CAPTURE, "print the ledger every S seconds" },
	{ OPT_STATS_JSON, "stats-json", "FILE", BOTH, "write the final ledger as JSON" },
	{ 'F', "filter-file", "FILE", BOTH, "read the filter from FILE" },
	{ OPT_FILTER, "filter", "TEXT", BOTH, "the filter, where it would be taken for a file" },
	{ OPT_TUNNEL, "tunnel", "inner|outer", BOTH, "which IP level the record describes (default inner)" },
	{ OPT_TUNNEL_PORT, "tunnel-port", "KIND=PORT", BOTH, "another UDP port of vxlan, vxlan-gpe, geneve, gtpu, l2tp or teredo" },
	{ OPT_CHECKSUMS, "verify-checksums", NULL, BOTH, "check IP and L4 checksums" },
	{ OPT_COLOUR, "color", "auto|always|never", BOTH, "colour text" },
	{ OPT_SEAL, "seal", "KEYFILE", BOTH, "seal each output file when it is closed (weir unseal opens it)" },
	{ OPT_MANIFEST, "manifest", "FILE", BOTH, "append a line for each closed output file (weir verify checks them)" },
	{ OPT_CRYPTO, "crypto", "WHICH", BOTH, "auto, kernel (AF_ALG) or library (libcrypto)" },
	{ OPT_USER, "user", "NAME", RUN_CAPTURE, "become NAME once the sockets are open" },
	{ 'n', NULL, NULL, BOTH, "accepted: names are never looked up" },
	{ 'v', "verbose", NULL, BOTH, "say more" },
	{ 'h', "help", NULL, BOTH, "this text" },
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const char *command_name(enum run_command command)
{
	return command == RUN_CAPTURE ? "capture" : "read";
}

void run_options_help(enum run_command command)
{
	printf(command == RUN_CAPTURE ? "usage: weir capture [OPTION]... [FILTER]\n\n"
				      : "usage: weir read [OPTION]... FILE... [FILTER]\n\n");
	for (unsigned i = 0; i < ROW_COUNT; i++) {
		const struct option_row *row = &rows[i];
		char left[64], letter[8] = "    ";

		if (!(row->commands & command))
			continue;
		if (row->value < 256)
			snprintf(letter, sizeof letter, "-%c%s ", row->value, row->name != NULL ? "," : " ");
		snprintf(left, sizeof left, "%s%s%s%s%s", letter, row->name != NULL ? "--" : "",
			 row->name != NULL ? row->name : "", row->argument != NULL ? " " : "",
			 row->argument != NULL ? row->argument : "");
		printf("  %-34s %s\n", left, row->help);
	}
}

/* --- values ----------------------------------------------------------------------------------- */

static int bad_value(const char *option, const char *value, const char *expected)
{
	return cli_usage("bad value '%s' for %s (%s)", value, option, expected);
}

/* The index of text among choices (NULL-ended); -1: none of them. */
static int choice(const char *text, const char *const *choices)
{
	for (int i = 0; choices[i] != NULL; i++) {
		if (strcmp(text, choices[i]) == 0)
			return i;
	}
	return -1;
}

static int parse_choice(const char *option, const char *value, const char *const *choices, const char *expected)
{
	int index = choice(value, choices);

	if (index < 0)
		bad_value(option, value, expected);
	return index;
}

/* "0,2-3" or "none". */
static int parse_pins(const char *value, struct run_options *options)
{
	const char *at = value;

	if (strcmp(value, "none") == 0) {
		options->no_pin = true;
		return 0;
	}
	while (*at != '\0') {
		char *rest;
		unsigned long first = strtoul(at, &rest, 10), last = first;

		if (rest == at)
			break;
		if (*rest == '-') {
			at = rest + 1;
			last = strtoul(at, &rest, 10);
			if (rest == at)
				break;
		}
		if (first > last || last >= 4096 || (*rest != ',' && *rest != '\0'))
			break;
		for (unsigned long cpu = first; cpu <= last && options->pin_count < RUN_PINS; cpu++)
			options->pins[options->pin_count++] = (int)cpu;
		if (*rest == '\0')
			return 0;
		at = rest + 1;
	}
	return bad_value("--pin", value, "CPUs such as 0,2-3, or none");
}

static int parse_tunnel_port(const char *value, struct decode_ports *ports)
{
	struct {
		const char *name;
		uint16_t *list;
	} kinds[] = {
		{ "vxlan", ports->vxlan }, { "vxlan-gpe", ports->vxlan_gpe }, { "geneve", ports->geneve },
		{ "gtpu", ports->gtpu },   { "l2tp", ports->l2tp },           { "teredo", ports->teredo },
	};
	const char *equals = strchr(value, '=');
	uint64_t port;

	if (equals == NULL || !cli_parse_number(equals + 1, 1, 65535, &port))
		return bad_value("--tunnel-port", value, "KIND=PORT, as in vxlan=8472");
	for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strlen(kinds[i].name) != (size_t)(equals - value) ||
		    strncmp(kinds[i].name, value, (size_t)(equals - value)) != 0)
			continue;
		for (unsigned k = 0; k < DECODE_TUNNEL_PORTS; k++) {
			if (kinds[i].list[k] == 0) {
				kinds[i].list[k] = (uint16_t)port;
				return 0;
			}
		}
		return cli_usage("more than %d ports for %s", DECODE_TUNNEL_PORTS, kinds[i].name);
	}
	return bad_value("--tunnel-port", value, "kinds: vxlan vxlan-gpe geneve gtpu l2tp teredo");
}

static int parse_seconds(const char *option, const char *value, uint64_t *nanoseconds)
{
	if (!cli_parse_duration(value, nanoseconds) || *nanoseconds == 0)
		return bad_value(option, value, "seconds above 0, or with a unit: 500ms, 10m");
	return 0;
}

static int parse_sizes(int option, const char *value, struct source_options *source)
{
	uint64_t size;

	if (!cli_parse_size(value, &size) || size == 0)
		return bad_value(option == OPT_RING_SIZE ? "--ring-size" : "--block-size", value,
				 "bytes, or with K, M, G");
	if (option == OPT_RING_SIZE) {
		source->ring_size = size;
	} else {
		if (size > UINT32_MAX / 2)
			return bad_value("--block-size", value, "2 GiB at most");
		source->block_size = (uint32_t)size;
	}
	return 0;
}

static int parse_number(const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *number)
{
	char range[80];

	if (cli_parse_number(value, min, max, number))
		return 0;
	snprintf(range, sizeof range, "%llu to %llu", (unsigned long long)min, (unsigned long long)max);
	return bad_value(option, value, range);
}

static int parse_list(const char *option, const char *value, const char **list, unsigned *count, unsigned max)
{
	if (value[0] == '\0')
		return bad_value(option, value, "a name");
	if (*count == max)
		return cli_usage("more than %u of %s", max, option);
	list[(*count)++] = value;
	return 0;
}

/* --- one option --------------------------------------------------------------------------------- */

/* Options of a live capture. Returns 0, EXIT_USAGE, or -1: not one of these. */
static int apply_capture_option(int option, const char *value, struct run_options *options)
{
	static const char *const directions[] = { "inout", "in", "out", NULL };
	static const char *const fanouts[] = { "hash", "cpu", "qm", "lb", "rollover", NULL };
	static const char *const losses[] = { "wait", "exit", NULL };
	struct source_options *source = &options->source;
	uint64_t number = 0;
	int result, index;

	if (option >= BACKEND_OPTION_FIRST)
		return backend_options_take(option, value, &options->backend_options);
	switch (option) {
	case 'i':
		return parse_list("-i", value, options->interfaces, &options->interface_count, RUN_INTERFACES);
	case 's':
		/* As tcpdump's: 0 means the most. */
		result = parse_number("-s", value, 0, SNAP_LENGTH_MAX, &number);
		source->snap_length = number == 0 ? SNAP_LENGTH_MAX : (uint32_t)number;
		options->snap_given = true;
		return result;
	case OPT_HEADERS_ONLY:
		result = parse_number("--headers-only", value, 14, SNAP_LENGTH_MAX, &number);
		options->headers_only = (uint32_t)number;
		return result;
	case 'Q':
		index = parse_choice("-Q", value, directions, "in, out or inout");
		source->direction = (enum source_direction)index;
		return index < 0 ? EXIT_USAGE : 0;
	case OPT_FANOUT:
		index = parse_choice("--fanout", value, fanouts, "hash, cpu, qm, lb or rollover");
		source->fanout = (enum source_fanout)index;
		return index < 0 ? EXIT_USAGE : 0;
	case OPT_ON_LOSS:
		index = parse_choice("--on-interface-loss", value, losses, "wait or exit");
		source->exit_on_interface_loss = index == 1;
		return index < 0 ? EXIT_USAGE : 0;
	case OPT_WORKERS:
		result = parse_number("--workers", value, 1, 256, &number);
		options->workers = (unsigned)number;
		return result;
	case OPT_BLOCK_TIMEOUT:
		result = parse_number("--block-timeout", value, 1, 1000, &number);
		source->block_timeout_ms = (uint32_t)number;
		return result;
	case OPT_RING_SIZE:
	case OPT_BLOCK_SIZE:
		return parse_sizes(option, value, source);
	case OPT_DURATION:
		return parse_seconds("--duration", value, &options->duration_ns);
	case OPT_STATS:
		return parse_seconds("--stats", value, &options->stats_period_ns);
	case 'p':
		source->promiscuous = false;
		return 0;
	case OPT_HARDWARE_TIME:
		source->time_hardware = true;
		return 0;
	case 'D':
		options->list_interfaces = true;
		return 0;
	case OPT_NETNS:
		options->netns = value;
		return 0;
	case OPT_BACKEND:
		options->backend = value;
		return 0;
	case OPT_USER:
		options->user = value;
		return 0;
	default:
		return -1;
	}
}

static int apply_choice(int option, const char *value, struct run_options *options)
{
	static const char *const fulls[] = { "exit", "wait", NULL };
	static const char *const tunnels[] = { "inner", "outer", NULL };
	static const char *const colours[] = { "auto", "always", "never", NULL };
	int index;

	switch (option) {
	case OPT_ON_FULL:
		index = parse_choice("--on-full", value, fulls, "exit or wait");
		options->wait_when_full = index == 1;
		break;
	case OPT_TUNNEL:
		index = parse_choice("--tunnel", value, tunnels, "inner or outer");
		options->decode.tunnel = (enum decode_tunnel)index;
		break;
	default:
		index = parse_choice("--color", value, colours, "auto, always or never");
		options->colour = (enum run_colour)index;
		break;
	}
	return index < 0 ? EXIT_USAGE : 0;
}

static int apply_option(int option, const char *value, struct run_options *options)
{
	int result = apply_capture_option(option, value, options);

	if (result >= 0)
		return result;
	switch (option) {
	case 'w':
		return parse_list("-w", value, options->outputs, &options->output_count, RUN_OUTPUTS);
	case 'c':
		return parse_number("-c", value, 1, UINT64_MAX, &options->packet_limit);
	case OPT_COUNT:
		options->count_only = true;
		return 0;
	case OPT_FORMAT:
		options->format = value;
		return 0;
	case OPT_STREAM_PAYLOAD:
		options->stream_payload = value;
		return 0;
	case OPT_SPOOL:
		options->spool_dir = value;
		return 0;
	case OPT_PIN:
		return parse_pins(value, options);
	case OPT_UNORDERED:
		options->unordered = true;
		return 0;
	case 'U':
		options->flush_each = true;
		return 0;
	case OPT_ON_FULL:
	case OPT_TUNNEL:
	case OPT_COLOUR:
		return apply_choice(option, value, options);
	case OPT_STATS_JSON:
		options->stats_json = value;
		return 0;
	case OPT_SEAL:
		options->seal_key = value;
		return 0;
	case OPT_MANIFEST:
		options->manifest = value;
		return 0;
	case OPT_CRYPTO:
		return crypto_provider_parse(value, &options->crypto)
			       ? 0
			       : bad_value("--crypto", value, "auto, kernel or library");
	case 'F':
		options->filter_file = value;
		return 0;
	case OPT_FILTER:
		options->filter_text = value;
		return 0;
	case OPT_TUNNEL_PORT:
		return parse_tunnel_port(value, &options->decode.ports);
	case OPT_CHECKSUMS:
		options->decode.verify_checksums = true;
		return 0;
	case 'n':
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	default:
		options->help = true;
		return 0;
	}
}

/* --- the whole line ------------------------------------------------------------------------------ */

static void fill_getopt(enum run_command command, char *shorts, struct option *longs)
{
	unsigned count = 0;

	*shorts++ = ':';
	for (unsigned i = 0; i < ROW_COUNT; i++) {
		const struct option_row *row = &rows[i];

		if (!(row->commands & command))
			continue;
		if (row->value < 256) {
			*shorts++ = (char)row->value;
			if (row->argument != NULL)
				*shorts++ = ':';
		}
		if (row->name != NULL)
			longs[count++] = (struct option){ .name = row->name, .val = row->value,
							  .has_arg = row->argument != NULL };
	}
	*shorts = '\0';
	longs[count] = (struct option){ 0 };
}

static bool is_number(const char *text)
{
	return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* `weir read -c FILE`: -c without a number counts, as people know it from tcpdump's --count. */
static bool counts_only(enum run_command command, int option, struct run_options *options)
{
	if (command != RUN_READ || option != 'c' || is_number(optarg))
		return false;
	options->count_only = true;
	optind--;
	return true;
}

int run_options_parse(enum run_command command, int argc, char **argv, struct run_options *options)
{
	char shorts[2 * ROW_COUNT + 2];
	struct option longs[ROW_COUNT + 1];
	int option, result;

	memset(options, 0, sizeof *options);
	options->workers = 1;
	options->source.snap_length = SNAP_LENGTH_MAX;
	options->source.promiscuous = true;
	options->source.block_timeout_ms = 10;
	fill_getopt(command, shorts, longs);
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char *given = argv[optind - 1];

		if (option == ':' && command == RUN_READ && optopt == 'c') {
			options->count_only = true;
			continue;
		}
		if (option == ':')
			return cli_usage("%s needs a value (weir %s --help)", given, command_name(command));
		if (option == '?')
			return cli_usage("no option '%s' (weir %s --help)", given, command_name(command));
		if (counts_only(command, option, options))
			continue;
		result = apply_option(option, optarg, options);
		if (result != 0)
			return result;
	}
	options->arguments = (const char *const *)argv + optind;
	options->argument_count = (unsigned)(argc - optind);
	return 0;
}

/* --- the filter ---------------------------------------------------------------------------------- */

static int read_filter_file(const char *path, char **text)
{
	struct error error;
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	size_t length;
	char *at;

	if (file == NULL) {
		error_set_errno(&error, -errno, "cannot open the filter file %s", path);
		return cli_fail(&error);
	}
	*text = calloc(1, FILTER_FILE_MAX + 1);
	length = *text != NULL ? fread(*text, 1, FILTER_FILE_MAX, file) : 0;
	if (*text == NULL || ferror(file) || !feof(file) || memchr(*text, '\0', length) != NULL) {
		error_set(&error, -EIO, "cannot read the filter file %s", path);
		error_hint(&error, "a text of at most 1 MiB is expected");
		free(*text);
		*text = NULL;
		if (file != stdin)
			fclose(file);
		return cli_fail(&error);
	}
	if (file != stdin)
		fclose(file);
	/* Comments as people write them: # to the end of the line. */
	for (at = *text; (at = strchr(at, '#')) != NULL;) {
		while (*at != '\0' && *at != '\n')
			*at++ = ' ';
	}
	return 0;
}

int run_options_filter(const struct run_options *options, const char *const *words, unsigned count, char **text)
{
	size_t length = 1;

	*text = NULL;
	if ((options->filter_file != NULL) + (options->filter_text != NULL) + (count > 0) > 1)
		return cli_usage("more than one filter ('%s')", count > 0 ? words[0] : options->filter_text);
	if (options->filter_file != NULL)
		return read_filter_file(options->filter_file, text);
	if (options->filter_text != NULL) {
		*text = strdup(options->filter_text);
		return 0;
	}
	if (count == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		length += strlen(words[i]) + 1;
	*text = calloc(1, length);
	for (unsigned i = 0; *text != NULL && i < count; i++) {
		strcat(*text, i > 0 ? " " : "");
		strcat(*text, words[i]);
	}
	return 0;
}
