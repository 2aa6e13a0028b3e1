/* Secrets: key files, passphrases, and the keys derived from them.
 *
 * A secret comes from a file that its owner alone may read, never from the command line. It lives in pages of
 * its own that are locked into memory (as far as RLIMIT_MEMLOCK allows), left out of core dumps, and wiped
 * when they are given back. The process that holds one should have called seal_key_guard.
 *
 * Derivation is libcrypto's: HKDF-SHA-256 (RFC 5869) from a key file, scrypt (RFC 7914) from a passphrase,
 * PBKDF2-HMAC-SHA-256 (RFC 8018) for the format of `openssl enc`.
 */
#ifndef WEIR_ENGINE_SEAL_KEY_H
#define WEIR_ENGINE_SEAL_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

enum seal_key_kind {
	SEAL_KEY_FILE = 0,       /* 32 bytes, or 64 hexadecimal digits */
	SEAL_KEY_PASSPHRASE = 1, /* the first line of a file */
};

struct seal_key;

/* No core dumps and no ptrace by the same user from here on (PR_SET_DUMPABLE 0, RLIMIT_CORE 0). Call it
 * before a secret is read. It also makes /proc/self belong to root, for a process that is not root. */
int seal_key_guard(struct error *error);

/* Reads the secret in path. A file that group or others may read or write, or that belongs to another user
 * than the caller or root, is refused (-EPERM). */
int seal_key_read(struct seal_key **out, const char *path, enum seal_key_kind kind, struct error *error);

enum seal_key_kind seal_key_kind(const struct seal_key *key);

/* The 32 bytes of a key file. */
const uint8_t *seal_key_bytes(const struct seal_key *key);

/* Wipes it. Safe with NULL. */
void seal_key_close(struct seal_key *key);

struct seal_scrypt {
	uint32_t log2_n; /* cost: 2^log2_n */
	uint32_t r, p;
};

/* What a new file gets: 128 MiB and about half a second. */
#define SEAL_SCRYPT_DEFAULT ((struct seal_scrypt){ .log2_n = 17, .r = 8, .p = 1 })

/* Derives length bytes for one file. salt: 32 bytes. scrypt is used with a passphrase; values beyond 1 GiB of
 * memory or a minute or so of work are refused (-EINVAL), since they come from a file. */
int seal_key_derive(const struct seal_key *key, const uint8_t *salt, const struct seal_scrypt *scrypt,
	uint8_t *out, size_t length, struct error *error);

/* PBKDF2-HMAC-SHA-256 of a passphrase with a salt of 8 bytes, as `openssl enc -pbkdf2 -iter ITERATIONS`. */
int seal_key_pbkdf2(const struct seal_key *key, const uint8_t *salt, unsigned iterations, uint8_t *out,
	size_t length, struct error *error);

/* Memory for a secret: locked, not dumped, zeroed; NULL when there is none. seal_secret_free wipes it. */
void *seal_secret_new(size_t size);
void seal_secret_free(void *secret, size_t size);

#endif
