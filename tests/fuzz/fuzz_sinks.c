/* Any bytes as a packet, decoded, and its record and bytes through every format.
 *
 * Input: link type 1, direction and time 1, packet. */
#include "decoders/decode.h"
#include "tests/fuzz/every_sink.h"
#include "tests/fuzz/fuzz.h"

#define HEAD 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t links[] = { LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL, LINK_LINUX_SLL2 };
	static const struct decode_options options = { 0 };
	struct record record;

	if (size < HEAD || size > HEAD + 65535)
		return 0;
	decode_packet(&options, data + HEAD, (uint32_t)size - HEAD, (uint32_t)size - HEAD, links[data[0] % 4],
		      &record, NULL);
	record.status |= data[1] & STATUS_DIRECTION_MASK;
	record.timestamp_ns = data[1] * UINT64_C(72057594037927936);
	record.packet_offset = (uint64_t)(uintptr_t)(data + HEAD);
	every_sink_write(&record, true);
	return 0;
}
