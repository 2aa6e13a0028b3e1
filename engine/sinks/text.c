#include "engine/sinks/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/sinks/lines.h"
#include "engine/sinks/sinks.h"
#include "engine/sinks/streams.h"

const struct text_format text_formats[] = {
	{ "addresses", SINK_NEEDS_RECORD, 0, text_addresses },
	{ "line", SINK_NEEDS_RECORD, 0, text_connection },
	{ "ip", SINK_NEEDS_RECORD, 0, text_ip },
	/* The headers, the tunnels around them, and 50 bytes of payload. */
	{ "tcp", SINK_NEEDS_BYTES, 1024, text_tcp },
	{ "arp", SINK_NEEDS_BYTES, 256, text_arp },
	{ "brief", SINK_NEEDS_RECORD, 0, text_brief },
	{ NULL, SINK_NEEDS_RECORD, 0, NULL },
};

static const struct text_format default_format = { "text", SINK_NEEDS_RECORD, 0, text_line };

struct text_sink {
	struct file_sink file;
	const struct text_format *format;
	struct text_state state;
};

void text_clock_turn(struct text_clock *clock, int64_t second)
{
	time_t time = (time_t)second;
	struct tm local;
	char *p = clock->date;

	if (localtime_r(&time, &local) == NULL)
		memset(&local, 0, sizeof local);
	p = format_fixed(p, (uint32_t)(local.tm_year + 1900), 4);
	*p++ = '-';
	p = format_two(p, (unsigned)local.tm_mon + 1);
	*p++ = '-';
	format_two(p, (unsigned)local.tm_mday);
	p = format_two(clock->time, (unsigned)local.tm_hour);
	*p++ = ':';
	p = format_two(p, (unsigned)local.tm_min);
	*p++ = ':';
	format_two(p, (unsigned)local.tm_sec);
	clock->second = second;
}

static char *put_line(void *context, char *p, const struct record *record)
{
	return text_line(context, p, record);
}

static char *put_format(void *context, char *p, const struct record *record)
{
	struct text_sink *text = context;

	if (text->format->needs != SINK_NEEDS_RECORD && sink_packet(record) == NULL) {
		error_set(&text->file.sink.error, -ENODATA,
			  "format %s prints the packets' bytes, and these records come without", text->format->name);
		error_hint(&text->file.sink.error, "read the capture that they were made from, or choose another --format");
		return NULL;
	}
	return text->format->put(&text->state, p, record);
}

static int text_write(struct sink *sink, const struct batch *batch)
{
	struct text_sink *text = (struct text_sink *)sink;

	text->state.interfaces = batch->interfaces;
	text->state.many_interfaces = batch->interfaces != NULL && interface_table_count(batch->interfaces) > 1;
	if (text->format == &default_format)
		return lines_write(&text->file, batch, put_line, &text->state);
	return lines_write(&text->file, batch, put_format, text);
}

static const struct sink_ops text_ops = {
	.name = "text",
	.write = text_write,
	.flush = file_sink_flush,
	.tick = file_sink_tick,
	.finish = file_sink_finish,
	.close = file_sink_close,
};

static const struct text_format *find_format(const char *name)
{
	for (const struct text_format *format = text_formats; format->name != NULL; format++) {
		if (strcmp(format->name, name) == 0)
			return format;
	}
	return NULL;
}

/* Names of --format that are sinks of their own. */
static const struct {
	const char *name;
	sink_opener *open;
} other_formats[] = {
	{ "ndjson", ndjson_open },
	{ "csv", csv_open },
	{ "streams", streams_open },
};

#define OTHER_FORMATS (sizeof other_formats / sizeof *other_formats)

static int unknown_format(const char *name, struct error *error)
{
	char known[sizeof error->hint] = "text";
	size_t length = strlen(known);

	for (const struct text_format *format = text_formats; format->name != NULL; format++)
		length += (size_t)snprintf(known + length, sizeof known - length, ", %s", format->name);
	for (size_t i = 0; i < OTHER_FORMATS; i++)
		length += (size_t)snprintf(known + length, sizeof known - length, ", %s", other_formats[i].name);
	error_set(error, -EINVAL, "no format '%s'", name);
	return error_hint(error, "known are %s", known);
}

int text_open(const char *target, const struct sink_options *options, struct sink **sink, struct error *error)
{
	const struct text_format *format = &default_format;
	struct text_sink *text;
	struct file_sink *file;
	int code;

	*sink = NULL;
	for (size_t i = 0; options->format != NULL && i < OTHER_FORMATS; i++) {
		if (strcmp(options->format, other_formats[i].name) == 0)
			return other_formats[i].open(target, options, sink, error);
	}
	if (options->format != NULL && strcmp(options->format, default_format.name) != 0)
		format = find_format(options->format);
	if (format == NULL)
		return unknown_format(options->format, error);
	code = file_sink_open(sizeof *text, &text_ops, target, options, &file, error);
	if (code < 0)
		return code;
	text = (struct text_sink *)file;
	text->format = format;
	text->state.colour = options->colour;
	text_clock_turn(&text->state.clock, 0);
	file->sink.needs = format->needs;
	file->sink.bytes_needed = format->bytes_needed;
	*sink = &file->sink;
	return 0;
}
