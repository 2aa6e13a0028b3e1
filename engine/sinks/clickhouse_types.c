#include "engine/sinks/clickhouse_types.h"

void clickhouse_type(const struct row_column *column, const struct clickhouse_server *server,
		     char type[CLICKHOUSE_TYPE_MAX])
{
	static const char *const old[] = {
		[ROW_U8] = "UInt8",   [ROW_U16] = "UInt16",     [ROW_U32] = "UInt32",
		[ROW_U64] = "UInt64", [ROW_TIME_NS] = "UInt64", [ROW_IP] = "FixedString(16)",
		[ROW_MAC] = "FixedString(6)", [ROW_TEXT] = "String",
	};
	const char *name = old[column->type];

	if (column->type == ROW_TIME_NS && server->datetime64)
		name = "DateTime64(9, 'UTC')";
	if (column->type == ROW_IP && server->ipv6)
		name = "IPv6";
	snprintf(type, CLICKHOUSE_TYPE_MAX, column->nullable ? "Nullable(%s)" : "%s", name);
}

void clickhouse_create_table(FILE *out, const struct row_kind *kind, const char *table,
			     const struct clickhouse_server *server, bool batch_id)
{
	fprintf(out, "CREATE TABLE IF NOT EXISTS %s\n(\n", table);
	for (unsigned i = 0; i < kind->count; i++) {
		char type[CLICKHOUSE_TYPE_MAX];

		clickhouse_type(&kind->columns[i], server, type);
		fprintf(out, "    `%s` %s%s\n", kind->columns[i].name, type,
			i + 1 < kind->count || batch_id ? "," : "");
	}
	if (batch_id)
		fprintf(out, "    `" CLICKHOUSE_BATCH_ID "` UInt64 DEFAULT 0\n");
	fprintf(out, ")\nENGINE = MergeTree ORDER BY (%s)", kind->time);
	/* One insert is one part and so all or nothing: no PARTITION BY. */
	if (server->deduplicates)
		fprintf(out, "\nSETTINGS non_replicated_deduplication_window = 10000");
	fputc('\n', out);
}
