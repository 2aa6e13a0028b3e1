#include "engine/sources/open.h"

int source_open_file(const char *path, const struct savefile_options *options, struct interface_table *interfaces,
		     struct source **source, struct error *error)
{
	return savefile_open(path, options, interfaces, source, error);
}
