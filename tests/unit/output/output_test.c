/* Outputs that work: the same bytes by every method, names, patches, locks. */
#include "tests/unit/output/support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/output_device.h"

static struct output *open_in(const char *path, struct output_options options)
{
	struct error error = { 0 };
	struct output *output;

	if (output_open(path, &options, &output, &error) != 0)
		fail_msg("%s: %s", path, error.message);
	return output;
}

static void finish(struct output *output)
{
	struct error error = { 0 };

	if (output_finish(output, &error) != 0)
		fail_msg("%s", error.message);
	output_close(output);
}

/* Reservations, commits, flushes and patches of random sizes: what is in the file is what was written. */
static void random_writes(const char *directory, struct output_options options, uint64_t seed)
{
	const char *path = path_in(directory, "x");
	struct output *output = open_in(path, options);
	uint64_t state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	static uint8_t bytes[300000];

	for (unsigned i = 0; i < 150; i++) {
		uint32_t kind = random_below(&state, 40);
		uint32_t length = random_below(&state, kind < 30 ? 2000 : kind < 38 ? 70000 : OUTPUT_RESERVE_MAX + 1);

		if (kind == 0) {
			assert_int_equal(output_flush(output), 0);
		} else if (kind == 1 && output_offset(output) > 0) {
			uint64_t at = random_below(&state, (uint32_t)output_offset(output));
			uint64_t left = output_offset(output) - at;
			size_t count = length < left ? length : left;

			pattern_fill(bytes, at, count);
			assert_int_equal(output_patch(output, at, bytes, count), 0);
		} else if (kind == 2) {
			pattern_fill(bytes, output_offset(output), length % sizeof bytes);
			assert_int_equal(output_write(output, bytes, length % sizeof bytes), 0);
		} else {
			assert_int_equal(pattern_append(output, length), 0);
		}
	}
	uint64_t length = output_offset(output);

	finish(output);
	pattern_check(path, length);
	assert_false(is_there(path_in(directory, "x.part")));
}

static void methods_on(const char *parent)
{
	char *directory = make_directory(parent);
	static const size_t sizes[] = { 4096, 16384, 65536, 1024 * 1024 };

	for (unsigned size = 0; size < 4; size++) {
		for (unsigned buffers = 2; buffers <= 8; buffers += 3) {
			for (unsigned method = 0; method < 8; method++) {
				struct output_options options = {
					.buffer_size = sizes[size], .buffers = buffers, .no_direct = method & 1,
					.no_uring = method & 2, .flush_each = method & 4,
				};

				random_writes(directory, options, 100 * size + 10 * buffers + method);
			}
		}
	}
	remove_directory(directory);
}

static void same_bytes_by_every_method(void **state)
{
	methods_on("/tmp");
	methods_on("/dev/shm");
}

static void lengths_around_a_block(void **state)
{
	static const int lengths[] = { 0, 1, 511, 512, 4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536,
				      65537, 131072 };
	char *directory = make_directory("/tmp");

	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		for (unsigned flush = 0; flush < 2; flush++) {
			const char *path = path_in(directory, "y");
			struct output *output = open_in(path, (struct output_options){ .buffer_size = 65536, .buffers = 2 });

			assert_int_equal(pattern_append(output, (size_t)lengths[i]), 0);
			if (flush)
				assert_int_equal(output_flush(output), 0);
			assert_int_equal(pattern_append(output, 3), 0);
			finish(output);
			pattern_check(path, (uint64_t)lengths[i] + 3);
		}
	}
	remove_directory(directory);
}

/* A flush makes the bytes readable under the .part name, also when O_DIRECT writes follow it. */
static void flush_shows(void **state)
{
	char *directory = make_directory("/tmp");
	struct output *output = open_in(path_in(directory, "x"),
					(struct output_options){ .buffer_size = 8192, .buffers = 2 });
	uint64_t length = 0;

	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(pattern_append(output, 1000 + i), 0);
		length += 1000 + i;
		assert_int_equal(output_flush(output), 0);
		pattern_check(path_in(directory, "x.part"), length);
		assert_false(is_there(path_in(directory, "x")));
	}
	finish(output);
	pattern_check(path_in(directory, "x"), length);
	remove_directory(directory);
}

/* The name appears when the file is whole, and takes the place of an older file only then. */
static void part_until_finish(void **state)
{
	char *directory = make_directory("/tmp");
	const char *path = path_in(directory, "x");
	FILE *old = fopen(path, "w");
	struct output *output;

	fputs("older", old);
	fclose(old);
	output = open_in(path, (struct output_options){ 0 });
	pattern_append(output, 5000);
	assert_true(is_there(path_in(directory, "x.part")));
	assert_false(pattern_byte(0) == 'o');
	output_close(output); /* not finished */
	pattern_check(path_in(directory, "x.part"), 5000);
	old = fopen(path, "r");
	assert_int_equal(fgetc(old), 'o');
	fclose(old);

	output = open_in(path, (struct output_options){ 0 });
	pattern_append(output, 100);
	finish(output);
	pattern_check(path, 100);
	assert_false(is_there(path_in(directory, "x.part")));
	remove_directory(directory);
}

static void discarded_part_goes(void **state)
{
	char *directory = make_directory("/tmp");
	struct output *output = open_in(path_in(directory, "x"), (struct output_options){ 0 });

	pattern_append(output, 100);
	output_discard(output);
	output_close(output);
	assert_false(is_there(path_in(directory, "x.part")));
	assert_false(is_there(path_in(directory, "x")));
	remove_directory(directory);
}

static void symbolic_link_is_followed(void **state)
{
	char *directory = make_directory("/tmp");
	const char *link = path_in(directory, "link"), *target = path_in(directory, "target");
	struct stat status;
	struct output *output;

	fclose(fopen(target, "w"));
	assert_int_equal(symlink("target", link), 0);
	output = open_in(link, (struct output_options){ 0 });
	pattern_append(output, 100);
	finish(output);
	assert_int_equal(lstat(link, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	pattern_check(target, 100);
	remove_directory(directory);
}

/* Nobody makes root write through a link that lies at NAME.part. */
static void link_at_part_is_refused(void **state)
{
	char *directory = make_directory("/tmp");
	struct error error = { 0 };
	struct output *output;

	assert_int_equal(symlink("/etc/motd", path_in(directory, "x.part")), 0);
	assert_int_equal(output_open(path_in(directory, "x"), &(struct output_options){ 0 }, &output,
				     &error), -ELOOP);
	assert_null(output);
	assert_non_null(strstr(error.hint, "symbolic link"));
	remove_directory(directory);
}

static void second_writer_is_refused(void **state)
{
	char *directory = make_directory("/tmp");
	struct output *first = open_in(path_in(directory, "x"), (struct output_options){ 0 }), *second;
	struct error error = { 0 };

	pattern_append(first, 100);
	assert_int_equal(output_flush(first), 0);
	assert_int_equal(output_open(path_in(directory, "x"), &(struct output_options){ 0 }, &second,
				     &error), -EBUSY);
	assert_non_null(strstr(error.message, "being written already"));
	pattern_check(path_in(directory, "x.part"), 100);
	finish(first);
	second = open_in(path_in(directory, "x"), (struct output_options){ 0 });
	finish(second);
	pattern_check(path_in(directory, "x"), 0);
	remove_directory(directory);
}

static void patch_wherever_the_bytes_are(void **state)
{
	char *directory = make_directory("/tmp");
	const char *path = path_in(directory, "x");
	struct output *output = open_in(path, (struct output_options){ .buffer_size = 4096, .buffers = 2 });
	uint8_t zeros[16384] = { 0 }, header[6000];

	assert_int_equal(output_write(output, zeros, 6000), 0); /* the second 4 KiB are still in the buffer */
	pattern_fill(header, 0, sizeof header);
	assert_int_equal(output_patch(output, 0, header, sizeof header), 0);
	assert_int_equal(pattern_append(output, 50000), 0);
	assert_int_equal(output_patch(output, 0, zeros, 10), 0);
	assert_int_equal(output_patch(output, 0, header, 10), 0);
	assert_int_equal(output_patch(output, 56001, header, 0), -EINVAL);
	assert_int_equal(output_patch(output, 55999, header, 2), -EINVAL);
	finish(output);
	pattern_check(path, 56000);
	remove_directory(directory);
}

struct reader {
	int fd;
	uint64_t bytes;
	uint64_t wrong;
	unsigned pause_us;
};

static void *read_all(void *argument)
{
	struct reader *reader = argument;
	uint8_t bytes[10000];
	ssize_t got;

	while ((got = read(reader->fd, bytes, sizeof bytes)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			reader->wrong += bytes[i] != pattern_byte(reader->bytes + (uint64_t)i);
		reader->bytes += (uint64_t)got;
		if (reader->pause_us > 0)
			usleep(reader->pause_us);
	}
	return NULL;
}

/* A slow reader on a pipe that does not block us: short writes and EAGAIN are waited out. */
static void fifo_to_slow_reader(void **state)
{
	char *directory = make_directory("/tmp");
	const char *path = path_in(directory, "fifo");
	struct reader reader = { .pause_us = 500 };
	struct output *output;
	pthread_t thread;

	assert_int_equal(mkfifo(path, 0600), 0);
	reader.fd = open(path, O_RDONLY | O_NONBLOCK);
	output = open_in(path, (struct output_options){ .buffer_size = 65536 });
	fcntl(reader.fd, F_SETFL, 0);
	assert_string_equal(output_method(output), "write");
	assert_false(output_seekable(output));
	assert_int_equal(output_patch(output, 0, "x", 1), -ESPIPE);
	pthread_create(&thread, NULL, read_all, &reader);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(pattern_append(output, 9999), 0);
	finish(output);
	pthread_join(thread, NULL);
	close(reader.fd);
	assert_int_equal(reader.bytes, 999900);
	assert_int_equal(reader.wrong, 0);
	remove_directory(directory);
}

static void stdout_pipe_without_blocking(void **state)
{
	int ends[2], saved = dup(STDOUT_FILENO);
	struct reader reader = { .pause_us = 500 };
	struct output *output;
	pthread_t thread;

	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	dup2(ends[1], STDOUT_FILENO);
	output = open_in("-", (struct output_options){ .buffer_size = 65536 });
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(ends[1]);
	reader.fd = ends[0];
	pthread_create(&thread, NULL, read_all, &reader);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(pattern_append(output, 20001), 0);
	finish(output);
	pthread_join(thread, NULL);
	close(ends[0]);
	assert_int_equal(reader.bytes, 50 * 20001);
	assert_int_equal(reader.wrong, 0);
}

/* What O_DIRECT refuses goes through the page cache instead: here a length that is no multiple of a block. */
static void direct_write_refused(void **state)
{
	char *directory = make_directory("/tmp");
	const char *path = path_in(directory, "x");
	struct output_device device = { .path = path, .regular = true, .buffer_count = 2 };

	device.fd = open(path, O_WRONLY | O_CREAT, 0600);
	device.direct_fd = open(path, O_WRONLY | O_DIRECT);
	for (unsigned i = 0; i < 2; i++) {
		device.buffers[i].data = aligned_alloc(4096, 8192);
		pattern_fill(device.buffers[i].data, i * 5001u, 8192);
	}
	if (device.direct_fd < 0 || !output_device_ring(&device, 8192)) {
		print_message("no O_DIRECT or no io_uring here: skipped\n");
		skip();
	}
	output_device_submit(&device, 0, 0, 5001, 0);
	output_device_submit(&device, 1, 0, 5001, 5001);
	output_device_drain(&device);
	assert_int_equal(device.error.code, 0);
	assert_int_equal(device.direct_fd, -1);
	output_device_close(&device);
	close(device.fd);
	pattern_check(path, 10002);
	free(device.buffers[0].data);
	free(device.buffers[1].data);
	remove_directory(directory);
}

static void bad_paths(void **state)
{
	char *directory = make_directory("/tmp");
	struct error error = { 0 };
	struct output *output;
	char long_name[400];

	assert_int_equal(output_open(path_in(directory, "no/x"), &(struct output_options){ 0 }, &output,
				     &error), -ENOENT);
	assert_string_equal(error.hint, "its directory does not exist");
	assert_int_equal(output_open(directory, &(struct output_options){ 0 }, &output, &error), -EISDIR);
	assert_int_equal(output_open(path_in(directory, "y/"), &(struct output_options){ 0 }, &output,
				     &error), -EISDIR);
	memset(long_name, 'n', sizeof long_name);
	long_name[300] = '\0';
	assert_int_equal(output_open(path_in(directory, long_name), &(struct output_options){ 0 }, &output,
				     &error), -ENAMETOOLONG);
	assert_int_equal(output_open("/proc/x", &(struct output_options){ 0 }, &output, &error), -ENOENT);
	assert_int_equal(output_open(path_in(directory, "x"),
				     &(struct output_options){ .buffer_size = 5000 }, &output, &error), -EINVAL);
	output_close(NULL);
	remove_directory(directory);
}

static void too_long_a_reservation(void **state)
{
	char *directory = make_directory("/tmp");
	struct output *output = open_in(path_in(directory, "x"), (struct output_options){ 0 });

	assert_null(output_reserve(output, OUTPUT_RESERVE_MAX + 1));
	assert_int_equal(output_error(output, NULL), -EMSGSIZE);
	output_close(output);
	remove_directory(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_by_every_method),
		cmocka_unit_test(lengths_around_a_block),
		cmocka_unit_test(flush_shows),
		cmocka_unit_test(part_until_finish),
		cmocka_unit_test(discarded_part_goes),
		cmocka_unit_test(symbolic_link_is_followed),
		cmocka_unit_test(link_at_part_is_refused),
		cmocka_unit_test(second_writer_is_refused),
		cmocka_unit_test(patch_wherever_the_bytes_are),
		cmocka_unit_test(fifo_to_slow_reader),
		cmocka_unit_test(stdout_pipe_without_blocking),
		cmocka_unit_test(direct_write_refused),
		cmocka_unit_test(bad_paths),
		cmocka_unit_test(too_long_a_reservation),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
