#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/weir_bench.h"

/* One kind of row; plan_rows makes one for each size. */
struct contestant {
	const char *name;
	enum bench_work work;
	enum bench_feed feed;
	enum bench_tally tally;
	const char *program; /* a peer's; NULL: weir itself */
	const char *ready;
	unsigned drain_ms;
	bool steals;         /* takes traffic from the host's stack */
	bool quick;          /* part of --quick */
	const char *arguments[BENCH_ARGUMENTS];
	const char *pipe[BENCH_ARGUMENTS];
};

#define WEIR_READY "capturing on"
#define CAPTURE "@W", "capture", "-i", "@I", "--pin", "@C", "-Q", "in", "--stats-json", "@J", "--backend"
#define WEIR_PIPE "-U", "-w", "pcap:-"

/* Rings of 64 MiB for all, which is weir's default; otherwise as each comes. tcpdump and dumpcap keep
 * their own buffering and wake-up rules (libpcap's, one second), so they are given that long to write
 * what they have. */
static const struct contestant contestants[] = {
	{ .name = "bare walk", .work = BENCH_COUNT, .feed = FEED_LIVE, .tally = TALLY_LEDGER, .ready = WEIR_READY,
	  .drain_ms = 100, .quick = true,
	  .arguments = { "@W", "bench", "--contestant", "walk", "-i", "@I", "--stats-json", "@J" } },
	{ .name = "libpcap", .work = BENCH_COUNT, .feed = FEED_LIVE, .tally = TALLY_LEDGER, .ready = WEIR_READY,
	  .drain_ms = 300, .quick = true,
	  .arguments = { "@W", "bench", "--contestant", "libpcap", "-i", "@I", "--stats-json", "@J" } },
	{ .name = "rawsocket", .work = BENCH_COUNT, .feed = FEED_LIVE, .tally = TALLY_LEDGER, .ready = WEIR_READY,
	  .drain_ms = 200, .arguments = { CAPTURE, "rawsocket", "-w", "null:" } },
	{ .name = "afpacket", .work = BENCH_COUNT, .feed = FEED_LIVE, .tally = TALLY_LEDGER, .ready = WEIR_READY,
	  .drain_ms = 200, .quick = true, .arguments = { CAPTURE, "afpacket", "-w", "null:" } },
	{ .name = "afxdp native", .work = BENCH_COUNT, .feed = FEED_OUT, .tally = TALLY_LEDGER, .ready = WEIR_READY,
	  .drain_ms = 200, .steals = true,
	  .arguments = { CAPTURE, "afxdp", "--xdp-mode", "native", "-w", "null:" } },
	{ .name = "afxdp generic", .work = BENCH_COUNT, .feed = FEED_LIVE, .tally = TALLY_LEDGER,
	  .ready = WEIR_READY, .drain_ms = 200, .steals = true,
	  .arguments = { CAPTURE, "afxdp", "--xdp-mode", "generic", "-w", "null:" } },
	{ .name = "afxdp zerocopy", .work = BENCH_COUNT, .feed = FEED_OUT, .tally = TALLY_LEDGER,
	  .ready = WEIR_READY, .drain_ms = 200, .steals = true,
	  .arguments = { CAPTURE, "afxdp", "--xdp-mode", "zerocopy", "-w", "null:" } },
	{ .name = "rawsocket", .work = BENCH_RECORDS, .feed = FEED_LIVE, .tally = TALLY_RECORDS, .ready = WEIR_READY,
	  .drain_ms = 200, .arguments = { CAPTURE, "rawsocket", "-w", "@O.weir" } },
	{ .name = "afpacket", .work = BENCH_RECORDS, .feed = FEED_LIVE, .tally = TALLY_RECORDS, .ready = WEIR_READY,
	  .drain_ms = 200, .quick = true, .arguments = { CAPTURE, "afpacket", "-w", "@O.weir" } },
	{ .name = "afxdp native", .work = BENCH_RECORDS, .feed = FEED_OUT, .tally = TALLY_RECORDS,
	  .ready = WEIR_READY, .drain_ms = 200, .steals = true,
	  .arguments = { CAPTURE, "afxdp", "--xdp-mode", "native", "-w", "@O.weir" } },
	{ .name = "xdp-records", .work = BENCH_RECORDS, .feed = FEED_OUT, .tally = TALLY_RECORDS,
	  .ready = WEIR_READY, .drain_ms = 200, .arguments = { CAPTURE, "xdp-records", "-w", "@O.weir" } },
	{ .name = "rawsocket", .work = BENCH_SAVE, .feed = FEED_LIVE, .tally = TALLY_PCAP, .ready = WEIR_READY,
	  .drain_ms = 200, .arguments = { CAPTURE, "rawsocket", "-w", "@O.pcapng" },
	  .pipe = { CAPTURE, "rawsocket", WEIR_PIPE } },
	{ .name = "afpacket", .work = BENCH_SAVE, .feed = FEED_LIVE, .tally = TALLY_PCAP, .ready = WEIR_READY,
	  .drain_ms = 200, .quick = true, .arguments = { CAPTURE, "afpacket", "-w", "@O.pcapng" },
	  .pipe = { CAPTURE, "afpacket", WEIR_PIPE } },
	{ .name = "afxdp native", .work = BENCH_SAVE, .feed = FEED_OUT, .tally = TALLY_PCAP, .ready = WEIR_READY,
	  .drain_ms = 200, .steals = true,
	  .arguments = { CAPTURE, "afxdp", "--xdp-mode", "native", "-w", "@O.pcapng" },
	  .pipe = { CAPTURE, "afxdp", "--xdp-mode", "native", WEIR_PIPE } },
	{ .name = "tcpdump", .work = BENCH_SAVE, .feed = FEED_LIVE, .tally = TALLY_PCAP, .program = "tcpdump",
	  .ready = "listening on", .drain_ms = 1300, .quick = true,
	  .arguments = { "tcpdump", "-i", "@I", "-Q", "in", "-Z", "root", "-B", "65536", "-w", "@O.pcap" },
	  .pipe = { "tcpdump", "-i", "@I", "-Q", "in", "-Z", "root", "-B", "65536", "-U", "-w", "-" } },
	{ .name = "dumpcap", .work = BENCH_SAVE, .feed = FEED_LIVE, .tally = TALLY_PCAP, .program = "dumpcap",
	  .ready = "File: ", .drain_ms = 1300, .quick = true,
	  .arguments = { "dumpcap", "-i", "@I", "-B", "64", "-q", "-w", "@O.pcapng" },
	  .pipe = { "dumpcap", "-i", "@I", "-B", "64", "-q", "-P", "-w", "-" } },
	{ .name = "netsniff-ng", .work = BENCH_SAVE, .feed = FEED_LIVE, .tally = TALLY_PCAP,
	  .program = "netsniff-ng",
	  .drain_ms = 1300, .quick = true,
	  .arguments = { "netsniff-ng", "-i", "@I", "-s", "-S", "64MiB", "-b", "@C", "-o", "@O.pcap" } },
};

const char *work_name(enum bench_work work)
{
	static const char *const names[] = { "count", "records", "save" };

	return names[work];
}

const char *feed_name(enum bench_feed feed)
{
	static const char *const names[] = { "xdp-live", "xdp-out", "txring" };

	return names[feed];
}

static bool in_list(const char *list, const char *name, size_t length)
{
	while (list != NULL && *list != '\0') {
		size_t word = strcspn(list, ",");

		if (word == length && strncmp(list, name, length) == 0)
			return true;
		list += word + (list[word] == ',');
	}
	return false;
}

int plan_fill(const struct bench *bench, const char *const *arguments, char *room, size_t size, char **argv)
{
	int count = 0;

	for (; arguments[count] != NULL && count < BENCH_ARGUMENTS - 1 && size > 0; count++) {
		const char *text = arguments[count];
		int length;

		if (strcmp(text, "@W") == 0)
			length = snprintf(room, size, "%s", bench->weir);
		else if (strcmp(text, "@I") == 0)
			length = snprintf(room, size, "%s", bench->receiver);
		else if (strcmp(text, "@C") == 0)
			length = snprintf(room, size, "%d", bench->capture_cpu);
		else if (strcmp(text, "@J") == 0)
			length = snprintf(room, size, "%s/stats.json", bench->directory);
		else if (strncmp(text, "@O", 2) == 0)
			length = snprintf(room, size, "%s/out%s", bench->directory, text + 2);
		else
			length = snprintf(room, size, "%s", text);
		argv[count] = room;
		room += length + 1 < (int)size ? length + 1 : 0;
		size -= length + 1 < (int)size ? (size_t)length + 1 : 0;
	}
	argv[count] = NULL;
	return count;
}

static void spell_command(const struct bench *bench, struct bench_row *row)
{
	char room[1024], *argv[BENCH_ARGUMENTS];
	size_t used = 0;
	int count = plan_fill(bench, row->arguments, room, sizeof room, argv);

	for (int i = 0; i < count; i++) {
		const char *text = i == 0 && !row->peer ? "weir" : argv[i];
		int length = snprintf(row->command + used, sizeof row->command - used, "%s%s", i > 0 ? " " : "", text);

		used += (size_t)length;
		if (used >= sizeof row->command)
			return;
	}
}

static bool installed(const char *program)
{
	static const char *const places[] = { "/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin",
					      "/usr/local/sbin" };
	char path[256];

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", places[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static bool wanted(const struct bench *bench, const struct contestant *contestant)
{
	const struct bench_options *options = &bench->options;

	if (contestant->program != NULL)
		return in_list(options->against, contestant->name, strlen(contestant->name));
	if (contestant->steals && options->interface != NULL && !options->steal)
		return false;
	if (options->backends != NULL)
		return in_list(options->backends, contestant->name, strlen(contestant->name)) ||
		       in_list(options->backends, contestant->name, strcspn(contestant->name, " "));
	if (options->full || options->interface != NULL)
		return true;
	if (options->quick)
		return contestant->quick;
	/* Under five minutes: the modes of AF_XDP that few have, and the slow path's other works, are for --full. */
	return strcmp(contestant->name, "afxdp zerocopy") != 0 && strcmp(contestant->name, "afxdp generic") != 0 &&
	       (strcmp(contestant->name, "rawsocket") != 0 || contestant->work == BENCH_COUNT);
}

static void add_row(struct bench *bench, const struct contestant *contestant, const char *size,
		    size_t size_length)
{
	struct bench_row *row;

	if (bench->row_count == BENCH_ROWS_MAX)
		return;
	row = &bench->rows[bench->row_count++];
	snprintf(row->name, sizeof row->name, "%s", contestant->name);
	snprintf(row->size, sizeof row->size, "%.*s", (int)size_length, size);
	row->work = contestant->work;
	row->feed = contestant->feed;
	row->tally = contestant->tally;
	row->peer = contestant->program != NULL;
	row->ready = contestant->ready;
	row->drain_ms = contestant->drain_ms;
	row->workers = 1;
	memcpy(row->arguments, contestant->arguments, sizeof row->arguments);
	memcpy(row->pipe, contestant->pipe, sizeof row->pipe);
	spell_command(bench, row);
	if (row->peer && !installed(contestant->program)) {
		row->skipped = true;
		snprintf(row->why, sizeof row->why, "%s is not installed", contestant->program);
	}
}

static int check_names(const struct bench_options *options, const char *list, bool peers, struct error *error)
{
	while (list != NULL && *list != '\0') {
		size_t word = strcspn(list, ",");
		bool known = false;

		for (size_t i = 0; i < sizeof contestants / sizeof contestants[0] && !known; i++) {
			const char *name = contestants[i].name;

			known = (contestants[i].program != NULL) == peers &&
				((strlen(name) == word && strncmp(name, list, word) == 0) ||
				 (!peers && strcspn(name, " ") == word && strncmp(name, list, word) == 0));
		}
		if (!known) {
			error_set(error, -EINVAL, "no %s '%.*s'", peers ? "peer" : "backend", (int)word, list);
			return error_hint(error, peers ? "tcpdump, dumpcap, netsniff-ng"
						       : "bare walk, libpcap, rawsocket, afpacket, afxdp, xdp-records");
		}
		list += word + (list[word] == ',');
	}
	return 0;
}

int plan_rows(struct bench *bench, struct error *error)
{
	const struct bench_options *options = &bench->options;
	const char *size = options->sizes;
	int status = check_names(options, options->against, true, error);

	if (status == 0)
		status = check_names(options, options->backends, false, error);
	if (status != 0)
		return status;
	if (options->interface != NULL)
		size = "-";
	else if (size == NULL)
		size = options->full ? "60,128,512,1514,imix" : "60";
	while (*size != '\0') {
		size_t word = strcspn(size, ",");

		for (size_t i = 0; i < sizeof contestants / sizeof contestants[0]; i++) {
			if (wanted(bench, &contestants[i]))
				add_row(bench, &contestants[i], size, word);
		}
		size += word + (size[word] == ',');
	}
	return 0;
}
