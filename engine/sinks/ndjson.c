/* NDJSON: every column of the schema under its name, one object a line, absent ones null.
 *
 * The columns are expanded from the schema's list at compile time, so that each costs a copy of its key, one
 * test and its digits.
 */
#include "engine/sinks/column_text.h"
#include "engine/sinks/lines.h"
#include "engine/sinks/sinks.h"

#define X(name, type, validity, mask, text) sizeof(",\"" #name "\":") + COLUMN_VALUE_MAX +
_Static_assert(SCHEMA_COLUMNS(X) SCHEMA_DERIVED(X) 16 <= LINES_ROOM, "a line may be longer than its room");
#undef X

static inline char *put_line(void *context, char *p, const struct record *record)
{
	(void)context;
	*p++ = '{';
#define PUT(name, type, validity, mask, value)                        \
	p = FORMAT_LITERAL(p, "\"" #name "\":");                  \
	if (COLUMN_HAS_TEXT(name, validity, mask, record))            \
		p = COLUMN_TEXT_##type(p, record, value, "\"");       \
	else                                                          \
		p = FORMAT_LITERAL(p, "null");                        \
	*p++ = ',';
#define X(name, type, validity, mask, text) PUT(name, type, validity, mask, record->name)
	SCHEMA_COLUMNS(X)
#undef X
#define X(name, type, validity, mask, text) PUT(name, type, validity, mask, schema_##name(record))
	SCHEMA_DERIVED(X)
#undef X
#undef PUT
	p[-1] = '}';
	*p++ = '\n';
	return p;
}

char *ndjson_line(char *p, const struct record *record)
{
	return put_line(NULL, p, record);
}

static int ndjson_write(struct sink *sink, const struct batch *batch)
{
	return lines_write((struct file_sink *)sink, batch, put_line, NULL);
}

static const struct sink_ops ndjson_ops = {
	.name = "ndjson",
	.write = ndjson_write,
	.flush = file_sink_flush,
	.tick = file_sink_tick,
	.finish = file_sink_finish,
	.close = file_sink_close,
};

int ndjson_open(const char *target, const struct sink_options *options, struct sink **sink,
		struct error *error)
{
	struct file_sink *file;
	int code = file_sink_open(sizeof *file, &ndjson_ops, target, options, &file, error);

	*sink = code == 0 ? &file->sink : NULL;
	return code;
}
