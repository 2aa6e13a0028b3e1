#include "engine/sinks/row_sink.h"

#include <errno.h>

#include "engine/sinks/netsink.h"

int row_sink_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
		  struct row_sink **rows, struct error *error)
{
	int rc = netsink_open(target, kind, options, rows, error);

	return rc == -EPROTONOSUPPORT ? row_file_open(target, kind, options, rows, error) : rc;
}
