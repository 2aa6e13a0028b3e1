#include "engine/seal/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

struct library_hash {
	struct crypto_hash base;
	EVP_MD *md;
	EVP_MD_CTX *digest;   /* a plain digest */
	EVP_MAC_CTX *mac;     /* or an HMAC */
	uint8_t *buffer;      /* crypto_hash_file; allocated at the first use */
	bool started;
};

struct library_cipher {
	struct crypto_cipher base;
	EVP_CIPHER_CTX *context;
	uint8_t *buffer; /* crypto_cipher_file: what is kept from the last call stands at its start */
	size_t kept;
};

static int start_hash(struct library_hash *hash)
{
	int ok;

	if (hash->started)
		return 0;
	if (hash->mac != NULL)
		ok = EVP_MAC_init(hash->mac, NULL, 0, NULL);
	else
		ok = EVP_DigestInit_ex2(hash->digest, hash->md, NULL);
	if (ok != 1)
		return -EIO;
	hash->started = true;
	return 0;
}

static int library_update(struct crypto_hash *base, const void *data, size_t length)
{
	struct library_hash *hash = (struct library_hash *)base;
	int ok, ret;

	ret = start_hash(hash);
	if (ret != 0)
		return ret;
	if (hash->mac != NULL)
		ok = EVP_MAC_update(hash->mac, data, length);
	else
		ok = EVP_DigestUpdate(hash->digest, data, length);
	return ok == 1 ? 0 : -EIO;
}

static ssize_t read_retry(int fd, void *buffer, size_t length)
{
	ssize_t got;

	do
		got = read(fd, buffer, length);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t library_file(struct crypto_hash *base, int fd, size_t limit)
{
	struct library_hash *hash = (struct library_hash *)base;
	ssize_t got;
	int ret;

	if (hash->buffer == NULL && (hash->buffer = aligned_alloc(4096, CRYPTO_CHUNK)) == NULL)
		return -ENOMEM;
	got = read_retry(fd, hash->buffer, limit < CRYPTO_CHUNK ? limit : CRYPTO_CHUNK);
	if (got <= 0)
		return got;
	ret = library_update(base, hash->buffer, (size_t)got);
	return ret != 0 ? ret : got;
}

static int library_final(struct crypto_hash *base, uint8_t *digest)
{
	struct library_hash *hash = (struct library_hash *)base;
	unsigned length;
	size_t mac_length;
	int ok, ret;

	ret = start_hash(hash);
	if (ret != 0)
		return ret;
	hash->started = false;
	if (hash->mac != NULL)
		ok = EVP_MAC_final(hash->mac, digest, &mac_length, base->size);
	else
		ok = EVP_DigestFinal_ex(hash->digest, digest, &length);
	return ok == 1 ? 0 : -EIO;
}

static void library_close(struct crypto_hash *base)
{
	struct library_hash *hash = (struct library_hash *)base;

	EVP_MD_CTX_free(hash->digest);
	EVP_MAC_CTX_free(hash->mac);
	EVP_MD_free(hash->md);
	if (hash->buffer != NULL)
		explicit_bzero(hash->buffer, CRYPTO_CHUNK);
	free(hash->buffer);
	free(hash);
}

static const struct crypto_hash_ops library_hash_ops = {
	.update = library_update,
	.file = library_file,
	.final = library_final,
	.close = library_close,
};

static int open_mac(struct library_hash *hash, const char *name, const uint8_t *key, size_t key_length)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	if (mac == NULL)
		return -EOPNOTSUPP;
	hash->mac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (hash->mac == NULL)
		return -ENOMEM;
	if (EVP_MAC_init(hash->mac, key, key_length, parameters) != 1)
		return -EOPNOTSUPP;
	hash->started = true;
	return 0;
}

int crypto_library_hash(struct crypto_hash **out, const char *name, const uint8_t *key, size_t key_length,
	struct error *error)
{
	struct library_hash *hash = calloc(1, sizeof *hash);
	int ret = 0;

	if (hash == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open a digest");
	hash->base.ops = &library_hash_ops;
	if (key != NULL) {
		ret = open_mac(hash, name, key, key_length);
	} else {
		hash->md = EVP_MD_fetch(NULL, name, NULL);
		hash->digest = EVP_MD_CTX_new();
		if (hash->md == NULL)
			ret = -EOPNOTSUPP;
		else if (hash->digest == NULL)
			ret = -ENOMEM;
	}
	if (ret != 0) {
		library_close(&hash->base);
		return error_set_errno(error, ret, "libcrypto gives no %s%s", key != NULL ? "HMAC-" : "", name);
	}
	*out = &hash->base;
	return 0;
}

static int library_run(struct crypto_cipher *base, const uint8_t *in, uint8_t *out, size_t length)
{
	struct library_cipher *cipher = (struct library_cipher *)base;
	int written;

	if (EVP_CipherUpdate(cipher->context, out, &written, in, (int)length) != 1 || (size_t)written != length)
		return -EIO;
	return 0;
}

static ssize_t library_cipher_file(struct crypto_cipher *base, int fd, size_t limit, uint8_t *out,
	size_t *written)
{
	struct library_cipher *cipher = (struct library_cipher *)base;
	size_t whole;
	ssize_t got;
	int ret;

	*written = 0;
	got = read(fd, cipher->buffer + cipher->kept, limit);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	whole = (cipher->kept + (size_t)got) & ~(size_t)(CRYPTO_BLOCK - 1);
	ret = library_run(base, cipher->buffer, out, whole);
	if (ret != 0)
		return ret;
	cipher->kept = (cipher->kept + (size_t)got) - whole;
	memmove(cipher->buffer, cipher->buffer + whole, cipher->kept);
	*written = whole;
	return got;
}

static int library_pad(struct crypto_cipher *base, uint8_t *out)
{
	struct library_cipher *cipher = (struct library_cipher *)base;

	memset(cipher->buffer + cipher->kept, (int)(CRYPTO_BLOCK - cipher->kept), CRYPTO_BLOCK - cipher->kept);
	return library_run(base, cipher->buffer, out, CRYPTO_BLOCK);
}

static void library_cipher_close(struct crypto_cipher *base)
{
	struct library_cipher *cipher = (struct library_cipher *)base;

	EVP_CIPHER_CTX_free(cipher->context);
	if (cipher->buffer != NULL)
		explicit_bzero(cipher->buffer, CRYPTO_BUFFER);
	free(cipher->buffer);
	free(cipher);
}

static const struct crypto_cipher_ops library_cipher_ops = {
	.run = library_run,
	.file = library_cipher_file,
	.pad = library_pad,
	.close = library_cipher_close,
};

int crypto_library_cipher(struct crypto_cipher **out, bool encrypt, const uint8_t *key, const uint8_t *iv,
	struct error *error)
{
	struct library_cipher *cipher = calloc(1, sizeof *cipher);
	EVP_CIPHER *aes = NULL;
	int ret = 0;

	if (cipher == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open a cipher");
	cipher->base.ops = &library_cipher_ops;
	cipher->buffer = aligned_alloc(4096, CRYPTO_BUFFER);
	cipher->context = EVP_CIPHER_CTX_new();
	if (cipher->buffer == NULL || cipher->context == NULL) {
		ret = -ENOMEM;
		goto fail;
	}
	aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (aes == NULL || EVP_CipherInit_ex2(cipher->context, aes, key, iv, encrypt, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(cipher->context, 0) != 1) {
		ret = -EOPNOTSUPP;
		goto fail;
	}
	EVP_CIPHER_free(aes); /* the context holds its own reference */
	*out = &cipher->base;
	return 0;
fail:
	EVP_CIPHER_free(aes);
	library_cipher_close(&cipher->base);
	return error_set_errno(error, ret, "libcrypto gives no AES-256-CBC");
}
