#include "engine/seal/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at text (RFC 3629, section 4), or 0. */
static size_t utf8_length(const uint8_t *text)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t more;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		more = 1;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		more = 2;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		more = 3;
	else
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i <= more; i++) { /* a 0 that ends the text fails the test and ends the loop */
		if (text[i] < low || text[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return more + 1;
}

static char *format_name(char *out, const char *name)
{
	const uint8_t *next = (const uint8_t *)name;

	while (*next != '\0') {
		size_t length = utf8_length(next);

		if (length == 0) {
			out += sprintf(out, "\\udc%02x", *next++);
		} else if (*next < 0x20 || *next == '"' || *next == '\\' || *next == 0x7f) {
			out += sprintf(out, "\\u%04x", *next++);
		} else {
			memcpy(out, next, length);
			out += length;
			next += length;
		}
	}
	return out;
}

static char *format_hex(char *out, const uint8_t *bytes)
{
	for (size_t i = 0; i < MANIFEST_HASH; i++)
		out += sprintf(out, "%02x", bytes[i]);
	return out;
}

size_t manifest_line_format(char *line, const struct manifest_entry *entry)
{
	char *out = line;

	out += sprintf(out, "{\"name\":\"");
	out = format_name(out, entry->name);
	out += sprintf(out, "\",\"size\":%" PRIu64 ",\"packets\":%" PRIu64, entry->size, entry->packets);
	if (entry->packets == 0)
		out += sprintf(out, ",\"first_timestamp_ns\":null,\"last_timestamp_ns\":null");
	else
		out += sprintf(out, ",\"first_timestamp_ns\":%" PRIu64 ",\"last_timestamp_ns\":%" PRIu64,
			entry->first_ns, entry->last_ns);
	out += sprintf(out, ",\"sha256\":\"");
	out = format_hex(out, entry->sha256);
	out += sprintf(out, "\",\"previous\":\"");
	out = format_hex(out, entry->previous);
	out += sprintf(out, "\"}");
	return (size_t)(out - line);
}

/* What is left of the line; every take_ moves it on, or fails. */
struct rest {
	const char *next, *end;
};

static bool take_text(struct rest *rest, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(rest->end - rest->next) < length || memcmp(rest->next, text, length) != 0)
		return false;
	rest->next += length;
	return true;
}

static bool take_number(struct rest *rest, uint64_t *value)
{
	const char *start = rest->next;

	*value = 0;
	while (rest->next < rest->end && *rest->next >= '0' && *rest->next <= '9') {
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*rest->next - '0'), value))
			return false;
		rest->next++;
	}
	return rest->next > start && (*start != '0' || rest->next == start + 1);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct rest *rest, uint8_t *bytes, size_t count)
{
	if ((size_t)(rest->end - rest->next) < 2 * count)
		return false;
	for (size_t i = 0; i < count; i++) {
		int high = hex_value(rest->next[2 * i]), low = hex_value(rest->next[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	rest->next += 2 * count;
	return true;
}

/* Up to the closing quote, which stays. */
static bool take_name(struct rest *rest, char *name, size_t size)
{
	size_t length = 0;

	while (rest->next < rest->end && *rest->next != '"') {
		uint8_t bytes[2] = { 0, (uint8_t)*rest->next };

		if (bytes[1] < 0x20)
			return false;
		if (bytes[1] == '\\') {
			if (!take_text(rest, "\\u") || !take_hex(rest, bytes, 2) || (bytes[0] != 0 && bytes[0] != 0xdc) ||
			    bytes[1] == 0)
				return false;
		} else {
			rest->next++;
		}
		if (length + 1 >= size)
			return false;
		name[length++] = (char)bytes[1];
	}
	name[length] = '\0';
	return length > 0;
}

static bool take_times(struct rest *rest, struct manifest_entry *entry)
{
	if (entry->packets == 0) {
		entry->first_ns = entry->last_ns = 0;
		return take_text(rest, ",\"first_timestamp_ns\":null,\"last_timestamp_ns\":null");
	}
	return take_text(rest, ",\"first_timestamp_ns\":") && take_number(rest, &entry->first_ns) &&
		take_text(rest, ",\"last_timestamp_ns\":") && take_number(rest, &entry->last_ns);
}

bool manifest_line_parse(const char *line, size_t length, struct manifest_entry *entry)
{
	struct rest rest = { .next = line, .end = line + length };

	return take_text(&rest, "{\"name\":\"") && take_name(&rest, entry->name, sizeof entry->name) &&
		take_text(&rest, "\",\"size\":") && take_number(&rest, &entry->size) &&
		take_text(&rest, ",\"packets\":") && take_number(&rest, &entry->packets) &&
		take_times(&rest, entry) &&
		take_text(&rest, ",\"sha256\":\"") && take_hex(&rest, entry->sha256, MANIFEST_HASH) &&
		take_text(&rest, "\",\"previous\":\"") && take_hex(&rest, entry->previous, MANIFEST_HASH) &&
		take_text(&rest, "\"}") && rest.next == rest.end;
}
