/* A test vector: one packet and the record that it must give, in one text file (tests/vectors,
 * NAME.vec). Drop a file in and it is tested.
 *
 *     # what this packet is
 *     link ethernet                 (or a LINKTYPE_ number)
 *     options outer verify          (also: not-ready, vxlan=PORT, gpe=PORT, geneve=PORT, gtpu=PORT,
 *                                    l2tp=PORT, teredo=PORT; may be left out)
 *     wire 1514                     (when more than was captured; may be left out)
 *     hex 0050 5600 0001 ...        (any number of such lines)
 *     expect src_ip 10.0.0.1        (one field a line, under its schema name; what is not listed
 *     expect layers ETH ETHERTYPE    must be zero; layers and status by name, packet_offset,
 *     trace IPv4 14 20               captured_length and wire_length follow from the packet)
 */
#ifndef WEIR_TESTS_VECTOR_H
#define WEIR_TESTS_VECTOR_H

#include "decoders/decode.h"

#define VECTOR_BYTES 8192
#define VECTOR_TRACES 32

struct vector {
	char name[128];
	uint8_t bytes[VECTOR_BYTES];
	uint32_t length;
	uint32_t wire_length;
	uint16_t link_type;
	struct decode_options options;
	struct record expected;
	unsigned traces; /* layers listed; 0: not checked */
	struct {
		char name[64];
		unsigned offset, length;
	} trace[VECTOR_TRACES];
};

/* Reads one file; a malformed one ends the program with a message (a test must not pass for it). */
void vector_read(const char *path, struct vector *vector);

/* Reads all .vec files of a directory, sorted by name. Returns how many; *vectors is malloced. */
unsigned vector_read_all(const char *directory, struct vector **vectors);

/* Names of the bits that are set, space-separated, into a static buffer. */
const char *vector_layer_names(uint32_t layers);
const char *vector_status_names(uint32_t status);

/* Prints the fields in which two records differ to stderr; returns how many. */
unsigned vector_differences(const struct record *got, const struct record *want);

#endif
