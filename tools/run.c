#include "tools/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tools/cli.h"
#include "tools/status.h"

static bool is_among(const char *name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

/* Formats of text.c; the other names of --format are sinks of their own. */
static bool is_text_format(const char *format)
{
	static const char *const names[] = { "text", "addresses", "line", "ip", "tcp", "arp", "brief", NULL };

	return is_among(format, names);
}

static bool is_format(const char *format)
{
	static const char *const others[] = { "ndjson", "csv", "streams", NULL };

	return is_text_format(format) || is_among(format, others);
}

static void run_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGUSR1);
}

int run_create(const struct run_options *options, struct run *run)
{
	struct error error = { 0 };
	sigset_t signals;

	memset(run, 0, sizeof *run);
	run->options = options;
	/* A reader that went away and a file at its largest size are errors of their writes, which say more. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	run_signals(&signals);
	/* Before any thread exists, so that none of them is interrupted. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (interface_table_create(&run->interfaces, &error) < 0)
		return cli_fail(&error);
	return 0;
}

static int open_sink(struct run *run, const char *spec)
{
	const struct run_options *options = run->options;
	struct sink_options *sink_options = &run->sink_options[run->sink_count];
	struct error error = { 0 };
	bool on_stdout = strcmp(spec, "-") == 0 ||
			 (strlen(spec) > 2 && strcmp(spec + strlen(spec) - 2, ":-") == 0);

	*sink_options = (struct sink_options){
		.interfaces = run->interfaces,
		.filter = run->filter,
		.application = "weir " WEIR_VERSION,
		.snap_length = options->source.snap_length,
		.flush_each = options->flush_each,
		.wait_when_full = options->wait_when_full,
		.show_payload = true,
		.stream_payload = options->stream_payload,
		.spool_dir = options->spool_dir,
		.may_wait = run->from_files,
		.cancel = &run->cancel,
	};

	if (options->format != NULL && is_text_format(options->format) && strcmp(options->format, "text") != 0)
		sink_options->format = options->format;
	if (on_stdout)
		sink_options->colour = options->colour == COLOUR_ALWAYS ||
				      (options->colour == COLOUR_AUTO && isatty(STDOUT_FILENO));
	run->text_on_stdout |= on_stdout;
	if (sink_open(spec, sink_options, &run->sinks[run->sink_count], &error) < 0) {
		cli_fail(&error);
		return error.code == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	run->sink_count++;
	return 0;
}

int run_open_sinks(struct run *run)
{
	const struct run_options *options = run->options;
	bool format_used = options->format == NULL;
	char spec[128];
	int result;

	if (options->format != NULL && !is_format(options->format))
		return cli_usage("no format '%s' (text addresses line ip tcp arp brief ndjson csv streams)", options->format);
	if (options->count_only)
		return open_sink(run, "null:");
	for (unsigned i = 0; i < options->output_count; i++) {
		const char *output = options->outputs[i];

		format_used |= strcmp(output, "-") == 0 || strncmp(output, "text:", 5) == 0;
		result = open_sink(run, output);
		if (result != 0)
			return result;
	}
	if (options->output_count > 0 && format_used)
		return 0;
	if (options->format == NULL || is_text_format(options->format))
		return open_sink(run, "-");
	snprintf(spec, sizeof spec, "%s:-", options->format);
	return open_sink(run, spec);
}

enum sink_needs run_needs(const struct run *run)
{
	enum sink_needs needs = SINK_NEEDS_RECORD;

	for (unsigned i = 0; i < run->sink_count; i++) {
		if (run->sinks[i]->needs > needs)
			needs = run->sinks[i]->needs;
	}
	return needs;
}

static void print_note(void *context, const char *text)
{
	struct status *status = context;

	status_clear(status);
	cli_note("%s", text);
}

static void print_ledger(struct engine *engine)
{
	struct ledger ledger;

	if (engine_ledger(engine, &ledger) < 0)
		return;
	fputs("weir: ", stderr);
	ledger_print(&ledger, stderr);
	ledger_close(&ledger);
}

/* SIGINT, SIGTERM and SIGHUP end the run in order, a second one at once; SIGUSR1 shows the ledger. */
static void take_signals(struct run *run, int signal_fd, struct engine *engine, struct status *status, unsigned *ends)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		status_clear(status);
		if (info.ssi_signo == SIGUSR1) {
			print_ledger(engine);
		} else if ((*ends)++ == 0) {
			engine_stop(engine);
		} else {
			atomic_store(&run->cancel, true);
			engine_abort(engine);
		}
	}
}

static int until(uint64_t deadline_ns, uint64_t now_ns, int timeout_ms)
{
	uint64_t left_ms;

	if (deadline_ns == 0)
		return timeout_ms;
	left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS + 1 : 0;
	return timeout_ms < 0 || left_ms < (uint64_t)timeout_ms ? (int)left_ms : timeout_ms;
}

static void watch(struct run *run, struct engine *engine, int signal_fd, struct status *status)
{
	const struct run_options *options = run->options;
	uint64_t now = clock_monotonic_ns(), end_at = 0, stats_at = 0;
	unsigned ends = 0;

	if (options->duration_ns != 0)
		end_at = now + options->duration_ns;
	if (options->stats_period_ns != 0)
		stats_at = now + options->stats_period_ns;
	for (;;) {
		struct pollfd polled[] = {
			{ .fd = engine_event_fd(engine), .events = POLLIN },
			{ .fd = signal_fd, .events = POLLIN },
		};
		/* Notes (an interface that went away) come without an event: look now and then. */
		int timeout = until(stats_at, now, until(end_at, now, status_active(status) ? STATUS_PERIOD_MS : 500));

		poll(polled, 2, timeout);
		now = clock_monotonic_ns();
		engine_notes(engine, print_note, status);
		if (polled[0].revents != 0)
			return;
		if (polled[1].revents != 0)
			take_signals(run, signal_fd, engine, status, &ends);
		if (end_at != 0 && now >= end_at) {
			engine_stop(engine);
			end_at = 0;
		}
		if (stats_at != 0 && now >= stats_at) {
			status_clear(status);
			print_ledger(engine);
			stats_at += options->stats_period_ns;
		}
		status_update(status, engine, run->sources, run->source_count);
	}
}

static int write_stats_json(const char *path, const struct ledger *ledger)
{
	struct error error;
	char part[4096];
	FILE *file;
	int result;

	if (strcmp(path, "-") == 0)
		return ledger_write_json(ledger, stdout) < 0 ? EXIT_FAILED : 0;
	snprintf(part, sizeof part, "%s.part", path);
	file = fopen(part, "w");
	if (file == NULL) {
		error_set_errno(&error, -errno, "cannot write %s", part);
		return cli_fail(&error);
	}
	result = ledger_write_json(ledger, file);
	if (fclose(file) != 0 || result < 0 || rename(part, path) < 0) {
		error_set_errno(&error, result < 0 ? result : -errno, "cannot write %s", path);
		return cli_fail(&error);
	}
	return 0;
}

/* A file that was cut off or made no sense from some point on: what came before was read and written whole. */
static bool ended_in_damage(const struct source *source)
{
	return !source->live && (source->warning.code == -ENODATA || source->warning.code == -EBADMSG);
}

/* What is left to say when the engine has ended. */
static int conclude(struct run *run, struct engine *engine)
{
	const struct run_options *options = run->options;
	struct error error = { 0 };
	struct ledger ledger;
	uint64_t written;
	bool damaged = false;
	int status = 0;

	for (unsigned i = 0; i < run->source_count; i++) {
		if (run->sources[i]->warning.code != 0)
			cli_fail(&run->sources[i]->warning);
		damaged |= ended_in_damage(run->sources[i]);
	}
	if (engine_result(engine, &error) < 0)
		status = cli_fail(&error);
	if (engine_ledger(engine, &ledger) < 0)
		return EXIT_FAILED;
	written = ledger.written;
	if (options->count_only)
		printf("%" PRIu64 " packets\n", ledger.written);
	if (!run->silent_ledger || ledger.lost > 0 || options->verbose || status != 0) {
		fputs("weir: ", stderr);
		ledger_print(&ledger, stderr);
	}
	if (options->stats_json != NULL && write_stats_json(options->stats_json, &ledger) != 0)
		status = EXIT_FAILED;
	if (run_archive_submit(&run->archive, &ledger) != 0)
		status = EXIT_FAILED;
	ledger_close(&ledger);
	if (fflush(stdout) != 0)
		status = EXIT_FAILED;
	/* With -c N the reader may have come further than what was asked for, or not: that is no reason to fail. */
	if (damaged && (options->packet_limit == 0 || written < options->packet_limit))
		status = EXIT_FAILED;
	return status;
}

int run_go(struct run *run)
{
	const struct run_options *options = run->options;
	struct engine_config config = {
		.decode = options->decode,
		.packet_limit = options->packet_limit,
		.unordered = options->unordered,
		.flush_each = options->flush_each,
		.pin_cpus = options->pins,
		.pin_count = options->pin_count,
		.no_pin = options->no_pin,
		.exit_on_interface_loss = options->source.exit_on_interface_loss,
	};
	struct engine *engine;
	struct error error = { 0 };
	struct status status;
	sigset_t signals;
	int signal_fd, result, exit_status;

	result = engine_create(&config, run->interfaces, run->sources, run->source_count, run->sinks,
			       run->sink_count, &engine, &error);
	if (result < 0) {
		run->source_count = run->sink_count = 0; /* closed by engine_create */
		return cli_fail(&error);
	}
	run_signals(&signals);
	signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (engine_start(engine, &error) < 0) {
		exit_status = cli_fail(&error);
	} else {
		if (run->announcement != NULL)
			cli_note("%s", run->announcement);
		status_init(&status, !run->text_on_stdout);
		watch(run, engine, signal_fd, &status);
		status_clear(&status);
		exit_status = conclude(run, engine);
	}
	engine_close(engine);
	if (run_archive_close(&run->archive) != 0)
		exit_status = EXIT_FAILED;
	run->source_count = run->sink_count = 0;
	if (signal_fd >= 0)
		close(signal_fd);
	return exit_status;
}

void run_close(struct run *run)
{
	for (unsigned i = 0; i < run->source_count; i++)
		run->sources[i]->ops->close(run->sources[i]);
	for (unsigned i = 0; i < run->sink_count; i++)
		run->sinks[i]->ops->close(run->sinks[i]);
	run_archive_close(&run->archive);
	interface_table_close(run->interfaces);
	free(run->filter);
}
