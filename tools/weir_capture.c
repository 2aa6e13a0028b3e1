/* weir capture: packets from live interfaces.
 *
 * This file is the order of things: parse, enter the namespace, open outputs, open the rings, drop
 * privileges, run. A reader who wants to follow one packet goes on with engine/engine.c.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/interfaces.h"
#include "engine/netns.h"
#include "engine/privilege.h"
#include "tools/backends.h"
#include "tools/cli.h"
#include "tools/interfaces.h"
#include "tools/run.h"
#include "tools/weir_capture.h"

#define HEADERS_ONLY_DEFAULT 512

/* When no output needs the packets' bytes the kernel copies headers only. */
static struct source_options effective_options(const struct run *run)
{
	const struct run_options *options = run->options;
	struct source_options source = options->source;
	uint32_t headers = options->headers_only != 0 ? options->headers_only : HEADERS_ONLY_DEFAULT;

	source.filter = run->filter;
	if (run_needs(run) != SINK_NEEDS_RECORD || options->decode.verify_checksums)
		return source;
	source.headers_only = true;
	if (headers < source.snap_length)
		source.snap_length = headers;
	return source;
}

static int open_interfaces(struct run *run, const char *const *names, unsigned count, char *announcement, size_t size)
{
	struct source_options source_options = effective_options(run);
	size_t used = (size_t)snprintf(announcement, size, "capturing on ");

	for (unsigned i = 0; i < count; i++) {
		struct source_report report = { 0 };
		struct error error = { 0 };
		unsigned opened = 0;

		if (backend_open(run->options, &source_options, names[i], run->interfaces,
				 &run->sources[run->source_count], RUN_SOURCES - run->source_count, &opened, &report,
				 &error) < 0) {
			return cli_fail(&error);
		}
		run->source_count += opened;
		for (unsigned k = 0; k < report.note_count; k++)
			cli_note("%s: %s", names[i], report.notes[k]);
		if (used < size)
			used += (size_t)snprintf(announcement + used, size - used, "%s%s (%s)", i > 0 ? ", " : "",
						 names[i], report.summary);
	}
	return 0;
}

/* The interfaces that -i names, or tcpdump's choice. */
static int choose_interfaces(struct run_options *options, char fallback[IF_NAMESIZE])
{
	struct error error = { 0 };

	if (options->interface_count > 0)
		return 0;
	if (interfaces_default(fallback, &error) < 0)
		return cli_fail(&error);
	options->interfaces[options->interface_count++] = fallback;
	return 0;
}

/* The file behind a -w argument as it is named while it is written. False: no file. */
static bool part_name(const char *spec, char *path, size_t size)
{
	const char *file = run_output_file(spec);

	if (file == NULL)
		return false;
	snprintf(path, size, "%s.part", file);
	return access(path, F_OK) == 0;
}

/* What the XDP backends need to come back to an interface that was made again: the first to attach there and
 * turn off its VLAN offloads, afxdp also the second to register memory above RLIMIT_MEMLOCK. The program is
 * loaded already. */
static const int xdp_capabilities[] = { CAP_NET_ADMIN, CAP_IPC_LOCK };

static unsigned xdp_capability_count(const struct run_options *options)
{
	if (options->backend == NULL)
		return 0;
	return strcmp(options->backend, "afxdp") == 0 ? 2 : strcmp(options->backend, "xdp-records") == 0;
}

static int drop_privileges(const struct run_options *options)
{
	char paths[RUN_OUTPUTS][PATH_MAX];
	const char *outputs[RUN_OUTPUTS];
	struct privilege_needs needs = {
		.packet_sockets = !options->source.exit_on_interface_loss,
		.user = options->user,
		.outputs = outputs,
	};
	struct error error = { 0 };

	needs.capabilities = xdp_capabilities;
	needs.capability_count = needs.packet_sockets ? xdp_capability_count(options) : 0;

	for (unsigned i = 0; i < options->output_count; i++) {
		if (part_name(options->outputs[i], paths[needs.output_count], sizeof paths[0])) {
			outputs[needs.output_count] = paths[needs.output_count];
			needs.output_count++;
		}
	}
	return privilege_drop(&needs, &error) < 0 ? cli_fail(&error) : 0;
}

static int capture(struct run *run, struct run_options *options)
{
	char fallback[IF_NAMESIZE], announcement[1024];
	struct error error = { 0 };
	int status;

	status = run_options_filter(options, options->arguments, options->argument_count, &run->filter);
	if (status != 0)
		return status;
	if (options->netns != NULL && netns_enter(options->netns, &error) < 0)
		return cli_fail(&error);
	status = choose_interfaces(options, fallback);
	if (status == 0)
		status = run_open_sinks(run);
	if (status == 0)
		status = open_interfaces(run, options->interfaces, options->interface_count, announcement,
					 sizeof announcement);
	if (status == 0)
		status = run_archive_open(options, &run->archive);
	if (status == 0)
		status = drop_privileges(options);
	if (status != 0)
		return status;
	run->announcement = announcement;
	return run_go(run);
}

int weir_capture(int argc, char **argv)
{
	struct run_options options;
	struct run run;
	int status = run_options_parse(RUN_CAPTURE, argc, argv, &options);

	if (status != 0)
		return status;
	if (options.help) {
		run_options_help(RUN_CAPTURE);
		return 0;
	}
	if (options.backend != NULL && !backend_known(options.backend))
		return cli_usage("no backend '%s' (weir capture --help lists them)", options.backend);
	if (options.list_interfaces) {
		struct error error = { 0 };

		if (options.netns != NULL && netns_enter(options.netns, &error) < 0)
			return cli_fail(&error);
		return cli_list_interfaces();
	}
	status = run_create(&options, &run);
	if (status != 0)
		return status;
	status = capture(&run, &options);
	run_close(&run);
	return status;
}
