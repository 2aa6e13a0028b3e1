/* A disk that is full: a small tmpfs in a mount namespace of its own. Exit 77 where none can be had. */
#include "tests/unit/output/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define DISK (2u << 20)

static char *disk; /* where it is mounted */

static struct output *open_in(const char *path, struct output_options options)
{
	struct error error = { 0 };
	struct output *output;

	if (output_open(path, &options, &output, &error) != 0)
		fail_msg("%s: %s", path, error.message);
	return output;
}

static int fill(struct output *output, uint64_t length)
{
	int code = 0;

	while (code == 0 && output_offset(output) < length)
		code = pattern_append(output, 3001);
	return code;
}

static void full_is_an_error(struct output_options options)
{
	struct output *output = open_in(path_in(disk, "x"), options);
	struct error error = { 0 };

	if (fill(output, 2 * DISK) == 0)
		output_flush(output);
	assert_int_equal(output_finish(output, &error), -ENOSPC);
	assert_non_null(strstr(error.message, "No space left on device"));
	assert_non_null(strstr(error.hint, "--on-full wait"));
	output_close(output);
	assert_false(is_there(path_in(disk, "x")));
	/* What fitted is there, from the start on and without a hole. */
	assert_in_range(pattern_check_prefix(path_in(disk, "x.part")), DISK - 1024 * 1024, DISK);
	unlink(path_in(disk, "x.part"));
}

static void full_by_every_method(void **state)
{
	for (unsigned method = 0; method < 8; method++)
		full_is_an_error((struct output_options){ .no_direct = method & 1, .no_uring = method & 2,
							  .buffer_size = method & 4 ? 4096 : 0 });
}

/* Full from the start. */
static void full_at_open(void **state)
{
	struct output *output = open_in(path_in(disk, "ballast"), (struct output_options){ .no_part = true });
	struct error error = { 0 };

	fill(output, 2 * DISK);
	output_close(output);
	output = open_in(path_in(disk, "x"), (struct output_options){ 0 });
	assert_int_equal(pattern_append(output, 10000), 0);
	assert_int_equal(output_finish(output, &error), -ENOSPC);
	output_close(output);
	unlink(path_in(disk, "ballast"));
	unlink(path_in(disk, "x.part"));
}

struct helper {
	_Atomic bool waiting;
	_Atomic bool cancel;
	bool frees;    /* makes room; else cancels */
	bool saw_wait;
};

/* Waits until the writer says that it waits, then makes room or tells it to stop. */
static void *help(void *argument)
{
	struct helper *helper = argument;

	for (unsigned i = 0; i < 500 && !atomic_load(&helper->waiting); i++)
		usleep(10000);
	helper->saw_wait = atomic_load(&helper->waiting);
	usleep(150000);
	if (helper->frees)
		unlink(path_in(disk, "ballast"));
	else
		atomic_store(&helper->cancel, true);
	return NULL;
}

static void make_ballast(void)
{
	static char zeros[1 << 20];
	int fd = open(path_in(disk, "ballast"), O_WRONLY | O_CREAT, 0600);

	assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
	close(fd);
}

static void waits_until_there_is_space(void **state)
{
	for (unsigned method = 0; method < 4; method++) {
		struct helper helper = { .frees = true };
		struct output *output;
		pthread_t thread;

		make_ballast();
		output = open_in(path_in(disk, "x"), (struct output_options){
			.no_direct = method & 1, .no_uring = method & 2, .buffer_size = 65536,
			.wait_when_full = true, .cancel = &helper.cancel, .waiting = &helper.waiting });
		pthread_create(&thread, NULL, help, &helper);
		assert_int_equal(fill(output, DISK * 3 / 4), 0);
		assert_int_equal(output_finish(output, NULL), 0);
		pthread_join(thread, NULL);
		assert_true(helper.saw_wait);
		assert_false(atomic_load(&helper.waiting));
		output_close(output);
		assert_true(pattern_check_prefix(path_in(disk, "x")) >= DISK * 3 / 4);
		unlink(path_in(disk, "x"));
	}
}

static void wait_is_cancelled(void **state)
{
	struct helper helper = { .frees = false };
	struct output *output;
	struct error error = { 0 };
	pthread_t thread;

	make_ballast();
	output = open_in(path_in(disk, "x"), (struct output_options){
		.buffer_size = 65536, .wait_when_full = true, .cancel = &helper.cancel, .waiting = &helper.waiting });
	pthread_create(&thread, NULL, help, &helper);
	if (fill(output, DISK) == 0)
		output_flush(output);
	assert_int_equal(output_finish(output, &error), -ENOSPC);
	pthread_join(thread, NULL);
	assert_true(helper.saw_wait);
	output_close(output);
	assert_true(is_there(path_in(disk, "x.part")));
	assert_false(is_there(path_in(disk, "x")));
	unlink(path_in(disk, "x.part"));
	unlink(path_in(disk, "ballast"));
}

static bool mount_disk(void)
{
	char options[64];

	/* Without root a user namespace of our own may do. */
	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return false;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(options, sizeof options, "size=%u", DISK);
	return mount("tmpfs", disk, "tmpfs", 0, options) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_by_every_method),
		cmocka_unit_test(full_at_open),
		cmocka_unit_test(waits_until_there_is_space),
		cmocka_unit_test(wait_is_cancelled),
	};
	int failed;

	disk = make_directory("/tmp");
	if (!mount_disk()) {
		printf("skipped: no mount namespace with a tmpfs for us (%s)\n", strerror(errno));
		rmdir(disk);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	umount(disk);
	rmdir(disk);
	return failed;
}
