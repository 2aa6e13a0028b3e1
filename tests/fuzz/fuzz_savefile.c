/* Any bytes as a capture file: read from memory, and through buffers of a size that the input chooses, with
 * the same packets; each packet decoded.
 *
 * Input: size of the buffers 1 (0: only from memory), file. */
#include "decoders/decode.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/read_source.h"

static void decode(void *context, const struct frame *frame, const struct interface_table *table)
{
	static const struct decode_options options = { .verify_checksums = true };
	struct record record;

	(void)table;
	/* A record file is no capture file, but its magic is found by the fuzzer all the same. */
	if (!(frame->flags & FRAME_IS_RECORD))
		decode_packet(&options, frame->data, frame->captured_len, frame->wire_len, frame->link_type,
			      &record, NULL);
	(void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct read_result memory, windows;

	if (size < 1)
		return 0;
	memory = read_source(data + 1, size - 1, 0, NULL, decode, NULL);
	if (data[0] == 0)
		return 0;
	windows = read_source(data + 1, size - 1, 64 + 16 * (size_t)data[0], NULL, NULL, NULL);
	/* Packed, the file is another one. */
	if (size > 3 && data[1] == 0x1f && data[2] == 0x8b)
		return 0;
	FUZZ_CHECK(windows.opened == memory.opened);
	FUZZ_CHECK(windows.last == memory.last);
	FUZZ_CHECK(windows.warning == memory.warning);
	FUZZ_CHECK(windows.frames == memory.frames);
	FUZZ_CHECK(windows.digest == memory.digest);
	return 0;
}
