#include "engine/sources/savefile_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sources/savefile_gzip.h"
#include "ringbuf/atomics.h"

#define SCRATCH_SIZE (64u * 1024)
#define GZIP_MAGIC_SIZE 3
#define DETECT_SIZE 512 /* bytes of a read while detecting */

/* The free span that was used last is the likeliest to be in the caches. INPUT_SPANS: none. */
static uint32_t input_free_span(const struct input *input)
{
	uint32_t index = 0;

	while (index < INPUT_SPANS && input->spans[index].state != INPUT_SPAN_FREE)
		index++;
	return index;
}

/* ---- reading ---- */

/* Reads once. Returns how many bytes came; 0: none now (starved), or the end (finished); -errno with the
 * error set. */
static ssize_t input_read_raw(struct input *input, uint8_t *bytes, size_t size)
{
	ssize_t count;

	if (input->pollable && !input->blocking && !input_readable(input)) {
		input->starved = true;
		return 0;
	}
	do {
		count = read(input->fd, bytes, size);
	} while (count < 0 && errno == EINTR && !input->blocking);
	if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		if (!input->blocking) {
			input->starved = true;
			return 0;
		}
		/* Somebody made our standard input non-blocking. */
		poll(&(struct pollfd){ .fd = input->fd, .events = POLLIN }, 1, -1);
		return input_read_raw(input, bytes, size);
	}
	if (count < 0)
		return error_set_errno(&input->error, -errno, "%s: cannot be read", input->name);
	if (count > 0)
		atomic_store_statistic(&input->position, atomic_load_own(&input->position) + (uint64_t)count);
	return count;
}

/* As input_read_raw, unpacked. */
static ssize_t input_read_gzip(struct input *input, uint8_t *bytes, size_t size)
{
	uint8_t *space;
	size_t room;
	ssize_t count;

	for (;;) {
		count = gzip_read(input->gzip, bytes, size);
		if (count == -ENODATA) {
			/* Cut off: the format's reader says so, for its own last packet is cut as well. */
			input->finished = true;
			input->torn = true;
			return 0;
		}
		if (count < 0)
			return error_set(&input->error, (int)count, "%s: the gzip data are corrupted",
					 input->name);
		if (count > 0)
			return count;
		if (gzip_over(input->gzip)) {
			input->finished = true;
			return 0;
		}
		space = gzip_space(input->gzip, &room);
		count = input_read_raw(input, space, room);
		if (count < 0 || input->starved)
			return count;
		gzip_fed(input->gzip, (size_t)count);
	}
}

static ssize_t input_read(struct input *input, uint8_t *bytes, size_t size)
{
	ssize_t count;

	input->starved = false;
	if (input->gzip != NULL)
		return input_read_gzip(input, bytes, size);
	count = input_read_raw(input, bytes, size);
	if (count == 0 && !input->starved)
		input->finished = true;
	return count;
}

/* Discards what input_skip left over. Returns 1 when done, else as input_need. */
static int input_discard(struct input *input)
{
	if (input->scratch == NULL && (input->scratch = malloc(SCRATCH_SIZE)) == NULL)
		return error_set_errno(&input->error, -ENOMEM, "%s", input->name);
	while (input->skip_left > 0) {
		ssize_t count;

		if (input->finished)
			return -ENODATA;
		count = input_read(input, input->scratch,
				   input->skip_left < SCRATCH_SIZE ? input->skip_left : SCRATCH_SIZE);
		if (count < 0)
			return (int)count;
		if (count == 0 && !input->finished)
			return 0;
		input->skip_left -= (uint64_t)count;
		input->origin_offset += (uint64_t)count;
	}
	return 1;
}

static void count_held(struct input *input)
{
	uint32_t held = 0;

	for (uint32_t i = 0; i < INPUT_SPANS; i++)
		held += input->spans[i].state != INPUT_SPAN_FREE;
	if (held > input->held_most)
		input->held_most = held;
}

static int no_memory(struct input *input, size_t size)
{
	return error_set_errno(&input->error, -ENOMEM, "%s: a buffer of %zu bytes", input->name, size);
}

/* A buffer of at least `least` bytes becomes the current span, with what is left of the old one at its
 * front. */
static int input_next_buffer(struct input *input, size_t least, uint32_t *ended)
{
	bool first = input->spans[input->current].bytes == NULL;
	uint32_t next = first ? input->current : input_free_span(input);
	size_t size = least > input->window ? least : input->window;
	size_t left = input_left(input);
	struct input_span *span;

	if (next == INPUT_SPANS) {
		input->starved = false;
		return 0;
	}
	span = &input->spans[next];
	if (span->bytes == NULL || span->size < size) {
		free(span->bytes);
		span->bytes = malloc(size);
		span->size = span->bytes != NULL ? size : 0;
		if (span->bytes == NULL)
			return no_memory(input, size);
	}
	if (left > 0)
		memcpy(span->bytes, input->at, left);
	input->origin_offset = input_offset(input);
	input->at = input->origin = span->bytes;
	input->end = span->bytes + left;
	span->state = INPUT_SPAN_CURRENT;
	if (!first) {
		input->spans[input->current].state = INPUT_SPAN_HELD;
		*ended = input->current;
	}
	input->current = next;
	count_held(input);
	return 1;
}

/* Doubles the current buffer, of which nothing was handed out yet. */
static int input_grow(struct input *input, struct input_span *span)
{
	size_t left = input_left(input);
	uint8_t *bytes = realloc(span->bytes, 2 * span->size);

	if (bytes == NULL)
		return no_memory(input, 2 * span->size);
	span->bytes = bytes;
	span->size *= 2;
	input->at = input->origin = bytes;
	input->end = bytes + left;
	return 1;
}

/* Makes the current buffer one that can be read into on the way to count contiguous bytes. It grows only as
 * bytes really come: a length that is claimed costs no memory. Returns as input_need. */
static int input_make_room(struct input *input, size_t count, uint32_t *ended)
{
	struct input_span *span = &input->spans[input->current];
	size_t left = input_left(input);

	if (span->bytes != NULL) {
		const uint8_t *edge = span->bytes + span->size;

		if ((size_t)(edge - input->at) >= count || (input->at == span->bytes && input->end < edge))
			return 1;
		if (input->at == span->bytes)
			return input_grow(input, span);
	}
	return input_next_buffer(input, left < input->window / 2 ? 0 : 2 * left, ended);
}

int input_need(struct input *input, size_t count, uint32_t *ended)
{
	int result;

	if (input->skip_left == 0 && input_left(input) >= count)
		return 1;
	if (input->skip_left > 0 && (result = input_discard(input)) != 1)
		return result;
	while (input_left(input) < count) {
		struct input_span *span;
		ssize_t got;

		if (input->finished)
			return -ENODATA;
		result = input_make_room(input, count, ended);
		if (result != 1)
			return result;
		span = &input->spans[input->current];
		got = input_read(input, span->bytes + (input->end - span->bytes),
				 span->size - (size_t)(input->end - span->bytes));
		if (got < 0)
			return (int)got;
		if (got == 0 && !input->finished)
			return 0;
		input->end += got;
	}
	return 1;
}

void input_skip(struct input *input, uint64_t count)
{
	size_t left = input_left(input);
	size_t here = count < left ? (size_t)count : left;

	input->at += here;
	input->skip_left += count - here;
}

/* ---- opening ---- */

static void input_set_name(struct input *input, const char *path)
{
	const char *base = strrchr(path, '/');
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	size_t length = strlen(name);

	base = strcmp(path, "-") == 0 ? "stdin" : base != NULL && base[1] != '\0' ? base + 1 : path;
	input_copy_text(input->base, sizeof input->base, (const uint8_t *)base, strlen(base));
	/* The end of a long path tells more than its beginning. */
	if (length >= sizeof input->name)
		name += length - sizeof input->name + 1;
	input_copy_text(input->name, sizeof input->name, (const uint8_t *)name, strlen(name));
}

static struct input *input_new(const char *path, size_t window)
{
	struct input *input = calloc(1, sizeof *input);

	if (input == NULL)
		return NULL;
	input->fd = -1;
	input->window = window != 0 ? window : INPUT_BUFFER;
	input->blocking = true;
	input_set_name(input, path);
	return input;
}

static bool is_gzip(const uint8_t *bytes, size_t length)
{
	return length >= GZIP_MAGIC_SIZE && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8;
}

/* The first bytes of a stream tell whether it is packed. No more than the unpacker's buffer holds is read
 * to see. */
static int input_detect_gzip(struct input *input)
{
	uint32_t ended;
	uint8_t *packed;
	size_t room;
	int result = input_next_buffer(input, 2 * DETECT_SIZE, &ended);

	while (result > 0 && input_left(input) < GZIP_MAGIC_SIZE && !input->finished) {
		ssize_t count = input_read(input, (uint8_t *)(uintptr_t)input->end, DETECT_SIZE);

		if (count < 0)
			return (int)count;
		input->end += count;
	}
	if (result < 0 || !is_gzip(input->at, input_left(input)))
		return result < 0 ? result : 0;
	input->gzip = gzip_open();
	if (input->gzip == NULL)
		return error_set_errno(&input->error, -ENOMEM, "%s", input->name);
	packed = gzip_space(input->gzip, &room);
	memcpy(packed, input->at, input_left(input));
	gzip_fed(input->gzip, input_left(input));
	input->end = input->at;
	input->finished = false;
	return 0;
}

int input_open(const char *path, size_t window, struct input **opened, struct error *error)
{
	struct input *input = input_new(path, window);
	struct stat status;
	int result;

	*opened = NULL;
	if (input == NULL)
		return error_set_errno(error, -ENOMEM, "%s", path);
	input->fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					   : open(path, O_RDONLY | O_CLOEXEC);
	if (input->fd < 0 || fstat(input->fd, &status) != 0) {
		result = error_set_errno(error, -errno, "%s", input->name);
		if (result == -ENOENT)
			error_hint(error, "look at the name; `-` reads standard input");
		goto fail;
	}
	if (S_ISDIR(status.st_mode)) {
		result = error_set_errno(error, -EISDIR, "%s", input->name);
		error_hint(error, "name the capture file in it");
		goto fail;
	}
	input->pollable = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(input->fd);
	if (S_ISREG(status.st_mode)) {
		input->total = (uint64_t)status.st_size;
		posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	result = input_detect_gzip(input);
	if (result != 0) {
		if (error != NULL)
			*error = input->error;
		goto fail;
	}
	*opened = input;
	return 0;
fail:
	input_close(input);
	return result;
}

int input_open_memory(const void *bytes, size_t length, const char *name, struct input **opened,
		      struct error *error)
{
	struct input *input = input_new(name, 0);

	*opened = NULL;
	if (input == NULL)
		return error_set_errno(error, -ENOMEM, "%s", name);
	input->at = input->origin = bytes;
	input->end = input->at + length;
	input->total = length;
	input->position = length;
	input->spans[0].state = INPUT_SPAN_CURRENT;
	input->finished = true;
	*opened = input;
	return 0;
}

int input_open_copy(const void *bytes, size_t length, const char *name, struct input **opened,
		    struct error *error)
{
	uint8_t *copy = calloc(1, length > 0 ? length : 1);
	int result;

	*opened = NULL;
	if (copy == NULL)
		return error_set_errno(error, -ENOMEM, "%s", name);
	if (length > 0)
		memcpy(copy, bytes, length);
	result = input_open_memory(copy, length, name, opened, error);
	if (result != 0) {
		free(copy);
		return result;
	}
	(*opened)->spans[0].bytes = copy;
	(*opened)->spans[0].size = length;
	return 0;
}

void input_close(struct input *input)
{
	if (input == NULL)
		return;
	for (unsigned i = 0; i < INPUT_SPANS; i++)
		free(input->spans[i].bytes);
	gzip_close(input->gzip);
	free(input->scratch);
	if (input->fd >= 0)
		close(input->fd);
	free(input);
}

/* ---- after opening ---- */

void input_release(struct input *input, uint32_t index)
{
	struct input_span *span;

	if (index >= INPUT_SPANS || input->spans[index].state != INPUT_SPAN_HELD)
		return;
	span = &input->spans[index];
	span->state = INPUT_SPAN_FREE;
	if (span->size > 2 * input->window) {
		free(span->bytes);
		span->bytes = NULL;
		span->size = 0;
	}
}

bool input_readable(const struct input *input)
{
	struct pollfd look = { .fd = input->fd, .events = POLLIN };

	/* POLLHUP too: read says then that it is the end. */
	return poll(&look, 1, 0) > 0;
}

bool input_position(struct input *input, uint64_t *done, uint64_t *total)
{
	*done = atomic_load_statistic(&input->position);
	*total = input->total;
	return input->total > 0;
}

/* Bytes of the UTF-8 character at bytes (RFC 3629), 0 when it is none. */
static size_t utf8_length(const uint8_t *bytes, size_t left)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = bytes[0] < 0x80       ? 1
			: bytes[0] >> 5 == 6  ? 2
			: bytes[0] >> 4 == 14 ? 3
			: bytes[0] >> 3 == 30 ? 4
					      : 0;
	uint32_t code = length < 2 ? bytes[0] : bytes[0] & (0x7fu >> length);

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (bytes[i] >> 6 != 2)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	/* C1 controls and DEL move a terminal's cursor as well as C0 ones. */
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ? 0 : length;
}

void input_copy_text(char *text, size_t size, const uint8_t *bytes, size_t length)
{
	size_t used = 0;

	for (size_t i = 0; i < length && bytes[i] != '\0';) {
		size_t step = utf8_length(bytes + i, length - i);

		if (used + (step == 0 ? 1 : step) >= size)
			break;
		if (step == 0) {
			text[used++] = '?';
			i++;
			continue;
		}
		memcpy(text + used, bytes + i, step);
		used += step;
		i += step;
	}
	text[used] = '\0';
}
