#include "engine/sinks/row_sink.h"

int row_sink_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		  struct row_sink **rows, struct error *error)
{
	return row_file_open(target, kind, options, rows, error);
}
