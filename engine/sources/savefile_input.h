/* A file's bytes, contiguous where they are needed, and the spans that they lie in.
 *
 * What savefile and recordfile read from: a regular file, a pipe, a terminal, gzip in any of them. A span is
 * a buffer of 512 KiB that read() fills; what is unfinished at its end is copied to the front of the next
 * one. At most INPUT_SPANS buffers exist, and the one that was released last is used first, so that it is
 * still in the CPU's caches: when all are held the answer is "none now", and memory is bounded whatever
 * comes.
 *
 * Why a regular file is not mapped. A mapped file that somebody truncates, or whose disk fails, ends its
 * reader with SIGBUS, and with it what the sinks had not written; a handler would be process-wide state in a
 * library. read() answers with fewer bytes or an errno, for pipes and packed files it is the only way anyhow,
 * and it is no slower in the mean. Measured (walk alone, page cache, bench/bench_savefile prints both):
 * packets of 1,500 bytes 85 to 105 ns read against 64 mapped where the cache holds the file in large folios
 * and up to 250 where it holds single pages, for then page tables are filled 4 KiB at a time; packets of 60
 * bytes 5 to 15 against 4 to 19.
 *
 * Owner: the thread that reads (the control thread during open, then the worker). input_position is for
 * any thread. It knows nothing of formats.
 */
#ifndef WEIR_ENGINE_SOURCES_SAVEFILE_INPUT_H
#define WEIR_ENGINE_SOURCES_SAVEFILE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/error.h"
#include "engine/source.h"

#define INPUT_BUFFER ((size_t)512 << 10) /* bytes of a span */
#define INPUT_SPANS 16

struct gzip_stream;

enum input_span_state {
	INPUT_SPAN_FREE = 0,
	INPUT_SPAN_CURRENT,
	INPUT_SPAN_HELD, /* ended, to be released by the worker */
};

struct input_span {
	enum input_span_state state;
	uint8_t *bytes; /* owned; NULL until first used */
	size_t size;
};

struct input {
	const uint8_t *at;  /* the next byte to be consumed; the reader advances it, never beyond end */
	const uint8_t *end; /* behind the last byte that is there */

	const uint8_t *origin;  /* a place in memory ... */
	uint64_t origin_offset; /* ... and its offset in the file */
	uint64_t skip_left;     /* bytes to discard before the next one is at `at` */
	struct input_span spans[INPUT_SPANS];
	uint32_t current;
	uint32_t held_most; /* spans in use at once, at most so far */
	bool finished;      /* nothing comes behind end */
	bool torn;          /* the packed data end inside a member */
	bool blocking;      /* wait for bytes instead of answering "none now": while opening */
	bool starved;       /* the last "none now" was for want of bytes (not of a free span) */

	size_t window;             /* bytes of a span */
	int fd;                    /* -1: memory of the caller's */
	bool pollable;             /* a pipe, socket or terminal */
	struct gzip_stream *gzip;  /* NULL: plain */
	uint8_t *scratch;          /* for what is skipped */
	uint64_t total;            /* bytes of the file as stored, 0: unknown */
	_Atomic uint64_t position; /* of these, read */
	char name[192];            /* for messages: the path, "standard input" */
	char base[64];             /* its base name */
	struct error error;        /* why a read failed */
};

/* Opens path ("-": standard input) for reading. window: bytes of a span, 0: INPUT_BUFFER. The result is
 * blocking. Errors: those of open(2); -EISDIR. */
int input_open(const char *path, size_t window, struct input **input, struct error *error);

/* As input_open, over memory that the caller keeps until input_close: one span, nothing copied. */
int input_open_memory(const void *bytes, size_t length, const char *name, struct input **input,
		      struct error *error);

/* As input_open_memory, over a copy of the bytes. */
int input_open_copy(const void *bytes, size_t length, const char *name, struct input **input,
		    struct error *error);

/* Frees. NULL is allowed. */
void input_close(struct input *input);

static inline size_t input_left(const struct input *input)
{
	return (size_t)(input->end - input->at);
}

/* Offset in the (unpacked) file of the byte at `at`. */
static inline uint64_t input_offset(const struct input *input)
{
	return input->origin_offset + (uint64_t)(input->at - input->origin);
}

/* Makes at least count contiguous bytes available at `at`. count: at most SIZE_MAX / 2.
 * Returns 1: they are; 0: not now (see starved); -ENODATA: the file ends with fewer, input_left tells how
 * many; another -errno: reading failed, input->error says why. When the bytes went to another span, *ended
 * is the id of the one that ended; else it is untouched. Pointers below the old `at` stay readable until
 * release. */
int input_need(struct input *input, size_t count, uint32_t *ended);

/* Consumes count bytes, which need not be there yet. */
void input_skip(struct input *input, uint64_t count);

/* The worker is done with a span that had ended. */
void input_release(struct input *input, uint32_t span);

/* True when a read would not block: to ask before sleeping. */
bool input_readable(const struct input *input);

/* How far the file was read. False when its length is unknown. Any thread. */
bool input_position(struct input *input, uint64_t *done, uint64_t *total);

/* Copies text of a hostile file: length bytes (ends early at a NUL) into a string of size bytes, cut at a
 * character's edge; control characters and what is not UTF-8 become '?'. */
void input_copy_text(char *text, size_t size, const uint8_t *bytes, size_t length);

#endif
