#include "tools/backends.h"

#include <errno.h>
#include <string.h>

#include "engine/sources/afpacket.h"
#include "engine/sources/afxdp.h"
#include "engine/sources/rawsocket.h"
#include "engine/sources/xdprecords.h"

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

static int open_afxdp(const struct run_options *options, const struct source_options *source_options,
		      const char *interface_name, struct interface_table *table, struct source **sources,
		      unsigned max, unsigned *count, struct source_report *report, struct error *error)
{
	struct afxdp_options afxdp = options->backend_options.afxdp;
	struct source *opened[AFXDP_QUEUES_MOST];
	int result;

	afxdp.queues = afxdp.queue_count > 0 ? options->backend_options.queues : NULL;
	result = afxdp_open(interface_name, &afxdp, source_options, table, opened, count, report, error);
	if (result < 0)
		return result;
	if (*count > max) {
		for (unsigned i = 0; i < *count; i++)
			opened[i]->ops->close(opened[i]);
		*count = 0;
		return error_set(error, -E2BIG, "more than %u workers", max);
	}
	memcpy(sources, opened, *count * sizeof *sources);
	return 0;
}

static int open_rawsocket(const struct run_options *options, const struct source_options *source_options,
			  const char *interface_name, struct interface_table *table, struct source **sources,
			  unsigned max, unsigned *count, struct source_report *report, struct error *error)
{
	int result;

	if (options->workers > 1) {
		error_set(error, -EINVAL, "the rawsocket backend has one worker for each interface");
		return error_hint(error, "--backend afpacket can have more");
	}
	result = rawsocket_open(interface_name, &options->backend_options.rawsocket, source_options, table, sources,
				report, error);
	*count = result == 0;
	return result;
}

static int open_xdprecords(const struct run_options *options, const struct source_options *source_options,
			   const char *interface_name, struct interface_table *table, struct source **sources,
			   unsigned max, unsigned *count, struct source_report *report, struct error *error)
{
	const struct xdprecords_options records = {
		.mode = options->backend_options.afxdp.mode,
		.ports = options->decode.ports,
	};

	if (options->decode.verify_checksums) {
		error_set(error, -EINVAL, "xdp-records has no packet bytes to check");
		return error_hint(error, "--backend afpacket verifies checksums");
	}
	return xdprecords_open(interface_name, &records, source_options, table, sources, max, count, report, error);
}

static const struct {
	const char *name;
	int (*open)(const struct run_options *options, const struct source_options *source_options,
		    const char *interface_name, struct interface_table *table, struct source **sources, unsigned max,
		    unsigned *count, struct source_report *report, struct error *error);
} backends[] = {
	{ "auto", open_afpacket },
	{ "afpacket", open_afpacket },
	{ "afxdp", open_afxdp },
	{ "rawsocket", open_rawsocket },
	{ "xdp-records", open_xdprecords },
};

static int find_backend(const char *name)
{
	for (unsigned i = 0; i < sizeof backends / sizeof backends[0]; i++) {
		if (strcmp(backends[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

bool backend_known(const char *name)
{
	return find_backend(name) >= 0;
}

int backend_open(const struct run_options *options, const struct source_options *source_options,
		 const char *interface_name, struct interface_table *table, struct source **sources, unsigned max,
		 unsigned *count, struct source_report *report, struct error *error)
{
	int backend = find_backend(options->backend != NULL ? options->backend : "auto");

	return backends[backend].open(options, source_options, interface_name, table, sources, max, count, report,
				      error);
}
