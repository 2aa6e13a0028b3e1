#include "engine/seal/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/seal/conveyor.h"

enum { TRAILER_MAX = 32 };

/* What the helper thread works on. */
struct output {
	struct seal_job *job;
	struct crypto_hash *mac;        /* encryption: over what is written */
	struct crypto_cipher *cipher;   /* decryption */
	struct error error;
	uint8_t held[CRYPTO_BLOCK];     /* decryption: the last block so far, which may be the padded one */
	bool holds;
};

int stream_check_cancel(const struct seal_job *job, struct error *error)
{
	if (job->cancel != NULL && atomic_load_explicit(job->cancel, memory_order_relaxed))
		return error_set(error, -ECANCELED, "interrupted");
	return 0;
}

static int write_vector(const struct seal_job *job, struct iovec *parts, int count, struct error *error)
{
	while (count > 0) {
		ssize_t done = writev(job->out, parts, count);

		if (done < 0 && errno == EINTR) {
			if (stream_check_cancel(job, error) != 0)
				return -ECANCELED;
			continue;
		}
		if (done < 0)
			return error_set_errno(error, -errno, "cannot write %s", job->out_name);
		while (count > 0 && (size_t)done >= parts->iov_len) {
			done -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (uint8_t *)parts->iov_base + done;
			parts->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int stream_write_all(const struct seal_job *job, const void *data, size_t length, struct error *error)
{
	struct iovec part = { .iov_base = (void *)data, .iov_len = length };

	return write_vector(job, &part, 1, error);
}

ssize_t stream_read_full(const struct seal_job *job, void *data, size_t length, struct error *error)
{
	size_t have = 0;

	while (have < length) {
		ssize_t got = read(job->in, (uint8_t *)data + have, length - have);

		if (got < 0 && errno == EINTR) {
			if (stream_check_cancel(job, error) != 0)
				return -ECANCELED;
			continue;
		}
		if (got < 0)
			return error_set_errno(error, -errno, "cannot read %s", job->in_name);
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static int consume_ciphertext(void *context, uint8_t *data, size_t length)
{
	struct output *output = context;
	int ret;

	if (output->mac != NULL) {
		ret = crypto_hash_update(output->mac, data, length);
		if (ret != 0)
			return error_set_errno(&output->error, ret, "cannot authenticate %s", output->job->out_name);
	}
	return stream_write_all(output->job, data, length, &output->error);
}

static int encrypt_all(struct seal_job *job, struct crypto_cipher *cipher, struct conveyor *conveyor,
	struct error *error)
{
	uint8_t *buffer;
	size_t written;
	ssize_t got;
	int ret;

	while ((buffer = conveyor_next(conveyor)) != NULL) {
		ret = stream_check_cancel(job, error);
		if (ret != 0)
			return ret;
		got = crypto_cipher_file(cipher, job->in, CRYPTO_CHUNK, buffer, &written);
		if (got == -EINTR)
			continue;
		if (got < 0)
			return error_set_errno(error, (int)got, "cannot read and encrypt %s", job->in_name);
		if (got == 0) {
			ret = crypto_cipher_pad(cipher, buffer);
			if (ret != 0)
				return error_set_errno(error, ret, "cannot encrypt %s", job->in_name);
			conveyor_push(conveyor, CRYPTO_BLOCK);
			return 0;
		}
		if (written > 0)
			conveyor_push(conveyor, written);
	}
	return 0; /* the helper has failed and says so when the conveyor is closed */
}

int stream_encrypt(struct seal_job *job, const uint8_t *cipher_key, const uint8_t *iv,
	struct crypto_hash *mac, struct error *error)
{
	struct output output = { .job = job, .mac = mac };
	struct crypto_cipher *cipher = NULL;
	struct conveyor *conveyor = NULL;
	int ret, consumed;

	ret = crypto_cipher_open(&cipher, job->provider, true, cipher_key, iv, error);
	if (ret != 0)
		return ret;
	job->used = crypto_cipher_provider(cipher);
	ret = conveyor_open(&conveyor, CRYPTO_BUFFER, consume_ciphertext, &output);
	if (ret != 0)
		error_set_errno(error, ret, "cannot start a thread");
	else
		ret = encrypt_all(job, cipher, conveyor, error);
	consumed = conveyor_close(conveyor);
	crypto_cipher_close(cipher);
	if (ret == 0 && consumed != 0) {
		ret = consumed;
		*error = output.error;
	}
	return ret;
}

static int consume_plaintext(void *context, uint8_t *data, size_t length)
{
	struct output *output = context;
	struct iovec parts[2];
	int count = 0, ret;

	ret = crypto_cipher_run(output->cipher, data, data, length);
	if (ret != 0)
		return error_set_errno(&output->error, ret, "cannot decrypt %s", output->job->in_name);
	if (output->holds)
		parts[count++] = (struct iovec){ .iov_base = output->held, .iov_len = CRYPTO_BLOCK };
	if (length > CRYPTO_BLOCK)
		parts[count++] = (struct iovec){ .iov_base = data, .iov_len = length - CRYPTO_BLOCK };
	if (count > 0)
		ret = write_vector(output->job, parts, count, &output->error);
	memcpy(output->held, data + length - CRYPTO_BLOCK, CRYPTO_BLOCK);
	output->holds = true;
	return ret;
}

/* The end of the input is only known when it is there, so that the trailer and the rest of a block are
 * always carried over to the next buffer. */
static int decrypt_all(struct seal_job *job, struct conveyor *conveyor, struct crypto_hash *mac,
	uint8_t *trailer, size_t trailer_length, struct error *error)
{
	uint8_t carried[TRAILER_MAX + CRYPTO_BLOCK];
	size_t carry = 0, have, body;
	uint8_t *buffer;
	bool end = false;
	int ret;

	while (!end && (buffer = conveyor_next(conveyor)) != NULL) {
		ssize_t got;

		ret = stream_check_cancel(job, error);
		if (ret != 0)
			return ret;
		memcpy(buffer, carried, carry);
		got = stream_read_full(job, buffer + carry, CRYPTO_CHUNK - carry, error);
		if (got < 0)
			return (int)got;
		have = carry + (size_t)got;
		end = have < CRYPTO_CHUNK;
		if (have < trailer_length)
			return error_set(error, -EBADMSG, "%s is cut short", job->in_name);
		body = (have - trailer_length) & ~(size_t)(CRYPTO_BLOCK - 1);
		carry = have - body;
		if (end && carry != trailer_length)
			return error_set(error, -EBADMSG, "%s is cut short (no whole number of blocks)", job->in_name);
		memcpy(carried, buffer + body, carry);
		if (body == 0)
			continue;
		ret = mac == NULL ? 0 : crypto_hash_update(mac, buffer, body);
		if (ret != 0)
			return error_set_errno(error, ret, "cannot authenticate %s", job->in_name);
		conveyor_push(conveyor, body);
	}
	if (trailer_length > 0)
		memcpy(trailer, carried, trailer_length);
	return 0;
}

int stream_decrypt(struct seal_job *job, const uint8_t *cipher_key, const uint8_t *iv,
	struct crypto_hash *mac, uint8_t *trailer, size_t trailer_length, uint8_t *last, struct error *error)
{
	struct output output = { .job = job };
	struct conveyor *conveyor = NULL;
	int ret, consumed;

	ret = crypto_cipher_open(&output.cipher, job->provider, false, cipher_key, iv, error);
	if (ret != 0)
		return ret;
	job->used = crypto_cipher_provider(output.cipher);
	ret = conveyor_open(&conveyor, CRYPTO_BUFFER, consume_plaintext, &output);
	if (ret != 0)
		error_set_errno(error, ret, "cannot start a thread");
	else
		ret = decrypt_all(job, conveyor, mac, trailer, trailer_length, error);
	consumed = conveyor_close(conveyor);
	crypto_cipher_close(output.cipher);
	if (ret == 0 && consumed != 0) {
		ret = consumed;
		*error = output.error;
	}
	if (ret == 0 && !output.holds)
		ret = error_set(error, -EBADMSG, "%s is cut short: it holds no block", job->in_name);
	memcpy(last, output.held, CRYPTO_BLOCK);
	explicit_bzero(output.held, sizeof output.held);
	return ret;
}

int stream_finish(struct seal_job *job, const uint8_t *last, struct error *error)
{
	size_t padding = last[CRYPTO_BLOCK - 1];
	bool good = padding >= 1 && padding <= CRYPTO_BLOCK;

	for (size_t i = 0; good && i < padding; i++)
		good = last[CRYPTO_BLOCK - 1 - i] == padding;
	if (!good) {
		error_set(error, -EBADMSG, "%s does not end in padding", job->in_name);
		return error_hint(error, "another key, or the file was changed");
	}
	return stream_write_all(job, last, CRYPTO_BLOCK - padding, error);
}
