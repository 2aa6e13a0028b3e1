/* What the sealed and the bare format share: moving a stream through the cipher with a helper thread.
 * Internal to engine/seal. */
#ifndef WEIR_ENGINE_SEAL_STREAM_H
#define WEIR_ENGINE_SEAL_STREAM_H

#include "engine/seal/seal.h"

/* write(2) until everything is out; error says which file. */
int stream_write_all(const struct seal_job *job, const void *data, size_t length, struct error *error);

/* Reads up to length bytes, fewer only at the end of the input. */
ssize_t stream_read_full(const struct seal_job *job, void *data, size_t length, struct error *error);

/* -ECANCELED when the job was cancelled. */
int stream_check_cancel(const struct seal_job *job, struct error *error);

/* Encrypts job->in to job->out with PKCS#7 padding; every byte written goes into mac too, where it is not
 * NULL. */
int stream_encrypt(struct seal_job *job, const uint8_t *cipher_key, const uint8_t *iv,
	struct crypto_hash *mac, struct error *error);

/* Decrypts job->in, except for its last trailer_length bytes (up to 32), which are stored in trailer. Every
 * byte of the ciphertext goes into mac, where it is not NULL. The last block is not written but returned in
 * last (CRYPTO_BLOCK bytes), for stream_finish. -EBADMSG: the ciphertext is empty or no whole number of
 * blocks. */
int stream_decrypt(struct seal_job *job, const uint8_t *cipher_key, const uint8_t *iv,
	struct crypto_hash *mac, uint8_t *trailer, size_t trailer_length, uint8_t *last, struct error *error);

/* Takes the padding off the last block and writes what is left. -EBADMSG: no PKCS#7 padding. */
int stream_finish(struct seal_job *job, const uint8_t *last, struct error *error);

#endif
