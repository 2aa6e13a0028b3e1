/* clickhouse://[user[:password]@]host[:8123]/database/table: RowBinary over HTTP, a chunk an insert.
 *
 * The server is asked what it has before the first insert: its types (DateTime64, IPv6, or what stands in for
 * them), and how it tells a repeated insert from a new one:
 *   token   insert_deduplication_token, with a table that remembers tokens: the server drops a repetition
 *   lookup  older servers: the table has a column batch_id; after an insert whose fate is not known the table
 *           is asked whether it has the batch, and query_id keeps two tries from running at once
 *   none    a table of other making: at least once, and the ledger counts what may be there twice
 * An insert of one chunk is one block and so one part: all or nothing.
 * The password may also come from CLICKHOUSE_PASSWORD, which no process list shows.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sinks/clickhouse_types.h"
#include "engine/sinks/http.h"
#include "engine/sinks/netsink.h"

#define PORT 8123
#define URL_MAX 4096
#define ROW_BYTES 400 /* of RowBinary, at most: every column and its null byte */

enum repeat { REPEAT_NONE, REPEAT_LOOKUP, REPEAT_TOKEN };

struct clickhouse {
	struct netsink_transport transport;
	struct url url;
	const struct row_kind *kind;
	struct http *http;
	char base[512];       /* http://host:port/ */
	char table[256];      /* `database`.`table` */
	char database[128], name[128];
	char target[600];
	bool prepared;        /* the server was asked, the table is there */
	enum repeat repeat;
	struct clickhouse_server server;
	uint8_t *body;
	size_t body_size, body_capacity;
	uint64_t body_number;
	uint64_t maybe_twice, recognised; /* chunks */
};

static bool wait_service(void *context)
{
	return !context || netsink_service(context);
}

/* The first line of what the server says, without the noise of its exception classes. */
static int refused(struct clickhouse *clickhouse, int status, char *reply, struct error *error)
{
	char *text = strstr(reply, "DB::Exception: "), *end;

	text = text ? text + strlen("DB::Exception: ") : reply;
	text[strcspn(text, "\n")] = '\0';
	end = strstr(text, ", e.what()");
	if (end)
		*end = '\0';
	error_set(error, -EPROTO, "%s: HTTP %d: %.180s", clickhouse->target, status,
		  *text ? text : "no reason given");
	if (status == 401 || status == 403 || strstr(text, "assword") || strstr(text, "uthentication"))
		error_hint(error, "clickhouse://user:password@host/..., or set CLICKHOUSE_PASSWORD");
	return error->code;
}

/* Asks or tells the server. Returns 0 with the answer in reply, or -errno with *error. */
static int query(struct clickhouse *clickhouse, struct netsink *netsink, const char *sql,
		 char reply[HTTP_REPLY], struct error *error)
{
	bool sent;
	int status = http_post(clickhouse->http, clickhouse->base, sql, strlen(sql), wait_service, netsink,
			       reply, &sent, error);

	if (status < 0) {
		char cause[sizeof error->message];

		if (status == -EAGAIN)
			return status;
		snprintf(cause, sizeof cause, "%s", error->message);
		error_set(error, status, "%s: %.160s", clickhouse->target, cause);
		error_hint(error,
			   "is the server's HTTP port %u? --spool DIR keeps the records until it is there",
			   clickhouse->url.port);
		return status;
	}
	return status == 200 ? 0 : refused(clickhouse, status, reply, error);
}

static int ask_server(struct clickhouse *clickhouse, struct netsink *netsink, struct error *error)
{
	char reply[HTTP_REPLY];
	int rc = query(
		clickhouse, netsink,
		"SELECT name FROM system.data_type_families WHERE name IN ('DateTime64', 'IPv6') UNION ALL "
		"SELECT name FROM system.settings WHERE name = 'insert_deduplication_token' UNION ALL "
		"SELECT name FROM system.merge_tree_settings WHERE name = "
		"'non_replicated_deduplication_window'",
		reply, error);

	if (rc)
		return rc;
	clickhouse->server = (struct clickhouse_server){
		.datetime64 = strstr(reply, "DateTime64") != NULL,
		.ipv6 = strstr(reply, "IPv6") != NULL,
		.deduplicates = strstr(reply, "insert_deduplication_token") &&
				strstr(reply, "non_replicated_deduplication_window"),
	};
	return 0;
}

static int create_table(struct clickhouse *clickhouse, struct netsink *netsink, struct error *error)
{
	char reply[HTTP_REPLY], *sql = NULL;
	size_t size;
	FILE *out = open_memstream(&sql, &size);
	int rc;

	if (!out)
		return error_set_errno(error, -ENOMEM, "%s", clickhouse->target);
	clickhouse_create_table(out, clickhouse->kind, clickhouse->table, &clickhouse->server,
				!clickhouse->server.deduplicates);
	rc = fclose(out) == 0 ? query(clickhouse, netsink, sql, reply, error)
			      : error_set_errno(error, -ENOMEM, "%s", clickhouse->target);
	free(sql);
	return rc;
}

/* The type of a column in lines "name<TAB>type"; NULL: there is none. Ends the type with a NUL. */
static char *type_in(char *lines, const char *name)
{
	size_t length = strlen(name);

	for (char *line = lines; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, name, length) == 0 && line[length] == '\t')
			return line + length + 1;
	}
	return NULL;
}

/* A table that was there before: every column has to be there with its type; others may be too. */
static int check_table(struct clickhouse *clickhouse, struct netsink *netsink, struct error *error)
{
	char reply[HTTP_REPLY], sql[1024];
	int rc;

	/* TabSeparated escapes quotes. */
	snprintf(sql, sizeof sql,
		 "SELECT name, replaceAll(type, '''', '') FROM system.columns WHERE database = '%s' AND "
		 "table = '%s'",
		 clickhouse->database, clickhouse->name);
	rc = query(clickhouse, netsink, sql, reply, error);
	for (unsigned i = 0; rc == 0 && i < clickhouse->kind->count; i++) {
		const struct row_column *column = &clickhouse->kind->columns[i];
		char type[CLICKHOUSE_TYPE_MAX], want[CLICKHOUSE_TYPE_MAX],
			*to = want, *has = type_in(reply, column->name);
		size_t length;

		clickhouse_type(column, &clickhouse->server, type);
		for (const char *from = type; *from; from++) {
			if (*from != '\'')
				*to++ = *from;
		}
		*to = '\0';
		length = has ? strcspn(has, "\n") : 0;
		if (has && length == strlen(want) && strncmp(has, want, length) == 0)
			continue;
		error_set(error, -EEXIST, "table %s has another schema: column %s is %.*s, not %s",
			  clickhouse->table, column->name, has ? (int)length : 7, has ? has : "missing",
			  want);
		return error_hint(error,
				  "name another table, or make it as `weir schema clickhouse` prints it");
	}
	if (rc)
		return rc;
	clickhouse->repeat = type_in(reply, CLICKHOUSE_BATCH_ID) ? REPEAT_LOOKUP : REPEAT_NONE;
	if (!clickhouse->server.deduplicates)
		return 0;
	snprintf(sql, sizeof sql,
		 "SELECT count() FROM system.tables WHERE database = '%s' AND name = '%s' AND (engine LIKE "
		 "'Replicated%%' OR "
		 "engine LIKE 'Shared%%' OR create_table_query LIKE "
		 "'%%non_replicated_deduplication_window%%')",
		 clickhouse->database, clickhouse->name);
	rc = query(clickhouse, netsink, sql, reply, error);
	if (rc == 0 && reply[0] == '1')
		clickhouse->repeat = REPEAT_TOKEN;
	return rc;
}

static int prepare(struct clickhouse *clickhouse, struct netsink *netsink, struct error *error)
{
	int rc = ask_server(clickhouse, netsink, error);

	if (rc == 0)
		rc = create_table(clickhouse, netsink, error);
	if (rc == 0)
		rc = check_table(clickhouse, netsink, error);
	clickhouse->prepared = rc == 0;
	return rc;
}

static int encode(struct clickhouse *clickhouse, const struct chunk *chunk)
{
	const uint8_t *row = chunk->rows;
	uint8_t *p;

	if (clickhouse->body_number == chunk->number)
		return 0;
	if (clickhouse->body_capacity < (size_t)chunk->count * ROW_BYTES) {
		uint8_t *body = realloc(clickhouse->body, (size_t)chunk->count * ROW_BYTES);

		if (!body)
			return -ENOMEM;
		clickhouse->body = body;
		clickhouse->body_capacity = (size_t)chunk->count * ROW_BYTES;
	}
	p = clickhouse->body;
	for (uint32_t i = 0; i < chunk->count; i++, row += clickhouse->kind->size)
		p = row_binary(clickhouse->kind, p, row,
			       clickhouse->repeat == REPEAT_LOOKUP ? chunk->number : 0);
	clickhouse->body_size = (size_t)(p - clickhouse->body);
	clickhouse->body_number = chunk->number;
	return 0;
}

static int insert_url(const struct clickhouse *clickhouse, uint64_t number, char url[URL_MAX])
{
	char sql[2048], escaped[3072];
	int length = snprintf(sql, sizeof sql, "INSERT INTO %s (", clickhouse->table);

	for (unsigned i = 0; i < clickhouse->kind->count; i++)
		length += snprintf(sql + length, sizeof sql - (size_t)length, "%s%s", i ? "," : "",
				   clickhouse->kind->columns[i].name);
	snprintf(sql + length, sizeof sql - (size_t)length, "%s) FORMAT RowBinary",
		 clickhouse->repeat == REPEAT_LOOKUP ? "," CLICKHOUSE_BATCH_ID : "");
	if (!http_escape(sql, escaped, sizeof escaped))
		return -ENAMETOOLONG;
	length = snprintf(url, URL_MAX, "%s?query=%s&query_id=weir-%" PRIu64, clickhouse->base, escaped,
			  number);
	if (clickhouse->repeat == REPEAT_TOKEN)
		snprintf(url + length, URL_MAX - (size_t)length,
			 "&insert_deduplicate=1&insert_deduplication_token=weir-%" PRIu64, number);
	return 0;
}

/* Whether the table has the batch already. 1 yes, 0 no, or -errno. */
static int has_batch(struct clickhouse *clickhouse, struct netsink *netsink, const struct chunk *chunk,
		     struct error *error)
{
	char sql[512], reply[HTTP_REPLY];
	int rc;

	snprintf(sql, sizeof sql, "SELECT count() FROM %s WHERE " CLICKHOUSE_BATCH_ID " = %" PRIu64,
		 clickhouse->table, chunk->number);
	rc = query(clickhouse, netsink, sql, reply, error);
	return rc ? rc : strtoull(reply, NULL, 10) == chunk->count;
}

static int clickhouse_send(struct netsink_transport *transport, struct netsink *netsink, struct chunk *chunk,
			   struct error *error)
{
	struct clickhouse *clickhouse = (struct clickhouse *)transport;
	char url[URL_MAX], reply[HTTP_REPLY], cause[sizeof error->message];
	bool sent;
	int rc = clickhouse->prepared ? 0 : prepare(clickhouse, netsink, error);

	if (rc)
		return rc;
	if (chunk->again && clickhouse->repeat == REPEAT_LOOKUP) {
		rc = has_batch(clickhouse, netsink, chunk, error);
		if (rc == 1)
			clickhouse->recognised++;
		if (rc)
			return rc == 1 ? 0 : rc;
	}
	rc = encode(clickhouse, chunk);
	if (rc == 0)
		rc = insert_url(clickhouse, chunk->number, url);
	if (rc)
		return error_set_errno(error, rc, "%s", clickhouse->target);
	rc = http_post(clickhouse->http, url, clickhouse->body, clickhouse->body_size, wait_service, netsink,
		       reply, &sent, error);
	if (rc == 200) {
		atomic_fetch_add_explicit(&transport->bytes, clickhouse->body_size, memory_order_relaxed);
		return 0;
	}
	/* The table may have been dropped, or the server replaced by another: look again before the next
	 * try. */
	clickhouse->prepared = false;
	clickhouse->body_number = 0;
	if (rc > 0)
		return refused(clickhouse, rc, reply, error);
	if (sent && clickhouse->repeat == REPEAT_NONE)
		clickhouse->maybe_twice++;
	if (rc != -EAGAIN) {
		snprintf(cause, sizeof cause, "%s", error->message);
		error_set(error, rc, "%s: %.160s", clickhouse->target, cause);
	}
	return rc;
}

static void clickhouse_events(struct netsink_transport *transport, struct source_counter *events,
			      unsigned *count)
{
	struct clickhouse *clickhouse = (struct clickhouse *)transport;

	source_stats_add(events, count, "batches_maybe_twice", clickhouse->maybe_twice);
	source_stats_add(events, count, "batches_recognised", clickhouse->recognised);
}

static void clickhouse_close(struct netsink_transport *transport)
{
	struct clickhouse *clickhouse = (struct clickhouse *)transport;

	http_close(clickhouse->http);
	free(clickhouse->body);
	free(clickhouse);
}

/* Names go into SQL text: letters, digits and underscores only. */
static bool copy_name(const char *from, size_t length, char to[128])
{
	if (length == 0 || length > 120)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = from[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
		to[i] = c;
	}
	to[length] = '\0';
	return true;
}

static int parse_target(struct clickhouse *clickhouse, const char *target, struct error *error)
{
	static const char *const known[] = { NETSINK_OPTIONS, NULL };
	int rc = url_parse(target, PORT, &clickhouse->url, error);
	const char *slash = clickhouse->url.path ? strchr(clickhouse->url.path, '/') : NULL;

	if (rc == 0)
		rc = url_check_options(&clickhouse->url, known, error);
	if (rc)
		return rc;
	if (!slash ||
	    !copy_name(clickhouse->url.path, (size_t)(slash - clickhouse->url.path), clickhouse->database) ||
	    !copy_name(slash + 1, strlen(slash + 1), clickhouse->name)) {
		error_set(error, -EINVAL, "clickhouse://%s/%s names no database and table",
			  clickhouse->url.authority, clickhouse->url.path);
		return error_hint(error, "clickhouse://host:8123/default/packets; letters, digits and _");
	}
	snprintf(clickhouse->table, sizeof clickhouse->table, "%s.%s", clickhouse->database,
		 clickhouse->name);
	snprintf(clickhouse->base, sizeof clickhouse->base,
		 strchr(clickhouse->url.host, ':') ? "http://[%s]:%u/" : "http://%s:%u/",
		 clickhouse->url.host, clickhouse->url.port);
	snprintf(clickhouse->target, sizeof clickhouse->target, "clickhouse://%s:%u/%s/%s",
		 clickhouse->url.host, clickhouse->url.port, clickhouse->database, clickhouse->name);
	return 0;
}

int clickhouse_rows_open(const char *target, const struct row_kind *kind, const struct sink_options *options,
			 struct row_sink **rows, struct error *error)
{
	struct clickhouse *clickhouse = calloc(1, sizeof *clickhouse);
	const char *password;
	int rc = clickhouse ? parse_target(clickhouse, target, error)
			    : error_set_errno(error, -ENOMEM, "clickhouse");

	*rows = NULL;
	if (rc) {
		free(clickhouse);
		return rc;
	}
	clickhouse->kind = kind;
	clickhouse->transport.send = clickhouse_send;
	clickhouse->transport.events = clickhouse_events;
	clickhouse->transport.close = clickhouse_close;
	password = clickhouse->url.password ? clickhouse->url.password : getenv("CLICKHOUSE_PASSWORD");
	rc = http_open(clickhouse->url.user ? clickhouse->url.user
		       : password	    ? "default"
					    : NULL,
		       password, &clickhouse->http, error);
	if (rc == 0) {
		/* Not there yet: with a spool the run may begin all the same. Any other answer is final. */
		rc = prepare(clickhouse, NULL, &clickhouse->transport.unreachable);
		if (rc == -EPROTO || rc == -EEXIST)
			*error = clickhouse->transport.unreachable;
		else
			rc = 0;
	}
	if (rc) {
		clickhouse_close(&clickhouse->transport);
		return rc;
	}
	return netsink_start(&clickhouse->transport, clickhouse->target, &clickhouse->url, kind, options,
			     rows, error);
}
