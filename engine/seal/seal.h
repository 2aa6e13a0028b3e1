/* Sealed files: AES-256-CBC, then HMAC-SHA-256 over all that is written (encrypt-then-MAC).
 *
 * Format, version 1. Numbers are little-endian.
 *
 *   offset  bytes
 *        0      8  "WEIRSEAL"
 *        8      1  version, 1
 *        9      1  suite, 1: AES-256-CBC with PKCS#7 padding, HMAC-SHA-256
 *       10      1  key: 0 from a key file by HKDF-SHA-256, 1 from a passphrase by scrypt
 *       11      1  0
 *       12      4  length of this header, 128
 *       16     12  scrypt: log2 of N, r, p (4 bytes each); 0 with a key file
 *       28      4  0
 *       32     32  salt, random
 *       64     16  IV, random
 *       80     16  0
 *       96     32  header tag: HMAC-SHA-256(mac key, bytes 0..95)
 *      128      n  ciphertext, n a multiple of 16 and at least 16
 *    128+n     32  file tag: HMAC-SHA-256(mac key, bytes 0..127+n)
 *
 * The derivation gives 64 bytes: the cipher key, then the MAC key, so that no two files share a key. HKDF's
 * info is "weir seal 1". The header tag tells a wrong key from a changed file before anything long is read.
 *
 * Opening has two passes over a seekable input: the file tag first; then decryption, with the tag
 * computed again over what is decrypted, so that a file that changes in between is found too.
 *
 * Each call runs in its caller's thread and one helper thread (conveyor.h), with bounded memory. It does not
 * make names appear or vanish: that is partfile.h.
 */
#ifndef WEIR_ENGINE_SEAL_SEAL_H
#define WEIR_ENGINE_SEAL_SEAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/seal/crypto.h"
#include "engine/seal/key.h"

/* What capture files get appended to their name when they are sealed. */
#define SEAL_SUFFIX ".sealed"

struct seal_job {
	int in, out;                  /* descriptors, read and written at their file positions */
	const char *in_name;          /* for messages */
	const char *out_name;
	enum crypto_provider provider;
	const atomic_bool *cancel;    /* set elsewhere: give up, -ECANCELED; may be NULL */
	enum crypto_provider used;    /* out: which provider encrypted */
};

/* Seals all of job->in into job->out. */
int seal_write(struct seal_job *job, const struct seal_key *key, struct error *error);

/* Opens a sealed file. -EBADMSG: not sealed, cut, changed, or another key. Into a seekable input is looked
 * twice, and nothing is written unless the first pass found it whole; with any other input the output is not
 * to be trusted, nor shown, before this has returned 0. */
int seal_read(struct seal_job *job, const struct seal_key *key, struct error *error);

/* True where seal_read can look twice. */
bool seal_is_seekable(int fd);

/* Bare AES-256-CBC as `openssl enc -aes-256-cbc` writes it. With a key file, iv (16 bytes) is needed:
 * `-K HEX -iv HEX`. With a passphrase iv is NULL, and the file begins with "Salted__" and 8 bytes of salt:
 * `-pbkdf2 -iter ITERATIONS -pass file:F`. Nothing is authenticated: a changed file opens to other bytes. */
int seal_raw_write(struct seal_job *job, const struct seal_key *key, const uint8_t *iv, unsigned iterations,
	struct error *error);
int seal_raw_read(struct seal_job *job, const struct seal_key *key, const uint8_t *iv, unsigned iterations,
	struct error *error);

/* Seals the finished file name in the directory dirfd into NAME.sealed (NAME.sealed.part until it is whole),
 * and then removes NAME. Both are synced to the disk first. Not cancelled by signals. */
int seal_file_at(int dirfd, const char *name, const struct seal_key *key, enum crypto_provider provider,
	struct error *error);

#endif
