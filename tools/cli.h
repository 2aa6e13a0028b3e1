/* What every subcommand shares at its edge with a person: errors as one line, and numbers with units.
 * Only tools/ prints. */
#ifndef WEIR_TOOLS_CLI_H
#define WEIR_TOOLS_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* Prints "weir: MESSAGE (HINT)" to stderr and returns EXIT_FAILED. */
int cli_fail(const struct error *error);

/* Prints "weir: " and the printf-like text to stderr; returns EXIT_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints "weir: " and the printf-like text to stderr: something that a person should know, not an error. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A byte count with an optional suffix K, M, G, T (powers of 1024) or KiB, MiB, ...; false when the
 * text is none, negative or beyond 64 bits. */
bool cli_parse_size(const char *text, uint64_t *bytes);

/* A decimal number within min..max; false otherwise. */
bool cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* A time span: seconds (fractions allowed) with an optional suffix ns, us, ms, s, m, h; in nanoseconds. */
bool cli_parse_duration(const char *text, uint64_t *nanoseconds);

#endif
