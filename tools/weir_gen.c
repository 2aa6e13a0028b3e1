#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/gen/gen.h"
#include "engine/gen/interface_counters.h"
#include "engine/netns.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/weir_gen.h"

struct gen_arguments {
	struct gen_options options;
	const char *netns;
	int cpu; /* -1: not pinned */
	bool yes;
	bool quiet;
};

enum {
	OPT_RATE = 256, OPT_SIZE, OPT_FLOWS, OPT_COUNT, OPT_DURATION, OPT_MIX, OPT_REPLAY, OPT_SPEED,
	OPT_METHOD, OPT_NETNS, OPT_PIN, OPT_YES, OPT_SRC_MAC, OPT_DST_MAC, OPT_FIRST, OPT_HELP,
};

static const struct option long_options[] = {
	{ "interface", required_argument, NULL, 'i' },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "flows", required_argument, NULL, OPT_FLOWS },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "mix", required_argument, NULL, OPT_MIX },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "speed", required_argument, NULL, OPT_SPEED },
	{ "method", required_argument, NULL, OPT_METHOD },
	{ "netns", required_argument, NULL, OPT_NETNS },
	{ "pin", required_argument, NULL, OPT_PIN },
	{ "yes-this-interface", no_argument, NULL, OPT_YES },
	{ "src-mac", required_argument, NULL, OPT_SRC_MAC },
	{ "dst-mac", required_argument, NULL, OPT_DST_MAC },
	{ "first-sequence", required_argument, NULL, OPT_FIRST },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static const char help[] =
	"usage: weir gen -i IF [OPTION]...\n"
	"Sends packets that can be told apart, checked and timed at the other end; what was sent\n"
	"is printed as JSON.\n\n"
	"  -i IF                 interface to send on; only loopback and veth without --yes-this-interface\n"
	"  --rate PPS|max        packets a second, K and M allowed (default 1000)\n"
	"  --size N|imix         bytes of a frame without FCS, 60 to 9014 (default 60)\n"
	"  --flows N             distinct flows (default 1)\n"
	"  --mix KIND[:WEIGHT],...  udp, tcp, ipv6, tcp6, icmp, vlan, qinq, vxlan (default udp)\n"
	"  --count N             packets\n"
	"  --duration TIME       seconds, or with a suffix ms, s, m\n"
	"  --replay FILE         send a capture file's packets instead\n"
	"  --speed X|max         replay: times the recorded speed (default 1)\n"
	"  --method auto|txring|afxdp|xdp-live|xdp-out\n"
	"                        txring and afxdp send out of IF; xdp-live has IF receive; xdp-out sends\n"
	"                        XDP frames out of IF, which a peer with an XDP program gets without an skb\n"
	"  --netns NAME          work in this network namespace\n"
	"  --pin CPU             stay on one CPU\n"
	"  --src-mac MAC --dst-mac MAC\n"
	"  --first-sequence N    number of the first packet (default 0)\n"
	"  -q                    no warnings, JSON only\n";

static struct gen *running;

static void on_signal(int number)
{
	(void)number;
	if (running != NULL)
		gen_halt(running);
}

/* A rate: a number with an optional K, M (powers of ten) or "max" (0). */
static bool parse_rate(const char *text, double *rate)
{
	char *rest;
	double value;

	*rate = 0;
	if (strcmp(text, "max") == 0)
		return true;
	value = strtod(text, &rest);
	if (rest == text || !(value > 0))
		return false;
	if (*rest == 'k' || *rest == 'K')
		value *= 1e3, rest++;
	else if (*rest == 'm' || *rest == 'M')
		value *= 1e6, rest++;
	*rate = value;
	return *rest == '\0' && value >= 0.001 && value <= 1e9;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	unsigned bytes[6];
	char rest;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
		   &bytes[5], &rest) != 6)
		return false;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)bytes[i];
	return true;
}

static bool parse_method(const char *text, enum gen_method *method)
{
	static const char *const names[] = { "auto", "txring", "afxdp", "xdp-live", "xdp-out" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*method = (enum gen_method)i;
			return true;
		}
	}
	return false;
}

/* One option. True when its value is good. */
static bool take_option(struct gen_arguments *arguments, int option, const char *value)
{
	struct gen_options *options = &arguments->options;
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'i': options->interface = value; break;
	case 'q': arguments->quiet = true; break;
	case OPT_RATE: good = parse_rate(value, &options->rate_pps); break;
	case OPT_SIZE: options->shape.size = value; break;
	case OPT_MIX: options->shape.mix = value; break;
	case OPT_FLOWS:
		good = cli_parse_number(value, 1, SHAPE_FLOWS_MAX, &number);
		options->shape.flows = (uint32_t)number;
		break;
	case OPT_COUNT: good = cli_parse_number(value, 1, UINT64_MAX / 2, &options->count); break;
	case OPT_DURATION:
		good = cli_parse_duration(value, &options->duration_ns) && options->duration_ns > 0;
		break;
	case OPT_REPLAY: options->replay = value; break;
	case OPT_SPEED: good = parse_rate(value, &options->speed); break;
	case OPT_METHOD: good = parse_method(value, &options->method); break;
	case OPT_NETNS: arguments->netns = value; break;
	case OPT_PIN:
		good = cli_parse_number(value, 0, CPU_SETSIZE - 1, &number);
		arguments->cpu = (int)number;
		break;
	case OPT_SRC_MAC: good = parse_mac(value, options->shape.src_mac); break;
	case OPT_DST_MAC: good = parse_mac(value, options->shape.dst_mac); break;
	case OPT_FIRST: good = cli_parse_number(value, 0, UINT64_MAX / 2, &options->first_sequence); break;
	case OPT_YES: arguments->yes = true; break;
	default: good = false; break;
	}
	return good;
}

static int parse_arguments(int argc, char **argv, struct gen_arguments *arguments)
{
	int option, index = 0;

	optind = 1;
	while ((option = getopt_long(argc, argv, "+i:q", long_options, &index)) != -1) {
		if (option == OPT_HELP) {
			fputs(help, stdout);
			exit(0);
		}
		if (option == '?')
			return EXIT_USAGE;
		if (!take_option(arguments, option, optarg))
			return cli_usage("'%s' is no value for --%s (weir gen --help)", optarg != NULL ? optarg : "",
					 option == 'i' ? "interface" : long_options[index].name);
	}
	if (optind < argc)
		return cli_usage("what is '%s'? (weir gen --help)", argv[optind]);
	if (arguments->options.interface == NULL)
		return cli_usage("an interface is needed (weir gen -i IF)");
	if (arguments->options.count == 0 && arguments->options.duration_ns == 0 &&
	    arguments->options.replay == NULL)
		return cli_usage("how long? (--count N or --duration TIME)");
	return 0;
}

/* Traffic that nobody asked for does not go out on an interface that others use. */
static int refuse_others(const struct gen_arguments *arguments, struct error *error)
{
	struct interface_counters interface;
	unsigned index = if_nametoindex(arguments->options.interface);

	if (index == 0 || arguments->yes)
		return 0; /* gen_open says what is missing */
	if (interface_counters_read(index, &interface) == 0 &&
	    ((interface.flags & IFF_LOOPBACK) || strcmp(interface.kind, "veth") == 0))
		return 0;
	error_set(error, -EPERM, "%s is neither loopback nor veth: others may be behind it",
		  arguments->options.interface);
	return error_hint(error, "--yes-this-interface if it is meant");
}

static int pin(int cpu, struct error *error)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		return error_set_errno(error, -errno, "cannot stay on CPU %d", cpu);
	return 0;
}

static void say_what_happened(const struct gen_options *options, const struct gen_result *result,
			      const struct shape *shape)
{
	if (!result->held)
		cli_note("could not hold %.0f packets a second: %.0f were sent, the schedule slipped %llu times",
			 options->rate_pps, (double)result->sent / ((double)result->elapsed_ns / 1e9),
			 (unsigned long long)result->slips);
	if (shape->raised > 0 && options->replay == NULL)
		cli_note("some kinds of packet are longer than asked, to hold sequence number and time");
	if (result->device_dropped > 0)
		cli_note("%s dropped %llu packets on their way out", options->interface,
			 (unsigned long long)result->device_dropped);
	if (options->method == GEN_XDP_OUT && result->device_sent < result->sent)
		cli_note("%s sent only %llu of them: a veth's peer takes XDP frames when it has an XDP program or GRO on",
			 options->interface, (unsigned long long)result->device_sent);
	if (result->skipped > 0)
		cli_note("%llu packets of the file are too long for %s and were not sent",
			 (unsigned long long)result->skipped, options->interface);
	if (result->cut > 0)
		cli_note("%llu packets of the file were cut when captured and went out so",
			 (unsigned long long)result->cut);
}

int weir_gen(int argc, char **argv)
{
	struct gen_arguments arguments = {
		.cpu = -1,
		.options = {
			.rate_pps = 1000,
			.speed = 1,
			.shape = {
				.flows = 1,
				.src_mac = { 2, 0, 0, 0, 0, 1 },
				.dst_mac = { 2, 0, 0, 0, 0, 2 },
			},
		},
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct gen_result result;
	struct error error = { 0 };
	struct gen *gen = NULL;
	int status = parse_arguments(argc, argv, &arguments);

	if (status != 0)
		return status;
	if (arguments.netns != NULL && netns_enter(arguments.netns, &error) != 0)
		return cli_fail(&error);
	if (refuse_others(&arguments, &error) != 0 || pin(arguments.cpu, &error) != 0 ||
	    gen_open(&arguments.options, &gen, &error) != 0)
		return cli_fail(&error);
	running = gen;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = gen_run(gen, &result, &error);
	if (status != 0)
		cli_fail(&error);
	gen_write_json(&arguments.options, &result, stdout);
	if (!arguments.quiet)
		say_what_happened(&arguments.options, &result, gen_shape(gen));
	running = NULL;
	gen_close(gen);
	return status != 0 || fflush(stdout) != 0 ? EXIT_FAILED : 0;
}
