#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/weir_bench.h"

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

/* CPUs of the contestant, as --pin takes them. */
static int spell_cpus(const struct bench *bench, unsigned workers, char *text, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; i < workers && i < bench->cpu_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%d", i > 0 ? "," : "", bench->cpus[i]);
	return (int)used;
}

int plan_fill(const struct bench *bench, unsigned workers, const char *const *arguments, char *room, size_t size,
	      char **argv)
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
			length = spell_cpus(bench, workers, room, size);
		else if (strcmp(text, "@N") == 0)
			length = snprintf(room, size, "%u", workers);
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
	int count = plan_fill(bench, row->workers, row->arguments, room, sizeof room, argv);

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

static bool wanted(const struct bench *bench, const struct bench_contestant *contestant)
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
	return options->quick ? contestant->quick : contestant->standard;
}

/* Why a contestant does not run with several workers; NULL: it does. */
static const char *one_worker_only(const struct bench *bench, const struct bench_contestant *contestant)
{
	switch (contestant->spread) {
	case SPREAD_FANOUT:
		return NULL;
	case SPREAD_QUEUES:
		if (bench->options.interface != NULL)
			return "it has a worker for each queue of the interface: ethtool -L sets how many";
		/* kernel: generic XDP takes an skb's recorded queue, which neither way of sending sets. */
		return contestant->feed == FEED_OUT ? NULL : "what a veth receives without native XDP comes on one queue";
	case SPREAD_CPUS:
		return "it has a ring for each CPU, whatever is asked for";
	default:
		return "one socket has one reader";
	}
}

static void skip_row(struct bench_row *row, const char *why)
{
	row->skipped = true;
	snprintf(row->why, sizeof row->why, "%s", why);
}

static void add_row(struct bench *bench, const struct bench_contestant *contestant, const char *size,
		    size_t size_length, unsigned workers)
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
	row->workers = workers;
	row->senders = workers > 1 && contestant->spread == SPREAD_QUEUES ? workers : 1;
	row->shares_cpu = bench->options.interface == NULL && workers + row->senders > bench->cpu_count;
	memcpy(row->arguments, contestant->arguments, sizeof row->arguments);
	memcpy(row->pipe, contestant->pipe, sizeof row->pipe);
	spell_command(bench, row);
	if (row->peer && !installed(contestant->program)) {
		row->skipped = true;
		snprintf(row->why, sizeof row->why, "%s is not installed", contestant->program);
	} else if (workers > 1 && one_worker_only(bench, contestant) != NULL) {
		skip_row(row, one_worker_only(bench, contestant));
	} else if (workers > bench->cpu_count) {
		skip_row(row, "there are more workers than CPUs");
	} else if (row->shares_cpu) {
		snprintf(row->why, sizeof row->why, "its %u workers share the %u CPUs with the sender: does not count",
			 workers, bench->cpu_count);
	}
}

/* The worker counts of the run, ascending in the order asked for. Returns how many; 0: no such list. */
static unsigned read_workers(const char *list, unsigned *workers)
{
	unsigned count = 0;

	while (*list != '\0' && count < BENCH_WORKERS_MAX) {
		char *rest;
		unsigned long number = strtoul(list, &rest, 10);

		if (rest == list || number < 1 || number > BENCH_WORKERS_MAX || (*rest != ',' && *rest != '\0') ||
		    (*rest == ',' && rest[1] == '\0'))
			return 0;
		workers[count++] = (unsigned)number;
		list = rest + (*rest == ',');
	}
	return *list == '\0' ? count : 0;
}

/* All contestants with one frame size. Peers have one way of working, and are not asked for others. */
static void add_rows(struct bench *bench, const char *size, size_t length, const unsigned *workers,
		     unsigned count)
{
	for (unsigned w = 0; w < count; w++) {
		for (size_t i = 0; i < bench_contestant_count; i++) {
			if (wanted(bench, &bench_contestants[i]) &&
			    (workers[w] == 1 || bench_contestants[i].program == NULL))
				add_row(bench, &bench_contestants[i], size, length, workers[w]);
		}
	}
}

static int check_names(const struct bench_options *options, const char *list, bool peers, struct error *error)
{
	while (list != NULL && *list != '\0') {
		size_t word = strcspn(list, ",");
		bool known = false;

		for (size_t i = 0; i < bench_contestant_count && !known; i++) {
			const char *name = bench_contestants[i].name;

			known = (bench_contestants[i].program != NULL) == peers &&
				((strlen(name) == word && strncmp(name, list, word) == 0) ||
				 (!peers && strcspn(name, " ") == word && strncmp(name, list, word) == 0));
		}
		if (!known) {
			error_set(error, -EINVAL, "no %s '%.*s'", peers ? "peer" : "backend", (int)word, list);
			return error_hint(error, peers ? "tcpdump, dumpcap, netsniff-ng"
						       : "bare walk, libpcap, rawsocket, afpacket, descs, afxdp, xdp-records");
		}
		list += word + (list[word] == ',');
	}
	return 0;
}

int plan_rows(struct bench *bench, struct error *error)
{
	const struct bench_options *options = &bench->options;
	const char *size = options->sizes;
	unsigned workers[BENCH_WORKERS_MAX] = { 1 }, count = 1;
	int status = check_names(options, options->against, true, error);

	if (status == 0)
		status = check_names(options, options->backends, false, error);
	if (status == 0 && options->workers != NULL) {
		count = read_workers(options->workers, workers);
		if (count == 0)
			status = error_set(error, -EINVAL, "no worker counts '%s' (1 to %u, with commas between)",
					   options->workers, BENCH_WORKERS_MAX);
	}
	if (status != 0)
		return status;
	for (unsigned i = 0; i < count; i++)
		bench->workers_most = workers[i] > bench->workers_most ? workers[i] : bench->workers_most;
	if (options->interface != NULL)
		size = "-";
	else if (size == NULL)
		size = options->full ? "60,128,512,1514,imix" : "60";
	while (*size != '\0') {
		size_t word = strcspn(size, ",");

		add_rows(bench, size, word, workers, count);
		size += word + (size[word] == ',');
	}
	return bench->row_count < BENCH_ROWS_MAX ? 0 : error_set(error, -E2BIG, "more than %d rows", BENCH_ROWS_MAX - 1);
}
