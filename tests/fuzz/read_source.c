#include "tests/fuzz/read_source.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "decoders/record.h"
#include "engine/sources/open.h"
#include "tests/fuzz/fuzz.h"

#define BURSTS_MOST 4000000u /* of a few megabytes of input: more is a loop that does not end */

/* FNV-1a over eight bytes at a time. */
static uint64_t mix(uint64_t digest, uint64_t value)
{
	return (digest ^ value) * UINT64_C(0x100000001b3);
}

static uint64_t digest_of(uint64_t digest, const struct frame *frame)
{
	uint32_t length = frame->flags & FRAME_IS_RECORD ? RECORD_SIZE : frame->captured_len;

	digest = mix(digest, frame->timestamp_ns);
	digest = mix(digest, (uint64_t)frame->captured_len << 32 | frame->wire_len);
	digest = mix(digest,
		     (uint64_t)frame->flags << 32 | (uint32_t)frame->link_type << 16 | frame->interface);
	/* All bytes are touched: the sanitizer sees one that is not there. */
	for (uint32_t i = 0; i < length; i++)
		digest = mix(digest, frame->data[i]);
	return digest;
}

static void check_frame(const struct source *source, const struct frame *frame,
			const struct interface_table *table)
{
	FUZZ_CHECK(frame->span < source->span_count);
	if (frame->flags & FRAME_NO_PACKET)
		return;
	FUZZ_CHECK(frame->data != NULL);
	FUZZ_CHECK(interface_table_get(table, frame->interface) != NULL);
	if (frame->flags & FRAME_IS_RECORD) {
		struct record record;

		memcpy(&record, frame->data, sizeof record);
		FUZZ_CHECK(!(record.status & STATUS_CONTROL));
		FUZZ_CHECK(record.packet_offset == RECORD_NO_OFFSET);
		FUZZ_CHECK(record.interface == frame->interface);
	} else {
		FUZZ_CHECK(frame->wire_len >= frame->captured_len);
	}
}

static int open_window(const uint8_t *bytes, size_t length, const struct savefile_options *options,
		       struct interface_table *table, struct source **source, struct error *error)
{
	static int fd = -1;
	char path[32];

	if (fd < 0)
		fd = memfd_create("input", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, bytes, length, 0) == (ssize_t)length);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return source_open_file(path, options, table, source, error);
}

struct read_result read_source(const uint8_t *bytes, size_t length, size_t window, const char *filter,
			       void (*each)(void *context, const struct frame *frame,
					    const struct interface_table *table),
			       void *context)
{
	struct savefile_options options = { .filter = filter, .window = window };
	struct read_result result = { .digest = UINT64_C(0xcbf29ce484222325) };
	struct frame frames[SOURCE_BURST];
	struct interface_table *table;
	struct error error = { 0 };
	struct source *source;
	unsigned bursts = 0;

	FUZZ_CHECK(interface_table_create(&table, &error) == 0);
	result.opened = window == 0
				? source_open_bytes(bytes, length, "input", &options, table, &source, &error)
				: open_window(bytes, length, &options, table, &source, &error);
	FUZZ_CHECK((result.opened == 0) == (source != NULL));
	FUZZ_CHECK(result.opened == error.code && (error.code == 0 || error.message[0] != '\0'));
	while (source != NULL) {
		result.last = source->ops->rx_burst(source, frames, SOURCE_BURST);
		if (result.last < 0)
			break;
		FUZZ_CHECK(result.last <= SOURCE_BURST && bursts++ < BURSTS_MOST);
		for (int i = 0; i < result.last; i++) {
			check_frame(source, &frames[i], table);
			if (!(frames[i].flags & FRAME_NO_PACKET)) {
				result.digest = digest_of(result.digest, &frames[i]);
				result.frames++;
				if (each != NULL)
					each(context, &frames[i], table);
			}
		}
		for (int i = 0; i < result.last; i++) {
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
		}
	}
	if (source != NULL) {
		result.warning = source->warning.code;
		FUZZ_CHECK(source->warning.code == 0 || source->warning.message[0] != '\0');
		source->ops->close(source);
	}
	interface_table_close(table);
	return result;
}
