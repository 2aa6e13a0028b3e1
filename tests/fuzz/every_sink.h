/* Writes a record through every format to /dev/null: whatever a record holds, no sink may fail or overrun. */
#ifndef WEIR_TESTS_FUZZ_EVERY_SINK_H
#define WEIR_TESTS_FUZZ_EVERY_SINK_H

#include <stdbool.h>

#include "decoders/record.h"

/* interface is taken modulo the few that the sinks know. with_packet: packet_offset is the address of its
 * captured_length bytes, and formats that print packets get it too. */
void every_sink_write(const struct record *record, bool with_packet);

#endif
