/* Any bytes as a record file, and every record of it through every format.
 *
 * Input: how it is read 1 (even: from memory, odd: through buffers), file. A file that lacks the magic gets
 * it, so that the fuzzer need not find it first. */
#include <string.h>

#include "decoders/record.h"
#include "tests/fuzz/every_sink.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/read_source.h"

static void write_out(void *context, const struct frame *frame, const struct interface_table *table)
{
	struct record record;

	(void)context;
	(void)table;
	if (!(frame->flags & FRAME_IS_RECORD))
		return;
	memcpy(&record, frame->data, sizeof record);
	every_sink_write(&record, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t window;
	uint8_t *file;

	if (size < 17 || size > 1 << 20)
		return 0;
	window = data[0] & 1 ? 64 + data[0] : 0;
	file = malloc(size - 1);
	FUZZ_CHECK(file != NULL);
	memcpy(file, data + 1, size - 1);
	memcpy(file, "WEIRREC1", 8);
	read_source(file, size - 1, window, NULL, write_out, NULL);
	free(file);
	return 0;
}
