/* What happens to a capture file after it is closed: sealing it, and its line in the manifest.
 *
 * The writer hands over the finished file's name and goes on; a thread of its own does the work, in the order
 * of the hand-overs, so that a long file never holds the packets up. The first failure stops nothing that can
 * still be done for later files, and is reported when the archive is closed (or asked for before).
 *
 * archive_submit and archive_failed belong to the writer's thread. Key, manifest and directory are opened by
 * the caller before privileges are dropped, and stay the caller's until archive_close has returned.
 *
 * It does not name, rotate or delete captures, but for the plaintext that it has sealed.
 */
#ifndef WEIR_ENGINE_SEAL_ARCHIVE_H
#define WEIR_ENGINE_SEAL_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/seal/crypto.h"
#include "engine/seal/key.h"
#include "engine/seal/manifest.h"

struct archive;

struct archive_options {
	int dirfd;                     /* where the files lie; AT_FDCWD allowed */
	const struct seal_key *key;    /* NULL: the files stay as they are */
	struct manifest *manifest;     /* NULL: no manifest */
	enum crypto_provider provider;
};

int archive_open(struct archive **out, const struct archive_options *options, struct error *error);

/* Hands over the finished file name (relative to dirfd), with what its manifest line says of it. Never waits
 * for the work; -ENOMEM when it cannot be noted. */
int archive_submit(struct archive *archive, const char *name, uint64_t packets, uint64_t first_ns,
	uint64_t last_ns);

/* True when something has failed already. */
bool archive_failed(struct archive *archive);

/* Waits until all is done; returns the first failure. Safe with NULL. */
int archive_close(struct archive *archive, struct error *error);

#endif
