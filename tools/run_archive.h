/* --seal and --manifest: what a run does with its files once they are closed (engine/seal/archive.h does it). */
#ifndef WEIR_TOOLS_RUN_ARCHIVE_H
#define WEIR_TOOLS_RUN_ARCHIVE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/ledger.h"
#include "engine/seal/archive.h"
#include "tools/run_options.h"

struct run_archive {
	struct seal_key *key;
	struct manifest *manifest;
	struct archive *archive; /* NULL: neither was asked for */
};

/* Reads the key and opens the manifest, before privileges are dropped. 0 or EXIT_FAILED after saying why. */
int run_archive_open(const struct run_options *options, struct run_archive *archive);

/* Hands over every output file that the run has finished. 0 or EXIT_FAILED. */
int run_archive_submit(struct run_archive *archive, const struct ledger *ledger);

/* Waits until all is sealed and recorded, wipes the key. 0 or EXIT_FAILED after saying what failed. Safe when
 * nothing was opened. */
int run_archive_close(struct run_archive *archive);

/* The file behind a -w argument ("x.pcapng", "csv:x"); NULL: standard output, a network, no file. */
const char *run_output_file(const char *spec);

#endif
