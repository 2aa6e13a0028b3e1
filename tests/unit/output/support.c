#include "tests/unit/output/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint8_t pattern_byte(uint64_t offset)
{
	return (uint8_t)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

void pattern_fill(void *bytes, uint64_t offset, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)bytes)[i] = pattern_byte(offset + i);
}

int pattern_append(struct output *output, size_t length)
{
	void *room = output_reserve(output, length);

	if (room == NULL)
		return output_error(output, NULL);
	pattern_fill(room, output_offset(output), length);
	output_commit(output, length);
	return 0;
}

uint64_t pattern_check_prefix(const char *path)
{
	static uint8_t bytes[65536];
	uint64_t offset = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail_msg("%s is not there", path);
	while ((got = read(fd, bytes, sizeof bytes)) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			if (bytes[i] != pattern_byte(offset + (uint64_t)i))
				fail_msg("%s: wrong byte at %llu", path, (unsigned long long)offset + (unsigned long long)i);
		}
		offset += (uint64_t)got;
	}
	close(fd);
	return offset;
}

void pattern_check(const char *path, uint64_t length)
{
	assert_int_equal(pattern_check_prefix(path), length);
}

bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

char *make_directory(const char *parent)
{
	char *directory = NULL;

	assert_true(asprintf(&directory, "%s/weir-output-XXXXXX", parent) > 0);
	assert_non_null(mkdtemp(directory));
	return directory;
}

void remove_directory(char *directory)
{
	DIR *entries = opendir(directory);

	for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
		unlinkat(dirfd(entries), entry->d_name, 0);
	if (entries != NULL)
		closedir(entries);
	rmdir(directory);
	free(directory);
}

const char *path_in(const char *directory, const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32) % bound;
}
