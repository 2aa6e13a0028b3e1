#include "engine/sinks/flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/flow/flow.h"
#include "engine/sinks/netsink.h"

#define NSEC UINT64_C(1000000000)
#define CLOSED_NS (5 * NSEC)
#define GROUP 32u /* records whose entries are asked for together */
#define TARGET_MAX 4096
#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct flows_options {
	uint64_t idle, active; /* seconds */
	uint64_t flows;
};

struct flows_sink {
	struct sink sink;
	struct row_sink *rows;
	struct flow_table table;
	struct flow_digest *digest;
	uint64_t idle_ns, active_ns;
	uint64_t swept_ns, latest_ns; /* packet time */
	uint64_t ended[FLOW_END_RUN + 1];
	uint64_t no_ip;
	int failed;
};

static void flow_out(struct flows_sink *flows, const struct flow_state *state, enum flow_end end)
{
	struct flow row;
	int rc;

	flow_export(state, end, flows->digest, &row);
	flows->ended[end]++;
	rc = flows->rows->ops->put(flows->rows, &row);
	if (rc && !flows->failed)
		flows->failed = rc;
}

static void flow_last_row(struct flows_sink *flows, const struct flow_state *state, enum flow_end end)
{
	if (state->packets[0] + state->packets[1])
		flow_out(flows, state,
			 state->state & FLOW_RST ? FLOW_END_RST
			 : flow_closed(state)	 ? FLOW_END_FIN
						 : end);
}

static void flow_finish(struct flows_sink *flows, struct flow_state *state, enum flow_end end)
{
	flow_last_row(flows, state, end);
	flow_table_remove(&flows->table, &state->entry);
}

static bool flow_expired(const struct flows_sink *flows, const struct flow_state *state, uint64_t now_ns)
{
	uint64_t limit = flow_closed(state) ? CLOSED_NS : flows->idle_ns;

	return now_ns > state->entry.last_ns && now_ns - state->entry.last_ns > limit;
}

static void visit_idle(void *context, struct flow_entry *entry)
{
	struct flows_sink *flows = context;

	if (flow_expired(flows, (struct flow_state *)entry, flows->latest_ns))
		flow_finish(flows, (struct flow_state *)entry, FLOW_END_IDLE);
}

/* The table goes as a whole: taking each entry out would miss the cache for each. */
static void visit_last(void *context, struct flow_entry *entry)
{
	flow_last_row(context, (struct flow_state *)entry, FLOW_END_RUN);
}

static void count_packet(struct flows_sink *flows, const struct record *record, const struct flow_key *key,
			 uint64_t hash, bool from_low)
{
	struct flow_state *state = (struct flow_state *)flow_table_find(&flows->table, key, hash);
	bool begins = (record->layers & LAYER_TCP) && (record->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (state && (flow_expired(flows, state, record->timestamp_ns) || (begins && flow_closed(state)))) {
		flow_finish(flows, state, FLOW_END_IDLE);
		state = NULL;
	}
	if (state && record->timestamp_ns > state->start_ns &&
	    record->timestamp_ns - state->start_ns > flows->active_ns) {
		flow_out(flows, state, FLOW_END_ACTIVE);
		flow_restart(state, record->timestamp_ns);
	}
	if (!state && flows->table.count == flows->table.limit)
		flow_finish(flows, (struct flow_state *)flow_table_oldest(&flows->table), FLOW_END_EVICTED);
	if (!state)
		state = (struct flow_state *)flow_table_insert(&flows->table, key, hash);
	if (state)
		flow_update(state, record, from_low);
	else
		flows->failed = error_set_errno(&flows->sink.error, -ENOMEM, "no memory for the flow table");
}

/* As in streams.c: look-ups of a run of records overlap. */
static void group(struct flows_sink *flows, const struct record *const *records, unsigned count)
{
	struct flow_key keys[GROUP];
	uint64_t hashes[GROUP];
	bool from_low[GROUP];

	for (unsigned i = 0; i < count; i++) {
		if (!(records[i]->layers & LAYERS_IP))
			continue;
		from_low[i] = flow_key_of(&keys[i], records[i]);
		hashes[i] = flow_table_hash(&flows->table, &keys[i]);
		flow_table_prefetch_index(&flows->table, hashes[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		if (records[i]->layers & LAYERS_IP)
			flow_table_prefetch_entry(&flows->table, hashes[i]);
	}
	for (unsigned i = 0; i < count && !flows->failed; i++) {
		if (records[i]->timestamp_ns > flows->latest_ns)
			flows->latest_ns = records[i]->timestamp_ns;
		if (records[i]->layers & LAYERS_IP)
			count_packet(flows, records[i], &keys[i], hashes[i], from_low[i]);
		else
			flows->no_ip++;
	}
}

static int flows_done(struct flows_sink *flows, int rc)
{
	atomic_store_explicit(&flows->sink.bytes,
			      atomic_load_explicit(&flows->rows->bytes, memory_order_relaxed),
			      memory_order_relaxed);
	if (rc == 0)
		rc = flows->failed;
	if (rc && !flows->sink.error.code)
		flows->sink.error = flows->rows->error;
	return rc;
}

static int flows_write(struct sink *sink, const struct batch *batch)
{
	struct flows_sink *flows = (struct flows_sink *)sink;

	for (uint32_t i = 0; i < batch->count && !flows->failed; i += GROUP)
		group(flows, batch->records + i, batch->count - i < GROUP ? batch->count - i : GROUP);
	flow_table_sweep(&flows->table, &flows->swept_ns, flows->latest_ns, visit_idle, flows);
	return flows_done(flows, 0);
}

static int flows_flush(struct sink *sink)
{
	struct flows_sink *flows = (struct flows_sink *)sink;

	return flows_done(flows, flows->rows->ops->flush ? flows->rows->ops->flush(flows->rows) : 0);
}

static int flows_tick(struct sink *sink, uint64_t now_ns)
{
	struct flows_sink *flows = (struct flows_sink *)sink;

	return flows_done(flows, flows->rows->ops->tick ? flows->rows->ops->tick(flows->rows) : 0);
}

static void flows_events(struct flows_sink *flows)
{
	static const char *const names[] = {
		[FLOW_END_IDLE] = "flows_ended_idle", [FLOW_END_ACTIVE] = "flows_cut_active",
		[FLOW_END_FIN] = "flows_ended_fin",   [FLOW_END_RST] = "flows_ended_rst",
		[FLOW_END_EVICTED] = "flows_evicted", [FLOW_END_RUN] = "flows_open_at_end",
	};
	struct sink *sink = &flows->sink;

	for (unsigned i = 0; i <= FLOW_END_RUN; i++)
		source_stats_add(sink->events, &sink->event_count, names[i], flows->ended[i]);
	source_stats_add(sink->events, &sink->event_count, "flows_at_once_most", flows->table.most);
	source_stats_add(sink->events, &sink->event_count, "records_without_ip", flows->no_ip);
	for (unsigned i = 0; i < flows->rows->event_count; i++)
		source_stats_add(sink->events, &sink->event_count, flows->rows->events[i].name,
				 flows->rows->events[i].count);
}

static int flows_finish(struct sink *sink, const struct ledger *ledger)
{
	struct flows_sink *flows = (struct flows_sink *)sink;
	int rc = flows->failed;

	flow_table_walk(&flows->table, UINT32_MAX, visit_last, flows);
	if (rc == 0)
		rc = flows->rows->ops->finish(flows->rows, ledger);
	flows_events(flows);
	return flows_done(flows, rc);
}

static void flows_close(struct sink *sink)
{
	struct flows_sink *flows = (struct flows_sink *)sink;

	if (flows->rows)
		flows->rows->ops->close(flows->rows);
	flow_table_close(&flows->table);
	flow_digest_close(flows->digest);
	free(flows);
}

static const struct sink_ops flows_ops = {
	.name = "flows",
	.write = flows_write,
	.flush = flows_flush,
	.finish = flows_finish,
	.tick = flows_tick,
	.close = flows_close,
};

/* Takes one of ours out of a query; false: it is not ours. */
static bool parse_option(const char *option, size_t length, struct flows_options *options)
{
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = { { "idle=", &options->idle },
		      { "active=", &options->active },
		      { "flows=", &options->flows } };

	for (unsigned i = 0; i < 3; i++) {
		size_t name = strlen(known[i].name);
		char *end;

		if (length <= name || strncmp(option, known[i].name, name) != 0)
			continue;
		*known[i].value = strtoull(option + name, &end, 10);
		return end == option + length;
	}
	return false;
}

/* Copies target without our options of its query. */
static int parse_target(const char *target, char *rest, struct flows_options *options, struct error *error)
{
	const char *query = strrchr(target, '?');
	size_t length = query ? (size_t)(query - target) : strlen(target);
	char separator = '?';

	if (strlen(target) >= TARGET_MAX)
		return error_set(error, -ENAMETOOLONG, "the target of flows: is longer than %d bytes",
				 TARGET_MAX);
	memcpy(rest, target, length);
	while (query && *query) {
		size_t n = strcspn(++query, "&");

		if (!parse_option(query, n, options)) {
			rest[length++] = separator;
			memcpy(rest + length, query, n);
			length += n;
			separator = '&';
		}
		query += n;
	}
	rest[length] = '\0';
	if (options->idle < 1 || options->idle > 86400 || options->active < 1 || options->active > 604800 ||
	    options->flows < 64 || options->flows > 1u << 28) {
		error_set(error, -EINVAL,
			  "flows: takes idle=1..86400, active=1..604800, flows=64..268435456");
		return error_hint(error, "for example flows:x.ndjson?idle=60&active=300");
	}
	return 0;
}

typedef int rows_opener(const char *target, const struct row_kind *kind, const struct sink_options *options,
			struct row_sink **rows, struct error *error);

static int open_with(rows_opener *open, const char *target, const struct sink_options *options,
		     struct sink **sink, struct error *error)
{
	struct flows_options parsed = { .idle = 120, .active = 1800, .flows = 1u << 22 };
	struct flows_sink *flows = NULL;
	char rest[TARGET_MAX];
	int rc = parse_target(target, rest, &parsed, error);

	*sink = NULL;
	if (rc)
		return rc;
	flows = calloc(1, sizeof *flows);
	if (!flows)
		return error_set_errno(error, -ENOMEM, "%s", target);
	flows->sink.ops = &flows_ops;
	flows->sink.needs = SINK_NEEDS_RECORD;
	flows->idle_ns = parsed.idle * NSEC;
	flows->active_ns = parsed.active * NSEC;
	rc = flow_table_create(&flows->table, sizeof(struct flow_state), (uint32_t)parsed.flows, error);
	if (rc == 0 && flow_digest_create(&flows->digest))
		rc = error_set(error, -ENOSYS, "Community IDs need SHA-1, which OpenSSL has not here");
	if (rc == 0)
		rc = open(rest, &row_flow, options, &flows->rows, error);
	if (rc)
		flows_close(&flows->sink);
	else
		*sink = &flows->sink;
	return rc;
}

int flows_open(const char *target, const struct sink_options *options, struct sink **sink,
	       struct error *error)
{
	return open_with(row_sink_open, target, options, sink, error);
}

int flows_ipfix_open(const char *target, const struct sink_options *options, struct sink **sink,
		     struct error *error)
{
	return open_with(ipfix_rows_open, target, options, sink, error);
}
