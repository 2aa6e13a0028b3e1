#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/sinks/arrow.h"
#include "engine/sinks/flows.h"
#include "engine/sinks/netsink.h"
#include "engine/sinks/sinks.h"
#include "engine/sinks/streams.h"

const struct sink_kind sink_kinds[] = {
	{ "text:", ".txt", text_open },
	{ "ndjson:", ".ndjson", ndjson_open },
	{ "csv:", ".csv", csv_open },
	{ "pcapng:", ".pcapng", pcapng_open },
	{ "pcap:", ".pcap", pcap_open },
	{ "records:", ".weir", records_open },
	{ "streams:", NULL, streams_open },
	{ "clickhouse://", NULL, clickhouse_open },
	{ "kafka://", NULL, kafka_open },
	{ "ipfix://", NULL, flows_ipfix_open },
	{ "tcp://", NULL, tcp_open },
	{ "unix:", NULL, unix_open },
	{ "flows:", NULL, flows_open },
	{ "arrow:", ".arrow", arrow_open },
	{ "arrows:", ".arrows", arrows_open },
	{ "arrow+text:", NULL, arrow_text_open },
	{ "arrows+text:", NULL, arrows_text_open },
	{ "null:", NULL, null_open },
	{ NULL, NULL, NULL },
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && strcasecmp(text + length - end_length, end) == 0;
}

/* The kind that spec names, and in *target what is left of it. A prefix goes before an extension. */
static const struct sink_kind *find_kind(const char *spec, const char **target)
{
	for (const struct sink_kind *kind = sink_kinds; kind->open != NULL; kind++) {
		if (kind->prefix != NULL && strncmp(spec, kind->prefix, strlen(kind->prefix)) == 0) {
			*target = spec + strlen(kind->prefix);
			return kind;
		}
	}
	*target = spec;
	for (const struct sink_kind *kind = sink_kinds; kind->open != NULL; kind++) {
		if (kind->extension != NULL && strstr(spec, "://") == NULL && ends_with(spec, kind->extension))
			return kind;
	}
	return NULL;
}

static int unknown(const char *spec, struct error *error)
{
	char known[sizeof error->hint] = "";
	size_t length = 0;

	for (const struct sink_kind *kind = sink_kinds; kind->open != NULL && length < sizeof known; kind++) {
		if (kind->extension != NULL)
			length += (size_t)snprintf(known + length, sizeof known - length, " %s", kind->extension);
	}
	for (const struct sink_kind *kind = sink_kinds; kind->open != NULL && length < sizeof known; kind++) {
		if (kind->prefix != NULL)
			length += (size_t)snprintf(known + length, sizeof known - length, " %s", kind->prefix);
	}
	error_set(error, -EINVAL, "cannot tell the format of '%s'", spec);
	return error_hint(error, "known are%s", known);
}

/* As the user named it, but for the password of scheme://user:password@host: ledgers are shown around. */
static void label_copy(char *label, size_t size, const char *spec)
{
	const char *start = strstr(spec, "://"), *colon, *at;

	start = start != NULL ? start + 3 : spec + strlen(spec);
	at = start + strcspn(start, "/?");
	while (at > start && *at != '@')
		at--;
	colon = memchr(start, ':', (size_t)(at - start));
	if (colon == NULL)
		colon = at;
	snprintf(label, size, "%.*s%s", (int)(colon - spec), spec, at);
}

int sink_open(const char *spec, const struct sink_options *options, struct sink **sink, struct error *error)
{
	const struct sink_kind *kind;
	const char *target;
	int code;

	*sink = NULL;
	kind = find_kind(strcmp(spec, "-") == 0 ? "text:-" : spec, &target);
	if (kind == NULL)
		return unknown(spec, error);
	if (*target == '\0' && kind->open != null_open) {
		error_set(error, -EINVAL, "'%s' names no output", spec);
		return error_hint(error, "%s- is standard output", kind->prefix);
	}
	code = kind->open(target, options, sink, error);
	if (code == 0)
		label_copy((*sink)->label, sizeof (*sink)->label, spec);
	return code;
}
