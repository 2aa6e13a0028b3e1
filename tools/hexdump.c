#include "tools/hexdump.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_WIDTH 16 /* bytes a line, where a text column follows */

struct line {
	const char *at;
	const char *end;
	unsigned number;
};

static bool next_line(const char **text, struct line *line)
{
	if (**text == '\0')
		return false;
	line->at = *text;
	line->end = *text + strcspn(*text, "\n");
	line->number++;
	*text = *line->end == '\n' ? line->end + 1 : line->end;
	while (line->at < line->end && isspace((unsigned char)*line->at))
		line->at++;
	return true;
}

static unsigned hex_run(const char *at, const char *end)
{
	unsigned run = 0;

	while (at + run < end && isxdigit((unsigned char)at[run]))
		run++;
	return run;
}

/* Whether the line begins with an offset: "0x0010:", "00000010:", or "0010" and "0000010" before
 * bytes in twos. Steps over it. *offset is its value as hex. */
static bool take_offset(struct line *line, unsigned long *offset)
{
	const char *digits = line->at;
	bool prefixed = line->end - digits > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	const char *behind;
	unsigned run, blanks = 0;

	if (prefixed)
		digits += 2;
	run = hex_run(digits, line->end);
	behind = digits + run;
	if (run < 3 || run > 8)
		return false;
	*offset = strtoul(digits, NULL, 16);
	if (behind < line->end && *behind == ':') {
		if (behind + 1 < line->end && !isspace((unsigned char)behind[1]))
			return false;
		line->at = behind + 1;
		return true;
	}
	while (behind + blanks < line->end && (behind[blanks] == ' ' || behind[blanks] == '\t'))
		blanks++;
	if (prefixed || blanks == 0)
		return false;
	if (blanks < 2 && hex_run(behind + blanks, line->end) != 2)
		return false;
	line->at = behind + blanks;
	return true;
}

static bool has_offsets(const char *text)
{
	struct line line = { 0 };
	unsigned long offset;

	while (next_line(&text, &line)) {
		if (take_offset(&line, &offset) && offset == 0)
			return true;
	}
	return false;
}

struct bytes {
	uint8_t *at;
	size_t length;
};

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* A line of a dump: bytes until something that is none, or a gap as before a text column. */
static void read_dump_line(struct line line, struct bytes *bytes)
{
	unsigned count = 0, gap = 0;

	while (line.at < line.end) {
		unsigned run;

		if (*line.at == ' ' || *line.at == '\t') {
			gap += *line.at == '\t' ? 3 : 1;
			line.at++;
			continue;
		}
		if ((gap > 2 && count > 0) || (gap == 2 && count >= DUMP_WIDTH))
			return;
		gap = 0;
		run = hex_run(line.at, line.end);
		if (run == 0 || run % 2 != 0 || (line.at + run < line.end && !isspace((unsigned char)line.at[run])))
			return;
		for (; run > 0; run -= 2, line.at += 2, count++)
			bytes->at[bytes->length++] = (uint8_t)(digit(line.at[0]) << 4 | digit(line.at[1]));
	}
}

/* Bare hex: digits, and what people put between them. */
static int read_bare(const char *text, struct bytes *bytes, struct error *error)
{
	bool half = false;
	uint8_t high = 0;

	for (const char *at = text; *at != '\0'; at++) {
		if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X') && !half) {
			at++;
			continue;
		}
		if (at[0] == '\\' && at[1] == 'x' && !half) {
			at++;
			continue;
		}
		if (isspace((unsigned char)*at) || strchr(":,-._;{}\"'", *at) != NULL)
			continue;
		if (!isxdigit((unsigned char)*at)) {
			error_set(error, -EINVAL, "'%c' at character %zu is no hex digit", *at, (size_t)(at - text) + 1);
			return error_hint(error, "the packet's bytes in hex, or - for a dump on standard input");
		}
		if (half)
			bytes->at[bytes->length++] = (uint8_t)(high << 4 | digit(*at));
		else
			high = digit(*at);
		half = !half;
	}
	if (half) {
		error_set(error, -EINVAL, "odd number of hex digits");
		return error_hint(error, "two for each byte; the last one has one");
	}
	return 0;
}

int hexdump_read(const char *text, uint8_t **bytes, size_t *length, int *more, struct error *error)
{
	struct bytes read = { malloc(strlen(text) / 2 + 1), 0 };
	struct line line = { 0 };
	unsigned long offset;
	int ret = 0;

	*more = 0;
	if (read.at == NULL)
		return error_set_errno(error, -ENOMEM, "cannot hold the packet");
	if (has_offsets(text)) {
		while (next_line(&text, &line)) {
			if (!take_offset(&line, &offset))
				continue;
			if (offset == 0 && read.length > 0) {
				*more = 1;
				break;
			}
			read_dump_line(line, &read);
		}
	} else {
		ret = read_bare(text, &read, error);
	}
	if (ret == 0 && read.length == 0) {
		error_set(error, -EINVAL, "no bytes");
		ret = error_hint(error, "the packet's bytes in hex, or - for a dump on standard input");
	}
	if (ret != 0) {
		free(read.at);
		return ret;
	}
	*bytes = read.at;
	*length = read.length;
	return 0;
}
