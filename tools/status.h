/* The live line on a terminal: rate, losses and ring use while capturing, a bar while reading files. */
#ifndef WEIR_TOOLS_STATUS_H
#define WEIR_TOOLS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/source.h"

#define STATUS_PERIOD_MS 250

struct status {
	bool active;       /* stderr is a terminal and nothing else writes to it */
	bool shown;
	uint64_t at_ns;    /* of the last update */
	uint64_t records;
	uint64_t wire_bytes;
};

/* wanted: false when text goes to the same terminal. */
void status_init(struct status *status, bool wanted);

bool status_active(const struct status *status);

/* Draws the line anew when its period is over. */
void status_update(struct status *status, struct engine *engine, struct source *const *sources, unsigned count);

/* Wipes the line, so that something else can be printed. */
void status_clear(struct status *status);

#endif
