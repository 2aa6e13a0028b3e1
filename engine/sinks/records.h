/* The .weir file's first bytes, for those who read it back. The whole layout is in records.c. */
#ifndef WEIR_ENGINE_SINKS_RECORDS_H
#define WEIR_ENGINE_SINKS_RECORDS_H

#include <stdint.h>

#include "decoders/record.h"

#define RECORDS_MAGIC "WEIRREC1"
#define RECORDS_HEADER_SIZE 16384u

struct records_start {
	char magic[8];        /* RECORDS_MAGIC, without NUL */
	uint32_t header_size; /* records start here */
	uint32_t record_size;
};
_Static_assert(sizeof(struct records_start) == 16, "JSON starts at byte 16");

#endif
