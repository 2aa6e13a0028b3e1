/* Packets for the differential tests: made from a seed, the same in every run.
 *
 * Half are well formed (Ethernet, up to two tags, IPv4 with options and fragments, IPv6, TCP with options,
 * UDP, ICMP, ARP), the others are these cut short, with bytes turned, or noise. 14 bytes at least: XDP sees
 * no shorter frame.
 */
#ifndef WEIR_TESTS_UNIT_TRANSLATE_PACKETS_H
#define WEIR_TESTS_UNIT_TRANSLATE_PACKETS_H

#include <stdint.h>

#define PACKET_MOST 1514
#define PACKET_LEAST 14

/* xorshift64*, seeded with anything but 0. */
uint64_t packet_random(uint64_t *state);

/* Fills bytes with packet number i's bytes; returns its length, 14 to PACKET_MOST. */
uint32_t packet_make(uint64_t seed, unsigned i, uint8_t bytes[PACKET_MOST]);

#endif
