/* A few buffers that go round between the calling thread, which fills them, and one helper thread, which
 * consumes them in the same order: so that two stages of sealing (cipher; MAC and writing) use two CPUs with
 * bounded memory. The helper takes no signals. Buffers are page-aligned and wiped at the end, since they hold
 * plaintext.
 *
 * Not for the packet path: it sleeps in a mutex, once for CRYPTO_CHUNK bytes.
 */
#ifndef WEIR_ENGINE_SEAL_CONVEYOR_H
#define WEIR_ENGINE_SEAL_CONVEYOR_H

#include <stddef.h>
#include <stdint.h>

struct conveyor;

/* consume is called in the helper thread, for one buffer after the other; it may write into the buffer. A
 * value other than 0 (-errno) ends the run. */
int conveyor_open(struct conveyor **out, size_t buffer_size,
	int (*consume)(void *context, uint8_t *data, size_t length), void *context);

/* The next free buffer, of buffer_size bytes; waits for one. NULL when consume has failed. */
uint8_t *conveyor_next(struct conveyor *conveyor);

/* Hands the buffer of the last conveyor_next to the helper, with length bytes in it. */
void conveyor_push(struct conveyor *conveyor, size_t length);

/* Waits until everything pushed is consumed. Returns what consume failed with, or 0. Safe with NULL. The
 * object is gone afterwards. */
int conveyor_close(struct conveyor *conveyor);

#endif
