/* The manifest of a capture: one line for each file when it was closed, chained by SHA-256.
 *
 * A line is one JSON object with these keys in this order, and nothing else:
 *
 *   {"name":"a.pcapng","size":1024,"packets":8,"first_timestamp_ns":1,"last_timestamp_ns":9,
 *    "sha256":"HEX","previous":"HEX"}
 *
 * (on one line). sha256 is of the file as it lies on the disk, sealed if it was sealed; previous is the
 * SHA-256 of the line before, without its newline, and 64 zeros in the first line. The timestamps are null
 * where packets is 0. name is relative to the manifest's directory, or absolute. In names, bytes below 0x20,
 * the quote, the backslash and DEL are \u00XX; a byte that is not part of valid UTF-8 is \udcXX.
 *
 * A file that is changed, cut or gone, and a line that is changed, removed or moved, is found. Lines taken
 * off the end are found only by someone who kept the last hash (manifest_reader_head), and a whole new chain
 * only so too: the chain holds no secret.
 */
#ifndef WEIR_ENGINE_SEAL_MANIFEST_H
#define WEIR_ENGINE_SEAL_MANIFEST_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/seal/crypto.h"

enum { MANIFEST_HASH = 32 };

struct manifest;

/* Opens (or creates) the manifest for appending and locks it. directory is where the captured files lie: if
 * it is not the manifest's own, their absolute names are recorded; NULL: it is. A manifest whose last line
 * has no end is refused (-EBADMSG). */
int manifest_open(struct manifest **out, const char *path, const char *directory, struct error *error);

/* Reads the finished file name (relative to the directory dirfd, or absolute), appends its line, and syncs the manifest. On a full
 * disk the manifest is left as it was. packets 0 makes the timestamps null. */
int manifest_append(struct manifest *manifest, int dirfd, const char *name, uint64_t packets,
	uint64_t first_ns, uint64_t last_ns, enum crypto_provider provider, struct error *error);

/* Safe with NULL. */
void manifest_close(struct manifest *manifest);

enum manifest_line {
	MANIFEST_GOOD,
	MANIFEST_END,       /* no more lines */
	MANIFEST_CHAIN,     /* readable, but what stands before it is not what stood there */
	MANIFEST_MALFORMED, /* not such a line; nothing is known of its file */
	MANIFEST_TORN,      /* malformed, and the last, without newline */
};

enum manifest_file {
	MANIFEST_FILE_GOOD,
	MANIFEST_FILE_MISSING,
	MANIFEST_FILE_SIZE,
	MANIFEST_FILE_CHANGED,
	MANIFEST_FILE_UNREADABLE, /* error says why */
};

struct manifest_entry {
	char name[PATH_MAX];
	uint64_t size, packets;
	uint64_t first_ns, last_ns; /* 0 for null */
	uint8_t sha256[MANIFEST_HASH];
	uint8_t previous[MANIFEST_HASH];
};

struct manifest_reader;

int manifest_reader_open(struct manifest_reader **out, const char *path, struct error *error);

/* The next line. entry is filled for MANIFEST_GOOD and MANIFEST_CHAIN. -errno: it cannot be read. */
int manifest_reader_next(struct manifest_reader *reader, struct manifest_entry *entry, struct error *error);

/* The hash of the last line read, or zeros. */
const uint8_t *manifest_reader_head(const struct manifest_reader *reader);

/* Lines read so far: the number of the last one. */
uint64_t manifest_reader_line(const struct manifest_reader *reader);

/* Safe with NULL. */
void manifest_reader_close(struct manifest_reader *reader);

/* Compares the file that entry speaks of, relative to dirfd, with what is recorded. */
enum manifest_file manifest_check(int dirfd, const struct manifest_entry *entry,
	enum crypto_provider provider, struct error *error);

/* SHA-256 and size of an open file, from its position on; provider as for crypto_hash_open. */
int manifest_hash_fd(int fd, enum crypto_provider provider, uint8_t *sha256, uint64_t *size,
	struct error *error);

/* ---- manifest_line.c: the text of one line ---- */

enum { MANIFEST_LINE_MAX = 6 * PATH_MAX + 512 };

/* Writes the line without newline; returns its length. line has MANIFEST_LINE_MAX bytes. */
size_t manifest_line_format(char *line, const struct manifest_entry *entry);

/* False unless the length bytes are exactly such a line. Reads no byte beyond them. */
bool manifest_line_parse(const char *line, size_t length, struct manifest_entry *entry);

#endif
