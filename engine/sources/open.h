/* Files as sources, by what they are: capture files and record files. */
#ifndef WEIR_ENGINE_SOURCES_OPEN_H
#define WEIR_ENGINE_SOURCES_OPEN_H

#include "engine/sources/savefile.h"

/* Opens path ("-": standard input) as what its first bytes say. Arguments and errors as savefile_open. */
int source_open_file(const char *path, const struct savefile_options *options, struct interface_table *interfaces,
		     struct source **source, struct error *error);

#endif
