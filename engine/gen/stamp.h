/* The mark that `weir gen` leaves in every packet, and how to find it again.
 *
 * The stamp is the first 18 or 22 bytes of the innermost payload, in network order:
 *
 *	 0: 2 magic 0x5752 ("WR")
 *	 2: 8 sequence, from 0, one more for every packet of a run whatever its flow
 *	10: 8 send timestamp, nanoseconds since the UNIX epoch
 *	18: 4 flow number, where the payload has room (a 60-byte UDP/IPv4 frame has not; there
 *	      the flow is told by its ports alone)
 *
 * Pure functions on bytes; no thread owner.
 */
#ifndef WEIR_ENGINE_GEN_STAMP_H
#define WEIR_ENGINE_GEN_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define STAMP_MAGIC 0x5752
#define STAMP_BYTES 18        /* the least that a payload must hold */
#define STAMP_BYTES_FLOW 22   /* with the flow number */

struct stamp {
	uint64_t sequence;
	uint64_t timestamp_ns;
};

/* Reads the stamp at the start of a payload. payload: length readable bytes. False when there is none. */
static inline bool stamp_read(const uint8_t *payload, uint32_t length, struct stamp *stamp)
{
	uint64_t word;

	if (length < STAMP_BYTES || payload[0] != STAMP_MAGIC >> 8 || payload[1] != (STAMP_MAGIC & 0xff))
		return false;
	memcpy(&word, payload + 2, sizeof word);
	stamp->sequence = __builtin_bswap64(word);
	memcpy(&word, payload + 10, sizeof word);
	stamp->timestamp_ns = __builtin_bswap64(word);
	return true;
}

#endif
