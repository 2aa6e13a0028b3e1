#include "tools/weir_bench.h"

#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tools/cli.h"

enum {
	OPT_QUICK = 256, OPT_FULL, OPT_REPORT, OPT_JSON, OPT_AGAINST, OPT_SIZES, OPT_BACKENDS, OPT_SECONDS,
	OPT_RUNS, OPT_STEAL, OPT_CONTESTANT, OPT_STATS_JSON, OPT_WORKERS, OPT_XDP_MODE, OPT_OUTPUT,
};

static const struct option long_options[] = {
	{ "quick", no_argument, NULL, OPT_QUICK },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "against", required_argument, NULL, OPT_AGAINST },
	{ "interface", required_argument, NULL, 'i' },
	{ "sizes", required_argument, NULL, OPT_SIZES },
	{ "backends", required_argument, NULL, OPT_BACKENDS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "runs", required_argument, NULL, OPT_RUNS },
	{ "steal", no_argument, NULL, OPT_STEAL },
	{ "contestant", required_argument, NULL, OPT_CONTESTANT },
	{ "stats-json", required_argument, NULL, OPT_STATS_JSON },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "xdp-mode", required_argument, NULL, OPT_XDP_MODE },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char help[] =
	"usage: weir bench [OPTION]...\n"
	"Measures what each way of capturing costs here, on traffic of its own between two\n"
	"interfaces of its own.\n\n"
	"      --quick              half a minute, for a look and for CI; no figure counts\n"
	"      --full               runs of 10 s, 5 of each, all frame sizes: figures that count; takes hours\n"
	"      --report DIR         write index.html and bench.json there\n"
	"      --json FILE          write the raw figures there (- is stdout)\n"
	"      --against P,...      and these peers, where installed: tcpdump, dumpcap, netsniff-ng\n"
	"      --backends B,...     only these: bare walk, libpcap, rawsocket, afpacket, descs, afxdp,\n"
	"                           xdp-records\n"
	"      --sizes N,...        frame sizes without FCS, or imix (default 60)\n"
	"      --workers N,...      with so many workers (default 1); AF_XDP: queues\n"
	"      --seconds S          of each run\n"
	"      --runs N             of each figure, 1 to 16\n"
	"  -i, --interface IF       measure on live traffic of IF, sent by a generator of yours\n"
	"      --steal              with -i: AF_XDP too, which takes the traffic from the host\n"
	"      --contestant walk|libpcap|descs -i IF --stats-json FILE [--xdp-mode MODE] [--output FILE]\n"
	"                           be one of the bench's own loops; descs: native, generic or zerocopy;\n"
	"                           libpcap: save to a .pcap, or write records to a .weir\n";

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static bool take_option(struct bench_options *options, struct bench_loop *contestant, int option)
{
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'i': options->interface = optarg; break;
	case OPT_QUICK: options->quick = true; break;
	case OPT_FULL: options->full = true; break;
	case OPT_REPORT: options->report = optarg; break;
	case OPT_JSON: options->json = optarg; break;
	case OPT_AGAINST: options->against = optarg; break;
	case OPT_SIZES: options->sizes = optarg; break;
	case OPT_BACKENDS: options->backends = optarg; break;
	case OPT_STEAL: options->steal = true; break;
	case OPT_WORKERS: options->workers = optarg; break;
	case OPT_XDP_MODE:
		contestant->mode = optarg;
		good = strcmp(optarg, "native") == 0 || strcmp(optarg, "generic") == 0 || strcmp(optarg, "zerocopy") == 0;
		break;
	case OPT_CONTESTANT: contestant->name = optarg; break;
	case OPT_OUTPUT: contestant->output = optarg; break;
	case OPT_STATS_JSON: contestant->stats = optarg; break;
	case OPT_SECONDS:
		good = cli_parse_duration(optarg, &number) && number >= NS_PER_SECOND / 10 &&
		       number <= 600 * NS_PER_SECOND;
		options->seconds = (double)number / 1e9;
		break;
	case OPT_RUNS:
		good = cli_parse_number(optarg, 1, BENCH_RUNS_MAX, &number);
		options->runs = (unsigned)number;
		break;
	default: good = false; break;
	}
	return good;
}

/* Each size is one that the generator's smallest stamp fits into and an MTU of 1500 carries. */
static bool sizes_good(const char *list)
{
	while (list != NULL && *list != '\0') {
		size_t word = strcspn(list, ",");
		char size[8];
		uint64_t number;

		snprintf(size, sizeof size, "%.*s", (int)word, list);
		if (word >= sizeof size || (strcmp(size, "imix") != 0 && !cli_parse_number(size, 60, 1514, &number)))
			return false;
		list += word + (list[word] == ',');
	}
	return list == NULL || list[-1] != ',';
}

static int parse_arguments(int argc, char **argv, struct bench_options *options,
			   struct bench_loop *contestant)
{
	int option, index = 0;

	optind = 1;
	while ((option = getopt_long(argc, argv, "+i:h", long_options, &index)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		if (option == '?')
			return EXIT_USAGE;
		if (!take_option(options, contestant, option))
			return cli_usage("'%s' is no value for --%s (weir bench --help)", optarg,
					 long_options[index].name);
	}
	if (optind < argc)
		return cli_usage("what is '%s'? (weir bench --help)", argv[optind]);
	if (options->quick && options->full)
		return cli_usage("either --quick or --full");
	if (options->sizes != NULL && (options->sizes[0] == '\0' || !sizes_good(options->sizes)))
		return cli_usage("no frame sizes '%s' (60 to 1514 or imix, with commas between)", options->sizes);
	if (contestant->name != NULL && (options->interface == NULL || contestant->stats == NULL))
		return cli_usage("--contestant needs -i IF and --stats-json FILE");
	return 0;
}

/* The first allowed CPUs capture, the last send. */
static int choose_cpus(struct bench *bench)
{
	cpu_set_t allowed;

	bench->capture_cpu = bench->sender_cpu = -1;
	sched_getaffinity(0, sizeof allowed, &allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		if (bench->capture_cpu < 0)
			bench->capture_cpu = cpu;
		bench->sender_cpu = cpu;
		/* Of more than there is room for, the last place is the last CPU's. */
		if (bench->cpu_count < BENCH_WORKERS_MAX)
			bench->cpu_count++;
		bench->cpus[bench->cpu_count - 1] = cpu;
	}
	return bench->capture_cpu == bench->sender_cpu ? -EINVAL : 0;
}

static int write_report(const struct bench *bench)
{
	static const struct {
		const char *name;
		void (*write)(const struct bench *bench, FILE *out);
	} parts[] = { { "index.html", html_write }, { "bench.json", json_write } };
	struct error error;
	char path[4096];

	if (mkdir(bench->options.report, 0777) != 0 && errno != EEXIST) {
		error_set_errno(&error, -errno, "cannot make the directory %s", bench->options.report);
		return cli_fail(&error);
	}
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		FILE *out;

		snprintf(path, sizeof path, "%s/%s", bench->options.report, parts[i].name);
		out = fopen(path, "w");
		if (out != NULL)
			parts[i].write(bench, out);
		if (out == NULL || fclose(out) != 0) {
			error_set_errno(&error, -errno, "cannot write %.200s", path);
			return cli_fail(&error);
		}
	}
	fprintf(stderr, "weir: report in %s/index.html\n", bench->options.report);
	return 0;
}

static int write_json(const struct bench *bench)
{
	bool standard = strcmp(bench->options.json, "-") == 0;
	FILE *out = standard ? stdout : fopen(bench->options.json, "w");
	struct error error;

	if (out != NULL)
		json_write(bench, out);
	if (out == NULL || (standard ? fflush(out) : fclose(out)) != 0) {
		error_set_errno(&error, -errno, "cannot write %s", bench->options.json);
		return cli_fail(&error);
	}
	return 0;
}

/* A row of weir's own that failed for another reason than what this kernel lacks makes the run fail. */
static int verdict(const struct bench *bench, int status)
{
	unsigned measured = 0;

	for (unsigned i = 0; i < bench->row_count; i++)
		measured += !bench->rows[i].skipped && bench->rows[i].received_pps.count > 0;
	if (status == -EINTR)
		cli_note("interrupted: what was not reached reads 'not measured'");
	if (measured == 0)
		cli_note("nothing could be measured");
	return status != 0 || measured == 0 ? EXIT_FAILED : 0;
}

/* What the bench does while a contestant runs, it does on the sender's CPU. */
static void pin_self(const struct bench *bench)
{
	cpu_set_t cpus;

	if (bench->options.interface != NULL)
		return;
	CPU_ZERO(&cpus);
	CPU_SET(bench->sender_cpu, &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
}

static int inside(void *context)
{
	struct bench *bench = context;
	struct sigaction action = { .sa_handler = on_interrupt }; /* no SA_RESTART: waits end */
	time_t now = time(NULL);
	struct error error = { 0 };
	int status, told = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	strftime(bench->when, sizeof bench->when, "%Y-%m-%d %H:%M:%S %z", localtime(&now));
	bench->start_ns = clock_monotonic_ns();
	pin_self(bench);
	machine_read(&bench->machine, bench->receiver);
	status = run_rows(bench, &error);
	progress_clear();
	bench->seconds_taken = (double)(clock_monotonic_ns() - bench->start_ns) / 1e9;
	if (status != 0 && status != -EINTR)
		return cli_fail(&error);
	table_print(bench, bench->options.json != NULL && strcmp(bench->options.json, "-") == 0 ? stderr : stdout);
	fflush(stdout);
	if (bench->options.report != NULL)
		told = write_report(bench);
	if (bench->options.json != NULL && told == 0)
		told = write_json(bench);
	return told != 0 ? told : verdict(bench, status);
}

int weir_bench(int argc, char **argv)
{
	static struct bench bench;
	static char self[4096];
	struct bench_loop contestant = { 0 };
	struct error error = { 0 };
	ssize_t length;
	int status = parse_arguments(argc, argv, &bench.options, &contestant);

	if (status != 0)
		return status;
	if (contestant.name != NULL)
		return bench_contestant(&contestant, bench.options.interface);
	if (bench.options.interface != NULL && if_nametoindex(bench.options.interface) == 0) {
		error_set(&error, -ENODEV, "no interface '%s'", bench.options.interface);
		error_hint(&error, "weir capture -D lists them");
		return cli_fail(&error);
	}
	length = readlink("/proc/self/exe", self, sizeof self - 1);
	bench.weir = length > 0 ? self : "weir";
	bench.directory = BENCH_DIRECTORY;
	bench.sender = BENCH_SENDER;
	bench.receiver = bench.options.interface != NULL ? bench.options.interface : BENCH_RECEIVER;
	bench.ticks_a_second = (double)sysconf(_SC_CLK_TCK);
	bench.interrupted = &interrupted;
	if (choose_cpus(&bench) != 0 && bench.options.interface == NULL) {
		error_set(&error, -EINVAL, "the bench needs two CPUs: one to capture, one to send");
		error_hint(&error, "with one, no figure would mean anything");
		return cli_fail(&error);
	}
	if (plan_rows(&bench, &error) != 0)
		return cli_fail(&error);
	return stage_run(inside, &bench, bench.options.interface == NULL ? bench.workers_most : 0);
}
