/* Both providers against published answers, and against each other's idea of a stream cut at odd places.
 * The kernel's part is skipped, and says so, where there is no AF_ALG (unless WEIR_NEED_KERNEL is set). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/seal/crypto.h"

enum { LONG = 3 * CRYPTO_CHUNK + 4321 };

static void from_hex(const char *text, uint8_t *out)
{
	for (size_t i = 0; text[2 * i] != '\0'; i++)
		assert_int_equal(sscanf(text + 2 * i, "%2hhx", &out[i]), 1);
}

static bool provider_is_here(enum crypto_provider provider)
{
	struct crypto_hash *hash;
	struct error error = { 0 };

	if (crypto_hash_open(&hash, provider, CRYPTO_SHA256, NULL, 0, &error) == 0) {
		assert_int_equal(crypto_hash_provider(hash), provider);
		crypto_hash_close(hash);
		return true;
	}
	assert_int_equal(error.code, -EOPNOTSUPP);
	assert_null(hash);
	assert_non_null(strstr(error.message, "AF_ALG"));
	assert_true(error.hint[0] != '\0');
	assert_null(getenv("WEIR_NEED_KERNEL"));
	print_message("no AF_ALG here: %s\n", error.message);
	return false;
}

static struct crypto_hash *open_hash(enum crypto_provider provider, enum crypto_algorithm algorithm,
	const uint8_t *key, size_t key_length)
{
	struct crypto_hash *hash;
	struct error error = { 0 };

	if (crypto_hash_open(&hash, provider, algorithm, key, key_length, &error) != 0)
		fail_msg("%s", error.message);
	return hash;
}

/* RFC 4231, section 4. */
static const struct {
	uint8_t key_byte; /* 0: 1, 2, 3, ...; 'J': "Jefe" */
	size_t key_length;
	const char *data; /* NULL: 50 times data_byte */
	uint8_t data_byte;
	enum crypto_algorithm algorithm;
	const char *mac;
} hmac_cases[] = {
	{ 0x0b, 20, "Hi There", 0, CRYPTO_SHA224, "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22" },
	{ 0x0b, 20, "Hi There", 0, CRYPTO_SHA256,
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ 0x0b, 20, "Hi There", 0, CRYPTO_SHA384,
		"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
		"faea9ea9076ede7f4af152e8b2fa9cb6" },
	{ 0x0b, 20, "Hi There", 0, CRYPTO_SHA512,
		"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
		"daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
	{ 'J', 4, "what do ya want for nothing?", 0, CRYPTO_SHA256,
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ 'J', 4, "what do ya want for nothing?", 0, CRYPTO_SHA512,
		"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
	{ 0xaa, 20, NULL, 0xdd, CRYPTO_SHA256,
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ 0, 25, NULL, 0xcd, CRYPTO_SHA256, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	{ 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, CRYPTO_SHA256,
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ 0xaa, 131, "This is a test using a larger than block-size key and a larger than block-size data. "
		"The key needs to be hashed before being used by the HMAC algorithm.", 0, CRYPTO_SHA256,
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};

static void check_hmac(enum crypto_provider provider)
{
	for (size_t i = 0; i < sizeof hmac_cases / sizeof hmac_cases[0]; i++) {
		size_t size = crypto_algorithm_size(hmac_cases[i].algorithm);
		uint8_t key[131], data[50], wanted[CRYPTO_DIGEST_MAX], got[CRYPTO_DIGEST_MAX];
		const void *input = hmac_cases[i].data;
		size_t length = sizeof data;
		struct crypto_hash *hash;

		for (size_t j = 0; j < hmac_cases[i].key_length; j++)
			key[j] = hmac_cases[i].key_byte != 0 ? hmac_cases[i].key_byte : (uint8_t)(j + 1);
		if (hmac_cases[i].key_byte == 'J')
			memcpy(key, "Jefe", 4);
		memset(data, hmac_cases[i].data_byte, sizeof data);
		if (input != NULL)
			length = strlen(input);
		else
			input = data;
		from_hex(hmac_cases[i].mac, wanted);
		hash = open_hash(provider, hmac_cases[i].algorithm, key, hmac_cases[i].key_length);
		for (unsigned again = 0; again < 2; again++) { /* the key must outlive a message */
			assert_int_equal(crypto_hash_update(hash, input, length), 0);
			assert_int_equal(crypto_hash_final(hash, got), 0);
			assert_memory_equal(got, wanted, size);
		}
		crypto_hash_close(hash);
	}
}

/* An unlinked file with length bytes of data in it, at its start. */
static int make_file(const uint8_t *data, size_t length)
{
	FILE *file = tmpfile();
	int fd;

	assert_non_null(file);
	fd = dup(fileno(file));
	fclose(file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, length), length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static uint8_t *make_data(void)
{
	uint8_t *data = aligned_alloc(4096, (LONG + 4095) / 4096 * 4096);
	uint32_t state = 1;

	assert_non_null(data);
	for (size_t i = 0; i < LONG; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (uint8_t)(state >> 24);
	}
	return data;
}

/* One message, cut into pieces, from memory and from a file: always the same digest; and an empty one. */
static void check_pieces(enum crypto_provider provider)
{
	static const size_t pieces[] = { 1000, 4096, 4097, 65536, 65537, 262144, LONG };
	uint8_t wanted[32], got[32], empty[32];
	struct crypto_hash *hash = open_hash(provider, CRYPTO_SHA256, NULL, 0);
	struct crypto_hash *reference = open_hash(CRYPTO_LIBRARY, CRYPTO_SHA256, NULL, 0);
	uint8_t *data = make_data();
	int fd = make_file(data, LONG);

	from_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", empty);
	assert_int_equal(crypto_hash_update(reference, data, LONG), 0);
	assert_int_equal(crypto_hash_final(reference, wanted), 0);
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		ssize_t count;

		for (size_t at = 0; at < LONG; at += pieces[i])
			assert_int_equal(crypto_hash_update(hash, data + at,
				at + pieces[i] < LONG ? pieces[i] : LONG - at), 0);
		assert_int_equal(crypto_hash_final(hash, got), 0);
		assert_memory_equal(got, wanted, 32);
		assert_int_equal(crypto_hash_final(hash, got), 0);
		assert_memory_equal(got, empty, 32);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		while ((count = crypto_hash_file(hash, fd, pieces[i])) > 0)
			assert_true((size_t)count <= pieces[i]);
		assert_int_equal(count, 0);
		assert_int_equal(crypto_hash_final(hash, got), 0);
		assert_memory_equal(got, wanted, 32);
		/* the part behind an odd offset: what unseal's first pass does */
		assert_int_equal(crypto_hash_update(hash, data, 128), 0);
		assert_int_equal(lseek(fd, 128, SEEK_SET), 128);
		while ((count = crypto_hash_file(hash, fd, pieces[i])) > 0)
			;
		assert_int_equal(crypto_hash_final(hash, got), 0);
		assert_memory_equal(got, wanted, 32);
	}
	close(fd);
	free(data);
	crypto_hash_close(hash);
	crypto_hash_close(reference);
}

/* NIST SP 800-38A, F.2.5 and F.2.6: in one run, and one block at a time. */
static void check_cbc(enum crypto_provider provider)
{
	uint8_t key[32], iv[16];
	uint8_t *plain = aligned_alloc(4096, 4096), *sealed = aligned_alloc(4096, 4096),
		*out = aligned_alloc(4096, 4096);
	struct crypto_cipher *cipher;
	struct error error = { 0 };

	from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", key);
	from_hex("000102030405060708090a0b0c0d0e0f", iv);
	from_hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710", plain);
	from_hex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
		"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b", sealed);
	for (unsigned encrypt = 0; encrypt < 2; encrypt++) {
		for (size_t step = 16; step <= 64; step += 16) {
			uint8_t *from = encrypt ? plain : sealed, *to = encrypt ? sealed : plain;

			assert_int_equal(crypto_cipher_open(&cipher, provider, encrypt, key, iv, &error), 0);
			assert_int_equal(crypto_cipher_provider(cipher), provider);
			for (size_t at = 0; at < 64; at += step) {
				size_t length = at + step <= 64 ? step : 64 - at;
				uint8_t *in = out + 2048;

				memcpy(in, from + at, length);
				assert_int_equal(crypto_cipher_run(cipher, in, out + at, length), 0);
			}
			assert_memory_equal(out, to, 64);
			crypto_cipher_close(cipher);
		}
	}
	free(plain);
	free(sealed);
	free(out);
}

/* A file encrypted in reads of several sizes, with padding, then decrypted in place: what went in. */
static void check_file(enum crypto_provider provider)
{
	static const size_t lengths[] = { 0, 5, 16, 4095, 4096, 131073, CRYPTO_CHUNK - 1, CRYPTO_CHUNK, LONG - 7,
		LONG };
	uint8_t *data = make_data(), *sealed = aligned_alloc(4096, (LONG + 8192) / 4096 * 4096),
		*buffer = aligned_alloc(4096, CRYPTO_BUFFER);
	uint8_t key[32] = { 1 }, iv[16] = { 2 };
	struct crypto_cipher *cipher;
	struct error error = { 0 };

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		int fd = make_file(data, lengths[i]);
		size_t done = 0, read = 0, written, whole = lengths[i] / 16 * 16 + 16;
		size_t padding = whole - lengths[i];
		ssize_t got;

		assert_int_equal(crypto_cipher_open(&cipher, provider, true, key, iv, &error), 0);
		while ((got = crypto_cipher_file(cipher, fd, i % 2 == 0 ? CRYPTO_CHUNK : 12288, buffer, &written)) > 0) {
			memcpy(sealed + done, buffer, written);
			done += written;
			read += (size_t)got;
		}
		assert_int_equal(got, 0);
		assert_int_equal(read, lengths[i]);
		assert_int_equal(crypto_cipher_pad(cipher, sealed + done), 0);
		assert_int_equal(done + 16, whole);
		crypto_cipher_close(cipher);
		assert_int_equal(crypto_cipher_open(&cipher, provider, false, key, iv, &error), 0);
		for (size_t at = 0; at < whole; at += CRYPTO_CHUNK) {
			size_t length = whole - at < CRYPTO_CHUNK ? whole - at : CRYPTO_CHUNK;

			assert_int_equal(crypto_cipher_run(cipher, sealed + at, sealed + at, length), 0);
		}
		crypto_cipher_close(cipher);
		assert_memory_equal(sealed, data, lengths[i]);
		for (size_t at = lengths[i]; at < whole; at++)
			assert_int_equal(sealed[at], padding);
		close(fd);
	}
	free(data);
	free(sealed);
	free(buffer);
}

static void test_library(void **state)
{
	check_hmac(CRYPTO_LIBRARY);
	check_pieces(CRYPTO_LIBRARY);
	check_cbc(CRYPTO_LIBRARY);
	check_file(CRYPTO_LIBRARY);
}

static void test_kernel(void **state)
{
	if (!provider_is_here(CRYPTO_KERNEL))
		skip();
	check_hmac(CRYPTO_KERNEL);
	check_pieces(CRYPTO_KERNEL);
	check_cbc(CRYPTO_KERNEL);
	check_file(CRYPTO_KERNEL);
}

/* auto must always find something, and what it finds must be what kernel would have said. */
static void test_auto(void **state)
{
	struct crypto_hash *automatic = open_hash(CRYPTO_AUTO, CRYPTO_SHA256, NULL, 0), *kernel;
	struct error error;
	bool here = crypto_hash_open(&kernel, CRYPTO_KERNEL, CRYPTO_SHA256, NULL, 0, &error) == 0;

	assert_int_equal(crypto_hash_provider(automatic), here ? CRYPTO_KERNEL : CRYPTO_LIBRARY);
	crypto_hash_close(automatic);
	crypto_hash_close(kernel);
}

static void test_names(void **state)
{
	enum crypto_algorithm algorithm;
	enum crypto_provider provider;

	for (unsigned i = 0; i < CRYPTO_ALGORITHMS; i++) {
		assert_true(crypto_algorithm_parse(crypto_algorithm_name(i), &algorithm));
		assert_int_equal(algorithm, i);
	}
	assert_true(crypto_algorithm_parse("SHA-256", &algorithm));
	assert_int_equal(algorithm, CRYPTO_SHA256);
	assert_false(crypto_algorithm_parse("", &algorithm));
	assert_false(crypto_algorithm_parse("sha25", &algorithm));
	assert_true(crypto_provider_parse("kernel", &provider));
	assert_int_equal(provider, CRYPTO_KERNEL);
	assert_false(crypto_provider_parse("Kernel", &provider));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_library),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
