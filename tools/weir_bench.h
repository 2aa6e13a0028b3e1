/* `weir bench`: what each way of capturing costs on this machine, on the same traffic in the same run.
 *
 * The bench measures processes, not functions: each contestant (weir with one backend, a bare loop, a
 * peer such as tcpdump) is started as anyone would start it, pinned to one CPU; `weir gen` sends,
 * pinned to another; afterwards what the contestant wrote is counted from its files. All of it
 * lives in a network, mount and process namespace of its own, so that even a SIGKILL leaves nothing
 * behind: with the first process gone the kernel ends the others and removes the interfaces and files.
 *
 * Files: weir_bench.c options and course; _stage the namespaces; _contestants who there is, _plan the rows;
 * _process one measured process; _cell one run; _run the phases; _proc, _stats, _rules and _ratios arithmetic
 * on text and numbers (unit-tested); _count what was written; _memory what it is written into; _loops, _descs and _libpcap the bench's own loops; _machine, _table,
 * _json, _html the report. Thread owner: one thread throughout.
 */
#ifndef WEIR_TOOLS_WEIR_BENCH_H
#define WEIR_TOOLS_WEIR_BENCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "engine/error.h"

struct pcap;

int weir_bench(int argc, char **argv);

#define BENCH_RUNS_MAX 16
#define BENCH_ROWS_MAX 512
#define BENCH_WORKERS_MAX 64
#define BENCH_ARGUMENTS 24
#define BENCH_LOSS_ALLOWED 1e-5
#define SENDER_MARGIN 1.5 /* the sender's fastest over the rate of a figure that counts */

/* --- arithmetic: weir_bench_stats.c, weir_bench_proc.c --------------------------------------------- */

/* One figure over runs. count 0: not measured, and `why` may say the reason. */
struct bench_figure {
	double values[BENCH_RUNS_MAX];
	unsigned count;
};

void figure_add(struct bench_figure *figure, double value);
double figure_median(const struct bench_figure *figure); /* count at least 1 */
double figure_min(const struct bench_figure *figure);
double figure_max(const struct bench_figure *figure);

/* The value below which `part` (0..1) of the count values lie, nearest rank. Sorts values. count: at
 * least 1. */
double percentile(double *values, size_t count, double part);

/* Loss as a fraction of what was sent; 0 when nothing was sent or more arrived. */
double loss_of(uint64_t sent, uint64_t received);

/* Bisection for the highest rate without loss: next() says what to try, step() takes the answer.
 * Ends when the bounds are within `precision` (a fraction) of each other. */
struct bisection {
	double good, bad; /* highest rate without loss so far, lowest with */
	double precision;
	unsigned probes, probes_max;
};

bool bisection_next(const struct bisection *bisection, double *rate); /* false: done */
void bisection_step(struct bisection *bisection, double rate, bool lossless);

/* A number after "key": in JSON text, the first such key. False when it is not there or null. */
bool json_number(const char *text, const char *key, double *number);

/* CPU time by /proc/stat, in ticks. */
struct cpu_ticks {
	uint64_t user, system, softirq, irq, steal, idle; /* user with nice, idle with iowait */
};

/* cpu: -1 for all together. False when the text has no such line. */
bool parse_proc_stat(const char *text, int cpu, struct cpu_ticks *ticks);
struct cpu_ticks ticks_between(const struct cpu_ticks *before, const struct cpu_ticks *after);

/* "VmHWM: 1234 kB" of /proc/PID/status, in bytes; 0 when not there. */
uint64_t parse_status_bytes(const char *text, const char *key);

/* What disturbed a run: CPU that neither the contestants nor the bench used, as a share of one CPU. */
struct disturbance {
	double steal; /* share of all CPU time that the hypervisor took */
	double other; /* other processes' share of one CPU's time */
};

struct disturbance disturbance_of(const struct cpu_ticks *all, double ticks_a_second, double seconds,
				  double known_cpu_seconds);
bool is_disturbed(const struct disturbance *disturbance);

/* --- the rows: weir_bench_contestants.c, weir_bench_plan.c ---------------------------------------- */

enum bench_work { BENCH_COUNT, BENCH_RECORDS, BENCH_SAVE };
enum bench_feed { FEED_LIVE, FEED_OUT, FEED_TXRING }; /* how packets come: `weir gen --method` */
enum bench_spread { SPREAD_NONE, SPREAD_FANOUT, SPREAD_QUEUES, SPREAD_CPUS }; /* over several workers */
enum bench_tally { TALLY_LEDGER, TALLY_PCAP, TALLY_RECORDS };

/* One kind of row; plan_rows makes one for each size and number of workers. In the arguments: @W this weir, @I
 * interface, @O output file, @J statistics file, @C the CPUs, @N the number of workers. */
struct bench_contestant {
	const char *name;
	enum bench_work work;
	enum bench_feed feed;
	enum bench_tally tally;
	enum bench_spread spread;
	const char *program;       /* a peer's; NULL: weir itself */
	const char *ready;
	unsigned drain_ms;
	bool steals;               /* takes traffic from the host's stack */
	bool quick, standard;      /* part of --quick, part of the default */
	const char *arguments[BENCH_ARGUMENTS];
	const char *pipe[BENCH_ARGUMENTS];
};

extern const struct bench_contestant bench_contestants[];
extern const size_t bench_contestant_count;

struct bench_row {
	char name[32];             /* "afpacket", "tcpdump", ... */
	enum bench_work work;
	char size[8];              /* as for --size */
	unsigned workers;
	unsigned senders;          /* one for each queue: a sender's CPU decides on the queue of a veth */
	bool shares_cpu;           /* there are not enough CPUs for it and the sender: never counts */
	enum bench_feed feed;
	enum bench_tally tally;
	bool peer;
	const char *ready;         /* what it says on stderr when it captures; NULL: nothing */
	unsigned drain_ms;         /* how long it may sit on packets before it writes them */
	const char *arguments[BENCH_ARGUMENTS]; /* argv, see struct bench_contestant */
	const char *pipe[BENCH_ARGUMENTS];      /* the same with pcap to stdout, for the latency; empty: none */
	char command[512];         /* arguments with everything filled in, for people */

	/* Results. */
	struct bench_figure sent_pps, received_pps, loss;             /* at full blast */
	struct bench_figure user_ns, system_ns, total_ns, busy_share; /* at cost_rate, per packet received */
	struct bench_figure softirq_share, overhead;
	double loss_free_pps;      /* 0: not measured */
	bool sender_limited;       /* loss_free_pps is as fast as the sender went: at least that */
	unsigned loss_free_runs;
	double cost_rate;
	double latency_us[3];      /* p50, p99, p99.9; 0: not measured */
	uint64_t latency_packets;
	double memory_bytes;
	double shortest_run;       /* seconds, of the runs that figures come from */
	double margin;             /* sender's fastest over cost_rate */
	unsigned disturbed, repeated;
	char why[192];             /* why something is not measured; empty: nothing to say */
	bool skipped;              /* nothing is measured: see why */
};

struct bench_options {
	bool quick, full;
	const char *report;        /* directory; NULL: none */
	const char *json;          /* file; NULL: none */
	const char *against;       /* comma list; NULL: none */
	const char *interface;     /* real traffic; NULL: own veth */
	const char *sizes;         /* comma list; NULL: by profile */
	const char *backends;      /* comma list; NULL: all */
	const char *workers;       /* comma list; NULL: 1 */
	double seconds;            /* of a run; 0: by profile */
	unsigned runs;             /* 0: by profile */
	bool steal;                /* --interface: afxdp rows too */
};

struct bench_machine {
	char kernel[128], cpu_model[128], governor[64], mitigations[512], hypervisor[64], driver[64], offloads[128];
	unsigned cpus;
	uint64_t memory_bytes;
	bool irq_accounting;       /* softirq time is exact, not sampled */
};

/* Touched memory that is given free as a contestant's file grows: weir_bench_memory.c. */
struct bench_stock {
	uint8_t *area;             /* NULL: none yet, or none to be had */
	uint64_t held;             /* bytes, from the area's start */
	uint64_t wanted;           /* bytes to hold between runs: what the longest file so far takes */
	uint64_t ahead;            /* bytes that are given free before they are written; 0: this run writes nothing */
};

struct bench {
	struct bench_options options;
	struct bench_machine machine;
	struct bench_row rows[BENCH_ROWS_MAX];
	unsigned row_count;
	const char *weir;          /* path of this program */
	const char *directory;     /* tmpfs of this run */
	const char *receiver;      /* interface that contestants capture on */
	const char *sender;        /* the other end */
	int capture_cpu, sender_cpu; /* the first and the last of cpus */
	int cpus[BENCH_WORKERS_MAX]; /* contestants are given the first ones, senders the last ones */
	unsigned cpu_count;
	unsigned workers_most;
	struct bench_stock stock;
	double ticks_a_second;
	unsigned steps_done, steps_all;
	uint64_t start_ns;
	double seconds_taken;
	char when[32];
	volatile sig_atomic_t *interrupted;
};

/* Fills bench->rows by the options. -EINVAL: an unknown peer or backend. */
int plan_rows(struct bench *bench, struct error *error);

const char *work_name(enum bench_work work);
const char *feed_name(enum bench_feed feed);

/* argv of a row (arguments or pipe) with its places filled in; strings live in `room`. Returns argc. */
int plan_fill(const struct bench *bench, unsigned workers, const char *const *arguments, char *room, size_t size,
	      char **argv);

/* --- what is put against what: weir_bench_ratios.c ----------------------------------------------------- */

enum bench_base {
	BASE_WALK,      /* the bare walk over a packet ring */
	BASE_DESCS,     /* the bare loop over descriptors, in the same mode of AF_XDP */
	BASE_RAWSOCKET, /* rawsocket with batches, doing the same */
};

/* CPU per packet of one row over another's, by the medians; 0: not measured. */
struct bench_ratio {
	double cpu;  /* of all CPU time */
	double user; /* of the time in user space */
};

/* The row over its base of the same size, which has one worker. False: there is no such base for this row, or
 * neither ratio could be measured. */
bool ratio_to(const struct bench *bench, const struct bench_row *row, enum bench_base base,
	      struct bench_ratio *ratio);

/* One line of the aims: what the row has to reach against its bare loop or rawsocket, and what it did. False: the
 * row has no aim. */
bool ratio_aims(const struct bench *bench, const struct bench_row *row, char *text, size_t size);

/* The bench's own CPU time over the contestant's, of all runs that costs come from: the middle row's median, then
 * the worst run of all; no value: not measured. */
#define BENCH_OVERHEAD_AIM 0.02
void overhead_of(const struct bench *bench, struct bench_figure *overhead);

/* --- one process: weir_bench_process.c -------------------------------------------------------------- */

struct bench_process {
	pid_t pid;
	int out_fd;                /* its stdout when asked for, else -1 */
	char log_path[128];        /* its stderr */
};

/* Starts argv pinned to these CPUs. want_stdout: through out_fd. -errno when it cannot be started. */
int process_start(struct bench_process *process, const struct bench *bench, char **argv, const int *cpus,
		  unsigned cpu_count, bool want_stdout, struct error *error);

/* Waits until its stderr holds `ready`, or with NULL until there is a packet socket. -ETIMEDOUT,
 * or -ECHILD when it ended: error has its last line. */
int process_ready(struct bench_process *process, const char *ready, unsigned timeout_ms, struct error *error);

/* CPU nanoseconds of all its threads so far. */
uint64_t process_cpu_ns(pid_t pid);

/* User and system time so far in seconds, by /proc/PID/stat. */
void process_times(pid_t pid, double *user, double *system);

/* Ends it (SIGINT, after 10 s SIGKILL) and reaps it. Returns its wait status, -1: it was not there. */
int process_stop(struct bench_process *process);

/* Kills and reaps if it still runs; closes. */
void process_close(struct bench_process *process);

/* Reads a whole small file; the text is NUL-terminated. -errno. */
int read_text(const char *path, char *text, size_t size);

/* --- what was written: weir_bench_count.c ----------------------------------------------------------- */

struct bench_tally_result {
	uint64_t received;         /* packets (stamped ones in capture files, each sequence number once) */
	uint64_t doubled;          /* sequence numbers that came twice */
};

/* The numbers of sender k start at k << TALLY_SENDER_SHIFT. */
#define TALLY_SENDER_SHIFT 40

/* sent: by all senders; each sender's sequence numbers are below it. -errno with error. */
int tally(enum bench_tally kind, const char *output, const char *stats, uint64_t sent, unsigned senders,
	  struct bench_tally_result *result, struct error *error);

/* Reads pcap from fd until its end, or until *stop; collects now - send time in microseconds. Returns how
 * many into samples (at most max). */
size_t pipe_latencies(int fd, double *samples, size_t max, bool (*ended)(void *context), void *context);

/* --- one run: weir_bench_cell.c ---------------------------------------------------------------------- */

struct bench_cell {
	uint64_t sent, received, doubled;
	double seconds;            /* that the sender sent */
	double sent_pps, received_pps, loss;
	double user_ns, system_ns, total_ns; /* of the contestant, per packet received */
	double busy_share, softirq_share;    /* of the contestant's CPU while the sender sent and it drained */
	double overhead;           /* the bench's own CPU over the contestant's */
	double memory_bytes;
	bool split_known;          /* user_ns and system_ns: enough ticks to tell */
	bool sender_held;
	bool disturbed;
};

/* Starts the contestant, sends at rate (0: full blast) for `seconds`, counts. 0, or -errno with the
 * reason; -EINTR. */
int cell_run(struct bench *bench, const struct bench_row *row, double rate, double seconds,
	     struct bench_cell *cell, struct error *error);

/* The delivery latency at 10,000 packets a second, by the row's pipe command. Fills the row. */
int cell_latency(struct bench *bench, struct bench_row *row, double seconds, struct error *error);

/* Whether the generator's method works here. */
bool cell_feed_works(struct bench *bench, enum bench_feed feed);

/* --- the memory that files are written into: weir_bench_memory.c --------------------------------------- */

#define STOCK_AHEAD_SECONDS 0.8

/* Before a run: holds memory for the file that it will write, at so many bytes a second (0: none); at most half of
 * what the machine has available. */
void stock_fill(struct bench *bench, double bytes, double a_second);
/* While it goes on, some times within STOCK_AHEAD_SECONDS if it is needed: gives free what the file needs next. */
static inline bool stock_needed(const struct bench *bench)
{
	return bench->stock.ahead > 0 && bench->stock.held > 0;
}

void stock_yield(struct bench *bench);
/* The file is gone: takes its memory before the host does. */
void stock_refill(struct bench *bench);

/* --- the course: weir_bench_run.c, weir_bench_stage.c ------------------------------------------------ */

/* Measures all rows. 0, or -EINTR when interrupted (what is measured stays). */
int run_rows(struct bench *bench, struct error *error);

/* Runs `main` in namespaces of its own, with a veth pair wb0 - wb1 of up to that many queues (0: no network of
 * its own) and a tmpfs on BENCH_DIRECTORY; returns its exit status. Says why it cannot. */
int stage_run(int (*main_inside)(void *context), void *context, unsigned queues);

/* How many queues of the pair are in use from now on. -errno. */
int stage_queues(unsigned queues);
#define BENCH_DIRECTORY "/run/weir-bench"
#define BENCH_SENDER "wb0"
#define BENCH_RECEIVER "wb1"

/* --- contestants of our own: weir_bench_loops.c ------------------------------------------------------ */

/* `weir bench --contestant NAME -i IF --stats-json FILE [--xdp-mode MODE] [--output FILE]` */
struct bench_loop {
	const char *name;          /* walk, libpcap or descs */
	const char *mode;          /* descs; NULL: native */
	const char *output;        /* libpcap: NULL, .pcap or .weir */
	const char *stats;
};

int bench_contestant(const struct bench_loop *loop, const char *interface);

/* libpcap's loop until *stop: counts, with an output .pcap saves packets, with .weir writes records. *running: the
 * handle to break, while there is one. 0, or -errno with error. */
int bench_libpcap(const char *interface, const char *output, const volatile sig_atomic_t *stop, struct pcap **running,
		  uint64_t *packets, uint64_t *sum, struct error *error);

/* The loop over AF_XDP descriptors of queue 0, until *stop: takes them, counts them, gives the chunks back. mode:
 * native, generic or zerocopy. 0, or -errno with error. */
int bench_descs(const char *interface, const char *mode, const volatile sig_atomic_t *stop, uint64_t *count,
		uint64_t *bytes, struct error *error);

/* --- telling: weir_bench_machine.c, _table.c, _json.c, _html.c --------------------------------------- */

void machine_read(struct bench_machine *machine, const char *interface);
void progress_show(const struct bench *bench, const char *doing);
void progress_clear(void);
void table_print(const struct bench *bench, FILE *out);
void json_write(const struct bench *bench, FILE *out);
void html_write(const struct bench *bench, FILE *out);

/* "full", "default" or "quick". */
const char *profile_name(const struct bench_options *options);
/* True when a row's figures meet the rules of a figure that counts. */
bool row_counts(const struct bench_row *row, const struct bench_options *options);

#endif
