/* --stream-payload DIR: each direction's bytes in a file of its own, named as tcpflow names them.
 *
 * Thread owner: the writer. A piece is written where it belongs in the stream, so nothing has to be held
 * back in memory and what was never seen stays a hole. A few hundred files are kept open; a colder one is
 * opened again when it is needed. A name that exists is never written over: it gets c1, c2, ... behind it,
 * as tcpflow does for a connection that uses its ports again.
 */
#ifndef WEIR_ENGINE_SINKS_STREAM_FILES_H
#define WEIR_ENGINE_SINKS_STREAM_FILES_H

#include <stdint.h>

#include "decoders/record.h"
#include "engine/error.h"

struct stream_files;

/* Which file a stream has: kept by the stream. All zero: none yet. */
struct stream_file {
	uint16_t number; /* c1 is 2 */
};

/* directory: made if it is not there. 0 or -errno with *error. */
int stream_files_open(const char *directory, struct stream_files **files, struct error *error);

/* Writes length bytes at offset of the stream that the record's packet belongs to. id: of the stream, for the
 * table of open files. 0 or -errno with *error. */
int stream_files_write(struct stream_files *files, uint64_t id, struct stream_file *file,
		       const struct record *record, const uint8_t *bytes, uint32_t length, uint64_t offset,
		       struct error *error);

/* The stream has ended: its file is closed. */
void stream_files_done(struct stream_files *files, uint64_t id);

/* Files made so far. */
uint64_t stream_files_count(const struct stream_files *files);

void stream_files_close(struct stream_files *files);

#endif
