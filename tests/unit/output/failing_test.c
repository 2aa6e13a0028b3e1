/* Outputs that fail, each in a way that happens: the error names the cause, nothing written is lost, and no
 * partial file gets its name. Also what the kernel may refuse us (io_uring, locked memory) without anything
 * failing. */
#include "tests/unit/output/support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct output *open_in(const char *path, struct output_options options)
{
	struct error error = { 0 };
	struct output *output;

	if (output_open(path, &options, &output, &error) != 0)
		fail_msg("%s: %s", path, error.message);
	return output;
}

/* Appends until it fails or length bytes are in. */
static int fill(struct output *output, uint64_t length)
{
	while (output_offset(output) < length) {
		int code = pattern_append(output, 4001);

		if (code != 0)
			return code;
	}
	return 0;
}

static void device_full(void **state)
{
	struct output_options waits = { .wait_when_full = true };
	struct output *output = open_in("/dev/full", (struct output_options){ 0 });
	struct error error = { 0 };

	pattern_append(output, 100);
	assert_int_equal(output_finish(output, &error), -ENOSPC);
	assert_string_equal(error.message, "cannot write /dev/full: No space left on device");
	output_close(output);

	output = open_in("/dev/full", (struct output_options){ 0 });
	assert_int_equal(fill(output, 10 << 20), -ENOSPC);
	assert_null(output_reserve(output, 1));
	assert_int_equal(output_flush(output), -ENOSPC);
	assert_int_equal(output_finish(output, NULL), -ENOSPC);
	output_close(output);

	/* A device never gets room: there is nothing to wait for. */
	output = open_in("/dev/full", waits);
	pattern_append(output, 100);
	assert_int_equal(output_flush(output), -ENOSPC);
	output_close(output);
}

static void reader_gone(void **state)
{
	int ends[2], saved = dup(STDOUT_FILENO);
	struct error error = { 0 };
	struct output *output;

	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	output = open_in("-", (struct output_options){ 0 });
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	pattern_append(output, 10);
	assert_int_equal(output_flush(output), -EPIPE);
	output_error(output, &error);
	assert_string_equal(error.message, "cannot write to standard output: Broken pipe");
	assert_string_equal(error.hint, "whoever read it has gone");
	output_close(output);
}

static void file_size_limit(struct output_options options)
{
	char *directory = make_directory("/tmp");
	struct output *output = open_in(path_in(directory, "x"), options);
	struct rlimit old, limit;
	struct error error = { 0 };
	uint64_t length;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ .rlim_cur = 300001, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	if (fill(output, 2 << 20) == 0)
		output_flush(output);
	assert_int_equal(output_finish(output, &error), -EFBIG);
	assert_non_null(strstr(error.hint, "ulimit -f"));
	output_close(output);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_false(is_there(path_in(directory, "x")));
	length = pattern_check_prefix(path_in(directory, "x.part"));
	assert_in_range(length, 290000, 300001); /* all that the limit allows, and no hole */
	remove_directory(directory);
}

static void file_size_limit_by_every_method(void **state)
{
	for (unsigned method = 0; method < 4; method++)
		file_size_limit((struct output_options){ .no_direct = method & 1, .no_uring = method & 2,
							 .buffer_size = 16384, .buffers = 8 });
}

static void directory_vanished(void **state)
{
	char *directory = make_directory("/tmp");
	struct output *output = open_in(path_in(directory, "x"), (struct output_options){ 0 });
	struct error error = { 0 };

	assert_int_equal(pattern_append(output, 5000), 0);
	assert_int_equal(unlink(path_in(directory, "x.part")), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(output_finish(output, &error), -ENOENT);
	assert_non_null(strstr(error.hint, "moved or deleted"));
	output_close(output);
	free(directory);
}

/* The directory is found by its descriptor: renaming it meanwhile does no harm. */
static void directory_renamed(void **state)
{
	char *directory = make_directory("/tmp"), *moved = NULL;
	struct output *output = open_in(path_in(directory, "x"), (struct output_options){ 0 });

	assert_true(asprintf(&moved, "%s-moved", directory) > 0);
	assert_int_equal(pattern_append(output, 5000), 0);
	assert_int_equal(rename(directory, moved), 0);
	assert_int_equal(output_finish(output, NULL), 0);
	output_close(output);
	pattern_check(path_in(moved, "x"), 5000);
	free(directory);
	remove_directory(moved);
}

/* Runs body in a child of its own, whose limits and rights it may change; 77 from it is a skip. */
static void in_child(int (*body)(const char *directory), const char *directory)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(body(directory));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("not possible here: skipped\n");
		remove_directory(strdup(directory)); /* skip does not come back */
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHILD_CHECK(condition)                                                         \
	do {                                                                           \
		if (!(condition)) {                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			return 1;                                                      \
		}                                                                      \
	} while (0)

static int write_some(const char *path, const char *method)
{
	struct output *output;
	struct error error = { 0 };

	CHILD_CHECK(output_open(path, &(struct output_options){ 0 }, &output, &error) == 0);
	if (method != NULL && strcmp(output_method(output), method) != 0) {
		fprintf(stderr, "method %s, expected %s\n", output_method(output), method);
		return 1;
	}
	CHILD_CHECK(fill(output, 5 << 20) == 0);
	CHILD_CHECK(output_finish(output, &error) == 0);
	output_close(output);
	return 0;
}

/* As containers do: io_uring_setup is EPERM. */
static int without_io_uring(const char *directory)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = filter };

	CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 77;
	return write_some(path_in(directory, "x"), "pwrite");
}

static void io_uring_refused(void **state)
{
	char *directory = make_directory("/tmp");

	in_child(without_io_uring, directory);
	pattern_check(path_in(directory, "x"), 4001 * 1311);
	remove_directory(directory);
}

static int become_nobody(rlim_t locked)
{
	struct rlimit limit = { .rlim_cur = locked, .rlim_max = locked };

	if (geteuid() != 0)
		return setrlimit(RLIMIT_MEMLOCK, &limit);
	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return -1;
	return setresgid(65534, 65534, 65534) != 0 ? -1 : setresuid(65534, 65534, 65534);
}

static int without_locked_memory(const char *directory)
{
	if (become_nobody(0) != 0)
		return 77;
	return write_some(path_in(directory, "x"), "pwrite");
}

/* The usual 8 MiB, shared by two outputs that would each take them all. */
static int with_little_locked_memory(const char *directory)
{
	struct output *first, *second;

	if (become_nobody(8 << 20) != 0)
		return 77;
	CHILD_CHECK(output_open(path_in(directory, "a"), &(struct output_options){ 0 }, &first, NULL) == 0);
	CHILD_CHECK(output_open(path_in(directory, "b"), &(struct output_options){ 0 }, &second, NULL) == 0);
	CHILD_CHECK(strncmp(output_method(first), "io_uring", 8) == 0);
	CHILD_CHECK(fill(first, 20 << 20) == 0 && fill(second, 20 << 20) == 0);
	CHILD_CHECK(output_finish(first, NULL) == 0 && output_finish(second, NULL) == 0);
	output_close(first);
	output_close(second);
	return 0;
}

static void locked_memory_refused(void **state)
{
	char *directory = make_directory("/tmp");

	chmod(directory, 0777);
	in_child(without_locked_memory, directory);
	pattern_check(path_in(directory, "x"), 4001 * 1311);
	in_child(with_little_locked_memory, directory);
	assert_true(pattern_check_prefix(path_in(directory, "a")) >= 20 << 20);
	assert_true(pattern_check_prefix(path_in(directory, "b")) >= 20 << 20);
	remove_directory(directory);
}

/* Not so as another user, nor in a user namespace that has only its own. */
static bool may_become_nobody(void)
{
	uid_t real, effective, saved;

	if (geteuid() != 0 || getresuid(&real, &effective, &saved) != 0 ||
	    setresuid((uid_t)-1, 65534, (uid_t)-1) != 0)
		return false;
	return setresuid((uid_t)-1, effective, (uid_t)-1) == 0;
}

/* Opened as root below a directory that nobody may search, finished as nobody. */
static int finish_without_privileges(const char *directory)
{
	struct output *output;
	struct error error = { 0 };

	if (!may_become_nobody())
		return 77;
	CHILD_CHECK(mkdir(path_in(directory, "in"), 0777) == 0 && chmod(path_in(directory, "in"), 0777) == 0);
	CHILD_CHECK(output_open(path_in(directory, "in/x"), &(struct output_options){ 0 }, &output, &error) == 0);
	CHILD_CHECK(become_nobody(0) == 0);
	CHILD_CHECK(access(path_in(directory, "in/x.part"), F_OK) < 0 && errno == EACCES);
	CHILD_CHECK(fill(output, 3 << 20) == 0);
	CHILD_CHECK(output_finish(output, &error) == 0);
	output_close(output);
	return 0;
}

static void privileges_dropped(void **state)
{
	char *directory = make_directory("/tmp");

	in_child(finish_without_privileges, directory);
	assert_true(pattern_check_prefix(path_in(directory, "in/x")) > 3 << 20);
	unlink(path_in(directory, "in/x"));
	rmdir(path_in(directory, "in"));
	remove_directory(directory);
}

/* A directory that the new user may not write: the file is whole and keeps its .part name, and that is
 * said. */
static int rename_refused(const char *directory)
{
	struct output *output;
	struct error error = { 0 };

	if (!may_become_nobody())
		return 77;
	CHILD_CHECK(output_open(path_in(directory, "x"), &(struct output_options){ 0 }, &output, &error) == 0);
	CHILD_CHECK(become_nobody(0) == 0);
	CHILD_CHECK(fill(output, 1 << 20) == 0);
	CHILD_CHECK(output_finish(output, &error) == -EACCES);
	CHILD_CHECK(strstr(error.hint, "complete") != NULL);
	output_close(output);
	return 0;
}

static void rename_refused_after_drop(void **state)
{
	char *directory = make_directory("/tmp");

	in_child(rename_refused, directory);
	assert_true(pattern_check_prefix(path_in(directory, "x.part")) > 1 << 20);
	remove_directory(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_full),
		cmocka_unit_test(reader_gone),
		cmocka_unit_test(file_size_limit_by_every_method),
		cmocka_unit_test(directory_vanished),
		cmocka_unit_test(directory_renamed),
		cmocka_unit_test(io_uring_refused),
		cmocka_unit_test(locked_memory_refused),
		cmocka_unit_test(privileges_dropped),
		cmocka_unit_test(rename_refused_after_drop),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
