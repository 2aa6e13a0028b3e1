#include "engine/seal/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_alg.h>

#define PAGE ((size_t)4096)

/* An operation socket, and the pipe through which pages reach it. */
struct channel {
	int op;
	int pipe_out, pipe_in; /* read end, write end; -1 until the first splice */
	size_t round;          /* bytes that may be under way at once */
};

struct kernel_hash {
	struct crypto_hash base;
	struct channel channel;
	uint8_t *buffer; /* for input that cannot be spliced; allocated at the first use */
};

struct kernel_cipher {
	struct crypto_cipher base;
	struct channel channel;
	uint8_t *buffer;   /* as above; what is kept from the last call stands at its start */
	size_t kept;
	bool kept_in_kernel;
	bool known;        /* what the input is */
	bool no_splice;    /* it goes through the buffer */
};

/* What says that the algorithm cannot be had here, rather than that something broke. */
static bool is_absence(int code)
{
	return code == EAFNOSUPPORT || code == ENOENT || code == EPROTONOSUPPORT || code == ESOCKTNOSUPPORT ||
		code == EPERM || code == EACCES || code == ELIBBAD;
}

/* Opens TYPE/NAME, sets its key (where key is not NULL) and accepts the operation socket. */
static int open_channel(struct channel *channel, const char *type, const char *name, const uint8_t *key,
	size_t key_length, struct error *error)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG };
	const char *step = "socket";
	int transform, code;

	channel->op = channel->pipe_in = channel->pipe_out = -1;
	strncpy((char *)address.salg_type, type, sizeof address.salg_type - 1);
	strncpy((char *)address.salg_name, name, sizeof address.salg_name - 1);
	transform = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (transform < 0)
		goto fail;
	step = "bind";
	if (bind(transform, (struct sockaddr *)&address, sizeof address) != 0)
		goto fail;
	step = "set the key";
	if (key != NULL && setsockopt(transform, SOL_ALG, ALG_SET_KEY, key, (socklen_t)key_length) != 0)
		goto fail;
	step = "accept";
	channel->op = accept4(transform, NULL, NULL, SOCK_CLOEXEC);
	if (channel->op < 0)
		goto fail;
	close(transform); /* the operation socket keeps the transform alive */
	return 0;
fail:
	code = errno;
	if (transform >= 0)
		close(transform);
	if (is_absence(code)) {
		error_set(error, -EOPNOTSUPP, "this kernel offers no AF_ALG %s \"%s\": %s: %s", type, name, step,
			strerrordesc_np(code));
		return error_hint(error, "load af_alg and algif_%s, or use --crypto library", type);
	}
	return error_set_errno(error, -code, "AF_ALG %s \"%s\": cannot %s", type, name, step);
}

static void close_channel(struct channel *channel)
{
	if (channel->op >= 0)
		close(channel->op);
	if (channel->pipe_in >= 0)
		close(channel->pipe_in);
	if (channel->pipe_out >= 0)
		close(channel->pipe_out);
}

static int open_pipe(struct channel *channel)
{
	int ends[2], size, send_buffer;
	socklen_t length = sizeof send_buffer;

	if (channel->pipe_in >= 0)
		return 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	channel->pipe_out = ends[0];
	channel->pipe_in = ends[1];
	/* A larger pipe means fewer rounds; a user beyond pipe-user-pages-soft does with what the pipe has. */
	(void)fcntl(channel->pipe_in, F_SETPIPE_SZ, CRYPTO_CHUNK);
	size = fcntl(channel->pipe_in, F_GETPIPE_SZ);
	if (size < (int)PAGE)
		return -EIO;
	/* kernel: a cipher socket takes pages while its send buffer has room, then waits for a reader: for this
	 * thread, for ever (crypto/af_alg.c, af_alg_wait_for_wmem). A page and a kept block stay free. */
	if (getsockopt(channel->op, SOL_SOCKET, SO_SNDBUF, &send_buffer, &length) != 0)
		return -errno;
	channel->round = (size_t)size;
	if (channel->round + 2 * PAGE > (size_t)send_buffer)
		channel->round = (size_t)send_buffer > 3 * PAGE ?
			((size_t)send_buffer & ~(PAGE - 1)) - 2 * PAGE : PAGE;
	if (channel->round > 32 * PAGE)
		channel->round = 32 * PAGE;
	return 0;
}

/* Moves what the pipe holds into the operation socket; the message goes on. */
static int drain_pipe(struct channel *channel, size_t length)
{
	while (length > 0) {
		ssize_t moved = splice(channel->pipe_out, NULL, channel->op, NULL, length, SPLICE_F_MORE);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return moved < 0 ? -errno : -EIO;
		length -= (size_t)moved;
	}
	return 0;
}

/* File pages into the operation socket; returns the bytes, 0 at the end, -EINVAL if fd does not splice. */
static ssize_t splice_file(struct channel *channel, int fd, size_t limit)
{
	ssize_t got;
	int ret;

	do
		got = splice(fd, NULL, channel->pipe_in, NULL, limit, SPLICE_F_MOVE);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	ret = drain_pipe(channel, (size_t)got);
	return ret != 0 ? (ret == -EINVAL ? -EIO : ret) : got;
}

static ssize_t read_retry(int fd, void *buffer, size_t length)
{
	ssize_t got;

	do
		got = read(fd, buffer, length);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int need_buffer(uint8_t **buffer)
{
	if (*buffer == NULL)
		*buffer = aligned_alloc(PAGE, CRYPTO_BUFFER);
	return *buffer != NULL ? 0 : -ENOMEM;
}

/* kernel: hash_sendmsg (crypto/algif_hash.c) pins the caller's pages and hashes them where they are: send()
 * is already without a copy. The answer comes when they are hashed, so the buffer is free again. */
static int kernel_update(struct crypto_hash *base, const void *data, size_t length)
{
	struct kernel_hash *hash = (struct kernel_hash *)base;
	const uint8_t *next = data;

	while (length > 0) {
		ssize_t sent = send(hash->channel.op, next, length, MSG_MORE);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return sent < 0 ? -errno : -EIO;
		next += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static ssize_t kernel_file(struct crypto_hash *base, int fd, size_t limit)
{
	struct kernel_hash *hash = (struct kernel_hash *)base;
	ssize_t got;
	int ret;

	ret = open_pipe(&hash->channel);
	if (ret != 0)
		return ret;
	if (hash->buffer == NULL) {
		got = splice_file(&hash->channel, fd, limit);
		if (got != -EINVAL)
			return got;
	}
	ret = need_buffer(&hash->buffer);
	if (ret != 0)
		return ret;
	got = read_retry(fd, hash->buffer, limit < CRYPTO_CHUNK ? limit : CRYPTO_CHUNK);
	if (got <= 0)
		return got;
	ret = kernel_update(base, hash->buffer, (size_t)got);
	return ret != 0 ? ret : got;
}

static int kernel_final(struct crypto_hash *base, uint8_t *digest)
{
	struct kernel_hash *hash = (struct kernel_hash *)base;
	ssize_t got = read_retry(hash->channel.op, digest, base->size);

	if (got < 0)
		return (int)got;
	return (size_t)got == base->size ? 0 : -EIO;
}

static void kernel_close(struct crypto_hash *base)
{
	struct kernel_hash *hash = (struct kernel_hash *)base;

	close_channel(&hash->channel);
	if (hash->buffer != NULL)
		explicit_bzero(hash->buffer, CRYPTO_BUFFER);
	free(hash->buffer);
	free(hash);
}

static const struct crypto_hash_ops kernel_hash_ops = {
	.update = kernel_update,
	.file = kernel_file,
	.final = kernel_final,
	.close = kernel_close,
};

int crypto_kernel_hash(struct crypto_hash **out, const char *name, const uint8_t *key, size_t key_length,
	struct error *error)
{
	struct kernel_hash *hash = calloc(1, sizeof *hash);
	char full_name[64];
	int ret;

	if (hash == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open a digest");
	hash->base.ops = &kernel_hash_ops;
	if (key != NULL)
		snprintf(full_name, sizeof full_name, "hmac(%s)", name);
	else
		snprintf(full_name, sizeof full_name, "%s", name);
	ret = open_channel(&hash->channel, "hash", full_name, key, key_length, error);
	if (ret != 0) {
		free(hash);
		return ret;
	}
	*out = &hash->base;
	return 0;
}

/* Takes exactly length bytes, which the algorithm already has as input, out of the operation socket. */
static int receive(struct channel *channel, uint8_t *out, size_t length)
{
	while (length > 0) {
		ssize_t got = read_retry(channel->op, out, length);

		if (got <= 0)
			return got < 0 ? (int)got : -EIO;
		out += got;
		length -= (size_t)got;
	}
	return 0;
}

/* kernel: skcipher_sendmsg copies what is sent to it, but takes pages from a pipe as they are. They are the
 * caller's own pages, used until their output has been read: that is why each round ends with receive(). */
static int kernel_run(struct crypto_cipher *base, const uint8_t *in, uint8_t *out, size_t length)
{
	struct kernel_cipher *cipher = (struct kernel_cipher *)base;
	struct channel *channel = &cipher->channel;
	int ret;

	ret = open_pipe(channel);
	while (ret == 0 && length > 0) {
		struct iovec pages = {
			.iov_base = (void *)in,
			.iov_len = length < channel->round ? length : channel->round,
		};
		ssize_t mapped = vmsplice(channel->pipe_in, &pages, 1, 0);

		if (mapped < 0 && errno == EINTR)
			continue;
		if (mapped <= 0 || mapped % CRYPTO_BLOCK != 0)
			return mapped < 0 ? -errno : -EIO;
		ret = drain_pipe(channel, (size_t)mapped);
		if (ret == 0)
			ret = receive(channel, out, (size_t)mapped);
		in += mapped;
		out += mapped;
		length -= (size_t)mapped;
	}
	return ret;
}

/* Input that is not to be spliced (pipes, terminals): through a buffer of our own, in which the rest of a
 * block must wait, because the kernel would go on referring to its page. */
static ssize_t read_and_run(struct kernel_cipher *cipher, int fd, size_t limit, uint8_t *out, size_t *written)
{
	size_t have, whole;
	ssize_t got;
	int ret;

	ret = need_buffer(&cipher->buffer);
	if (ret != 0)
		return ret;
	got = read(fd, cipher->buffer + cipher->kept, limit);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	have = cipher->kept + (size_t)got;
	whole = have & ~(size_t)(CRYPTO_BLOCK - 1);
	ret = kernel_run(&cipher->base, cipher->buffer, out, whole);
	if (ret != 0)
		return ret;
	cipher->kept = have - whole;
	memmove(cipher->buffer, cipher->buffer + whole, cipher->kept);
	*written = whole;
	return got;
}

/* kernel: a pipe splices too, but in pieces as small as they were written, and a cipher socket's list of many
 * small pieces outgrows net.core.optmem_max (ENOMEM); and a wait in splice would hide signals. So: files. */
static bool is_spliceable(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

static ssize_t kernel_cipher_file(struct crypto_cipher *base, int fd, size_t limit, uint8_t *out,
	size_t *written)
{
	struct kernel_cipher *cipher = (struct kernel_cipher *)base;
	size_t total = 0;
	int ret;

	*written = 0;
	ret = open_pipe(&cipher->channel);
	if (ret != 0)
		return ret;
	if (!cipher->known) {
		cipher->known = true;
		cipher->no_splice = !is_spliceable(fd);
	}
	if (cipher->no_splice)
		return read_and_run(cipher, fd, limit, out, written);
	while (total < limit) {
		size_t ask = limit - total < cipher->channel.round ? limit - total : cipher->channel.round;
		ssize_t got = splice_file(&cipher->channel, fd, ask);
		size_t whole;

		if (got == -EINVAL && total == 0 && cipher->kept == 0) {
			cipher->no_splice = true;
			return read_and_run(cipher, fd, limit, out, written);
		}
		if (got < 0)
			return got;
		if (got == 0)
			break;
		total += (size_t)got;
		whole = (cipher->kept + (size_t)got) & ~(size_t)(CRYPTO_BLOCK - 1);
		ret = receive(&cipher->channel, out + *written, whole);
		if (ret != 0)
			return ret;
		cipher->kept = cipher->kept + (size_t)got - whole;
		cipher->kept_in_kernel = true;
		*written += whole;
	}
	return (ssize_t)total;
}

static int kernel_pad(struct crypto_cipher *base, uint8_t *out)
{
	struct kernel_cipher *cipher = (struct kernel_cipher *)base;
	size_t missing = CRYPTO_BLOCK - cipher->kept;
	uint8_t padding[CRYPTO_BLOCK];
	int ret;

	if (!cipher->kept_in_kernel) {
		ret = need_buffer(&cipher->buffer);
		if (ret != 0)
			return ret;
		memset(cipher->buffer + cipher->kept, (int)missing, missing);
		return kernel_run(base, cipher->buffer, out, CRYPTO_BLOCK);
	}
	memset(padding, (int)missing, missing);
	if (send(cipher->channel.op, padding, missing, 0) != (ssize_t)missing)
		return -EIO;
	return receive(&cipher->channel, out, CRYPTO_BLOCK);
}

static void kernel_cipher_close(struct crypto_cipher *base)
{
	struct kernel_cipher *cipher = (struct kernel_cipher *)base;

	close_channel(&cipher->channel);
	if (cipher->buffer != NULL)
		explicit_bzero(cipher->buffer, CRYPTO_BUFFER);
	free(cipher->buffer);
	free(cipher);
}

static const struct crypto_cipher_ops kernel_cipher_ops = {
	.run = kernel_run,
	.file = kernel_cipher_file,
	.pad = kernel_pad,
	.close = kernel_cipher_close,
};

/* The direction and the IV go as control messages before the first byte. */
static int start_cipher(int op, bool encrypt, const uint8_t *iv)
{
	union {
		char bytes[CMSG_SPACE(sizeof(uint32_t)) + CMSG_SPACE(sizeof(struct af_alg_iv) + CRYPTO_BLOCK)];
		struct cmsghdr align;
	} control;
	struct msghdr message = { .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
	struct cmsghdr *header;
	uint32_t operation = encrypt ? ALG_OP_ENCRYPT : ALG_OP_DECRYPT;
	uint32_t iv_length = CRYPTO_BLOCK;

	memset(&control, 0, sizeof control);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_ALG;
	header->cmsg_type = ALG_SET_OP;
	header->cmsg_len = CMSG_LEN(sizeof operation);
	memcpy(CMSG_DATA(header), &operation, sizeof operation);
	header = CMSG_NXTHDR(&message, header);
	header->cmsg_level = SOL_ALG;
	header->cmsg_type = ALG_SET_IV;
	header->cmsg_len = CMSG_LEN(sizeof(struct af_alg_iv) + CRYPTO_BLOCK);
	memcpy(CMSG_DATA(header), &iv_length, sizeof iv_length);
	memcpy(CMSG_DATA(header) + sizeof iv_length, iv, CRYPTO_BLOCK);
	return sendmsg(op, &message, MSG_MORE) < 0 ? -errno : 0;
}

int crypto_kernel_cipher(struct crypto_cipher **out, bool encrypt, const uint8_t *key, const uint8_t *iv,
	struct error *error)
{
	struct kernel_cipher *cipher = calloc(1, sizeof *cipher);
	int ret;

	if (cipher == NULL)
		return error_set_errno(error, -ENOMEM, "cannot open a cipher");
	cipher->base.ops = &kernel_cipher_ops;
	ret = open_channel(&cipher->channel, "skcipher", "cbc(aes)", key, CRYPTO_KEY, error);
	if (ret != 0) {
		free(cipher);
		return ret;
	}
	ret = start_cipher(cipher->channel.op, encrypt, iv);
	if (ret != 0) {
		kernel_cipher_close(&cipher->base);
		return error_set_errno(error, ret, "AF_ALG skcipher \"cbc(aes)\": cannot set the IV");
	}
	*out = &cipher->base;
	return 0;
}
