/* Records into a network's row sink: one sink for all of them. */
#include <errno.h>
#include <stdlib.h>

#include "engine/sinks/netsink.h"

struct record_rows {
	struct sink sink;
	struct row_sink *rows;
};

static void record_rows_count(struct record_rows *records)
{
	atomic_store_explicit(&records->sink.bytes,
			      atomic_load_explicit(&records->rows->bytes, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&records->sink.shed,
			      atomic_load_explicit(&records->rows->shed, memory_order_relaxed),
			      memory_order_relaxed);
}

static int record_rows_write(struct sink *sink, const struct batch *batch)
{
	struct record_rows *records = (struct record_rows *)sink;

	for (uint32_t i = 0; i < batch->count; i++)
		records->rows->ops->put(records->rows, batch->records[i]);
	record_rows_count(records);
	return 0;
}

static int record_rows_finish(struct sink *sink, const struct ledger *ledger)
{
	struct record_rows *records = (struct record_rows *)sink;
	int rc = records->rows->ops->finish(records->rows, ledger);

	record_rows_count(records);
	for (unsigned i = 0; i < records->rows->event_count; i++)
		source_stats_add(sink->events, &sink->event_count, records->rows->events[i].name,
				 records->rows->events[i].count);
	sink->error = records->rows->error;
	/* A far end that took a part has that part. */
	if (rc)
		atomic_store_explicit(&sink->kept,
				      atomic_load_explicit(&sink->offered, memory_order_relaxed) -
					      atomic_load_explicit(&sink->shed, memory_order_relaxed),
				      memory_order_relaxed);
	return rc;
}

static void record_rows_close(struct sink *sink)
{
	struct record_rows *records = (struct record_rows *)sink;

	records->rows->ops->close(records->rows);
	free(records);
}

static const struct sink_ops record_rows_ops[] = {
	{ .name = "clickhouse",
	  .write = record_rows_write,
	  .finish = record_rows_finish,
	  .close = record_rows_close },
	{ .name = "kafka",
	  .write = record_rows_write,
	  .finish = record_rows_finish,
	  .close = record_rows_close },
	{ .name = "tcp",
	  .write = record_rows_write,
	  .finish = record_rows_finish,
	  .close = record_rows_close },
	{ .name = "unix",
	  .write = record_rows_write,
	  .finish = record_rows_finish,
	  .close = record_rows_close },
};

static int record_rows_open(netsink_opener *open, const struct sink_ops *ops, const char *target,
			    const struct sink_options *options, struct sink **sink, struct error *error)
{
	struct record_rows *records = calloc(1, sizeof *records);
	int rc;

	*sink = NULL;
	if (!records)
		return error_set_errno(error, -ENOMEM, "%s", target);
	records->sink.ops = ops;
	records->sink.needs = SINK_NEEDS_RECORD;
	records->sink.sheds = true;
	rc = open(target, &row_record, options, &records->rows, error);
	if (rc)
		free(records);
	else
		*sink = &records->sink;
	return rc;
}

int clickhouse_open(const char *target, const struct sink_options *options, struct sink **sink,
		    struct error *error)
{
	return record_rows_open(clickhouse_rows_open, &record_rows_ops[0], target, options, sink, error);
}

int kafka_open(const char *target, const struct sink_options *options, struct sink **sink,
	       struct error *error)
{
	return record_rows_open(kafka_rows_open, &record_rows_ops[1], target, options, sink, error);
}

int tcp_open(const char *target, const struct sink_options *options, struct sink **sink, struct error *error)
{
	return record_rows_open(tcp_rows_open, &record_rows_ops[2], target, options, sink, error);
}

int unix_open(const char *target, const struct sink_options *options, struct sink **sink, struct error *error)
{
	return record_rows_open(unix_rows_open, &record_rows_ops[3], target, options, sink, error);
}
