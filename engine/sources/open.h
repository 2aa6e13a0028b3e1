/* A file of any kind that weir reads as a source: told apart by its first bytes, never by its name. */
#ifndef WEIR_ENGINE_SOURCES_OPEN_H
#define WEIR_ENGINE_SOURCES_OPEN_H

#include <stddef.h>

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "engine/sources/savefile.h"

/* Opens path ("-": standard input) as savefile_open or recordfile_open_input does; their errors. */
int source_open_file(const char *path, const struct savefile_options *options,
		     struct interface_table *interfaces, struct source **source, struct error *error);

/* As source_open_file, over bytes in memory, which are copied. name: for messages. */
int source_open_bytes(const void *bytes, size_t length, const char *name,
		      const struct savefile_options *options, struct interface_table *interfaces,
		      struct source **source, struct error *error);

#endif
