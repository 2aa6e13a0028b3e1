#include "tools/backend_options.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

static int bad_value(const char *option, const char *value, const char *expected)
{
	return cli_usage("bad value '%s' for %s (%s)", value, option, expected);
}

static int take_number(const char *option, const char *value, uint32_t least, uint32_t most,
		       const char *expected, uint32_t *number)
{
	char *end;
	unsigned long long parsed = strtoull(value, &end, 10);

	if (end == value || *end != '\0' || value[0] == '-' || parsed < least || parsed > most)
		return bad_value(option, value, expected);
	*number = (uint32_t)parsed;
	return 0;
}

static int take_mode(const char *value, enum afxdp_mode *mode)
{
	static const char *const names[] = { "auto", "zerocopy", "native", "generic" };

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(value, names[i]) == 0) {
			*mode = (enum afxdp_mode)i;
			return 0;
		}
	}
	return bad_value("--xdp-mode", value, "auto, zerocopy, native or generic");
}

static bool add_queue(struct backend_options *options, unsigned long queue)
{
	struct afxdp_options *afxdp = &options->afxdp;

	for (unsigned i = 0; i < afxdp->queue_count; i++) {
		if (options->queues[i] == queue)
			return true;
	}
	if (queue >= AFXDP_QUEUES_MOST)
		return false;
	options->queues[afxdp->queue_count++] = (uint16_t)queue;
	return true;
}

/* "0,2-3" */
static int take_queues(const char *value, struct backend_options *options)
{
	const char *at = value;

	for (;;) {
		char *rest;
		unsigned long first = strtoul(at, &rest, 10), last = first;

		if (rest == at || *at == '-')
			break;
		if (*rest == '-') {
			at = rest + 1;
			last = strtoul(at, &rest, 10);
			if (rest == at || last < first)
				break;
		}
		for (; first <= last; first++) {
			if (!add_queue(options, first))
				return bad_value("--queues", value, "0 to 255");
		}
		if (*rest == '\0')
			return 0;
		if (*rest != ',')
			break;
		at = rest + 1;
	}
	return bad_value("--queues", value, "a list such as 0,2-3");
}

int backend_options_take(int option, const char *value, struct backend_options *options)
{
	struct afxdp_options *afxdp = &options->afxdp;
	uint32_t number = 0;
	int result;

	switch (option) {
	case BACKEND_BATCH:
		result = take_number("--batch", value, 1, SOURCE_BURST, "1 to 64", &number);
		options->rawsocket.batch = number;
		return result;
	case BACKEND_XDP_MODE:
		return take_mode(value, &afxdp->mode);
	case BACKEND_QUEUES:
		return take_queues(value, options);
	case BACKEND_CHUNK_SIZE:
		return take_number("--chunk-size", value, 2048, 4096, "2048 to 4096", &afxdp->chunk_size);
	case BACKEND_UNALIGNED:
		afxdp->unaligned = true;
		return 0;
	case BACKEND_BUSY_POLL:
		return take_number("--busy-poll", value, 1, 1000, "1 to 1000 microseconds", &afxdp->busy_poll_us);
	default:
		afxdp->steal = true;
		return 0;
	}
}
