#include "tests/unit/savefile/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BURST_MOST 64

struct writer {
	int fd;
	const uint8_t *bytes;
	size_t length;
	bool dribble; /* in small uneven pieces */
};

static void *write_all(void *argument)
{
	struct writer *writer = argument;
	size_t done = 0;
	unsigned seed = 7;

	while (done < writer->length) {
		size_t piece = writer->dribble ? 1 + (size_t)rand_r(&seed) % 97 : writer->length - done;
		ssize_t count;

		if (piece > writer->length - done)
			piece = writer->length - done;
		count = write(writer->fd, writer->bytes + done, piece);
		if (count <= 0)
			break; /* the reader stopped at something corrupted */
		done += (size_t)count;
	}
	close(writer->fd);
	return NULL;
}

static void keep(struct reading *reading, const struct frame *frame)
{
	struct got *got;

	if ((reading->count & (reading->count - 1)) == 0) { /* full at 0, 1, 2, 4, ... */
		reading->got = realloc(reading->got,
				       (reading->count == 0 ? 1 : 2 * reading->count) * sizeof *reading->got);
		assert_non_null(reading->got);
	}
	got = &reading->got[reading->count++];
	got->frame = *frame;
	memset(got->first, 0, sizeof got->first);
	memcpy(got->first, frame->data,
	       frame->flags & FRAME_IS_RECORD            ? 128
	       : frame->captured_len < sizeof got->first ? frame->captured_len
							 : sizeof got->first);
	/* The packet's last byte as well: the sanitizers watch. */
	if (!(frame->flags & FRAME_IS_RECORD) && frame->captured_len > 0)
		(void)*(volatile const uint8_t *)(frame->data + frame->captured_len - 1);
}

/* The packets of a span that is still held must be what they were: compared before its release. */
static void check_held(const struct reading *reading, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct got *got = &reading->got[i];
		size_t length = got->frame.flags & FRAME_IS_RECORD ? 128 : got->frame.captured_len;

		assert_memory_equal(got->frame.data, got->first,
				    length < sizeof got->first ? length : sizeof got->first);
	}
}

struct held {
	uint32_t span;
	size_t from, to; /* packets of it in reading->got */
	unsigned age;
};

static void read_all(struct reading *reading, unsigned late)
{
	struct source *source = reading->source;
	struct held held[64];
	unsigned held_count = 0, idle = 0;
	size_t span_start = 0;
	struct frame frames[BURST_MOST];
	int count;

	while ((count = source->ops->rx_burst(source, frames, 1 + (unsigned)(reading->count % BURST_MOST))) >=
	       0) {
		assert_true(count <= BURST_MOST);
		for (int i = 0; i < count; i++) {
			assert_true(frames[i].span < source->span_count);
			if (!(frames[i].flags & FRAME_NO_PACKET))
				keep(reading, &frames[i]);
			if (!(frames[i].flags & FRAME_LAST_OF_SPAN))
				continue;
			for (unsigned h = 0; h < held_count; h++)
				assert_int_not_equal(held[h].span, frames[i].span);
			assert_true(held_count < 64);
			held[held_count++] = (struct held){ frames[i].span, span_start, reading->count, 0 };
			span_start = reading->count;
			reading->spans++;
		}
		/* A held-up release must come when nothing else does, or a source that waits for it never
		 * goes on. */
		for (unsigned h = 0; h < held_count;) {
			if (held[h].age++ < late && count > 0) {
				h++;
				continue;
			}
			check_held(reading, held[h].from, held[h].to);
			source->ops->release(source, held[h].span);
			held[h] = held[--held_count];
		}
		if (count == 0 && source->fd >= 0) {
			struct pollfd wait = { .fd = source->fd, .events = POLLIN };

			assert_true(idle++ < 100000);
			poll(&wait, 1, 1000);
		}
	}
	for (unsigned h = 0; h < held_count; h++) {
		check_held(reading, held[h].from, held[h].to);
		source->ops->release(source, held[h].span);
	}
	reading->last = count;
	for (int again = 0; again < 3; again++)
		assert_int_equal(source->ops->rx_burst(source, frames, BURST_MOST), count);
}

void reading_run(struct reading *reading, const void *bytes, size_t length, enum how how, unsigned late,
		 const char *filter)
{
	struct savefile_options options = { .filter = filter,
					    .window = how == FROM_FILE_TINY_SPANS ? 64 : 0 };
	struct writer writer = { .bytes = bytes, .length = length, .dribble = how == FROM_PIPE_DRIBBLED };
	char path[64] = "";
	pthread_t thread;
	int fds[2] = { -1, -1 };

	memset(reading, 0, sizeof *reading);
	signal(SIGPIPE, SIG_IGN); /* a reader that stops early closes the pipe on its writer */
	assert_int_equal(interface_table_create(&reading->table, NULL), 0);
	if (how == FROM_FILE || how == FROM_FILE_TINY_SPANS) {
		int fd;

		strcpy(path, "/tmp/weir-savefile-XXXXXX");
		fd = mkstemp(path);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, bytes, length), (ssize_t)length);
		close(fd);
	} else if (how != FROM_MEMORY) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		writer.fd = fds[1];
		snprintf(path, sizeof path, "/dev/fd/%d", fds[0]);
		assert_int_equal(pthread_create(&thread, NULL, write_all, &writer), 0);
	}
	reading->opened =
		how == FROM_MEMORY
			? source_open_bytes(bytes, length, "made.pcap", &options, reading->table,
					    &reading->source, &reading->error)
			: source_open_file(path, &options, reading->table, &reading->source, &reading->error);
	if (fds[0] >= 0)
		close(fds[0]);
	assert_true((reading->opened == 0) == (reading->source != NULL));
	assert_int_equal(reading->opened, reading->error.code);
	if (reading->opened == 0) {
		struct source_stats stats;

		read_all(reading, late);
		reading->source->ops->stats(reading->source, &stats);
		assert_int_equal(stats.seen, reading->count);
		assert_int_equal(stats.handed_out, reading->count);
		reading->warning = reading->source->warning;
		reading->error = reading->source->error;
		reading->source->ops->close(reading->source);
	}
	if (fds[1] >= 0)
		pthread_join(thread, NULL);
	if (how == FROM_FILE || how == FROM_FILE_TINY_SPANS)
		unlink(path);
}

void reading_free(struct reading *reading)
{
	interface_table_close(reading->table);
	free(reading->got);
	memset(reading, 0, sizeof *reading);
}

void read_from_memory(struct reading *reading, const void *bytes, size_t length)
{
	reading_run(reading, bytes, length, FROM_MEMORY, 0, NULL);
}

const struct interface *interface_of(const struct reading *reading, size_t packet)
{
	return interface_table_get(reading->table, reading->got[packet].frame.interface);
}

void read_every_way(const void *bytes, size_t length)
{
	struct reading first;

	read_from_memory(&first, bytes, length);
	for (enum how how = FROM_FILE; how < HOW_COUNT; how++) {
		for (unsigned late = 0; late <= 6; late += 3) {
			struct reading other;

			reading_run(&other, bytes, length, how, late, NULL);
			assert_int_equal(other.opened, first.opened);
			assert_int_equal(other.last, first.last);
			assert_int_equal(other.count, first.count);
			assert_int_equal(other.warning.code, first.warning.code);
			for (size_t i = 0; i < first.count; i++) {
				const struct got *a = &first.got[i], *b = &other.got[i];

				assert_memory_equal(a->first, b->first, sizeof a->first);
				assert_true(a->frame.timestamp_ns == b->frame.timestamp_ns);
				assert_int_equal(a->frame.captured_len, b->frame.captured_len);
				assert_int_equal(a->frame.wire_len, b->frame.wire_len);
				assert_int_equal(a->frame.link_type, b->frame.link_type);
				assert_int_equal(a->frame.interface, b->frame.interface);
				assert_int_equal(a->frame.flags, b->frame.flags);
			}
			reading_free(&other);
		}
	}
	reading_free(&first);
}
