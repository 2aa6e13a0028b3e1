/* Digests, HMAC and AES-256-CBC from one of two providers.
 *
 * kernel   AF_ALG sockets (Documentation/crypto/userspace-if.rst): `hash` and `skcipher`. File data goes
 *          from the page cache to the algorithm through a pipe (splice), without a copy in user space.
 * library  libcrypto's EVP interface.
 *
 * Both give the same bytes. There is no cipher or hash code of our own here. An object belongs to the thread
 * that uses it; two objects share nothing.
 *
 * What it does not do: padding, formats, key files (seal.h); no algorithm is chosen here but by its caller.
 */
#ifndef WEIR_ENGINE_SEAL_CRYPTO_H
#define WEIR_ENGINE_SEAL_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/error.h"

enum crypto_provider {
	CRYPTO_AUTO,    /* the kernel where it has the algorithm, else the library */
	CRYPTO_KERNEL,  /* the kernel or an error */
	CRYPTO_LIBRARY,
};

enum crypto_algorithm {
	CRYPTO_SHA1,
	CRYPTO_SHA224,
	CRYPTO_SHA256,
	CRYPTO_SHA384,
	CRYPTO_SHA512,
	CRYPTO_SHA3_256,
	CRYPTO_SHA3_512,
	CRYPTO_ALGORITHMS,
};

enum {
	CRYPTO_DIGEST_MAX = 64,      /* bytes of the longest digest */
	CRYPTO_BLOCK = 16,           /* AES block and IV, bytes */
	CRYPTO_KEY = 32,             /* AES-256 key, bytes */
	CRYPTO_CHUNK = 256 * 1024,   /* what the callers move at once: fits a second-level cache */
	CRYPTO_BUFFER = CRYPTO_CHUNK + 4096, /* a buffer for a chunk and what was kept before it */
};

struct crypto_hash;
struct crypto_cipher;

/* "auto", "kernel", "library"; false for any other text. */
bool crypto_provider_parse(const char *text, enum crypto_provider *provider);

/* "sha256" and so on, also with capitals or as "sha-256"; false for an unknown name. */
bool crypto_algorithm_parse(const char *text, enum crypto_algorithm *algorithm);

/* The name in lower case ("sha3-256"), and the length of its digest in bytes. */
const char *crypto_algorithm_name(enum crypto_algorithm algorithm);
size_t crypto_algorithm_size(enum crypto_algorithm algorithm);

/* Opens a digest, or with key (of key_length bytes, which may be any but 0) an HMAC. provider is what was
 * asked for. -EOPNOTSUPP: the provider has not got it. The key is not referred to afterwards. */
int crypto_hash_open(struct crypto_hash **out, enum crypto_provider provider, enum crypto_algorithm algorithm,
	const uint8_t *key, size_t key_length, struct error *error);

/* Adds length bytes of data. */
int crypto_hash_update(struct crypto_hash *hash, const void *data, size_t length);

/* Adds up to limit bytes read from fd at its file position. Returns how many were added, 0 at the end of the
 * file, or -errno (-EINTR is handled inside). */
ssize_t crypto_hash_file(struct crypto_hash *hash, int fd, size_t limit);

/* Writes the digest (crypto_algorithm_size bytes) and makes the object ready for a new message. */
int crypto_hash_final(struct crypto_hash *hash, uint8_t *digest);

/* CRYPTO_KERNEL or CRYPTO_LIBRARY: which one works. */
enum crypto_provider crypto_hash_provider(const struct crypto_hash *hash);

/* Safe with NULL. */
void crypto_hash_close(struct crypto_hash *hash);

/* Opens AES-256-CBC without padding, for one message: key of CRYPTO_KEY bytes, iv of CRYPTO_BLOCK. */
int crypto_cipher_open(struct crypto_cipher **out, enum crypto_provider provider, bool encrypt,
	const uint8_t *key, const uint8_t *iv, struct error *error);

/* Encrypts or decrypts length bytes, a multiple of CRYPTO_BLOCK up to CRYPTO_BUFFER, from in to out. in must
 * be page-aligned; out may be in. Not after crypto_cipher_file. */
int crypto_cipher_run(struct crypto_cipher *cipher, const uint8_t *in, uint8_t *out, size_t length);

/* As crypto_cipher_run, with the input read from fd at its file position: up to limit bytes (a multiple of
 * CRYPTO_BLOCK, up to CRYPTO_CHUNK). *written is what came out, whole blocks only: the rest (less than
 * CRYPTO_BLOCK bytes) is kept inside and comes with the next call. out has room for limit + CRYPTO_BLOCK
 * bytes. Returns the bytes read, 0 at the end of the file, or -errno; -EINTR: a signal came, call again or
 * give up. */
ssize_t crypto_cipher_file(struct crypto_cipher *cipher, int fd, size_t limit, uint8_t *out, size_t *written);

/* Ends an encryption fed by crypto_cipher_file or crypto_cipher_run: appends the PKCS#7 padding (RFC 5652,
 * section 6.3) to what was kept, and writes the last block to out. Nothing may follow. */
int crypto_cipher_pad(struct crypto_cipher *cipher, uint8_t *out);

enum crypto_provider crypto_cipher_provider(const struct crypto_cipher *cipher);

/* Safe with NULL. */
void crypto_cipher_close(struct crypto_cipher *cipher);

/* ---- between crypto.c and the providers ---- */

struct crypto_hash_ops {
	int (*update)(struct crypto_hash *hash, const void *data, size_t length);
	ssize_t (*file)(struct crypto_hash *hash, int fd, size_t limit);
	int (*final)(struct crypto_hash *hash, uint8_t *digest);
	void (*close)(struct crypto_hash *hash);
};

struct crypto_hash {
	const struct crypto_hash_ops *ops;
	enum crypto_provider provider;
	size_t size;
};

struct crypto_cipher_ops {
	int (*run)(struct crypto_cipher *cipher, const uint8_t *in, uint8_t *out, size_t length);
	ssize_t (*file)(struct crypto_cipher *cipher, int fd, size_t limit, uint8_t *out, size_t *written);
	int (*pad)(struct crypto_cipher *cipher, uint8_t *out);
	void (*close)(struct crypto_cipher *cipher);
};

struct crypto_cipher {
	const struct crypto_cipher_ops *ops;
	enum crypto_provider provider;
};

int crypto_kernel_hash(struct crypto_hash **out, const char *name, const uint8_t *key, size_t key_length,
	struct error *error);
int crypto_kernel_cipher(struct crypto_cipher **out, bool encrypt, const uint8_t *key, const uint8_t *iv,
	struct error *error);
int crypto_library_hash(struct crypto_hash **out, const char *name, const uint8_t *key, size_t key_length,
	struct error *error);
int crypto_library_cipher(struct crypto_cipher **out, bool encrypt, const uint8_t *key, const uint8_t *iv,
	struct error *error);

#endif
