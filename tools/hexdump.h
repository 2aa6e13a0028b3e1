/* Bytes out of what people have at hand: bare hex digits with or without blanks, colons, commas and
 * 0x; and the dumps of tcpdump -xx/-XX, hexdump -C, xxd, od -Ax -tx1, Wireshark and text2pcap, with
 * their offset and text columns.
 */
#ifndef WEIR_TOOLS_HEXDUMP_H
#define WEIR_TOOLS_HEXDUMP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

/* Reads text (ended by NUL). *bytes is malloced and belongs to the caller, *length how many there
 * are. A dump that begins again at offset 0 holds a second packet: reading ends there and *more is 1.
 * Returns 0, -EINVAL (not hex, an odd number of digits, nothing) or -ENOMEM. */
int hexdump_read(const char *text, uint8_t **bytes, size_t *length, int *more, struct error *error);

#endif
