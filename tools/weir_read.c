/* weir read: packets and records from files, through the same engine as a capture. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/sources/open.h"
#include "tools/cli.h"
#include "tools/run.h"
#include "tools/weir_read.h"

static bool is_file(const char *argument)
{
	struct stat info;

	return strcmp(argument, "-") == 0 || stat(argument, &info) == 0;
}

/* The first argument is a file; those behind it too, as long as they exist. The rest is the filter. */
static unsigned count_files(const struct run_options *options)
{
	unsigned count = 1;

	while (count < options->argument_count && is_file(options->arguments[count]))
		count++;
	return count;
}

static void block_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(how, &signals, NULL);
}

static int open_files(struct run *run, unsigned count)
{
	struct savefile_options options = { .filter = run->filter };
	struct error error = { 0 };

	if (count > RUN_SOURCES)
		return cli_usage("%u files at once, %u at most (merge them in steps)", count, RUN_SOURCES);
	for (unsigned i = 0; i < count; i++) {
		const char *path = run->options->arguments[i];

		int result;

		/* A pipe's first bytes may be long in coming: until then a signal ends the program. */
		block_signals(SIG_UNBLOCK);
		result = source_open_file(path, &options, run->interfaces, &run->sources[i], &error);
		block_signals(SIG_BLOCK);
		if (result < 0)
			return cli_fail(&error);
		run->source_count++;
	}
	return 0;
}

int weir_read(int argc, char **argv)
{
	struct run_options options;
	struct run run;
	unsigned files;
	int status = run_options_parse(RUN_READ, argc, argv, &options);

	if (status != 0)
		return status;
	if (options.help) {
		run_options_help(RUN_READ);
		return 0;
	}
	if (options.argument_count == 0)
		return cli_usage("no file to read (weir read FILE... [FILTER]; - is standard input)");
	status = run_create(&options, &run);
	if (status != 0)
		return status;
	files = count_files(&options);
	run.silent_ledger = true;
	run.from_files = true;
	status = run_options_filter(&options, options.arguments + files, options.argument_count - files, &run.filter);
	if (status == 0)
		status = open_files(&run, files);
	if (status == 0)
		status = run_open_sinks(&run);
	if (status == 0)
		status = run_archive_open(&options, &run.archive);
	if (status == 0)
		status = run_go(&run);
	run_close(&run);
	return status;
}
