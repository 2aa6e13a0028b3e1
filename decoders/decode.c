#include "decoders/decode.h"

#include "decoders/cursor.h"

void decode_packet(const struct decode_options *options, const uint8_t *data,
		   uint32_t captured_length, uint32_t wire_length, uint16_t link_type,
		   struct record *record, struct decode_trace *trace)
{
	(void)options;
	(void)data;
	(void)link_type;
	(void)trace;
	__builtin_memset(record, 0, sizeof *record);
	record->captured_length = captured_length;
	record->wire_length = wire_length < captured_length ? captured_length : wire_length;
	record->packet_offset = RECORD_NO_OFFSET;
}
