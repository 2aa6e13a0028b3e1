#include "engine/sources/open.h"

#include <errno.h>
#include <string.h>

#include "engine/sources/recordfile.h"
#include "engine/sources/savefile_input.h"

static int open_by_magic(struct input *input, const struct savefile_options *options,
			 struct interface_table *interfaces, struct source **source, struct error *error)
{
	uint32_t ended;
	int result = input_need(input, RECORDFILE_MAGIC_SIZE, &ended);

	if (result < 0 && result != -ENODATA) {
		if (error != NULL)
			*error = input->error;
		input_close(input);
		return result;
	}
	if (result > 0 && memcmp(input->at, RECORDFILE_MAGIC, RECORDFILE_MAGIC_SIZE) == 0)
		return recordfile_open_input(input, options, interfaces, source, error);
	return savefile_open_input(input, options, interfaces, source, error);
}

int source_open_file(const char *path, const struct savefile_options *options,
		     struct interface_table *interfaces, struct source **source, struct error *error)
{
	struct input *input;
	int result = input_open(path, options->window, &input, error);

	*source = NULL;
	return result != 0 ? result : open_by_magic(input, options, interfaces, source, error);
}

int source_open_bytes(const void *bytes, size_t length, const char *name,
		      const struct savefile_options *options, struct interface_table *interfaces,
		      struct source **source, struct error *error)
{
	struct input *input;
	int result = input_open_copy(bytes, length, name, &input, error);

	*source = NULL;
	return result != 0 ? result : open_by_magic(input, options, interfaces, source, error);
}
