/* Text for people: what the formats share. One format is one function that turns a record into a line
 * (or a few, or none); text.c is the sink around it, text_line.c the default, text_sniffers.c the others.
 */
#ifndef WEIR_ENGINE_SINKS_TEXT_H
#define WEIR_ENGINE_SINKS_TEXT_H

#include "engine/format.h"
#include "engine/schema.h"
#include "engine/sink.h"

/* The local time of the last second that was asked for: few packets in a row are of different seconds. */
struct text_clock {
	int64_t second;
	char date[10]; /* "2017-11-14" */
	char time[8];  /* "16:10:47" */
};

struct text_state {
	struct text_clock clock;
	const struct interface_table *interfaces;
	bool colour;
	bool many_interfaces; /* as of this batch */
};

struct text_format {
	const char *name;
	enum sink_needs needs;
	uint32_t bytes_needed;
	/* Writes at p, at most LINES_ROOM bytes, and returns the end; p when the format does not print this record.
	 * A format that needs bytes is not called without. */
	char *(*put)(struct text_state *state, char *p, const struct record *record);
};

/* Ends with a NULL name. */
extern const struct text_format text_formats[];

/* The default: one line for every packet. */
char *text_line(struct text_state *state, char *p, const struct record *record);

/* Formats that people know from hand-written sniffers. */
char *text_addresses(struct text_state *state, char *p, const struct record *record);
char *text_connection(struct text_state *state, char *p, const struct record *record);
char *text_ip(struct text_state *state, char *p, const struct record *record);
char *text_tcp(struct text_state *state, char *p, const struct record *record);
char *text_arp(struct text_state *state, char *p, const struct record *record);
char *text_brief(struct text_state *state, char *p, const struct record *record);

/* Makes the clock show the second of that time. */
void text_clock_turn(struct text_clock *clock, int64_t second);

static inline const struct text_clock *text_clock_at(struct text_clock *clock, uint64_t timestamp_ns)
{
	int64_t second = (int64_t)(timestamp_ns / 1000000000);

	if (__builtin_expect(second != clock->second, 0))
		text_clock_turn(clock, second);
	return clock;
}

/* An address of the record, without its port. */
static inline char *text_address(char *p, const struct record *record, const uint8_t *address)
{
	return record->layers & LAYER_IPV6 ? format_ipv6(p, address) : format_ipv4(p, address + 12);
}

#endif
