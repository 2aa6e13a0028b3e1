#include "engine/sources/recordfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"
#include "decoders/record.h"
#include "engine/sources/json_reader.h"
#include "engine/sources/savefile_input.h"

#define START_SIZE 16u /* magic and the two sizes */
#define END_FRAME(id) ((struct frame){ .span = (id), .flags = FRAME_NO_PACKET | FRAME_LAST_OF_SPAN })

struct recordfile {
	struct source source;
	struct input *input; /* owned */
	struct interface_table *table;
	uint16_t *indexes; /* of the header's interfaces, in the run's table; owned */
	uint32_t index_count;
	uint32_t index_capacity;
	uint16_t unknown; /* in the run's table, when unknown_added */
	bool unknown_added;
	bool ended;
	bool span_ended;
	int failure;
	uint64_t records;
};

/* ---- header ---- */

static bool hex_pair(const char *text, uint8_t *byte)
{
	static const char digits[] = "0123456789abcdef";
	const char *high = text[0] != '\0' ? strchr(digits, text[0]) : NULL;
	const char *low = high != NULL && text[1] != '\0' ? strchr(digits, text[1]) : NULL;

	if (low == NULL)
		return false;
	*byte = (uint8_t)((high - digits) << 4 | (low - digits));
	return true;
}

/* "02:00:00:00:00:01"; anything else leaves the address absent. */
static void read_mac(const char *text, uint8_t mac[6])
{
	uint8_t read[6];

	if (strlen(text) != 17)
		return;
	for (int i = 0; i < 6; i++) {
		if (!hex_pair(text + 3 * i, &read[i]) || (i < 5 && text[3 * i + 2] != ':'))
			return;
	}
	memcpy(mac, read, sizeof read);
}

static void clean_copy(char *text, size_t size, const char *from)
{
	input_copy_text(text, size, (const uint8_t *)from, strlen(from));
}

/* One element of "interfaces". */
static void read_interface(struct json_reader *reader, struct interface *interface)
{
	char key[32], text[1024];
	uint64_t number;

	*interface = (struct interface){ .link_type = LINK_ETHERNET };
	for (json_object(reader); json_member(reader, key, sizeof key);) {
		if (strcmp(key, "name") == 0 && json_string(reader, text, sizeof text))
			clean_copy(interface->name, sizeof interface->name, text);
		else if (strcmp(key, "description") == 0 && json_string(reader, text, sizeof text))
			clean_copy(interface->description, sizeof interface->description, text);
		else if (strcmp(key, "filter") == 0 && json_string(reader, text, sizeof text))
			clean_copy(interface->filter, sizeof interface->filter, text);
		else if (strcmp(key, "mac") == 0 && json_string(reader, text, sizeof text))
			read_mac(text, interface->mac);
		else if (strcmp(key, "link_type") == 0 && json_unsigned(reader, &number))
			interface->link_type = (uint16_t)number;
		else if (strcmp(key, "snap_length") == 0 && json_unsigned(reader, &number))
			interface->snap_length = (uint32_t)number;
		else
			json_skip(reader);
	}
}

static int add_interface(struct recordfile *file, struct interface *interface, struct error *error)
{
	uint16_t *indexes = file->indexes;
	int result;

	if (file->index_count == INTERFACE_TABLE_MAX)
		return error_set(error, -EBADMSG, "%s: more interfaces than a record can tell apart",
				 file->input->name);
	if (file->index_count == file->index_capacity) {
		uint32_t capacity = file->index_capacity == 0 ? 16 : file->index_capacity * 2;

		indexes = realloc(indexes, capacity * sizeof *indexes);
		if (indexes == NULL)
			return error_set_errno(error, -ENOMEM, "%s", file->input->name);
		file->indexes = indexes;
		file->index_capacity = capacity;
	}
	if (interface->name[0] == '\0')
		clean_copy(interface->name, sizeof interface->name, file->input->base);
	result = interface_table_add(file->table, interface, &indexes[file->index_count]);
	if (result != 0)
		return error_set_errno(error, result, "%s: interface %u", file->input->name,
				       file->index_count);
	file->index_count++;
	return 0;
}

static int read_json(struct recordfile *file, const char *text, size_t length, struct error *error)
{
	struct json_reader reader = json_over(text, length);
	struct interface interface;
	uint64_t version = 0;
	char key[32];
	int result = 0;

	for (json_object(&reader); json_member(&reader, key, sizeof key);) {
		if (strcmp(key, "version") == 0) {
			json_unsigned(&reader, &version);
		} else if (strcmp(key, "interfaces") == 0 && file->index_count == 0) {
			for (json_array(&reader); json_element(&reader) && result == 0;) {
				read_interface(&reader, &interface);
				if (!reader.bad)
					result = add_interface(file, &interface, error);
			}
			if (result != 0)
				return result;
		} else {
			json_skip(&reader);
		}
	}
	if (!json_over_now(&reader))
		return error_set(error, -EBADMSG, "%s: its header makes no sense at offset %zu",
				 file->input->name, START_SIZE + (size_t)(reader.at - text));
	if (version != RECORD_VERSION) {
		error_set(error, -EBADMSG, "%s: records of version %llu", file->input->name,
			  (unsigned long long)version);
		return error_hint(error, "this weir reads version %d", RECORD_VERSION);
	}
	return 0;
}

static int need(struct recordfile *file, size_t count, struct error *error)
{
	uint32_t ended;
	int result = input_need(file->input, count, &ended);

	if (result == -ENODATA)
		return error_set(error, result, "%s: cut off inside its header", file->input->name);
	if (result < 0 && error != NULL)
		*error = file->input->error;
	return result < 0 ? result : 0;
}

static int read_header(struct recordfile *file, struct error *error)
{
	struct input *input = file->input;
	uint32_t header_size, record_size;
	int result = need(file, START_SIZE, error);

	if (result != 0)
		return result;
	memcpy(&header_size, input->at + 8, sizeof header_size);
	memcpy(&record_size, input->at + 12, sizeof record_size);
	/* A multiple of 8, so that records lie aligned in the buffers that hold them. */
	if (memcmp(input->at, RECORDFILE_MAGIC, RECORDFILE_MAGIC_SIZE) != 0 || header_size < START_SIZE ||
	    header_size > RECORDFILE_HEADER_MAX || header_size % 8 != 0)
		return error_set(error, -EBADMSG, "%s: not a record file", input->name);
	if (record_size != RECORD_SIZE)
		return error_set(error, -EBADMSG, "%s: records of %u bytes, not of %d", input->name,
				 record_size, RECORD_SIZE);
	result = need(file, header_size, error);
	if (result == 0)
		result = read_json(file, (const char *)input->at + START_SIZE, header_size - START_SIZE,
				   error);
	input->at += header_size;
	return result;
}

/* ---- the source ---- */

/* The run's index for a file's. False: there is no room in the table for one more name. */
static bool map_interface(struct recordfile *file, uint16_t index, uint16_t *mapped)
{
	struct interface interface = { .link_type = LINK_ETHERNET, .name = "unknown" };

	if (index < file->index_count) {
		*mapped = file->indexes[index];
		return true;
	}
	if (!file->unknown_added) {
		int result = interface_table_add(file->table, &interface, &file->unknown);

		if (result != 0) {
			error_set_errno(&file->source.error, result, "%s: interface %u", file->input->name,
					index);
			file->failure = result;
			file->ended = true;
			return false;
		}
		file->unknown_added = true;
		error_set(&file->source.warning, -ENXIO,
			  "%s: some interfaces are not described in its header", file->input->name);
		error_hint(&file->source.warning, "their records are shown with interface \"unknown\"");
	}
	*mapped = file->unknown;
	return true;
}

/* The bytes are in a buffer of ours, so that they can be mended where they lie. */
static bool fill_frame(struct recordfile *file, struct record *record, struct frame *frame)
{
	uint16_t mapped;

	if (!map_interface(file, record->interface, &mapped))
		return false;
	record->interface = mapped;
	record->status &= ~STATUS_CONTROL;
	record->packet_offset = RECORD_NO_OFFSET;
	if (record->tunnel_type > TUNNEL_ETHERNET)
		record->tunnel_type = TUNNEL_NONE;
	*frame = (struct frame){
		.data = (const uint8_t *)record,
		.timestamp_ns = record->timestamp_ns,
		.captured_len = record->captured_length,
		.wire_len = record->wire_length,
		.span = file->input->current,
		.flags = FRAME_IS_RECORD | (record->status & STATUS_DIRECTION_MASK),
		.link_type = LINK_ETHERNET,
		.interface = mapped,
	};
	return true;
}

static void recordfile_end(struct recordfile *file)
{
	struct input *input = file->input;

	file->ended = true;
	if (input_left(input) == 0 && !input->torn)
		return;
	error_set(&file->source.warning, -ENODATA, "%s: cut off after record %llu", input->name,
		  (unsigned long long)file->records);
}

static int recordfile_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct recordfile *file = (struct recordfile *)source;
	struct input *input = file->input;
	unsigned count = 0;

	while (count < max && !file->ended) {
		uint32_t ended = UINT32_MAX;
		int result = input_need(input, RECORD_SIZE, &ended);

		if (ended != UINT32_MAX) {
			frames[count++] = END_FRAME(ended);
			continue;
		}
		if (result == -ENODATA) {
			recordfile_end(file);
		} else if (result < 0) {
			source->error = input->error;
			file->failure = result;
			file->ended = true;
		}
		if (result <= 0 || !fill_frame(file, (struct record *)(uintptr_t)input->at, &frames[count]))
			break;
		input->at += RECORD_SIZE;
		file->records++;
		count++;
	}
	if (count > 0 || !file->ended)
		return (int)count;
	if (!file->span_ended) {
		file->span_ended = true;
		frames[0] = END_FRAME(input->current);
		input->spans[input->current].state = INPUT_SPAN_HELD;
		return 1;
	}
	return file->failure != 0 ? file->failure : -ENODATA;
}

static void recordfile_release(struct source *source, uint32_t span)
{
	input_release(((struct recordfile *)source)->input, span);
}

static int recordfile_start(struct source *source, struct error *error)
{
	(void)source;
	(void)error;
	return 0;
}

static bool recordfile_arm(struct source *source)
{
	const struct input *input = ((struct recordfile *)source)->input;

	return input->starved && input_readable(input);
}

/* The far end of a pipe is closed: the next read says so. */
static int recordfile_check(struct source *source)
{
	(void)source;
	return 0;
}

static void recordfile_stop(struct source *source)
{
	((struct recordfile *)source)->ended = true;
}

static void recordfile_stats(struct source *source, struct source_stats *stats)
{
	const struct recordfile *file = (const struct recordfile *)source;

	*stats = (struct source_stats){
		.seen = file->records,
		.handed_out = file->records,
		.spans_total = INPUT_SPANS,
		.spans_held_most = file->input->held_most,
		.mode = "records",
	};
}

static bool recordfile_progress(struct source *source, uint64_t *done, uint64_t *total)
{
	return input_position(((struct recordfile *)source)->input, done, total);
}

static void recordfile_close(struct source *source)
{
	struct recordfile *file = (struct recordfile *)source;

	if (file == NULL)
		return;
	free(file->indexes);
	input_close(file->input);
	free(file);
}

static const struct source_ops recordfile_ops = {
	.name = "recordfile",
	.start = recordfile_start,
	.rx_burst = recordfile_rx_burst,
	.release = recordfile_release,
	.arm = recordfile_arm,
	.check = recordfile_check,
	.stop = recordfile_stop,
	.stats = recordfile_stats,
	.close = recordfile_close,
};

int recordfile_open_input(struct input *input, const struct savefile_options *options,
			  struct interface_table *interfaces, struct source **source, struct error *error)
{
	struct recordfile *file = calloc(1, sizeof *file);
	int result = 0;

	*source = NULL;
	if (file == NULL) {
		input_close(input);
		return error_set_errno(error, -ENOMEM, "cannot read a record file");
	}
	file->input = input;
	file->table = interfaces;
	file->source.ops = &recordfile_ops;
	file->source.fd = input->pollable ? input->fd : -1;
	file->source.span_count = INPUT_SPANS;
	file->source.burst = SOURCE_BURST_SHORT;
	file->source.progress = recordfile_progress;
	if (options->filter != NULL && options->filter[strspn(options->filter, " \t\r\n")] != '\0') {
		result = error_set(error, -EINVAL, "%s: records have no packets that a filter could look at",
				   input->name);
		error_hint(
			error,
			"filter while capturing, or filter the capture file that the records were made from");
	}
	if (result == 0)
		result = read_header(file, error);
	if (result != 0) {
		recordfile_close(&file->source);
		return result;
	}
	if (file->index_count > 0)
		file->source.interface = file->indexes[0];
	input->blocking = false;
	*source = &file->source;
	return 0;
}
