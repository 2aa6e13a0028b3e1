#include "engine/sinks/streams.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "engine/flow/assembly.h"
#include "engine/flow/table.h"
#include "engine/format.h"
#include "engine/sinks/file_sink.h"
#include "engine/sinks/stream_files.h"

#define NSEC UINT64_C(1000000000)
#define IDLE_NS (120 * NSEC)
#define CLOSED_NS (5 * NSEC)      /* a closed connection is remembered so long, for what still comes of it */
#define CONNECTIONS (1u << 22)    /* at once; then the longest idle goes */
#define HELD_RANGES (1u << 20)    /* held back over all connections */
#define GROUP 32u                 /* records whose entries are asked for together */
#define LINE_MAX_BYTES 192
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

enum connection_state { CONNECTION_OPEN, CONNECTION_CLOSED };

struct connection {
	struct flow_entry entry;
	struct assembly directions[2]; /* by flow_key's order: from low, from high */
	struct stream_file files[2];
	uint32_t state;
};
_Static_assert(sizeof(struct connection) == 128, "two cache lines");

struct streams_sink {
	struct file_sink file;
	struct flow_table table;
	struct assembly_pool pool;
	struct assembly_counts counts;
	struct stream_files *files;  /* NULL: no --stream-payload */
	uint64_t swept_ns;           /* the hand is where it should be at this packet time */
	uint64_t latest_ns;          /* packet time */
	uint64_t second;             /* what date holds */
	char date[32];
	unsigned date_length;
	/* What the segment in work is, for the events. */
	const struct record *record;
	struct connection *connection;
	unsigned direction;
	uint64_t now_ns;
	/* For the ledger. */
	uint64_t started, missing_bytes, ended_fin, ended_rst, ended_idle, ended_last, evicted, not_tcp;
	int failed;
};

/* The time of packets, in local time (TZ), as gopacket's logger writes the time of day. */
static void date_set(struct streams_sink *streams, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NSEC);
	struct tm tm;

	if (streams->date_length && streams->second == ns / NSEC)
		return;
	streams->second = ns / NSEC;
	if (!localtime_r(&seconds, &tm))
		tm = (struct tm){ .tm_mday = 1 };
	streams->date_length =
		(unsigned)strftime(streams->date, sizeof streams->date, "%Y/%m/%d %H:%M:%S ", &tm);
}

static char *put_endpoint(char *p, const struct flow_key *key, const uint8_t *address, uint16_t port)
{
	if (key->version == 6) {
		*p++ = '[';
		p = format_ipv6(p, address);
		*p++ = ']';
	} else {
		p = format_ipv4(p, address + 12);
	}
	*p++ = ':';
	return format_u32(p, port);
}

static char *put_stream(char *p, const struct flow_key *key, unsigned direction)
{
	p = direction == 0 ? put_endpoint(p, key, key->low_ip, key->low_port)
			   : put_endpoint(p, key, key->high_ip, key->high_port);
	*p++ = '-';
	*p++ = '>';
	return direction == 0 ? put_endpoint(p, key, key->high_ip, key->high_port)
			      : put_endpoint(p, key, key->low_ip, key->low_port);
}

static void put_line(struct streams_sink *streams, const char *before, const char *after, bool counted,
		     uint32_t count)
{
	char *start = output_reserve(streams->file.output, LINE_MAX_BYTES), *p;

	if (!start) {
		streams->failed = output_error(streams->file.output, &streams->file.sink.error);
		return;
	}
	date_set(streams, streams->now_ns);
	p = (char *)memcpy(start, streams->date, sizeof streams->date) + streams->date_length;
	p = format_string(p, before);
	p = put_stream(p, &streams->connection->entry.key, streams->direction);
	p = format_string(p, after);
	if (counted)
		p = format_u32(p, count);
	*p++ = '\n';
	output_commit(streams->file.output, (size_t)(p - start));
}

static void on_run(void *context, uint32_t bytes)
{
	put_line(context, "", " ", true, bytes);
}

static void on_missing(void *context, uint32_t bytes)
{
	struct streams_sink *streams = context;

	streams->missing_bytes += bytes;
	put_line(streams, "", " missing ", true, bytes);
}

/* The bytes themselves, as far as they were captured. */
static void on_piece(void *context, uint32_t from, uint32_t length, uint64_t offset)
{
	struct streams_sink *streams = context;
	const struct record *record = streams->record;
	const uint8_t *packet = sink_packet(record);
	uint64_t first = (uint64_t)record->payload_offset + from,
		 number = flow_table_number(&streams->table, &streams->connection->entry);
	int rc;

	if (!packet || first >= record->captured_length)
		return;
	if (length > record->captured_length - first)
		length = (uint32_t)(record->captured_length - first);
	rc = stream_files_write(streams->files, number * 2 + streams->direction,
				&streams->connection->files[streams->direction], record, packet + first,
				length, offset, &streams->file.sink.error);
	if (rc && !streams->failed)
		streams->failed = rc;
}

static struct assembly_events events_of(struct streams_sink *streams)
{
	return (struct assembly_events){
		.run = on_run,
		.missing = on_missing,
		.piece = streams->files ? on_piece : NULL,
		.context = streams,
	};
}

static void direction_end(struct streams_sink *streams, unsigned direction)
{
	struct assembly_events events = events_of(streams);
	struct assembly *assembly = &streams->connection->directions[direction];

	streams->direction = direction;
	assembly_end(&streams->pool, assembly, &events);
	*assembly = (struct assembly){ 0 };
	if (streams->files)
		stream_files_done(streams->files,
				  flow_table_number(&streams->table, &streams->connection->entry) * 2 +
					  direction);
	streams->connection->files[direction] = (struct stream_file){ 0 };
}

/* Delivers what both directions still hold. The entry stays. */
static void connection_end(struct streams_sink *streams, struct connection *connection)
{
	streams->connection = connection;
	direction_end(streams, 0);
	direction_end(streams, 1);
}

static void connection_last(struct streams_sink *streams, struct connection *connection, uint64_t *count)
{
	if (connection->state == CONNECTION_OPEN) {
		streams->now_ns = connection->entry.last_ns;
		connection_end(streams, connection);
		++*count;
	}
}

static void connection_remove(struct streams_sink *streams, struct connection *connection, uint64_t *count)
{
	connection_last(streams, connection, count);
	flow_table_remove(&streams->table, &connection->entry);
}

static bool connection_expired(const struct connection *connection, uint64_t now_ns)
{
	uint64_t limit = connection->state == CONNECTION_CLOSED ? CLOSED_NS : IDLE_NS;

	return now_ns > connection->entry.last_ns && now_ns - connection->entry.last_ns > limit;
}

static void visit_idle(void *context, struct flow_entry *entry)
{
	struct streams_sink *streams = context;
	struct connection *connection = (struct connection *)entry;

	if (connection_expired(connection, streams->latest_ns))
		connection_remove(streams, connection, &streams->ended_idle);
}

/* The table goes as a whole: taking each entry out would miss the cache for each. */
static void visit_last(void *context, struct flow_entry *entry)
{
	struct streams_sink *streams = context;

	connection_last(streams, (struct connection *)entry, &streams->ended_last);
}

static struct connection *connection_of(struct streams_sink *streams, const struct flow_key *key,
					uint64_t hash)
{
	struct connection *connection = (struct connection *)flow_table_find(&streams->table, key, hash);

	if (connection && connection_expired(connection, streams->record->timestamp_ns)) {
		connection_remove(streams, connection, &streams->ended_idle);
		connection = NULL;
	}
	if (!connection && streams->table.count == streams->table.limit)
		connection_remove(streams, (struct connection *)flow_table_oldest(&streams->table),
				  &streams->evicted);
	if (!connection)
		connection = (struct connection *)flow_table_insert(&streams->table, key, hash);
	return connection;
}

/* A SYN with a sequence number that this direction does not begin with: the ports are used again. */
static void check_reuse(struct streams_sink *streams, struct connection *connection,
			const struct record *record, unsigned direction)
{
	const struct assembly *assembly = &connection->directions[direction];

	if (connection->state == CONNECTION_CLOSED) {
		if (!(record->tcp_flags & TCP_ACK))
			connection->state = CONNECTION_OPEN;
		return;
	}
	if (!assembly->started || assembly_base(assembly) == record->tcp_seq + 1)
		return;
	streams->connection = connection;
	streams->now_ns = record->timestamp_ns;
	direction_end(streams, direction);
	if (!(record->tcp_flags & TCP_ACK))
		direction_end(streams, !direction);
}

static void segment(struct streams_sink *streams, const struct flow_key *key, uint64_t hash,
		    unsigned direction)
{
	const struct record *record = streams->record;
	struct connection *connection = connection_of(streams, key, hash);
	struct assembly_events events = events_of(streams);
	uint8_t flags = record->tcp_flags;
	struct assembly *assembly;

	if (!connection)
		return;
	if (flags & TCP_SYN)
		check_reuse(streams, connection, record, direction);
	if (connection->state == CONNECTION_CLOSED)
		return; /* last_ns stays: after CLOSED_NS whatever comes is a new stream */
	streams->connection = connection;
	streams->direction = direction;
	streams->now_ns = connection->entry.last_ns = record->timestamp_ns;
	assembly = &connection->directions[direction];
	if (!assembly->started) {
		streams->started++;
		put_line(streams, "new stream ", " started", false, 0);
	}
	/* The payload of a RST is a text about the reason (RFC 9293, 3.5.3), no part of the stream. */
	assembly_segment(&streams->pool, assembly, record->tcp_seq,
			 flags & TCP_RST ? 0 : record->payload_length, flags & TCP_SYN, flags & TCP_FIN,
			 record->timestamp_ns, &events, &streams->counts);
	if (flags & TCP_RST)
		streams->ended_rst++;
	else if (assembly_complete(&connection->directions[0]) &&
		 assembly_complete(&connection->directions[1]))
		streams->ended_fin++;
	else
		return;
	connection_end(streams, connection);
	connection->state = CONNECTION_CLOSED;
}

static bool wanted(const struct record *record)
{
	return (record->layers & LAYER_TCP) &&
	       !(record->status & (STATUS_MALFORMED_L4 | STATUS_L4_CHECKSUM_BAD));
}

/* A run of records: all index lines are asked for, then all entries, then the work is done, so that the
 * misses of a table that is larger than any cache overlap. */
static void group(struct streams_sink *streams, const struct record *const *records, unsigned count)
{
	struct flow_key keys[GROUP];
	uint64_t hashes[GROUP];
	bool forward[GROUP];

	for (unsigned i = 0; i < count; i++) {
		if (!wanted(records[i]))
			continue;
		forward[i] = flow_key_of(&keys[i], records[i]);
		hashes[i] = flow_table_hash(&streams->table, &keys[i]);
		flow_table_prefetch_index(&streams->table, hashes[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		if (wanted(records[i]))
			flow_table_prefetch_entry(&streams->table, hashes[i]);
	}
	for (unsigned i = 0; i < count && !streams->failed; i++) {
		if (records[i]->timestamp_ns > streams->latest_ns)
			streams->latest_ns = records[i]->timestamp_ns;
		if (!wanted(records[i])) {
			streams->not_tcp++;
			continue;
		}
		streams->record = records[i];
		segment(streams, &keys[i], hashes[i], forward[i] ? 0 : 1);
	}
}

static int streams_write(struct sink *sink, const struct batch *batch)
{
	struct streams_sink *streams = (struct streams_sink *)sink;

	for (uint32_t i = 0; i < batch->count && !streams->failed; i += GROUP)
		group(streams, batch->records + i, batch->count - i < GROUP ? batch->count - i : GROUP);
	flow_table_sweep(&streams->table, &streams->swept_ns, streams->latest_ns, visit_idle, streams);
	return streams->failed ? streams->failed : file_sink_done(&streams->file);
}

static int streams_finish(struct sink *sink, const struct ledger *ledger)
{
	struct streams_sink *streams = (struct streams_sink *)sink;
	const struct source_counter events[] = {
		{ "streams_started", streams->started },
		{ "connections_ended_fin", streams->ended_fin },
		{ "connections_ended_rst", streams->ended_rst },
		{ "connections_ended_idle", streams->ended_idle },
		{ "connections_open_at_end", 0 },
		{ "connections_evicted", streams->evicted },
		{ "missing_bytes", 0 },
		{ "duplicate_bytes", streams->counts.duplicate_bytes },
		{ "segments_out_of_window", streams->counts.out_of_window },
		{ "records_not_tcp", streams->not_tcp },
		{ "stream_files", streams->files ? stream_files_count(streams->files) : 0 },
	};

	flow_table_walk(&streams->table, UINT32_MAX, visit_last, streams);
	for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++)
		source_stats_add(sink->events, &sink->event_count, events[i].name, events[i].count);
	sink->events[4].count = streams->ended_last;
	sink->events[6].count = streams->missing_bytes;
	if (streams->failed)
		return streams->failed;
	return file_sink_finish(sink, ledger);
}

static void streams_close(struct sink *sink)
{
	struct streams_sink *streams = (struct streams_sink *)sink;

	if (!streams)
		return;
	stream_files_close(streams->files);
	assembly_pool_close(&streams->pool);
	flow_table_close(&streams->table);
	file_sink_close(sink);
}

static const struct sink_ops streams_ops = {
	.name = "streams",
	.write = streams_write,
	.flush = file_sink_flush,
	.finish = streams_finish,
	.close = streams_close,
};

int streams_open(const char *target, const struct sink_options *options, struct sink **sink,
		 struct error *error)
{
	struct streams_sink *streams;
	struct file_sink *file;
	int rc = file_sink_open(sizeof *streams, &streams_ops, target, options, &file, error);

	*sink = NULL;
	if (rc)
		return rc;
	streams = (struct streams_sink *)file;
	file->sink.needs = options->stream_payload ? SINK_NEEDS_PACKET : SINK_NEEDS_RECORD;
	rc = flow_table_create(&streams->table, sizeof(struct connection), CONNECTIONS, error);
	if (rc == 0 && assembly_pool_create(&streams->pool, HELD_RANGES))
		rc = error_set_errno(error, -ENOMEM, "streams");
	if (rc == 0 && options->stream_payload)
		rc = stream_files_open(options->stream_payload, &streams->files, error);
	if (rc)
		streams_close(&file->sink);
	else
		*sink = &file->sink;
	return rc;
}
