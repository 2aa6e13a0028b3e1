/* What happens to a capture's files when they are closed: manifest lines, sealing, and outputs that keep
 * their name back until they are whole. Works in a directory of its own, which it removes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/seal/archive.h"
#include "engine/seal/partfile.h"
#include "engine/seal/seal.h"

static char directory[] = "/tmp/weir-archive.XXXXXX";

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The text of a small file; NULL if there is none. Static storage. */
static const char *get(const char *name)
{
	static char text[65536];
	int fd = open(name, O_RDONLY);
	ssize_t length;

	if (fd < 0)
		return NULL;
	length = read(fd, text, sizeof text - 1);
	assert_true(length >= 0);
	text[length] = '\0';
	close(fd);
	return text;
}

static int empty_directory(void **state)
{
	DIR *here = opendir(".");
	struct dirent *entry;

	while ((entry = readdir(here)) != NULL) {
		if (entry->d_name[0] != '.')
			unlink(entry->d_name);
	}
	closedir(here);
	return 0;
}

static int enter(void **state)
{
	return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	empty_directory(state);
	return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static const struct manifest_entry sample = {
	.name = "a.pcapng", .size = 10, .packets = 2, .first_ns = 5, .last_ns = 18446744073709551615u,
	.sha256 = { 0xab }, .previous = { [31] = 0xcd },
};

static void test_line_round_trip(void **state)
{
	static const char *const names[] = {
		"a", "with space", "quote\"back\\slash", "new\nline\ttab\x7f",
		"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		"latin caf\xe9", "cut \xe2\x82", "over \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xff", "../up",
		"/abs/olute",
	};
	struct manifest_entry entry = sample, back;
	char line[MANIFEST_LINE_MAX];
	size_t length;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		strcpy(entry.name, names[i]);
		memset(&back, 0, sizeof back);
		length = manifest_line_format(line, &entry);
		assert_null(memchr(line, '\n', length));
		assert_true(manifest_line_parse(line, length, &back));
		assert_string_equal(back.name, entry.name);
		assert_int_equal(back.size, entry.size);
		assert_int_equal(back.packets, entry.packets);
		assert_true(back.first_ns == entry.first_ns && back.last_ns == entry.last_ns);
		assert_memory_equal(back.sha256, entry.sha256, MANIFEST_HASH);
		assert_memory_equal(back.previous, entry.previous, MANIFEST_HASH);
	}
	memset(entry.name, '\1', sizeof entry.name - 1); /* the longest line there is */
	entry.name[sizeof entry.name - 1] = '\0';
	length = manifest_line_format(line, &entry);
	assert_true(length < MANIFEST_LINE_MAX - 1);
	assert_true(manifest_line_parse(line, length, &back));
	assert_string_equal(back.name, entry.name);
}

static void test_line_text(void **state)
{
	char line[MANIFEST_LINE_MAX];
	struct manifest_entry entry = sample;

	line[manifest_line_format(line, &entry)] = '\0';
	assert_string_equal(line, "{\"name\":\"a.pcapng\",\"size\":10,\"packets\":2,\"first_timestamp_ns\":5,"
		"\"last_timestamp_ns\":18446744073709551615,"
		"\"sha256\":\"ab00000000000000000000000000000000000000000000000000000000000000\","
		"\"previous\":\"00000000000000000000000000000000000000000000000000000000000000cd\"}");
	entry.packets = 0;
	line[manifest_line_format(line, &entry)] = '\0';
	assert_non_null(strstr(line, "\"packets\":0,\"first_timestamp_ns\":null,\"last_timestamp_ns\":null,"));
}

static bool same_entry(const struct manifest_entry *a, const struct manifest_entry *b)
{
	return strcmp(a->name, b->name) == 0 && a->size == b->size && a->packets == b->packets &&
		a->first_ns == b->first_ns && a->last_ns == b->last_ns &&
		memcmp(a->sha256, b->sha256, MANIFEST_HASH) == 0 &&
		memcmp(a->previous, b->previous, MANIFEST_HASH) == 0;
}

/* Cut anywhere, or with any byte replaced, a line must not be read as itself, nor read past its end (the
 * copy has the exact size, for the address sanitizer). */
static void test_line_damage(void **state)
{
	char line[MANIFEST_LINE_MAX];
	size_t length = manifest_line_format(line, &sample);
	struct manifest_entry back;

	for (size_t cut = 0; cut < length; cut++) {
		char *exact = malloc(cut + 1);

		memcpy(exact, line, cut);
		assert_false(manifest_line_parse(exact, cut, &back));
		free(exact);
	}
	for (size_t at = 0; at < length; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			char kept = line[at];

			line[at] = (char)byte;
			memset(&back, 0, sizeof back);
			if ((char)byte != kept && manifest_line_parse(line, length, &back))
				assert_false(same_entry(&back, &sample)); /* a line, but another */
			line[at] = kept;
		}
	}
	line[length] = ' ';
	assert_false(manifest_line_parse(line, length + 1, &back));
	assert_false(manifest_line_parse("{\"name\":\"\",\"size\":1", 19, &back));
}

static void append(struct manifest *manifest, const char *name, uint64_t packets)
{
	struct error error = { 0 };

	if (manifest_append(manifest, AT_FDCWD, name, packets, 1, 2, CRYPTO_AUTO, &error) != 0)
		fail_msg("%s", error.message);
}

static unsigned count_lines(const char *path, unsigned *bad)
{
	struct manifest_reader *reader;
	struct manifest_entry entry;
	struct error error = { 0 };
	unsigned lines = 0;
	int line;

	*bad = 0;
	assert_int_equal(manifest_reader_open(&reader, path, &error), 0);
	while ((line = manifest_reader_next(reader, &entry, &error)) != MANIFEST_END) {
		assert_true(line >= 0);
		lines++;
		if (line != MANIFEST_GOOD ||
		    manifest_check(AT_FDCWD, &entry, CRYPTO_AUTO, &error) != MANIFEST_FILE_GOOD)
			++*bad;
	}
	manifest_reader_close(reader);
	return lines;
}

static void test_chain(void **state)
{
	struct manifest *manifest, *second;
	struct error error = { 0 };
	char text[8192], *line;
	unsigned bad;

	put("a", "alpha");
	put("b", "beta");
	put("c", "");
	assert_int_equal(manifest_open(&manifest, "m", ".", &error), 0);
	append(manifest, "a", 3);
	assert_int_equal(manifest_open(&second, "m", NULL, &error), -EBUSY);
	manifest_close(manifest);
	assert_int_equal(manifest_open(&manifest, "m", NULL, &error), 0); /* the chain goes on */
	append(manifest, "b", 1);
	append(manifest, "c", 0);
	manifest_close(manifest);
	assert_int_equal(count_lines("m", &bad), 3);
	assert_int_equal(bad, 0);
	strcpy(text, get("m"));
	assert_non_null(strstr(text, "{\"name\":\"a\",\"size\":5,\"packets\":3,"));
	line = strchr(text, '\n') + 1; /* without the first line */
	put("m2", line);
	assert_int_equal(count_lines("m2", &bad), 2);
	assert_int_equal(bad, 1);
	memmove(line, strchr(line, '\n') + 1, strlen(strchr(line, '\n') + 1) + 1); /* without the second */
	put("m2", text);
	assert_int_equal(count_lines("m2", &bad), 2);
	assert_int_equal(bad, 1);
	put("b", "Beta");
	assert_int_equal(count_lines("m", &bad), 3);
	assert_int_equal(bad, 1);
	unlink("a");
	count_lines("m", &bad);
	assert_int_equal(bad, 2);
}

static void test_torn_manifest(void **state)
{
	struct manifest *manifest;
	struct error error = { 0 };
	unsigned bad;

	put("m", "{\"name\":\"a\"");
	assert_int_equal(manifest_open(&manifest, "m", NULL, &error), -EBADMSG);
	assert_null(manifest);
	assert_int_equal(count_lines("m", &bad), 1);
	assert_int_equal(bad, 1);
	assert_int_equal(manifest_open(&manifest, "/dev/null", NULL, &error), -EINVAL);
	assert_int_equal(manifest_open(&manifest, "none/m", NULL, &error), -ENOENT);
}

/* A disk that fills up in the middle of a line (a limit on the file size does the same to write). */
static void test_manifest_full(void **state)
{
	struct rlimit before, small;
	struct manifest *manifest;
	struct error error = { 0 };
	struct stat status;
	unsigned bad;

	put("a", "alpha");
	assert_int_equal(manifest_open(&manifest, "m", NULL, &error), 0);
	append(manifest, "a", 1);
	assert_int_equal(stat("m", &status), 0);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = (rlim_t)status.st_size + 20;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(manifest_append(manifest, AT_FDCWD, "a", 1, 1, 2, CRYPTO_AUTO, &error), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	append(manifest, "a", 1);
	manifest_close(manifest);
	assert_int_equal(count_lines("m", &bad), 2);
	assert_int_equal(bad, 0);
}

static void test_other_directory(void **state)
{
	struct manifest *manifest;
	struct error error = { 0 };
	int home = open(".", O_RDONLY | O_DIRECTORY);
	char text[8192], path[256], *second;

	put("a", "alpha");
	assert_int_equal(mkdir("sub", 0700), 0);
	assert_int_equal(manifest_open(&manifest, "sub/m", ".", &error), 0);
	assert_int_equal(manifest_append(manifest, home, "a", 1, 1, 2, CRYPTO_AUTO, &error), 0);
	snprintf(path, sizeof path, "%s/a", directory);
	assert_int_equal(manifest_append(manifest, home, path, 1, 1, 2, CRYPTO_AUTO, &error), 0);
	manifest_close(manifest);
	strcpy(text, get("sub/m"));
	second = strchr(text, '\n') + 1; /* one file under two names, recorded as one */
	assert_memory_equal(text, second, strcspn(text, ","));
	snprintf(path, sizeof path, "{\"name\":\"%s/a\",\"size\":5,", directory);
	assert_memory_equal(text, path, strlen(path));
	unlink("sub/m");
	rmdir("sub");
	close(home);
}

static struct seal_key *make_key(void)
{
	struct seal_key *key;
	struct error error = { 0 };

	put("key", "0123456789abcdef0123456789abcdef");
	assert_int_equal(seal_key_read(&key, "key", SEAL_KEY_FILE, &error), 0);
	return key;
}

static void test_archive(void **state)
{
	struct seal_key *key = make_key();
	struct archive_options options = { .dirfd = AT_FDCWD, .key = key };
	struct archive *archive;
	struct error error = { 0 };
	char name[32], sealed[64];
	unsigned bad;

	assert_int_equal(manifest_open(&options.manifest, "m", NULL, &error), 0);
	assert_int_equal(archive_open(&archive, &options, &error), 0);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "capture%u", i);
		put(name, name);
		assert_int_equal(archive_submit(archive, name, i, 7, 8), 0);
	}
	assert_int_equal(archive_close(archive, &error), 0);
	manifest_close(options.manifest);
	assert_int_equal(count_lines("m", &bad), 20);
	assert_int_equal(bad, 0);
	for (unsigned i = 0; i < 20; i++) {
		struct seal_job job = { .in_name = "in", .out_name = "out" };

		snprintf(name, sizeof name, "capture%u", i);
		snprintf(sealed, sizeof sealed, "%s" SEAL_SUFFIX, name);
		assert_null(get(name)); /* the plaintext is gone */
		job.in = open(sealed, O_RDONLY);
		job.out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(seal_read(&job, key, &error), 0);
		assert_string_equal(get("out"), name);
		close(job.in);
		close(job.out);
	}
	seal_key_close(key);
}

/* One file that cannot be done: said, with its name, and the others are done. */
static void test_archive_failure(void **state)
{
	struct seal_key *key = make_key();
	struct archive_options options = { .dirfd = AT_FDCWD, .key = key };
	struct archive *archive;
	struct error error = { 0 };

	put("one", "1");
	put("two", "2");
	put("two" SEAL_SUFFIX, "in the way");
	put("three", "3");
	assert_int_equal(archive_open(&archive, &options, &error), 0);
	assert_int_equal(archive_submit(archive, "one", 1, 1, 1), 0);
	assert_int_equal(archive_submit(archive, "two", 1, 1, 1), 0);
	assert_int_equal(archive_submit(archive, "three", 1, 1, 1), 0);
	assert_int_equal(archive_close(archive, &error), -EEXIST);
	assert_non_null(strstr(error.message, "two"));
	assert_null(get("one"));
	assert_null(get("three"));
	assert_string_equal(get("two"), "2"); /* what is not sealed is not removed */
	assert_string_equal(get("two" SEAL_SUFFIX), "in the way");
	assert_null(get("two" SEAL_SUFFIX ".part"));
	seal_key_close(key);
}

static void test_partfile(void **state)
{
	struct partfile file = { 0 };
	struct error error = { 0 };
	int other;

	partfile_close(&file);
	put("out.part", "left behind by a run that was killed");
	assert_int_equal(partfile_open(&file, AT_FDCWD, "out", false, &error), 0);
	assert_int_equal(write(file.fd, "new", 3), 3);
	assert_null(get("out"));
	assert_int_equal(partfile_commit(&file, &error), 0);
	partfile_close(&file);
	assert_string_equal(get("out"), "new");
	assert_null(get("out.part"));
	assert_int_equal(partfile_open(&file, AT_FDCWD, "out", false, &error), -EEXIST);
	assert_int_equal(partfile_open(&file, AT_FDCWD, "out", true, &error), 0);
	partfile_close(&file); /* given up: what was there stays */
	assert_string_equal(get("out"), "new");
	assert_null(get("out.part"));

	put("busy.part", "being written");
	other = open("busy.part", O_WRONLY);
	assert_int_equal(flock(other, LOCK_EX), 0);
	assert_int_equal(partfile_open(&file, AT_FDCWD, "busy", false, &error), -EBUSY);
	assert_string_equal(get("busy.part"), "being written");
	close(other);

	put("victim", "not ours to write");
	assert_int_equal(symlink("victim", "trap.part"), 0);
	assert_true(partfile_open(&file, AT_FDCWD, "trap", false, &error) < 0);
	assert_int_equal(link("victim", "hard.part"), 0);
	assert_int_equal(partfile_open(&file, AT_FDCWD, "hard", false, &error), -EBUSY);
	assert_string_equal(get("victim"), "not ours to write");

	/* a name that appeared meanwhile is not overwritten */
	assert_int_equal(partfile_open(&file, AT_FDCWD, "late", false, &error), 0);
	put("late", "first");
	assert_int_equal(partfile_commit(&file, &error), -EEXIST);
	assert_string_equal(get("late"), "first");
	assert_null(get("late.part"));
}

static void test_cancel(void **state)
{
	struct seal_key *key = make_key();
	atomic_bool cancel = true;
	struct seal_job job = { .in_name = "in", .out_name = "out", .cancel = &cancel };
	struct error error = { 0 };

	put("in", "text");
	job.in = open("in", O_RDONLY);
	job.out = open("out", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(seal_write(&job, key, &error), -ECANCELED);
	close(job.in);
	close(job.out);
	seal_key_close(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_round_trip),
		cmocka_unit_test(test_line_text),
		cmocka_unit_test(test_line_damage),
		cmocka_unit_test_teardown(test_chain, empty_directory),
		cmocka_unit_test_teardown(test_torn_manifest, empty_directory),
		cmocka_unit_test_teardown(test_manifest_full, empty_directory),
		cmocka_unit_test_teardown(test_other_directory, empty_directory),
		cmocka_unit_test_teardown(test_archive, empty_directory),
		cmocka_unit_test_teardown(test_archive_failure, empty_directory),
		cmocka_unit_test_teardown(test_partfile, empty_directory),
		cmocka_unit_test_teardown(test_cancel, empty_directory),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
