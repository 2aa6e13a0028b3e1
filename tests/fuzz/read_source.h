/* Opens bytes as a file source and walks it to its end, for the targets that fuzz readers. */
#ifndef WEIR_TESTS_FUZZ_READ_SOURCE_H
#define WEIR_TESTS_FUZZ_READ_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/interface.h"
#include "engine/source.h"

/* What was read: the same from memory and through buffers of any size. */
struct read_result {
	int opened;
	int last;
	int warning;
	uint64_t frames;
	uint64_t digest; /* of every frame's fields and bytes */
};

/* window 0: from memory; else through a file and buffers of that many bytes. each (may be NULL) is called for
 * every frame with a packet, in order. */
struct read_result read_source(const uint8_t *bytes, size_t length, size_t window, const char *filter,
			       void (*each)(void *context, const struct frame *frame,
					    const struct interface_table *table),
			       void *context);

#endif
