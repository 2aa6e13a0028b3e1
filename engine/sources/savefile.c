#include "engine/sources/savefile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "decoders/decode.h"
#include "engine/sources/savefile_private.h"

#define END_FRAME(id) ((struct frame){ .span = (id), .flags = FRAME_NO_PACKET | FRAME_LAST_OF_SPAN })

/* ---- the end, and what is said about it ---- */

size_t savefile_corrupted(struct savefile *file, const char *format, ...)
{
	char what[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	error_set(&file->source.warning, -EBADMSG, "%s: corrupted at offset %llu: %s", file->input->name,
		  (unsigned long long)input_offset(file->input), what);
	error_hint(&file->source.warning, "the %llu packets before it were read",
		   (unsigned long long)file->packets);
	file->ended = true;
	return 0;
}

size_t savefile_failed(struct savefile *file, const struct error *error)
{
	file->source.error = *error;
	file->failure = error->code;
	file->ended = true;
	return 0;
}

/* The input has no more bytes: whole, or cut off somewhere. */
static void savefile_end(struct savefile *file)
{
	struct input *input = file->input;

	file->ended = true;
	if (input_left(input) > 0 || input->skip_left > 0 || input->torn) {
		error_set(&file->source.warning, -ENODATA, "%s: cut off after packet %llu", input->name,
			  (unsigned long long)file->packets);
		error_hint(&file->source.warning, "it ends inside the next one, at offset %llu",
			   (unsigned long long)(input_offset(input) + input_left(input)));
	}
}

/* ---- the source ---- */

/* Answers a need for more contiguous bytes. Returns true when the walk can go on. */
static bool savefile_fetch(struct savefile *file, size_t need, struct frame *frames, unsigned *count)
{
	struct input *input = file->input;
	uint32_t ended = UINT32_MAX;
	int result = input_need(input, need, &ended);

	if (ended != UINT32_MAX)
		frames[(*count)++] = END_FRAME(ended);
	if (result == -ENODATA && need > SAVEFILE_PLAUSIBLE)
		savefile_corrupted(file, "packet %llu claims %zu bytes, %zu are left",
				   (unsigned long long)file->packets + 1, need, input_left(input));
	else if (result == -ENODATA)
		savefile_end(file);
	else if (result == -EBADMSG)
		savefile_corrupted(file, "%s", "the gzip data make no sense");
	else if (result < 0)
		savefile_failed(file, &input->error);
	return result > 0;
}

static int savefile_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct savefile *file = (struct savefile *)source;
	struct input *input = file->input;
	unsigned count = 0;

	while (count < max && !file->ended) {
		size_t need = file->walk(file, frames, max, &count);

		if (need > 0 && !savefile_fetch(file, need, frames, &count))
			break;
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

static void savefile_release(struct source *source, uint32_t span)
{
	input_release(((struct savefile *)source)->input, span);
}

static int savefile_start(struct source *source, struct error *error)
{
	(void)source;
	(void)error;
	return 0;
}

/* For a pipe: bytes that came since "none now". */
static bool savefile_arm(struct source *source)
{
	const struct input *input = ((struct savefile *)source)->input;

	return input->starved && input_readable(input);
}

/* The far end of a pipe is closed: the next read says so. */
static int savefile_check(struct source *source)
{
	(void)source;
	return 0;
}

static void savefile_stop(struct source *source)
{
	((struct savefile *)source)->ended = true;
}

static void savefile_stats(struct source *source, struct source_stats *stats)
{
	const struct savefile *file = (const struct savefile *)source;

	*stats = (struct source_stats){
		.seen = file->packets,
		.handed_out = file->packets,
		.spans_total = INPUT_SPANS,
		.spans_held_most = file->input->held_most,
	};
	snprintf(stats->mode, sizeof stats->mode, "%s",
		 file->input->gzip != NULL ? "gzip"
		 : file->input->pollable   ? "stream"
					   : "file");
}

static bool savefile_progress(struct source *source, uint64_t *done, uint64_t *total)
{
	return input_position(((struct savefile *)source)->input, done, total);
}

static void savefile_close(struct source *source)
{
	struct savefile *file = (struct savefile *)source;

	if (file == NULL)
		return;
	savefile_interfaces_close(file);
	input_close(file->input);
	free(file);
}

static const struct source_ops savefile_ops = {
	.name = "savefile",
	.start = savefile_start,
	.rx_burst = savefile_rx_burst,
	.release = savefile_release,
	.arm = savefile_arm,
	.check = savefile_check,
	.stop = savefile_stop,
	.stats = savefile_stats,
	.close = savefile_close,
};

/* ---- opening ---- */

struct known_format {
	uint8_t magic[4];
	uint8_t length;
	const char *name;
	const char *hint;
};

static const struct known_format known_formats[] = {
	{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, "packed by zstd", "unpack it: zstdcat FILE | weir read -" },
	{ { 0xfd, '7', 'z', 'X' }, 4, "packed by xz", "unpack it: xzcat FILE | weir read -" },
	{ { 'B', 'Z', 'h', 0 }, 3, "packed by bzip2", "unpack it: bzcat FILE | weir read -" },
	{ { 0x04, 0x22, 0x4d, 0x18 }, 4, "packed by lz4", "unpack it: lz4cat FILE | weir read -" },
	{ { 's', 'n', 'o', 'o' }, 4, "a snoop capture", "convert it with editcap -F pcapng" },
	{ { 'P', 'K', 3, 4 }, 4, "a zip archive", "unpack it first" },
};

static int not_a_capture(const struct input *input, struct error *error)
{
	size_t left = input_left(input);

	for (size_t i = 0; i < sizeof known_formats / sizeof known_formats[0]; i++) {
		const struct known_format *format = &known_formats[i];

		if (left < format->length || memcmp(input->at, format->magic, format->length) != 0)
			continue;
		error_set(error, -EBADMSG, "%s: %s, not a capture file that weir reads", input->name,
			  format->name);
		error_hint(error, "%s", format->hint);
		return -EBADMSG;
	}
	error_set(error, -EBADMSG, "%s: not a capture file", input->name);
	error_hint(error, "weir reads pcap, pcapng, both also packed by gzip, and its own .weir");
	return -EBADMSG;
}

/* While opening nothing was handed out, so that no span can have ended: a buffer that is left is free
 * again. */
static int opening_need(struct input *input, size_t need, struct error *error)
{
	uint32_t ended = UINT32_MAX;
	int result = input_need(input, need, &ended);

	if (ended != UINT32_MAX)
		input_release(input, ended);
	if (result < 0 && result != -ENODATA && error != NULL)
		*error = input->error;
	return result;
}

/* Why nothing could be read, when that was seen before anything was handed out. */
static int opening_failure(const struct savefile *file, struct error *error)
{
	const struct error *cause = file->failure != 0 ? &file->source.error : &file->source.warning;

	if (error != NULL)
		*error = *cause;
	return cause->code;
}

/* Reads blocks up to the first interface, so that a filter that does not fit is an error of opening. */
static int begin_pcapng(struct savefile *file, struct error *error)
{
	file->walk = savefile_pcapng_walk;
	while (!file->ended && file->interface_count == 0) {
		size_t need = savefile_pcapng_prelude(file);
		int result;

		if (need == SIZE_MAX)
			break;
		result = need == 0 ? 1 : opening_need(file->input, need, error);
		if (result == -ENODATA)
			break;
		if (result < 0)
			return result;
	}
	return file->ended ? opening_failure(file, error) : 0;
}

static int begin_format(struct savefile *file, struct error *error)
{
	struct input *input = file->input;
	int result = opening_need(input, SAVEFILE_PCAP_HEADER, error);
	uint32_t magic;

	if (result < 0 && result != -ENODATA)
		return result;
	if (input_left(input) == 0) {
		error_set(error, -ENODATA, "%s: empty", input->name);
		error_hint(error, "a capture file has at least a header; did what wrote it start?");
		return -ENODATA;
	}
	if (input_left(input) < sizeof magic)
		return not_a_capture(input, error);
	magic = savefile_load32(input->at, false);
	if (magic == SAVEFILE_PCAPNG_MAGIC)
		return begin_pcapng(file, error);
	if (!savefile_pcap_magic(magic))
		return not_a_capture(input, error);
	if (result == -ENODATA)
		return error_set(error, -ENODATA, "%s: cut off inside the file header", input->name);
	return savefile_pcap_begin(file, error);
}

/* A filter that no interface has tried is tried on Ethernet: text that does not parse is an error in any
 * case. */
static int check_filter(const struct savefile *file, struct error *error)
{
	struct filter_program *program;
	int result;

	if (file->filter_count > 0 || file->options.filter == NULL || file->options.filter[0] == '\0')
		return 0;
	result = filter_compile(file->options.filter, LINK_ETHERNET, &program, error);
	if (result == 0)
		filter_close(program);
	return result;
}

int savefile_open_input(struct input *input, const struct savefile_options *options,
			struct interface_table *interfaces, struct source **source, struct error *error)
{
	struct savefile *file = calloc(1, sizeof *file);
	int result;

	*source = NULL;
	if (file == NULL) {
		input_close(input);
		return error_set_errno(error, -ENOMEM, "cannot read a capture file");
	}
	file->input = input;
	file->options = *options;
	file->table = interfaces;
	file->source.ops = &savefile_ops;
	file->source.fd = input->pollable ? input->fd : -1;
	file->source.span_count = INPUT_SPANS;
	file->source.burst = SOURCE_BURST_SHORT;
	file->source.progress = savefile_progress;
	result = begin_format(file, error);
	if (result == 0)
		result = check_filter(file, error);
	if (result != 0) {
		savefile_close(&file->source);
		return result;
	}
	if (file->interface_count > 0)
		file->source.interface = file->interfaces[0].index;
	input->blocking = false;
	*source = &file->source;
	return 0;
}

int savefile_open(const char *path, const struct savefile_options *options,
		  struct interface_table *interfaces, struct source **source, struct error *error)
{
	struct input *input;
	int result = input_open(path, options->window, &input, error);

	*source = NULL;
	return result != 0 ? result : savefile_open_input(input, options, interfaces, source, error);
}

int savefile_open_memory(const void *bytes, size_t length, const char *name,
			 const struct savefile_options *options, struct interface_table *interfaces,
			 struct source **source, struct error *error)
{
	struct input *input;
	int result = input_open_memory(bytes, length, name, &input, error);

	*source = NULL;
	return result != 0 ? result : savefile_open_input(input, options, interfaces, source, error);
}
