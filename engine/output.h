/* A file that is being written: io_uring where it can be, pwrite or write where it cannot.
 *
 * Owner: the writer thread. Bytes are gathered in page-aligned buffers that are registered with the
 * kernel; full ones are written asynchronously, several in flight, and every completion is checked.
 * A regular file is opened as NAME.part (O_DIRECT where the file system takes it) and gets its name
 * when output_finish has made it whole. Pipes, terminals and devices are written in order with write.
 * It does not know what it writes.
 */
#ifndef WEIR_ENGINE_OUTPUT_H
#define WEIR_ENGINE_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#define OUTPUT_RESERVE_MAX (512u * 1024) /* bytes of one output_reserve at most */

struct output;

struct output_options {
	bool no_direct;      /* never O_DIRECT */
	bool no_uring;       /* pwrite only (tests and the bench) */
	bool flush_each;     /* -U: every output_flush reaches the file at once */
	bool wait_when_full; /* on ENOSPC retry until there is space, instead of failing */
	bool no_part;        /* write under the final name from the start */
	size_t buffer_size;  /* bytes of one buffer, a multiple of 4096; 0: 1 MiB with O_DIRECT, else 256 KiB */
	unsigned buffers;    /* 2 to 64; 0: 8 with O_DIRECT, else 16 */
	const _Atomic bool *cancel; /* set by another thread: stop waiting for space and fail; NULL: never */
	_Atomic bool *waiting;      /* true while a write waits for space; NULL: nobody asks */
};

/* Opens path for writing; "-" is stdout. A path that is being written already is refused (a lock on the
 * .part). SIGPIPE and SIGXFSZ must be ignored by the process, so that their errors come back here.
 * On failure *error names the cause and *output is NULL. */
int output_open(const char *path, const struct output_options *options, struct output **output,
		struct error *error);

/* At least length (at most OUTPUT_RESERVE_MAX) writable bytes at the end of what was committed, or NULL with
 * output_error set (a write failed). May wait for a buffer in flight. */
void *output_reserve(struct output *output, size_t length);

/* The first length bytes of the last reservation belong to the file now. */
void output_commit(struct output *output, size_t length);

/* reserve, copy and commit for any length. 0 or -errno. */
int output_write(struct output *output, const void *data, size_t length);

/* Hands all committed bytes to the kernel and waits for them. 0 or -errno. */
int output_flush(struct output *output);

/* Overwrites bytes that were already written: a header with figures known at the end. Only before
 * output_finish; -ESPIPE when the output cannot seek, -EINVAL beyond what was committed. */
int output_patch(struct output *output, uint64_t offset, const void *data, size_t length);

bool output_seekable(const struct output *output);

/* Bytes committed so far: the offset of the next one. */
uint64_t output_offset(const struct output *output);

/* The first error of any write, 0: none. Fills *error (may be NULL) with cause and hint. */
int output_error(const struct output *output, struct error *error);

/* After an error: bytes before this offset are in the file (or went down the pipe). Waits for what is in flight. */
uint64_t output_whole_until(struct output *output);

/* Writes the rest, syncs (fdatasync, regular files), renames away .part. 0 or -errno. */
int output_finish(struct output *output, struct error *error);

/* Frees. Safe on NULL and on a half-built one. Without a successful output_finish the .part stays, with
 * all that was committed if it can still be written, and cut at the first hole that a failed write left. */
void output_close(struct output *output);

/* There is nothing in it worth keeping: output_close without output_finish removes the .part. */
void output_discard(struct output *output);

/* True when a person reads along: a terminal. */
bool output_is_terminal(const struct output *output);

/* True when somebody waits for what is written: a terminal, pipe or socket. */
bool output_is_prompt(const struct output *output);

/* "io_uring+O_DIRECT", "io_uring", "pwrite", "write": for people. */
const char *output_method(const struct output *output);

#endif
