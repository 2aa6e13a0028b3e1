/* Opens a made file as a source and collects what comes out, checking the source's contract on the way:
 * span ids in range, one end for each span, readable bytes, -ENODATA for ever. */
#ifndef WEIR_TESTS_UNIT_SAVEFILE_READING_H
#define WEIR_TESTS_UNIT_SAVEFILE_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "engine/sources/open.h"

struct got {
	struct frame frame; /* data points to a copy */
	uint8_t first[192]; /* of the packet's bytes */
};

struct reading {
	struct interface_table *table;
	struct source *source;
	struct error error;   /* of opening */
	struct error warning; /* at the end */
	int opened;           /* what open returned */
	int last;             /* what rx_burst returned at the end */
	struct got *got;
	size_t count;
	size_t spans; /* ends of spans */
};

/* How the bytes reach the source. */
enum how { FROM_MEMORY, FROM_FILE, FROM_PIPE, FROM_FILE_TINY_SPANS, FROM_PIPE_DRIBBLED, HOW_COUNT };

/* Opens and reads to the end, spans released `late` bursts after they ended. */
void reading_run(struct reading *reading, const void *bytes, size_t length, enum how how, unsigned late,
		 const char *filter);
void reading_free(struct reading *reading);

/* Reads from memory, everything released at once, without filter. */
void read_from_memory(struct reading *reading, const void *bytes, size_t length);

/* Reads in every way, spans released at once and late: the packets must be the same every time. */
void read_every_way(const void *bytes, size_t length);

/* The table's entry for a packet that was read. */
const struct interface *interface_of(const struct reading *reading, size_t packet);

#endif
