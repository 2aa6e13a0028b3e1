#include "engine/sinks/arrow_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/ledger.h"

/* Takes over value; a NULL one (out of memory) is reported. */
static int add_metadata(struct arrow_writer *writer, const char *key, char *value)
{
	if (!value)
		return -ENOMEM;
	writer->values[writer->metadata_count] = value;
	writer->metadata[writer->metadata_count++] = (struct arrow_metadata){ key, value };
	return 0;
}

/* The names of the run's interfaces by index, one a line: record.interface indexes them. A reader of files
 * may meet more of them later; the footer names them all. */
static char *interface_names(const struct interface_table *table)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (uint32_t i = 0; table && i < interface_table_count(table); i++)
		fprintf(out, "%s%s", i ? "\n" : "", interface_table_get(table, (uint16_t)i)->name);
	return fclose(out) == 0 ? text : NULL;
}

static int describe(struct arrow_writer *writer, const char *what, const struct sink_options *options)
{
	char host[256] = "", number[16];
	int rc;

	gethostname(host, sizeof host - 1);
	snprintf(number, sizeof number, "%u", RECORD_VERSION);
	rc = add_metadata(writer, "weir.rows", strdup(what));
	if (rc == 0)
		rc = add_metadata(writer, "weir.record_version", strdup(number));
	if (rc == 0)
		rc = add_metadata(writer, "weir.application",
				  strdup(options->application ? options->application : ""));
	if (rc == 0)
		rc = add_metadata(writer, "weir.host", strdup(host));
	if (rc == 0)
		rc = add_metadata(writer, "weir.filter", strdup(options->filter ? options->filter : ""));
	if (rc == 0)
		rc = add_metadata(writer, "weir.interfaces", interface_names(options->interfaces));
	return rc;
}

int arrow_writer_open(struct arrow_writer *writer, const struct arrow_column *columns, unsigned count,
		      uint32_t rows, const char *what, const struct sink_options *options, bool file,
		      arrow_emit *emit, void *context)
{
	int rc;

	*writer = (struct arrow_writer){ .emit = emit, .context = context, .file = file };
	rc = arrow_batch_create(&writer->batch, columns, count, rows);
	return rc ? rc : describe(writer, what, options);
}

static int emit_flat(struct arrow_writer *writer)
{
	int rc = writer->emit(writer->context, writer->flat.data, writer->flat.length);

	writer->offset += writer->flat.length;
	return rc;
}

int arrow_writer_begin(struct arrow_writer *writer)
{
	int rc;

	writer->offset = 0;
	if (writer->file) {
		rc = writer->emit(writer->context, ARROW_MAGIC, 8);
		if (rc)
			return rc;
		writer->offset = 8;
	}
	rc = arrow_schema_message(&writer->flat, writer->batch.columns, writer->batch.count, writer->metadata,
				  writer->metadata_count, writer->offset);
	return rc ? rc : emit_flat(writer);
}

static int note_block(struct arrow_writer *writer, struct arrow_block block)
{
	if (writer->block_count == writer->block_capacity) {
		uint32_t capacity = writer->block_capacity ? writer->block_capacity * 2 : 256;
		struct arrow_block *blocks = reallocarray(writer->blocks, capacity, sizeof *blocks);

		if (!blocks)
			return -ENOMEM;
		writer->blocks = blocks;
		writer->block_capacity = capacity;
	}
	writer->blocks[writer->block_count++] = block;
	return 0;
}

static int emit_batch(struct arrow_writer *writer, const struct arrow_metadata *metadata, unsigned count)
{
	struct arrow_block block;
	int rc = arrow_batch_emit(&writer->batch, &writer->flat, metadata, count, writer->emit,
				  writer->context, &writer->offset, &block);

	if (rc == 0 && writer->file)
		rc = note_block(writer, block);
	arrow_batch_clear(&writer->batch);
	return rc;
}

int arrow_writer_flush(struct arrow_writer *writer)
{
	return writer->batch.rows ? emit_batch(writer, NULL, 0) : 0;
}

static char *ledger_text(const struct ledger *ledger)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int rc;

	if (!out)
		return NULL;
	rc = ledger_write_json(ledger, out);
	if (fclose(out) != 0 || rc) {
		free(text);
		return NULL;
	}
	if (size && text[size - 1] == '\n')
		text[size - 1] = '\0';
	return text;
}

int arrow_writer_end(struct arrow_writer *writer, const struct ledger *ledger)
{
	unsigned before = writer->metadata_count;
	int rc = arrow_writer_flush(writer);

	if (rc == 0 && ledger)
		rc = add_metadata(writer, "weir.ledger", ledger_text(ledger));
	if (rc == 0 && ledger && !writer->file)
		rc = emit_batch(writer, writer->metadata + before, 1);
	if (rc == 0)
		rc = writer->emit(writer->context, ARROW_END, ARROW_END_SIZE);
	writer->offset += ARROW_END_SIZE;
	if (rc || !writer->file)
		return rc;
	rc = arrow_footer(&writer->flat, writer->batch.columns, writer->batch.count, writer->blocks,
			  writer->block_count, writer->metadata, writer->metadata_count);
	return rc ? rc : emit_flat(writer);
}

void arrow_writer_close(struct arrow_writer *writer)
{
	for (unsigned i = 0; i < writer->metadata_count; i++)
		free(writer->values[i]);
	arrow_batch_close(&writer->batch);
	flat_close(&writer->flat);
	free(writer->blocks);
	*writer = (struct arrow_writer){ 0 };
}
