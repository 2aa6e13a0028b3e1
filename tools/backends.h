/* --backend: by name to the engine's sources. */
#ifndef WEIR_TOOLS_BACKENDS_H
#define WEIR_TOOLS_BACKENDS_H

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "tools/run_options.h"

/* Whether --backend may name it. */
bool backend_known(const char *name);

/* Opens one interface with the backend that the options name: at most max sources (one a worker), *count of them.
 * The backend is known. 0 or -errno. */
int backend_open(const struct run_options *options, const struct source_options *source_options,
		 const char *interface_name, struct interface_table *table, struct source **sources, unsigned max,
		 unsigned *count, struct source_report *report, struct error *error);

#endif
