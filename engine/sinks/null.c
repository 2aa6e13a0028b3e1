/* The counting sink: reads every record and keeps two sums, so that a bench measures the way to a sink
 * and not a disk. "null:packet" asks for the packet bytes too, and reads the first and the last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sinks/sinks.h"

struct null_sink {
	struct sink sink;
	uint64_t packets;
	uint64_t wire_bytes;
	uint64_t sum; /* of the bytes that were looked at */
};

static int null_write(struct sink *sink, const struct batch *batch)
{
	struct null_sink *null = (struct null_sink *)sink;
	bool packet_wanted = sink->needs != SINK_NEEDS_RECORD;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct record *record = batch->records[i];
		const uint8_t *packet = packet_wanted ? sink_packet(record) : NULL;

		null->wire_bytes += record->wire_length;
		if (packet != NULL && record->captured_length > 0)
			null->sum += packet[0] + packet[record->captured_length - 1];
	}
	null->packets += batch->count;
	return 0;
}

static int null_finish(struct sink *sink, const struct ledger *ledger)
{
	struct null_sink *null = (struct null_sink *)sink;

	source_stats_add(sink->events, &sink->event_count, "packets", null->packets);
	source_stats_add(sink->events, &sink->event_count, "wire_bytes", null->wire_bytes);
	if (sink->needs != SINK_NEEDS_RECORD)
		source_stats_add(sink->events, &sink->event_count, "end_bytes_sum", null->sum);
	return 0;
}

static void null_close(struct sink *sink)
{
	free(sink);
}

static const struct sink_ops null_ops = {
	.name = "null",
	.write = null_write,
	.finish = null_finish,
	.close = null_close,
};

int null_open(const char *target, const struct sink_options *options, struct sink **sink, struct error *error)
{
	struct null_sink *null;
	bool packet = strcmp(target, "packet") == 0;

	*sink = NULL;
	if (*target != '\0' && !packet) {
		error_set(error, -EINVAL, "null: takes nothing but 'packet', not '%s'", target);
		return error_hint(error, "null: counts records, null:packet also reads their packets");
	}
	null = calloc(1, sizeof *null);
	if (null == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open null:");
	null->sink.ops = &null_ops;
	null->sink.needs = packet ? SINK_NEEDS_PACKET : SINK_NEEDS_RECORD;
	*sink = &null->sink;
	return 0;
}
