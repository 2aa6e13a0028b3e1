/* Runs a fuzz target over files and directories of files, each as it is and cut short in a few places; for
 * compilers without libFuzzer, and for the test suite. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define CUTS 8 /* lengths at which each file is tried besides its own */

static unsigned long runs;

/* A heap copy that ends where the input does: the sanitizer sees the first byte too many. */
static void run(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);

	if (copy == NULL)
		exit(2);
	memcpy(copy, bytes, length);
	LLVMFuzzerTestOneInput(copy, length);
	free(copy);
	runs++;
}

static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	long length = -1;
	bool good = false;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0) {
		rewind(file);
		bytes = malloc((size_t)length + 1);
		good = bytes != NULL && fread(bytes, 1, (size_t)length, file) == (size_t)length;
	}
	if (good) {
		run(bytes, (size_t)length);
		for (int cut = 1; cut <= CUTS; cut++)
			run(bytes, (size_t)length * (size_t)cut / (CUTS + 1));
	} else {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	}
	if (file != NULL)
		fclose(file);
	free(bytes);
	return good;
}

static bool replay(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	bool good = true;
	char name[4096];

	if (directory == NULL)
		return replay_file(path);
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		good &= replay_file(name);
	}
	closedir(directory);
	return good;
}

int main(int argc, char **argv)
{
	bool good = true;

	for (int i = 1; i < argc; i++) {
		struct stat status;

		/* A target without a vector yet has no directory of them. */
		if (stat(argv[i], &status) == 0)
			good &= replay(argv[i]);
	}
	printf("%lu inputs ran\n", runs);
	return good && runs > 0 ? 0 : 1;
}
