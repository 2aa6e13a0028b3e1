#include "engine/seal/seal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "engine/seal/stream.h"

enum { TAG = 32, VERSION = 1, SUITE = 1 };

/* The header as it stands in the file; seal.h has the table. */
struct header {
	uint8_t magic[8];
	uint8_t version, suite, key_kind, zero1;
	uint32_t length;
	uint32_t scrypt_log2_n, scrypt_r, scrypt_p, zero2;
	uint8_t salt[32];
	uint8_t iv[CRYPTO_BLOCK];
	uint8_t zero3[16];
	uint8_t tag[TAG];
};

_Static_assert(sizeof(struct header) == 128 && offsetof(struct header, tag) == 96, "version 1 has 128 bytes");

/* What HKDF or scrypt give for one file. */
struct derived {
	uint8_t cipher_key[CRYPTO_KEY];
	uint8_t mac_key[32];
};

static const char magic[8] = "WEIRSEAL";

bool seal_is_seekable(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)) &&
		lseek(fd, 0, SEEK_CUR) >= 0;
}

static int derive(const struct seal_key *key, const struct header *header, struct derived **out,
	struct error *error)
{
	struct seal_scrypt scrypt = {
		.log2_n = le32toh(header->scrypt_log2_n),
		.r = le32toh(header->scrypt_r),
		.p = le32toh(header->scrypt_p),
	};
	int ret;

	*out = seal_secret_new(sizeof **out);
	if (*out == NULL)
		return error_set_errno(error, -ENOMEM, "no memory for the keys");
	ret = seal_key_derive(key, header->salt, &scrypt, (uint8_t *)*out, sizeof **out, error);
	if (ret != 0) {
		seal_secret_free(*out, sizeof **out);
		*out = NULL;
	}
	return ret;
}

/* Opens the MAC and gives the header tag; the MAC then has the whole header as its beginning. */
static int start_mac(const struct seal_job *job, const struct derived *keys, const struct header *header,
	uint8_t *tag, struct crypto_hash **mac, struct error *error)
{
	struct header whole = *header;
	int ret;

	ret = crypto_hash_open(mac, job->provider, CRYPTO_SHA256, keys->mac_key, sizeof keys->mac_key, error);
	if (ret != 0)
		return ret;
	ret = crypto_hash_update(*mac, header, offsetof(struct header, tag));
	if (ret == 0)
		ret = crypto_hash_final(*mac, tag);
	memcpy(whole.tag, tag, TAG);
	if (ret == 0)
		ret = crypto_hash_update(*mac, &whole, sizeof whole);
	return ret == 0 ? 0 : error_set_errno(error, ret, "cannot authenticate the header");
}

static int fill_header(struct header *header, enum seal_key_kind kind, struct error *error)
{
	struct seal_scrypt scrypt = SEAL_SCRYPT_DEFAULT;

	memset(header, 0, sizeof *header);
	memcpy(header->magic, magic, sizeof magic);
	header->version = VERSION;
	header->suite = SUITE;
	header->key_kind = (uint8_t)kind;
	header->length = htole32(sizeof *header);
	if (kind == SEAL_KEY_PASSPHRASE) {
		header->scrypt_log2_n = htole32(scrypt.log2_n);
		header->scrypt_r = htole32(scrypt.r);
		header->scrypt_p = htole32(scrypt.p);
	}
	if (getrandom(header->salt, sizeof header->salt, 0) != sizeof header->salt ||
	    getrandom(header->iv, sizeof header->iv, 0) != sizeof header->iv)
		return error_set_errno(error, -errno, "no random bytes");
	return 0;
}

int seal_write(struct seal_job *job, const struct seal_key *key, struct error *error)
{
	struct derived *keys = NULL;
	struct crypto_hash *mac = NULL;
	struct header header;
	uint8_t tag[TAG];
	int ret;

	(void)posix_fadvise(job->in, 0, 0, POSIX_FADV_SEQUENTIAL);
	ret = fill_header(&header, seal_key_kind(key), error);
	if (ret != 0)
		return ret;
	ret = derive(key, &header, &keys, error);
	if (ret != 0)
		return ret;
	ret = start_mac(job, keys, &header, header.tag, &mac, error);
	if (ret == 0)
		ret = stream_write_all(job, &header, sizeof header, error);
	if (ret == 0)
		ret = stream_encrypt(job, keys->cipher_key, header.iv, mac, error);
	if (ret == 0) {
		ret = crypto_hash_final(mac, tag);
		if (ret != 0)
			error_set_errno(error, ret, "cannot authenticate %s", job->out_name);
	}
	if (ret == 0)
		ret = stream_write_all(job, tag, sizeof tag, error);
	crypto_hash_close(mac);
	seal_secret_free(keys, sizeof *keys);
	return ret;
}

static bool all_zero(const uint8_t *bytes, size_t length)
{
	uint8_t any = 0;

	for (size_t i = 0; i < length; i++)
		any |= bytes[i];
	return any == 0;
}

static int check_header(const struct seal_job *job, const struct header *header, size_t length,
	enum seal_key_kind kind, struct error *error)
{
	const char *name = job->in_name;

	if (length < sizeof magic || memcmp(header->magic, magic, sizeof magic) != 0)
		return error_set(error, -EBADMSG, "%s is no sealed file", name);
	if (length < sizeof *header)
		return error_set(error, -EBADMSG, "%s is cut short", name);
	if (header->version != VERSION || header->suite != SUITE) {
		error_set(error, -EBADMSG, "%s is sealed in version %u, suite %u", name, header->version,
			header->suite);
		return error_hint(error, "this weir knows version 1, suite 1");
	}
	if (le32toh(header->length) != sizeof *header || header->zero1 != 0 || header->zero2 != 0 ||
	    !all_zero(header->zero3, sizeof header->zero3) || header->key_kind > SEAL_KEY_PASSPHRASE)
		return error_set(error, -EBADMSG, "%s has a damaged header", name);
	if (header->key_kind != kind) {
		error_set(error, -EBADMSG, "%s is sealed with a %s", name,
			header->key_kind == SEAL_KEY_PASSPHRASE ? "passphrase" : "key file");
		return error_hint(error, header->key_kind == SEAL_KEY_PASSPHRASE ?
			"--passphrase-file" : "--key-file");
	}
	return 0;
}

static int bad_tag(const struct seal_job *job, struct error *error)
{
	return error_set(error, -EBADMSG, "%s was changed or cut after it was sealed", job->in_name);
}

/* The first pass: the file tag over the whole file, without a byte of plaintext. */
static int verify(struct seal_job *job, const struct derived *keys, const struct header *header,
	struct error *error)
{
	off_t start = lseek(job->in, 0, SEEK_CUR), end = lseek(job->in, 0, SEEK_END);
	struct crypto_hash *mac = NULL;
	uint8_t tag[TAG], stored[TAG];
	uint64_t left;
	ssize_t got = 0;
	int ret;

	if (start < 0 || end < 0 || lseek(job->in, start, SEEK_SET) < 0)
		return error_set_errno(error, -errno, "cannot read %s", job->in_name);
	if (end - start < CRYPTO_BLOCK + TAG)
		return error_set(error, -EBADMSG, "%s is cut short", job->in_name);
	ret = start_mac(job, keys, header, tag, &mac, error);
	left = (uint64_t)(end - start) - TAG;
	while (ret == 0 && left > 0) {
		ret = stream_check_cancel(job, error);
		if (ret != 0)
			break;
		got = crypto_hash_file(mac, job->in, left < CRYPTO_CHUNK ? (size_t)left : CRYPTO_CHUNK);
		if (got < 0)
			ret = error_set_errno(error, (int)got, "cannot read %s", job->in_name);
		else if (got == 0)
			ret = bad_tag(job, error);
		else
			left -= (uint64_t)got;
	}
	if (ret == 0) {
		got = stream_read_full(job, stored, sizeof stored, error);
		if (got < 0)
			ret = (int)got;
		else if (crypto_hash_final(mac, tag) != 0 || got != TAG || CRYPTO_memcmp(tag, stored, TAG) != 0)
			ret = bad_tag(job, error);
	}
	crypto_hash_close(mac);
	if (ret == 0 && lseek(job->in, start, SEEK_SET) < 0)
		ret = error_set_errno(error, -errno, "cannot read %s", job->in_name);
	return ret;
}

/* The second pass, or the only one. */
static int decrypt(struct seal_job *job, const struct derived *keys, const struct header *header,
	struct crypto_hash *mac, struct error *error)
{
	uint8_t tag[TAG], stored[TAG], last[CRYPTO_BLOCK];
	int ret;

	ret = stream_decrypt(job, keys->cipher_key, header->iv, mac, stored, TAG, last, error);
	if (ret == 0 && (crypto_hash_final(mac, tag) != 0 || CRYPTO_memcmp(tag, stored, TAG) != 0))
		ret = bad_tag(job, error);
	if (ret == 0)
		ret = stream_finish(job, last, error);
	explicit_bzero(last, sizeof last);
	return ret;
}

int seal_read(struct seal_job *job, const struct seal_key *key, struct error *error)
{
	struct derived *keys = NULL;
	struct crypto_hash *mac = NULL;
	struct header header;
	uint8_t tag[TAG];
	ssize_t got;
	int ret;

	(void)posix_fadvise(job->in, 0, 0, POSIX_FADV_SEQUENTIAL);
	memset(&header, 0, sizeof header);
	got = stream_read_full(job, &header, sizeof header, error);
	if (got < 0)
		return (int)got;
	ret = check_header(job, &header, (size_t)got, seal_key_kind(key), error);
	if (ret != 0)
		return ret;
	ret = derive(key, &header, &keys, error);
	if (ret != 0)
		return ret;
	ret = start_mac(job, keys, &header, tag, &mac, error);
	if (ret == 0 && CRYPTO_memcmp(tag, header.tag, TAG) != 0) {
		ret = error_set(error, -EBADMSG, "%s does not open", job->in_name);
		error_hint(error, "another key, or its header was changed");
	}
	if (ret == 0 && seal_is_seekable(job->in))
		ret = verify(job, keys, &header, error);
	if (ret == 0)
		ret = decrypt(job, keys, &header, mac, error);
	crypto_hash_close(mac);
	seal_secret_free(keys, sizeof *keys);
	return ret;
}
