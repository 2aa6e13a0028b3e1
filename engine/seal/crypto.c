#include "engine/seal/crypto.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	const char *alias;
	const char *kernel;  /* crypto_alg.cra_name: /proc/crypto */
	const char *library; /* EVP_MD-common(7) */
	size_t size;
} algorithms[CRYPTO_ALGORITHMS] = {
	[CRYPTO_SHA1] = { "sha1", "sha-1", "sha1", "SHA1", 20 },
	[CRYPTO_SHA224] = { "sha224", "sha-224", "sha224", "SHA224", 28 },
	[CRYPTO_SHA256] = { "sha256", "sha-256", "sha256", "SHA256", 32 },
	[CRYPTO_SHA384] = { "sha384", "sha-384", "sha384", "SHA384", 48 },
	[CRYPTO_SHA512] = { "sha512", "sha-512", "sha512", "SHA512", 64 },
	[CRYPTO_SHA3_256] = { "sha3-256", "sha3_256", "sha3-256", "SHA3-256", 32 },
	[CRYPTO_SHA3_512] = { "sha3-512", "sha3_512", "sha3-512", "SHA3-512", 64 },
};

bool crypto_provider_parse(const char *text, enum crypto_provider *provider)
{
	static const char *const names[] = { "auto", "kernel", "library" };

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*provider = (enum crypto_provider)i;
			return true;
		}
	}
	return false;
}

bool crypto_algorithm_parse(const char *text, enum crypto_algorithm *algorithm)
{
	for (unsigned i = 0; i < CRYPTO_ALGORITHMS; i++) {
		if (strcasecmp(text, algorithms[i].name) == 0 || strcasecmp(text, algorithms[i].alias) == 0) {
			*algorithm = (enum crypto_algorithm)i;
			return true;
		}
	}
	return false;
}

const char *crypto_algorithm_name(enum crypto_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

size_t crypto_algorithm_size(enum crypto_algorithm algorithm)
{
	return algorithms[algorithm].size;
}

/* A kernel that refuses is no error while the library can do it: the caller's is touched only when it ends there. */
static void report(struct error *error, const struct error *refused)
{
	if (error != NULL && refused->code != 0)
		*error = *refused;
}

int crypto_hash_open(struct crypto_hash **out, enum crypto_provider provider, enum crypto_algorithm algorithm,
	const uint8_t *key, size_t key_length, struct error *error)
{
	struct error refused = { 0 };
	int ret;

	*out = NULL;
	if (provider != CRYPTO_LIBRARY) {
		ret = crypto_kernel_hash(out, algorithms[algorithm].kernel, key, key_length, &refused);
		if (ret == 0)
			(*out)->provider = CRYPTO_KERNEL;
		if (ret != -EOPNOTSUPP || provider == CRYPTO_KERNEL) {
			report(error, &refused);
			goto done;
		}
	}
	ret = crypto_library_hash(out, algorithms[algorithm].library, key, key_length, error);
	if (ret == 0)
		(*out)->provider = CRYPTO_LIBRARY;
done:
	if (ret == 0)
		(*out)->size = algorithms[algorithm].size;
	return ret;
}

int crypto_hash_update(struct crypto_hash *hash, const void *data, size_t length)
{
	return hash->ops->update(hash, data, length);
}

ssize_t crypto_hash_file(struct crypto_hash *hash, int fd, size_t limit)
{
	return hash->ops->file(hash, fd, limit);
}

int crypto_hash_final(struct crypto_hash *hash, uint8_t *digest)
{
	return hash->ops->final(hash, digest);
}

enum crypto_provider crypto_hash_provider(const struct crypto_hash *hash)
{
	return hash->provider;
}

void crypto_hash_close(struct crypto_hash *hash)
{
	if (hash != NULL)
		hash->ops->close(hash);
}

int crypto_cipher_open(struct crypto_cipher **out, enum crypto_provider provider, bool encrypt,
	const uint8_t *key, const uint8_t *iv, struct error *error)
{
	struct error refused = { 0 };
	int ret;

	*out = NULL;
	if (provider != CRYPTO_LIBRARY) {
		ret = crypto_kernel_cipher(out, encrypt, key, iv, &refused);
		if (ret == 0)
			(*out)->provider = CRYPTO_KERNEL;
		if (ret != -EOPNOTSUPP || provider == CRYPTO_KERNEL) {
			report(error, &refused);
			return ret;
		}
	}
	ret = crypto_library_cipher(out, encrypt, key, iv, error);
	if (ret == 0)
		(*out)->provider = CRYPTO_LIBRARY;
	return ret;
}

int crypto_cipher_run(struct crypto_cipher *cipher, const uint8_t *in, uint8_t *out, size_t length)
{
	return cipher->ops->run(cipher, in, out, length);
}

ssize_t crypto_cipher_file(struct crypto_cipher *cipher, int fd, size_t limit, uint8_t *out, size_t *written)
{
	return cipher->ops->file(cipher, fd, limit, out, written);
}

int crypto_cipher_pad(struct crypto_cipher *cipher, uint8_t *out)
{
	return cipher->ops->pad(cipher, out);
}

enum crypto_provider crypto_cipher_provider(const struct crypto_cipher *cipher)
{
	return cipher->provider;
}

void crypto_cipher_close(struct crypto_cipher *cipher)
{
	if (cipher != NULL)
		cipher->ops->close(cipher);
}
