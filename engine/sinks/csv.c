/* CSV by RFC 4180: a header of the schema's names, a row a record, CRLF, an absent value is an empty field.
 * No value holds a comma, a quote or a line end, so that none needs quotes.
 */
#include "engine/sinks/column_text.h"
#include "engine/sinks/lines.h"
#include "engine/sinks/sinks.h"

#include <string.h>

#define X(name, type, validity, mask, text) sizeof(",\"" #name "\":") + COLUMN_VALUE_MAX +
_Static_assert(SCHEMA_COLUMNS(X) SCHEMA_DERIVED(X) 16 <= LINES_ROOM, "a line may be longer than its room");
#undef X

static inline char *put_line(void *context, char *p, const struct record *record)
{
	(void)context;
#define PUT(name, type, validity, mask, value)                        \
	if (COLUMN_HAS_TEXT(name, validity, mask, record))            \
		p = COLUMN_TEXT_##type(p, record, value, "");         \
	*p++ = ',';
#define X(name, type, validity, mask, text) PUT(name, type, validity, mask, record->name)
	SCHEMA_COLUMNS(X)
#undef X
#define X(name, type, validity, mask, text) PUT(name, type, validity, mask, schema_##name(record))
	SCHEMA_DERIVED(X)
#undef X
#undef PUT
	p[-1] = '\r';
	*p++ = '\n';
	return p;
}

static int csv_write(struct sink *sink, const struct batch *batch)
{
	return lines_write((struct file_sink *)sink, batch, put_line, NULL);
}

static const struct sink_ops csv_ops = {
	.name = "csv",
	.write = csv_write,
	.flush = file_sink_flush,
	.tick = file_sink_tick,
	.finish = file_sink_finish,
	.close = file_sink_close,
};

int csv_open(const char *target, const struct sink_options *options, struct sink **sink, struct error *error)
{
	struct file_sink *file;
	int code = file_sink_open(sizeof *file, &csv_ops, target, options, &file, error);

	*sink = NULL;
	if (code < 0)
		return code;
	for (unsigned i = 0; i < SCHEMA_ALL_COLUMNS; i++) {
		output_write(file->output, schema_columns[i].name, strlen(schema_columns[i].name));
		output_write(file->output, i + 1 < SCHEMA_ALL_COLUMNS ? "," : "\r\n", i + 1 < SCHEMA_ALL_COLUMNS ? 1 : 2);
	}
	*sink = &file->sink;
	return 0;
}
