/* The options that belong to one backend of --backend: rawsocket's, AF_XDP's. */
#ifndef WEIR_TOOLS_BACKEND_OPTIONS_H
#define WEIR_TOOLS_BACKEND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/sources/afxdp.h"
#include "engine/sources/rawsocket.h"

/* Values of getopt, apart from run_options' own. */
enum backend_option {
	BACKEND_OPTION_FIRST = 512,
	BACKEND_BATCH = BACKEND_OPTION_FIRST,
	BACKEND_XDP_MODE,
	BACKEND_QUEUES,
	BACKEND_CHUNK_SIZE,
	BACKEND_UNALIGNED,
	BACKEND_BUSY_POLL,
	BACKEND_STEAL,
};

struct backend_options {
	struct rawsocket_options rawsocket;
	struct afxdp_options afxdp; /* queues is NULL: see below */
	uint16_t queues[AFXDP_QUEUES_MOST];
};

/* Takes one option. 0, or EXIT_USAGE after saying what is wrong. */
int backend_options_take(int option, const char *value, struct backend_options *options);

#endif
