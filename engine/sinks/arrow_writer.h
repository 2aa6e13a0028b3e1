/* An Arrow stream or file as it grows: schema, batches by rows and by time, end.
 *
 * Thread owner: whoever owns the struct (the writer thread for files, a network sink's own thread for
 * sockets). Bytes leave through the emit function. Rows come from the owner, who fills writer.batch
 * and calls arrow_writer_flush when it is full or old. The schema's metadata says where the rows come from;
 * the final ledger stands in a file's footer, and in a stream in the metadata of a last, empty batch.
 */
#ifndef WEIR_ENGINE_SINKS_ARROW_WRITER_H
#define WEIR_ENGINE_SINKS_ARROW_WRITER_H

#include "engine/sink.h"
#include "engine/sinks/arrow_batch.h"

#define ARROW_METADATA 8 /* entries at most */

struct arrow_writer {
	struct arrow_batch batch;
	struct flat flat;
	arrow_emit *emit;
	void *context;
	uint64_t offset; /* bytes emitted */
	bool file;       /* magic and footer, not only the stream */
	struct arrow_block *blocks;
	uint32_t block_count, block_capacity;
	struct arrow_metadata metadata[ARROW_METADATA];
	unsigned metadata_count;
	char *values[ARROW_METADATA]; /* what metadata points to, owned */
};

/* Prepares: allocates a batch of rows. columns must outlive the writer. What names the rows' kind in the
 * metadata: "record", "flow". Emits nothing. 0 or -ENOMEM; arrow_writer_close is safe either way. */
int arrow_writer_open(struct arrow_writer *writer, const struct arrow_column *columns, unsigned count,
		      uint32_t rows, const char *what, const struct sink_options *options, bool file,
		      arrow_emit *emit, void *context);

/* Emits magic and schema; for a socket, anew on each connection. 0 or -errno. */
int arrow_writer_begin(struct arrow_writer *writer);

/* Emits the batch if it has rows. 0 or -errno. */
int arrow_writer_flush(struct arrow_writer *writer);

/* Emits the rest, the ledger (NULL: none) and the end. 0 or -errno. */
int arrow_writer_end(struct arrow_writer *writer, const struct ledger *ledger);

void arrow_writer_close(struct arrow_writer *writer);

#endif
