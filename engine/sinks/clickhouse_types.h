/* The columns of a kind of row as ClickHouse calls them, by what the server has.
 *
 * Pure data and text: any thread. RowBinary's bytes are the same for both sets of types: DateTime64(9) and
 * UInt64 are eight bytes, IPv6 and FixedString(16) sixteen.
 */
#ifndef WEIR_ENGINE_SINKS_CLICKHOUSE_TYPES_H
#define WEIR_ENGINE_SINKS_CLICKHOUSE_TYPES_H

#include <stdio.h>

#include "engine/sinks/row.h"

struct clickhouse_server {
	bool datetime64;   /* else times are UInt64 nanoseconds */
	bool ipv6;         /* else addresses are FixedString(16) */
	bool deduplicates; /* inserts take a token, and a MergeTree table can be told to remember tokens */
};

#define CLICKHOUSE_TYPE_MAX 32
#define CLICKHOUSE_BATCH_ID "batch_id"

/* The column's type, with Nullable() where it is. */
void clickhouse_type(const struct row_column *column, const struct clickhouse_server *server,
		     char type[CLICKHOUSE_TYPE_MAX]);

/* CREATE TABLE IF NOT EXISTS for a server. batch_id: with a column that tells batches apart, for servers that
 * do not recognise a repeated insert themselves. */
void clickhouse_create_table(FILE *out, const struct row_kind *kind, const char *table,
			     const struct clickhouse_server *server, bool batch_id);

#endif
