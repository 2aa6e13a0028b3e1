#include "tools/backends.h"

#include <errno.h>
#include <string.h>

#include "engine/sources/afpacket.h"

static int open_afpacket(const struct run_options *options, const struct source_options *source_options,
			 const char *interface_name, struct interface_table *table, struct source **sources,
			 unsigned max, unsigned *count, struct source_report *report, struct error *error)
{
	int result;

	if (options->workers > max)
		return error_set(error, -E2BIG, "more than %u workers", max);
	result = afpacket_open(interface_name, options->workers, source_options, table, sources, report, error);
	*count = result == 0 ? options->workers : 0;
	return result;
}

static const struct {
	const char *name;
	int (*open)(const struct run_options *options, const struct source_options *source_options,
		    const char *interface_name, struct interface_table *table, struct source **sources, unsigned max,
		    unsigned *count, struct source_report *report, struct error *error);
} backends[] = {
	{ "auto", open_afpacket },
	{ "afpacket", open_afpacket },
};

int backend_open(const struct run_options *options, const struct source_options *source_options,
		 const char *interface_name, struct interface_table *table, struct source **sources, unsigned max,
		 unsigned *count, struct source_report *report, struct error *error)
{
	const char *name = options->backend != NULL ? options->backend : "auto";

	for (unsigned i = 0; i < sizeof backends / sizeof backends[0]; i++) {
		if (strcmp(backends[i].name, name) == 0)
			return backends[i].open(options, source_options, interface_name, table, sources, max, count,
						report, error);
	}
	error_set(error, -EINVAL, "no backend '%s'", name);
	return error_hint(error, "weir capture --help lists them");
}
