/* The table of sinks, and what opens each: one file per format.
 *
 * To add one: its file here, its opener below, its line in sink_open.c (CONTRIBUTING.md, 'add a sink').
 */
#ifndef WEIR_ENGINE_SINKS_SINKS_H
#define WEIR_ENGINE_SINKS_SINKS_H

#include "engine/sink.h"

/* Opens a sink on target: what follows the prefix, or the whole argument when the extension decided. */
typedef int sink_opener(const char *target, const struct sink_options *options, struct sink **sink,
			struct error *error);

struct sink_kind {
	const char *prefix;    /* "ndjson:", "kafka://"; NULL: by extension only */
	const char *extension; /* ".ndjson"; NULL: by prefix only */
	sink_opener *open;
};

/* Ends with an entry that is all NULL. */
extern const struct sink_kind sink_kinds[];

sink_opener text_open, ndjson_open, csv_open, pcapng_open, pcap_open, records_open, null_open;

/* The record's NDJSON line, with its end, at p where LINES_ROOM bytes are; returns its end. */
char *ndjson_line(char *p, const struct record *record);

#endif
