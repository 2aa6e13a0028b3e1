/* A run of the engine as a person sees it: outputs opened, signals, status line, ledger at the end.
 * What `weir capture` and `weir read` share; where the frames come from is theirs. */
#ifndef WEIR_TOOLS_RUN_H
#define WEIR_TOOLS_RUN_H

#include "engine/engine.h"
#include "engine/interface.h"
#include "engine/sink.h"
#include "engine/source.h"
#include "tools/run_archive.h"
#include "tools/run_options.h"

#define RUN_SOURCES 1024

struct run {
	const struct run_options *options;
	struct interface_table *interfaces;
	struct source *sources[RUN_SOURCES];
	unsigned source_count;
	struct sink *sinks[RUN_OUTPUTS + 1];
	struct sink_options sink_options[RUN_OUTPUTS + 1]; /* of each; they live as long as the sinks */
	_Atomic bool cancel;     /* stop waiting for space on a full disk */
	unsigned sink_count;
	struct run_archive archive;
	char *filter;            /* text, NULL: none */
	bool from_files;         /* nothing need ever be lost: network sinks wait for room */
	bool text_on_stdout;     /* some output writes text to stdout */
	bool silent_ledger;      /* no ledger on stderr unless something was lost */
	const char *announcement; /* printed when the rings are bound; NULL: nothing */
};

/* Prepares the run: the interface table, and signals that end it (blocked until run_go takes them). 0 or an exit
 * status. */
int run_create(const struct run_options *options, struct run *run);

/* Opens what -w and --format name (text on stdout without either). 0 or EXIT_FAILED, EXIT_USAGE. */
int run_open_sinks(struct run *run);

/* What the neediest sink needs. */
enum sink_needs run_needs(const struct run *run);

/* Runs to the end: until the sources end, -c, --duration or a signal. Returns the exit status. */
int run_go(struct run *run);

/* Closes what run_go did not take over; frees. */
void run_close(struct run *run);

#endif
