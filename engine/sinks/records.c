/* Records (.weir): a header of 16 KiB that describes them, then the 128-byte records as they are in memory.
 *
 *	0      8 bytes   "WEIRREC1"
 *	8      u32       header size, 16384
 *	12     u32       record size, 128
 *	16     JSON      one object, then spaces, then a newline up to 16384
 *	16384  records
 *
 * The JSON's "dtype" is what numpy.dtype() takes. The header is written at the start with what is known then,
 * and again at the end, where the file can seek, with the counts and every interface. packet_offset is null
 * here: no packets are stored beside.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/format.h"
#include "engine/ledger.h"
#include "engine/schema.h"
#include "engine/sinks/file_sink.h"
#include "engine/sinks/records.h"
#include "engine/sinks/sinks.h"

struct records_sink {
	struct file_sink file;
	const struct sink_options *options;
	uint64_t records;
};

/* The header's text as it grows; what does not fit is noticed at the end. */
struct text {
	char *at;
	char *end;
	bool cut;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->at, (size_t)(text->end - text->at), format, arguments);
	va_end(arguments);
	if (length < 0 || length >= text->end - text->at)
		text->cut = true;
	else
		text->at += length;
}

static void add_string(struct text *text, const char *string)
{
	char *end = format_json_string(text->at, (size_t)(text->end - text->at), string);

	if (end == NULL)
		text->cut = true;
	else
		text->at = end;
}

static void add_dtype(struct text *text)
{
	add(text, "\"dtype\":{\"names\":[");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
		add(text, "%s\"%s\"", i > 0 ? "," : "", schema_columns[i].name);
	add(text, "],\"formats\":[");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
		add(text, "%s\"%s\"", i > 0 ? "," : "", schema_numpy_type(&schema_columns[i]));
	add(text, "],\"offsets\":[");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++)
		add(text, "%s%u", i > 0 ? "," : "", schema_columns[i].offset);
	add(text, "],\"itemsize\":%d}", RECORD_SIZE);
}

static void add_fields(struct text *text)
{
	char valid[160];

	add(text, ",\"fields\":[");
	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++) {
		const struct schema_column *column = &schema_columns[i];

		schema_describe_validity(column, valid, sizeof valid);
		add(text, "%s{\"name\":\"%s\",\"type\":\"%s\",\"offset\":%u,\"size\":%u,\"valid\":\"%s\"}",
		    i > 0 ? "," : "",
		    column->name, schema_type_name((enum schema_type)column->type), column->offset, column->size, valid);
	}
	add(text, "]");
}

static void add_names(struct text *text, const char *key, const char *const *names, unsigned count)
{
	add(text, ",\"%s\":[", key);
	for (unsigned i = 0; i < count; i++) {
		if (names[i] == NULL)
			add(text, "%snull", i > 0 ? "," : "");
		else
			add(text, "%s\"%s\"", i > 0 ? "," : "", names[i]);
	}
	add(text, "]");
}

static void add_interface(struct text *text, const struct interface *interface, unsigned index)
{
	static const uint8_t no_mac[6];
	char mac[FORMAT_MAC_MAX + 1];

	add(text, "%s{\"name\":", index > 0 ? "," : "");
	add_string(text, interface->name);
	add(text, ",\"link_type\":%u,\"snap_length\":%u", interface->link_type, interface->snap_length);
	if (memcmp(interface->mac, no_mac, sizeof no_mac) != 0) {
		*format_mac(mac, interface->mac) = '\0';
		add(text, ",\"mac\":\"%s\"", mac);
	}
	add(text, "}");
}

/* As many interfaces as there is room for; how many do not fit is said, and none is written in half. */
static void add_interfaces(struct text *text, const struct interface_table *table)
{
	uint32_t count = table != NULL ? interface_table_count(table) : 0;
	uint32_t index;

	text->end -= 64; /* for what comes behind them */
	add(text, ",\"interfaces\":[");
	for (index = 0; index < count && !text->cut; index++) {
		char *before = text->at;

		add_interface(text, interface_table_get(table, (uint16_t)index), index);
		if (text->cut) {
			text->at = before;
			memset(before, ' ', (size_t)(text->end - before));
		}
	}
	text->end += 64;
	add(text, "],\"interfaces_omitted\":%u", text->cut ? count - (index - 1) : 0);
	text->cut = false;
}

static void add_run(struct text *text, const struct sink_options *options)
{
	char host[256] = "";
	char filter[2048];

	gethostname(host, sizeof host - 1);
	add(text, ",\"application\":");
	add_string(text, options->application != NULL ? options->application : "");
	add(text, ",\"host\":");
	add_string(text, host);
	add(text, ",\"filter\":");
	snprintf(filter, sizeof filter, "%s", options->filter != NULL ? options->filter : "");
	add_string(text, filter);
	add(text, ",\"snap_length\":%u", options->snap_length);
}

/* Null until the end of the run. */
static void add_counts(struct text *text, const struct records_sink *records, const struct ledger *ledger)
{
	if (ledger == NULL) {
		add(text,
		    ",\"records\":null,\"seen\":null,\"filtered\":null,\"lost\":null,\"start_ns\":null,\"end_ns\":null");
		return;
	}
	add(text, ",\"records\":%" PRIu64 ",\"seen\":%" PRIu64 ",\"filtered\":%" PRIu64 ",\"lost\":%" PRIu64,
	    records->records, ledger->seen, ledger->filtered, ledger->lost);
	add(text, ",\"start_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64, ledger->start_ns, ledger->end_ns);
}

static int make_header(const struct records_sink *records, const struct ledger *ledger,
		       char header[RECORDS_HEADER_SIZE])
{
	struct records_start start = { .header_size = RECORDS_HEADER_SIZE, .record_size = RECORD_SIZE };
	struct text text = { .at = header + sizeof start, .end = header + RECORDS_HEADER_SIZE - 1 };

	memcpy(start.magic, RECORDS_MAGIC, sizeof start.magic);
	memset(header, ' ', RECORDS_HEADER_SIZE);
	memcpy(header, &start, sizeof start);
	add(&text, "{\"version\":%d,\"byte_order\":\"little\",", RECORD_VERSION);
	add_dtype(&text);
	add_fields(&text);
	add_names(&text, "layer_bits", schema_layer_names, 32);
	add_names(&text, "status_bits", schema_status_names, 32);
	add_names(&text, "tunnel_types", schema_tunnel_names, SCHEMA_TUNNEL_TYPES);
	add_counts(&text, records, ledger);
	add_run(&text, records->options);
	if (text.cut)
		return -ENOSPC;
	add_interfaces(&text, records->options->interfaces);
	add(&text, "}");
	*text.at = ' '; /* the NUL of the last piece */
	header[RECORDS_HEADER_SIZE - 1] = '\n';
	return text.cut ? -ENOSPC : 0;
}

static int records_write(struct sink *sink, const struct batch *batch)
{
	struct records_sink *records = (struct records_sink *)sink;
	struct output *output = records->file.output;

	for (uint32_t i = 0; i < batch->count;) {
		uint32_t count = batch->count - i < SINK_BATCH ? batch->count - i : SINK_BATCH;
		struct record *to = output_reserve(output, (size_t)count * RECORD_SIZE);

		if (to == NULL)
			break;
		for (uint32_t k = 0; k < count; k++) {
			to[k] = *batch->records[i + k];
			to[k].packet_offset = RECORD_NO_OFFSET;
		}
		output_commit(output, (size_t)count * RECORD_SIZE);
		i += count;
	}
	records->records += batch->count;
	return file_sink_done(&records->file);
}

static int records_finish(struct sink *sink, const struct ledger *ledger)
{
	struct records_sink *records = (struct records_sink *)sink;
	char header[RECORDS_HEADER_SIZE];

	/* The first header was made from the same parts, so that this one fits. */
	if (output_seekable(records->file.output) && make_header(records, ledger, header) == 0)
		output_patch(records->file.output, 0, header, sizeof header);
	return file_sink_finish(sink, ledger);
}

static const struct sink_ops records_ops = {
	.name = "records",
	.write = records_write,
	.flush = file_sink_flush,
	.tick = file_sink_tick,
	.finish = records_finish,
	.close = file_sink_close,
};

int records_open(const char *target, const struct sink_options *options, struct sink **sink,
		 struct error *error)
{
	struct records_sink *records;
	struct file_sink *file;
	char header[RECORDS_HEADER_SIZE];
	int code = file_sink_open_binary(sizeof *records, &records_ops, target, options, &file, error);

	*sink = NULL;
	if (code < 0)
		return code;
	records = (struct records_sink *)file;
	records->options = options;
	code = make_header(records, NULL, header);
	if (code < 0) {
		file_sink_close(&file->sink);
		return error_set(error, code, "the header of %s has no room for its text", target);
	}
	output_write(file->output, header, sizeof header);
	*sink = &file->sink;
	return 0;
}
