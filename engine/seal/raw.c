#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "engine/seal/stream.h"

/* openssl-enc(1): eight letters, eight bytes of salt, then the ciphertext. */
static const char salted[8] = "Salted__";
enum { SALT = 8 };

struct bare_keys {
	uint8_t cipher_key[CRYPTO_KEY];
	uint8_t iv[CRYPTO_BLOCK];
};

static int make_keys(const struct seal_key *key, const uint8_t *iv, const uint8_t *salt, unsigned iterations,
	struct bare_keys **out, struct error *error)
{
	struct bare_keys *keys = seal_secret_new(sizeof *keys);
	int ret = 0;

	*out = NULL;
	if (keys == NULL)
		return error_set_errno(error, -ENOMEM, "no memory for the keys");
	if (seal_key_kind(key) == SEAL_KEY_PASSPHRASE) {
		ret = seal_key_pbkdf2(key, salt, iterations, (uint8_t *)keys, sizeof *keys, error);
	} else {
		memcpy(keys->cipher_key, seal_key_bytes(key), CRYPTO_KEY);
		memcpy(keys->iv, iv, CRYPTO_BLOCK);
	}
	if (ret != 0)
		seal_secret_free(keys, sizeof *keys);
	else
		*out = keys;
	return ret;
}

int seal_raw_write(struct seal_job *job, const struct seal_key *key, const uint8_t *iv, unsigned iterations,
	struct error *error)
{
	struct bare_keys *keys;
	uint8_t start[sizeof salted + SALT];
	int ret;

	(void)posix_fadvise(job->in, 0, 0, POSIX_FADV_SEQUENTIAL);
	memcpy(start, salted, sizeof salted);
	if (getrandom(start + sizeof salted, SALT, 0) != SALT)
		return error_set_errno(error, -errno, "no random bytes");
	ret = make_keys(key, iv, start + sizeof salted, iterations, &keys, error);
	if (ret != 0)
		return ret;
	if (seal_key_kind(key) == SEAL_KEY_PASSPHRASE)
		ret = stream_write_all(job, start, sizeof start, error);
	if (ret == 0)
		ret = stream_encrypt(job, keys->cipher_key, keys->iv, NULL, error);
	seal_secret_free(keys, sizeof *keys);
	return ret;
}

int seal_raw_read(struct seal_job *job, const struct seal_key *key, const uint8_t *iv, unsigned iterations,
	struct error *error)
{
	struct bare_keys *keys;
	uint8_t start[sizeof salted + SALT], last[CRYPTO_BLOCK];
	ssize_t got;
	int ret;

	(void)posix_fadvise(job->in, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (seal_key_kind(key) == SEAL_KEY_PASSPHRASE) {
		got = stream_read_full(job, start, sizeof start, error);
		if (got < 0)
			return (int)got;
		if (got != sizeof start || memcmp(start, salted, sizeof salted) != 0)
			return error_set(error, -EBADMSG, "%s does not begin with Salted__ and a salt", job->in_name);
	}
	ret = make_keys(key, iv, start + sizeof salted, iterations, &keys, error);
	if (ret != 0)
		return ret;
	ret = stream_decrypt(job, keys->cipher_key, keys->iv, NULL, NULL, 0, last, error);
	if (ret == 0)
		ret = stream_finish(job, last, error);
	explicit_bzero(last, sizeof last);
	seal_secret_free(keys, sizeof *keys);
	return ret;
}
