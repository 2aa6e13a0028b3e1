#include "tools/weir_schema.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "engine/schema.h"
#include "engine/sinks/clickhouse_types.h"
#include "engine/sinks/row.h"
#include "tools/cli.h"

static void print_numpy(const struct row_kind *kind)
{
	printf("# records = weir_read('x.weir'); no copy: the file is mapped.\n"
	       "import numpy as np\n\n"
	       "RECORD = np.dtype({\n"
	       "    'itemsize': %d,\n    'names': [", RECORD_SIZE);
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
		printf("%s'%s'", i ? ", " : "", schema_columns[i].name);
	printf("],\n    'formats': [");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
		printf("%s'%s'", i ? ", " : "", schema_numpy_type(&schema_columns[i]));
	printf("],\n    'offsets': [");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
		printf("%s%u", i ? ", " : "", schema_columns[i].offset);
	printf("]})\n\n# Where a column holds a value; elsewhere it is no 0 but absent.\nVALID = {\n");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++) {
		const struct schema_column *column = &schema_columns[i];

		if (column->valid == VALID_LAYERS)
			printf("    '%s': lambda r: (r['layers'] & 0x%x) != 0,\n", column->name,
			       column->layers);
		else if (column->valid == VALID_OFFSET)
			printf("    '%s': lambda r: r['%s'] != 0xffffffffffffffff,\n", column->name,
			       column->name);
		else if (column->valid == VALID_ICMP_ID)
			printf("    '%s': lambda r: ((r['layers'] & 0x%x) != 0) & np.isin(r['icmp_type'], "
			       "[0, 8, 13, 14, 15, 16, 17, 18])\n"
			       "        | ((r['layers'] & 0x%x) != 0) & np.isin(r['icmp_type'], [128, "
			       "129]),\n",
			       column->name, LAYER_ICMP, LAYER_ICMPV6);
	}
	printf("}\n\n\ndef weir_read(path):\n"
	       "    head = np.fromfile(path, dtype='<u4', count=4)\n"
	       "    assert head[:2].tobytes() == b'WEIRREC1' and head[3] == RECORD.itemsize\n"
	       "    return np.memmap(path, dtype=RECORD, mode='r', offset=int(head[2]))\n");
}

static void print_arrow(const struct row_kind *kind)
{
	struct arrow_column columns[ROW_COLUMNS];

	row_arrow_columns(kind, columns, false);
	for (unsigned i = 0; i < kind->count; i++) {
		static const char *const names[] = {
			[ARROW_UINT8] = "uint8",   [ARROW_UINT16] = "uint16",
			[ARROW_UINT32] = "uint32", [ARROW_UINT64] = "uint64",
			[ARROW_TEXT] = "string",   [ARROW_TIMESTAMP] = "timestamp[ns, tz=UTC]",
		};

		printf("%s: ", columns[i].name);
		if (columns[i].type == ARROW_FIXED)
			printf("fixed_size_binary[%u]", columns[i].width);
		else
			printf("%s", names[columns[i].type]);
		printf("%s\n", columns[i].nullable ? "" : " not null");
	}
}

static void print_clickhouse(const struct row_kind *kind)
{
	static const struct clickhouse_server current = { .datetime64 = true,
							  .ipv6 = true,
							  .deduplicates = true };

	clickhouse_create_table(stdout, kind, kind->table, &current, false);
}

static void print_duckdb_columns(const struct row_kind *kind, const char *format, const char *separator)
{
	static const char *const types[] = {
		[ROW_U8] = "UTINYINT", [ROW_U16] = "USMALLINT",	  [ROW_U32] = "UINTEGER",
		[ROW_U64] = "UBIGINT", [ROW_TIME_NS] = "UBIGINT", [ROW_IP] = "VARCHAR",
		[ROW_MAC] = "VARCHAR", [ROW_TEXT] = "VARCHAR",
	};

	for (unsigned i = 0; i < kind->count; i++)
		printf(format, kind->columns[i].name, types[kind->columns[i].type],
		       i + 1 < kind->count || kind == &row_record ? separator : "");
	if (kind != &row_record)
		return;
	for (unsigned i = SCHEMA_RECORD_COLUMNS; i < SCHEMA_ALL_COLUMNS; i++) {
		const struct schema_column *column = &schema_columns[i];

		printf(format, column->name,
		       column->type == SCHEMA_DIRECTION ? "VARCHAR"
		       : column->size == 1		? "UTINYINT"
							: "USMALLINT",
		       i + 1 < SCHEMA_ALL_COLUMNS ? separator : "");
	}
}

static void print_duckdb(const struct row_kind *kind)
{
	printf("CREATE TABLE IF NOT EXISTS %s (\n", kind->table);
	print_duckdb_columns(kind, "    %s %s%s\n", ",");
	printf(");\n-- INSERT INTO %s SELECT * FROM read_json('x.ndjson', format = 'newline_delimited', "
	       "columns = {\n",
	       kind->table);
	print_duckdb_columns(kind, "--     %s: '%s'%s\n", ",");
	printf("-- });\n-- INSERT INTO %s SELECT * FROM read_csv('x.csv', header = true, columns = {\n",
	       kind->table);
	print_duckdb_columns(kind, "--     %s: '%s'%s\n", ",");
	printf("-- });\n");
}

static void print_c_member(const struct schema_column *column, const char *indent)
{
	static const char *const types[] = {
		[SCHEMA_U8] = "uint8_t ",   [SCHEMA_U16] = "uint16_t ",     [SCHEMA_U32] = "uint32_t ",
		[SCHEMA_U64] = "uint64_t ", [SCHEMA_TIME_NS] = "uint64_t ", [SCHEMA_IP] = "uint8_t ",
		[SCHEMA_MAC] = "uint8_t ",
	};
	char valid[160];

	schema_describe_validity(column, valid, sizeof valid);
	printf("%s%s%s", indent, types[column->type], column->name);
	if (column->type == SCHEMA_IP || column->type == SCHEMA_MAC)
		printf("[%u]", column->size);
	printf("; /* %s. Valid: %s */\n", column->description, valid);
}

/* The columns that share bytes with the one of this offset and size: as a union, the shorter ones in a
 * struct. */
static void print_c_union(const struct schema_column *whole)
{
	printf("\tunion {\n");
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++) {
			const struct schema_column *column = &schema_columns[i];
			bool inside = column->offset >= whole->offset &&
				      column->offset < whole->offset + whole->size;

			if (!inside || (column->size == whole->size) != (pass == 0))
				continue;
			if (pass == 1 && column->offset == whole->offset)
				printf("\t\tstruct {\n");
			print_c_member(column, pass ? "\t\t\t" : "\t\t");
		}
	}
	printf("\t\t};\n\t};\n");
}

static void print_c(const struct row_kind *kind)
{
	unsigned offset = 0;

	printf("/* A record of a .weir file: little-endian, %d bytes. The first is where the u32 at byte 8 "
	       "of the file says. */\n"
	       "#include <stdint.h>\n\nstruct weir_record {\n",
	       RECORD_SIZE);
	while (offset < RECORD_SIZE) {
		const struct schema_column *whole = NULL;
		unsigned sharing = 0;

		for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++) {
			if (schema_columns[i].offset == offset &&
			    (!whole || schema_columns[i].size > whole->size))
				whole = &schema_columns[i];
		}
		if (!whole)
			break;
		for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
			sharing += schema_columns[i].offset >= offset &&
				   schema_columns[i].offset < offset + whole->size;
		if (sharing > 1)
			print_c_union(whole);
		else
			print_c_member(whole, "\t");
		offset += whole->size;
	}
	printf("};\n_Static_assert(sizeof(struct weir_record) == %d, \"two cache lines\");\n", RECORD_SIZE);
}

static const struct {
	const char *name;
	void (*print)(const struct row_kind *kind);
	bool flows;
	const char *help;
} worlds[] = {
	{ "numpy", print_numpy, false, "a dtype of .weir files, and a function that maps one" },
	{ "arrow", print_arrow, true, "the columns of x.arrow and arrows:-" },
	{ "clickhouse", print_clickhouse, true, "CREATE TABLE for a current server" },
	{ "duckdb", print_duckdb, true, "CREATE TABLE, and how NDJSON and CSV get into it" },
	{ "c", print_c, false, "a struct of .weir files" },
};

static void print_help(void)
{
	fputs("usage: weir schema [--flows] WORLD\nPrints the columns of records as WORLD writes them:\n\n",
	      stdout);
	for (unsigned i = 0; i < sizeof worlds / sizeof worlds[0]; i++)
		printf("  %-10s %s\n", worlds[i].name, worlds[i].help);
	fputs("\n      --flows  the columns of flows: instead (arrow, clickhouse, duckdb)\n", stdout);
}

int weir_schema(int argc, char **argv)
{
	static const struct option options[] = {
		{ "flows", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool flows = false;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return print_help(), 0;
		if (option != 'f')
			return cli_usage("schema: no option '%s' (weir schema --help lists them)",
					 argv[optind - 1]);
		flows = true;
	}
	if (argc - optind != 1)
		return cli_usage("schema wants one of numpy, arrow, clickhouse, duckdb, c");
	for (unsigned i = 0; i < sizeof worlds / sizeof worlds[0]; i++) {
		if (strcmp(worlds[i].name, argv[optind]) != 0)
			continue;
		if (flows && !worlds[i].flows)
			return cli_usage("schema: %s knows .weir files, which hold no flows", worlds[i].name);
		worlds[i].print(flows ? &row_flow : &row_record);
		return 0;
	}
	return cli_usage("schema: no '%s' (numpy, arrow, clickhouse, duckdb or c)", argv[optind]);
}
