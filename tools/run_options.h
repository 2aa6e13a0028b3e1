/* The options that `weir capture` and `weir read` share, parsed once into one struct. */
#ifndef WEIR_TOOLS_RUN_OPTIONS_H
#define WEIR_TOOLS_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/decode.h"
#include "engine/seal/crypto.h"
#include "engine/source.h"
#include "tools/backend_options.h"

#define RUN_INTERFACES 64
#define RUN_OUTPUTS 16
#define RUN_PINS 256

enum run_command {
	RUN_CAPTURE = 1,
	RUN_READ = 2,
};

enum run_colour {
	COLOUR_AUTO = 0,
	COLOUR_ALWAYS,
	COLOUR_NEVER,
};

/* Zero is every option's default but where run_options_parse sets one. Strings point into argv. */
struct run_options {
	const char *interfaces[RUN_INTERFACES];
	unsigned interface_count;
	const char *outputs[RUN_OUTPUTS];
	unsigned output_count;
	const char *const *arguments; /* what is left behind the options: files, filter */
	unsigned argument_count;
	const char *format;
	const char *filter_file;
	const char *filter_text;
	const char *netns;
	const char *backend;
	struct backend_options backend_options;
	const char *stats_json;
	const char *stream_payload;
	const char *spool_dir;
	const char *user;
	const char *seal_key;    /* --seal: a key file */
	const char *manifest;
	enum crypto_provider crypto;
	uint64_t packet_limit;
	uint64_t duration_ns;
	uint64_t stats_period_ns;
	uint32_t headers_only;   /* bytes, 0: automatic */
	bool snap_given;
	bool count_only;
	bool list_interfaces;
	bool flush_each;
	bool unordered;
	bool wait_when_full;
	bool verbose;
	bool help;
	enum run_colour colour;
	unsigned workers;        /* per interface */
	int pins[RUN_PINS];
	unsigned pin_count;
	bool no_pin;
	struct source_options source;
	struct decode_options decode;
};

/* Parses argv (argv[0]: the command's name). Returns 0, or EXIT_USAGE after saying what is wrong. */
int run_options_parse(enum run_command command, int argc, char **argv, struct run_options *options);

/* The help text of a command, made from the option table. */
void run_options_help(enum run_command command);

/* The filter's text: -F's file, --filter, or the given arguments joined by spaces. *text is to be freed; NULL:
 * no filter. 0, or EXIT_FAILED after saying why. */
int run_options_filter(const struct run_options *options, const char *const *words, unsigned count, char **text);

#endif
