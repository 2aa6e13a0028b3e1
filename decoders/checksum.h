/* Checksums of headers and payloads, for `--verify-checksums`.
 *
 * RFC 1071 (the Internet checksum) and RFC 9260 appendix A (SCTP's CRC32c). Off the hot path:
 * they run only when decode_options.verify_checksums asks for them.
 */
#ifndef WEIR_DECODERS_CHECKSUM_H
#define WEIR_DECODERS_CHECKSUM_H

#include "decoders/cursor.h"

struct decode;

/* Adds the bytes that the cursor spans (at..end), as big-endian 16-bit words, to sum; an odd
 * last byte is padded with zero. Start a new sum with 0. */
uint64_t checksum_add(uint64_t sum, struct cursor bytes);

/* The one's complement sum, folded to 16 bits: 0xffff for data that includes a right checksum. */
uint16_t checksum_fold(uint64_t sum);

/* CRC32c of the bytes that the cursor spans, with the four bytes at offset skip (from the
 * cursor's position) taken as zero. */
uint32_t checksum_crc32c(struct cursor bytes, uint32_t skip);

/* Verifies the transport checksum of the level at hand, over coverage bytes of the datagram
 * that begins at the offset l4 and reaches to d->wire_end, with the pseudo header for protocol
 * (RFC 9293 3.1, RFC 8200 8.1), or without one when pseudo is false (ICMPv4, IGMP). Sets
 * CHECKSUMS_CHECKED when it could be verified, and L4_CHECKSUM_BAD; leaves both when bytes are
 * missing (then CUT), the datagram is a fragment, or the NIC was still to fill it in. */
void checksum_transport(struct decode *d, uint32_t l4, uint32_t coverage, uint8_t protocol, bool pseudo);

/* As above for SCTP. */
void checksum_sctp(struct decode *d, uint32_t l4);

/* For levels without a checksum to verify: CHECKSUMS_CHECKED. */
void checksum_none(struct decode *d);

#endif
