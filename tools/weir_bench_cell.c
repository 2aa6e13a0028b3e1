#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tools/weir_bench.h"

#define READY_MS 15000
#define SETTLE_MS 100
#define SPLIT_SECONDS 0.2 /* CPU time below which the tick is too coarse to tell user from system time */
#define LATENCY_PPS 10000
#define LATENCY_SAMPLES 400000
#define YIELD_MS 250
#define FULL_BLAST_GUESS 5e6 /* packets a second, for how much may be written before the rate is known */

/* What /proc says at one instant. */
struct instant {
	uint64_t at_ns, contestant_ns, self_ns;
	struct cpu_ticks all, pinned;
	double user, system; /* of the contestant */
};

static void look(const struct bench *bench, pid_t contestant, struct instant *instant)
{
	static char text[65536];

	read_text("/proc/stat", text, sizeof text);
	parse_proc_stat(text, -1, &instant->all);
	parse_proc_stat(text, bench->capture_cpu, &instant->pinned);
	instant->contestant_ns = process_cpu_ns(contestant);
	process_times(contestant, &instant->user, &instant->system);
	instant->self_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
	instant->at_ns = clock_monotonic_ns();
}

static double mean_length(const char *size)
{
	return strcmp(size, "imix") == 0 ? (7 * 60 + 4 * 590 + 1514) / 12.0 : strtod(size, NULL);
}

/* Bytes that the contestant will write in a second, 0: nothing. */
static double bytes_a_second(const struct bench_row *row, double rate)
{
	double bytes = row->work == BENCH_SAVE ? mean_length(row->size) + 48 : sizeof(uint64_t) * 16;

	if (row->work == BENCH_COUNT)
		return 0;
	if (rate <= 0)
		rate = row->sent_pps.count > 0 ? 1.2 * figure_max(&row->sent_pps) : FULL_BLAST_GUESS;
	return bytes * rate;
}

/* What is written must fit the run's memory file system: fewer seconds then. */
static double fitting_seconds(const struct bench *bench, const struct bench_row *row, double rate,
			      double seconds)
{
	double bytes = bytes_a_second(row, rate), fitting;
	struct statvfs space;

	if (bytes <= 0 || statvfs(bench->directory, &space) != 0)
		return seconds;
	fitting = 0.8 * (double)space.f_bavail * (double)space.f_frsize / bytes;
	return fitting < seconds ? fitting : seconds;
}

/* Waits for a child that ends by itself, and sees to the memory of what is written meanwhile. -EINTR when the
 * person does not want to wait. */
static int wait_for(struct bench *bench, struct bench_process *process, int *status, double *cpu_seconds)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, process->pid, 0), .events = POLLIN };
	struct rusage usage;
	int result = end.fd < 0 ? -errno : 0;

	while (result == 0 && poll(&end, 1, stock_needed(bench) ? YIELD_MS : -1) <= 0) {
		stock_yield(bench);
		result = *bench->interrupted ? -EINTR : 0;
	}
	if (end.fd >= 0)
		close(end.fd);
	if (result != 0)
		return result;
	if (wait4(process->pid, status, 0, &usage) < 0)
		return -errno;
	process->pid = -1;
	*cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	return 0;
}

/* Sender `number` of several that share the rate; each on a CPU of its own, from the last one on. */
static int start_sender(const struct bench *bench, const struct bench_row *row, unsigned number, double rate,
			double seconds, struct bench_process *sender, struct error *error)
{
	char rate_text[32] = "max", seconds_text[32], first[32];
	const char *interface = row->feed == FEED_LIVE ? bench->receiver : bench->sender;
	char *argv[] = { (char *)bench->weir, "gen", "-q", "-i", (char *)interface, "--method",
			 (char *)feed_name(row->feed), "--rate", rate_text, "--duration", seconds_text,
			 "--size", (char *)row->size, "--flows", "64", "--first-sequence", first, NULL };
	unsigned senders = row->senders > 0 ? row->senders : 1;
	const int *cpu;

	if (rate > 0)
		snprintf(rate_text, sizeof rate_text, "%.1f", rate / senders);
	snprintf(seconds_text, sizeof seconds_text, "%.3f", seconds);
	snprintf(first, sizeof first, "%llu", (unsigned long long)number << TALLY_SENDER_SHIFT);
	cpu = &bench->cpus[bench->cpu_count - 1 - number % bench->cpu_count];
	return process_start(sender, bench, argv, cpu, 1, true, error);
}

/* Waits for the sender's end, takes its JSON apart, and adds what it sent. */
static int finish_sender(struct bench *bench, struct bench_process *sender, struct bench_cell *cell,
			 double *cpu_seconds, struct error *error)
{
	char text[2048];
	double sent = 0, seconds = 0, cpu = 0;
	ssize_t got;
	int status, result = wait_for(bench, sender, &status, &cpu);

	if (result != 0)
		return result;
	*cpu_seconds += cpu;
	got = read(sender->out_fd, text, sizeof text - 1);
	text[got > 0 ? got : 0] = '\0';
	if (!json_number(text, "sent", &sent) || !json_number(text, "seconds", &seconds) || sent == 0) {
		read_text(sender->log_path, text, sizeof text);
		text[strcspn(text, "\n")] = '\0';
		return error_set(error, -EIO, "the sender failed: %.180s", text);
	}
	cell->sent += (uint64_t)sent;
	cell->seconds = seconds > cell->seconds ? seconds : cell->seconds;
	cell->sender_held = cell->sender_held && strstr(text, "\"held\":true") != NULL;
	return 0;
}

/* Packets that an interface has sent, by /proc/net/dev. */
static uint64_t transmitted(const char *interface)
{
	static char text[16384];
	char name[32];
	const char *at;
	unsigned long long packets = 0;

	snprintf(name, sizeof name, "%s:", interface);
	read_text("/proc/self/net/dev", text, sizeof text);
	at = strstr(text, name);
	/* proc(5): eight numbers of what was received, then bytes and packets sent. */
	if (at != NULL)
		sscanf(at + strlen(name), "%*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &packets);
	return packets;
}

/* All senders of a run, from the first one's start to the last one's end. */
static int send_all(struct bench *bench, const struct bench_row *row, double rate, double seconds,
		    struct bench_cell *cell, double *cpu_seconds, struct error *error)
{
	struct bench_process senders[BENCH_WORKERS_MAX];
	unsigned count = row->senders, started = 0;
	uint64_t before = transmitted(bench->sender), arrived;
	int status = 0;

	cell->sender_held = true;
	for (; started < count && status == 0; started++)
		status = start_sender(bench, row, started, rate, seconds, &senders[started], error);
	for (unsigned i = 0; i < started; i++) {
		if (status == 0)
			status = finish_sender(bench, &senders[i], cell, cpu_seconds, error);
		process_close(&senders[i]);
	}
	/* Sent out of the interface, an XDP frame can be refused by the peer: it was not offered then. */
	arrived = transmitted(bench->sender) - before;
	if (status == 0 && row->feed == FEED_OUT && arrived > 0 && arrived < cell->sent)
		cell->sent = arrived;
	cell->sent_pps = cell->seconds > 0 ? (double)cell->sent / cell->seconds : 0;
	return status;
}

/* Live traffic instead of a sender: just time. */
static int watch_interface(const struct bench *bench, double seconds)
{
	uint64_t start = clock_monotonic_ns();

	while ((double)(clock_monotonic_ns() - start) < seconds * 1e9) {
		if (*bench->interrupted)
			return -EINTR;
		poll(NULL, 0, 50);
	}
	return 0;
}

/* What there was to capture, by the contestant's own ledger: no counter of the interface begins and ends
 * when the contestant does. Whoever leaves no ledger has sent 0: its loss is not measured. */
static void take_ledger(const char *stats, double seconds, struct bench_cell *cell)
{
	static char text[65536];
	double seen, lost;

	cell->seconds = seconds;
	cell->sender_held = true;
	if (read_text(stats, text, sizeof text) != 0 || !json_number(text, "seen", &seen) ||
	    !json_number(text, "lost", &lost))
		return;
	cell->sent = (uint64_t)seen;
	cell->sent_pps = seen / seconds;
}

/* From the instant before the first packet to the one when all were dealt with: setting up rings and
 * closing files are not costs of a packet, and would be most of a short run. */
static void fill_costs(const struct bench *bench, const struct instant *before, const struct instant *after,
		       double sender_seconds, struct bench_cell *cell)
{
	struct cpu_ticks pinned = ticks_between(&before->pinned, &after->pinned);
	struct cpu_ticks all = ticks_between(&before->all, &after->all);
	double seconds = (double)(after->at_ns - before->at_ns) / 1e9;
	double contestant = (double)(after->contestant_ns - before->contestant_ns) / 1e9;
	double self = (double)(after->self_ns - before->self_ns) / 1e9;
	double busy = (double)(pinned.user + pinned.system + pinned.irq + pinned.softirq) / bench->ticks_a_second;
	struct disturbance disturbance = disturbance_of(&all, bench->ticks_a_second, seconds,
							contestant + self + sender_seconds);

	if (cell->received > 0) {
		double packets = (double)cell->received;

		/* The total is exact; how much of it was user time is the kernel's sampling. */
		cell->total_ns = contestant * 1e9 / packets;
		cell->split_known = contestant >= SPLIT_SECONDS;
		cell->user_ns = (after->user - before->user) * 1e9 / packets;
		if (cell->user_ns < 0)
			cell->user_ns = 0;
		if (cell->user_ns > cell->total_ns)
			cell->user_ns = cell->total_ns;
		cell->system_ns = cell->total_ns - cell->user_ns;
	}
	cell->busy_share = busy / seconds;
	cell->softirq_share = (double)pinned.softirq / bench->ticks_a_second / seconds;
	cell->overhead = contestant > 0 ? self / contestant : 0;
	cell->disturbed = is_disturbed(&disturbance);
}

/* The contestant is up: send, wait, look, stop it, count. */
static int measure(struct bench *bench, const struct bench_row *row, double rate, double seconds,
		   struct bench_process *contestant, struct bench_cell *cell, struct error *error)
{
	char output[160] = "", stats[160], path[64];
	static char text[8192];
	struct instant before, after;
	struct bench_tally_result counted;
	uint64_t began = clock_monotonic_ns();
	double sender_seconds = 0;
	int status = 0;

	poll(NULL, 0, SETTLE_MS);
	look(bench, contestant->pid, &before);
	if (bench->options.interface != NULL)
		status = watch_interface(bench, seconds);
	else
		status = send_all(bench, row, rate, seconds, cell, &sender_seconds, error);
	if (status != 0)
		return status;
	poll(NULL, 0, (int)row->drain_ms);
	look(bench, contestant->pid, &after);
	snprintf(path, sizeof path, "/proc/%d/status", (int)contestant->pid);
	read_text(path, text, sizeof text);
	cell->memory_bytes = (double)parse_status_bytes(text, "VmHWM:");
	process_stop(contestant);
	if (bench->options.interface != NULL)
		cell->seconds = (double)(clock_monotonic_ns() - began) / 1e9;
	for (int i = 0; row->arguments[i] != NULL; i++) {
		if (strncmp(row->arguments[i], "@O", 2) == 0)
			snprintf(output, sizeof output, "%s/out%s", bench->directory, row->arguments[i] + 2);
	}
	snprintf(stats, sizeof stats, "%s/stats.json", bench->directory);
	status = tally(row->tally, output, stats, bench->options.interface == NULL ? cell->sent : 0, row->senders,
		       &counted, error);
	if (output[0] != '\0') {
		unlink(output);
		stock_refill(bench);
	}
	if (status != 0)
		return status;
	if (bench->options.interface != NULL)
		take_ledger(stats, cell->seconds, cell);
	cell->received = counted.received;
	cell->doubled = counted.doubled;
	cell->loss = loss_of(cell->sent, cell->received);
	cell->received_pps = cell->seconds > 0 ? (double)cell->received / cell->seconds : 0;
	fill_costs(bench, &before, &after, sender_seconds, cell);
	return counted.doubled > 0 ? error_set(error, -EIO, "it wrote %llu packets twice",
					       (unsigned long long)counted.doubled) : 0;
}

/* One queue of the pair for each sender, so that each row has as many as it reads. */
static int use_queues(const struct bench *bench, const struct bench_row *row, struct error *error)
{
	int status = bench->workers_most > 1 && bench->options.interface == NULL ? stage_queues(row->senders) : 0;

	return status < 0 ? error_set_errno(error, status, "cannot set the pair to %u queues", row->senders) : 0;
}

int cell_run(struct bench *bench, const struct bench_row *row, double rate, double seconds,
	     struct bench_cell *cell, struct error *error)
{
	char room[1024], *argv[BENCH_ARGUMENTS], stats[160];
	struct bench_process contestant = { .pid = -1, .out_fd = -1 };
	int status;

	memset(cell, 0, sizeof *cell);
	snprintf(stats, sizeof stats, "%s/stats.json", bench->directory);
	unlink(stats);
	plan_fill(bench, row->workers, row->arguments, room, sizeof room, argv);
	status = use_queues(bench, row, error);
	seconds = fitting_seconds(bench, row, rate, seconds);
	if (bench->options.interface == NULL)
		stock_fill(bench, bytes_a_second(row, rate) * seconds, bytes_a_second(row, rate));
	if (status == 0)
		status = process_start(&contestant, bench, argv, bench->cpus, row->workers, false, error);
	if (status == 0)
		status = process_ready(&contestant, row->ready, READY_MS, error);
	if (status == 0)
		status = measure(bench, row, rate, seconds, &contestant, cell, error);
	process_close(&contestant);
	return *bench->interrupted ? -EINTR : status;
}

/* --- latency ------------------------------------------------------------------------------------------- */

struct latency_end {
	struct bench_process *sender;
	unsigned quiet; /* looks since the sender ended */
	unsigned enough;
};

static bool sender_ended(void *context)
{
	struct latency_end *end = context;
	siginfo_t info = { 0 };

	if (waitid(P_PID, (id_t)end->sender->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
		return false;
	return ++end->quiet > end->enough;
}

int cell_latency(struct bench *bench, struct bench_row *row, double seconds, struct error *error)
{
	char room[1024], *argv[BENCH_ARGUMENTS];
	struct bench_process contestant = { .pid = -1, .out_fd = -1 }, sender = { .pid = -1, .out_fd = -1 };
	struct latency_end end = { .sender = &sender, .enough = row->drain_ms / 20 };
	double *samples = malloc(LATENCY_SAMPLES * sizeof *samples);
	size_t count;
	int status = samples == NULL ? error_set_errno(error, -ENOMEM, "no memory for the latencies") : 0;

	plan_fill(bench, row->workers, row->pipe, room, sizeof room, argv);
	if (status == 0)
		status = use_queues(bench, row, error);
	if (status == 0)
		status = process_start(&contestant, bench, argv, bench->cpus, row->workers, true, error);
	if (status == 0)
		status = process_ready(&contestant, row->ready, READY_MS, error);
	if (status == 0)
		status = start_sender(bench, row, 0, LATENCY_PPS * row->senders, seconds, &sender, error);
	if (status == 0) {
		count = pipe_latencies(contestant.out_fd, samples, LATENCY_SAMPLES, sender_ended, &end);
		row->latency_packets = count;
		/* Fewer than a thousand cannot tell a p99.9. */
		if (count >= 1000) {
			row->latency_us[0] = percentile(samples, count, 0.5);
			row->latency_us[1] = percentile(samples, count, 0.99);
			row->latency_us[2] = percentile(samples, count, 0.999);
		}
	}
	process_close(&sender);
	process_close(&contestant);
	free(samples);
	return *bench->interrupted ? -EINTR : status;
}

bool cell_feed_works(struct bench *bench, enum bench_feed feed)
{
	const struct bench_row row = { .feed = feed, .size = "60", .senders = 1 };
	struct bench_process sender = { .pid = -1, .out_fd = -1 };
	struct error error;
	double cpu;
	int status = -1;

	if (start_sender(bench, &row, 0, 1000, 0.02, &sender, &error) == 0)
		wait_for(bench, &sender, &status, &cpu);
	process_close(&sender);
	return status == 0;
}
