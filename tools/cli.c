#include "tools/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int cli_fail(const struct error *error)
{
	if (error->hint[0] != '\0')
		fprintf(stderr, "weir: %s (%s)\n", error->message, error->hint);
	else
		fprintf(stderr, "weir: %s\n", error->message);
	return EXIT_FAILED;
}

static void print_line(const char *format, va_list arguments)
{
	fputs("weir: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

int cli_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(format, arguments);
	va_end(arguments);
	return EXIT_USAGE;
}

void cli_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(format, arguments);
	va_end(arguments);
}

bool cli_parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	char *rest;
	unsigned long long value;
	unsigned shift = 0;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &rest, 10);
	if (errno != 0)
		return false;
	if (*rest != '\0') {
		char letter = *rest >= 'a' ? (char)(*rest - 'a' + 'A') : *rest;

		suffix = strchr(suffixes, letter);
		if (suffix == NULL || *suffix == '\0')
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
		rest++;
		if (strcasecmp(rest, "iB") != 0 && strcasecmp(rest, "B") != 0 && *rest != '\0')
			return false;
	}
	if (shift > 0 && value >> (64 - shift) != 0)
		return false;
	*bytes = value << shift;
	return true;
}

bool cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *rest;
	unsigned long long parsed;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	parsed = strtoull(text, &rest, 10);
	if (errno != 0 || *rest != '\0' || parsed < min || parsed > max)
		return false;
	*value = parsed;
	return true;
}

bool cli_parse_duration(const char *text, uint64_t *nanoseconds)
{
	static const struct {
		const char *suffix;
		double factor;
	} units[] = {
		{ "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 }, { "m", 60e9 }, { "h", 3600e9 },
	};
	char *rest;
	double value;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return false;
	value = strtod(text, &rest);
	if (rest == text || !isfinite(value) || value < 0)
		return false;
	for (size_t unit = 0; unit < sizeof units / sizeof units[0]; unit++) {
		if (strcmp(rest, units[unit].suffix) != 0)
			continue;
		if (value * units[unit].factor > 9e18)
			return false;
		*nanoseconds = (uint64_t)llround(value * units[unit].factor);
		return true;
	}
	return false;
}
