/* The Internet checksum (RFC 1071) over memory order: 16-bit words are loaded and stored as the host
 * has them, which gives the right bytes on either byte order. */
#ifndef WEIR_ENGINE_GEN_CHECKSUM_H
#define WEIR_ENGINE_GEN_CHECKSUM_H

#include <stdint.h>
#include <string.h>

/* Adds length bytes, starting at an even offset of what is summed, to a sum that never overflows in
 * frames of up to 64 KiB. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, uint32_t length)
{
	uint16_t word;

	for (; length >= 2; length -= 2, bytes += 2) {
		memcpy(&word, bytes, 2);
		sum += word;
	}
	if (length == 1) {
		uint8_t last[2] = { bytes[0], 0 };

		memcpy(&word, last, 2);
		sum += word;
	}
	return sum;
}

static inline uint32_t checksum_fold32(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffffffff) + (sum >> 32));
}

/* The checksum of a sum, in memory order; zero: what a result of 0 is written as. */
static inline uint16_t checksum_finish(uint64_t sum, uint32_t zero)
{
	uint32_t folded = checksum_fold32(sum);
	uint16_t checksum;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	checksum = (uint16_t)~folded;
	return checksum == 0 ? (uint16_t)zero : checksum;
}

static inline void checksum_store(uint8_t *bytes, uint16_t checksum)
{
	memcpy(bytes, &checksum, 2);
}

#endif
