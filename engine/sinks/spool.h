/* Chunks of rows kept on disk until they can be sent: first in, first out, over runs.
 *
 * Thread owner: the network sink's own thread (open: the writer, before that thread exists). Each chunk is a
 * file of its own, named by its number, whole before it has its name; what a run leaves is found by the next
 * one with the same directory and target. The rows are as they are in memory: the file is for the same
 * program on the same machine, and a chunk of another row size is refused. fdatasync is not called: the
 * spool outlives the process and the far end, not a power cut.
 */
#ifndef WEIR_ENGINE_SINKS_SPOOL_H
#define WEIR_ENGINE_SINKS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

struct spool;

/* directory is made if it is not there; below it one directory for each target. limit: bytes at most.
 * 0, -EBUSY (another process uses it), or another -errno with *error. */
int spool_open(const char *directory, const char *target, size_t row_size, uint64_t limit,
	       struct spool **spool, struct error *error);

/* Adds a chunk behind the others. 0, -EDQUOT (the limit), or another -errno. Rows come in two spans, so that
 * a ring's contents need not be copied; the second may be empty. */
int spool_add(struct spool *spool, uint64_t number, const void *first, uint32_t first_count,
	      const void *second, uint32_t second_count);

/* Reads the oldest chunk, of at most max rows. 0 with *count 0: the spool is empty. A file that is damaged is
 * put aside (renamed to .bad) and the next one taken. 0 or -errno. */
int spool_read(struct spool *spool, void *rows, uint32_t max, uint32_t *count, uint64_t *number);

/* Removes the chunk of that number. */
void spool_remove(struct spool *spool, uint64_t number);

/* Chunks and rows that lie there now. */
uint64_t spool_chunks(const struct spool *spool);
uint64_t spool_rows(const struct spool *spool);

void spool_close(struct spool *spool);

#endif
