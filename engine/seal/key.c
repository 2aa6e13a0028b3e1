#include "engine/seal/key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

enum {
	KEY_BYTES = 32,
	SECRET_MAX = 1024, /* a passphrase */
	SALT = 32,
};

struct seal_key {
	enum seal_key_kind kind;
	size_t length;
	uint8_t secret[SECRET_MAX];
};

int seal_key_guard(struct error *error)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return error_set_errno(error, -errno, "cannot switch core dumps off");
	return 0;
}

void *seal_secret_new(size_t size)
{
	void *secret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (secret == MAP_FAILED)
		return NULL;
	(void)mlock(secret, size); /* a small RLIMIT_MEMLOCK costs the lock, not the run */
	(void)madvise(secret, size, MADV_DONTDUMP);
	return secret;
}

void seal_secret_free(void *secret, size_t size)
{
	if (secret == NULL)
		return;
	explicit_bzero(secret, size);
	munmap(secret, size);
}

static int check_owner(int fd, const char *path, struct error *error)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return error_set_errno(error, -errno, "cannot look at %s", path);
	if (S_ISDIR(status.st_mode))
		return error_set_errno(error, -EISDIR, "cannot read %s", path);
	if (status.st_uid != geteuid() && status.st_uid != 0) {
		error_set(error, -EPERM, "%s belongs to another user", path);
		return error_hint(error, "a secret must belong to the user who runs weir, or to root");
	}
	if ((status.st_mode & 077) != 0) {
		error_set(error, -EPERM, "%s can be reached by others (mode %04o)", path, status.st_mode & 07777);
		return error_hint(error, "chmod 600 %s", path);
	}
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 64 digits, with or without a line end, become 32 bytes in place. */
static int parse_key(struct seal_key *key, const char *path, struct error *error)
{
	size_t digits = key->length;

	while (digits > 0 && (key->secret[digits - 1] == '\n' || key->secret[digits - 1] == '\r'))
		digits--;
	if (digits == 2 * KEY_BYTES) {
		size_t i;

		for (i = 0; i < KEY_BYTES; i++) {
			int high = hex_digit(key->secret[2 * i]);
			int low = hex_digit(key->secret[2 * i + 1]);

			if (high < 0 || low < 0)
				break;
			key->secret[i] = (uint8_t)(high << 4 | low);
		}
		if (i == KEY_BYTES)
			key->length = KEY_BYTES;
	}
	if (key->length == KEY_BYTES)
		return 0;
	error_set(error, -EINVAL, "%s holds no key", path);
	return error_hint(error, "32 bytes or 64 hexadecimal digits: (umask 077; head -c 32 /dev/urandom >%s)",
		path);
}

static int parse_passphrase(struct seal_key *key, const char *path, struct error *error)
{
	uint8_t *end = memchr(key->secret, '\n', key->length);

	if (end != NULL)
		key->length = (size_t)(end - key->secret);
	else if (key->length == SECRET_MAX)
		return error_set(error, -EINVAL, "the first line of %s is longer than %d bytes", path,
			SECRET_MAX - 1);
	if (key->length > 0 && key->secret[key->length - 1] == '\r')
		key->length--;
	if (key->length == 0)
		return error_set(error, -EINVAL, "the first line of %s is empty: no passphrase", path);
	return 0;
}

int seal_key_read(struct seal_key **out, const char *path, enum seal_key_kind kind, struct error *error)
{
	struct seal_key *key = NULL;
	ssize_t got;
	int fd, ret;

	*out = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_set_errno(error, -errno, "cannot open %s", path);
	ret = check_owner(fd, path, error);
	if (ret != 0)
		goto fail;
	key = seal_secret_new(sizeof *key);
	if (key == NULL) {
		ret = error_set_errno(error, -ENOMEM, "no memory for the key");
		goto fail;
	}
	key->kind = kind;
	while (key->length < SECRET_MAX) {
		got = read(fd, key->secret + key->length, SECRET_MAX - key->length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ret = error_set_errno(error, -errno, "cannot read %s", path);
			goto fail;
		}
		if (got == 0)
			break;
		key->length += (size_t)got;
	}
	ret = kind == SEAL_KEY_FILE ? parse_key(key, path, error) : parse_passphrase(key, path, error);
	if (ret != 0)
		goto fail;
	close(fd);
	*out = key;
	return 0;
fail:
	close(fd);
	seal_key_close(key);
	return ret;
}

enum seal_key_kind seal_key_kind(const struct seal_key *key)
{
	return key->kind;
}

const uint8_t *seal_key_bytes(const struct seal_key *key)
{
	return key->secret;
}

void seal_key_close(struct seal_key *key)
{
	seal_secret_free(key, sizeof *key);
}

static int derive(const char *name, OSSL_PARAM *parameters, uint8_t *out, size_t length)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *context;
	int ok;

	if (kdf == NULL)
		return -EOPNOTSUPP;
	context = EVP_KDF_CTX_new(kdf);
	EVP_KDF_free(kdf);
	if (context == NULL)
		return -ENOMEM;
	ok = EVP_KDF_derive(context, out, length, parameters);
	EVP_KDF_CTX_free(context);
	return ok == 1 ? 0 : -EIO;
}

static int derive_scrypt(const struct seal_key *key, const uint8_t *salt, const struct seal_scrypt *scrypt,
	uint8_t *out, size_t length)
{
	uint64_t memory_max = UINT64_C(1) << 31; /* libcrypto counts a little beyond 128 N r */
	uint64_t n;
	uint32_t r = scrypt->r, p = scrypt->p;

	if (scrypt->log2_n < 1 || scrypt->log2_n > 23 || r < 1 || r > 32 || p < 1 || p > 16)
		return -EINVAL;
	n = UINT64_C(1) << scrypt->log2_n;
	if (128 * n * r > UINT64_C(1) << 30)
		return -EINVAL;
	return derive("SCRYPT", (OSSL_PARAM[]){
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)key->secret, key->length),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, SALT),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory_max),
		OSSL_PARAM_construct_end(),
	}, out, length);
}

int seal_key_derive(const struct seal_key *key, const uint8_t *salt, const struct seal_scrypt *scrypt,
	uint8_t *out, size_t length, struct error *error)
{
	int ret;

	if (key->kind == SEAL_KEY_PASSPHRASE) {
		ret = derive_scrypt(key, salt, scrypt, out, length);
	} else {
		ret = derive("HKDF", (OSSL_PARAM[]){
			OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key->secret, key->length),
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, SALT),
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)"weir seal 1", 11),
			OSSL_PARAM_construct_end(),
		}, out, length);
	}
	if (ret == -EINVAL)
		return error_set(error, ret, "scrypt parameters out of range (N 2^%u, r %u, p %u)", scrypt->log2_n,
			scrypt->r, scrypt->p);
	if (ret != 0)
		return error_set_errno(error, ret, "libcrypto cannot derive the keys");
	return 0;
}

int seal_key_pbkdf2(const struct seal_key *key, const uint8_t *salt, unsigned iterations, uint8_t *out,
	size_t length, struct error *error)
{
	if (PKCS5_PBKDF2_HMAC((const char *)key->secret, (int)key->length, salt, 8, (int)iterations, EVP_sha256(),
	    (int)length, out) != 1)
		return error_set_errno(error, -EIO, "libcrypto cannot derive the keys");
	return 0;
}
