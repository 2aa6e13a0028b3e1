#include "tools/run_archive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/cli.h"

const char *run_output_file(const char *spec)
{
	size_t prefix = strcspn(spec, ":/");

	if (strstr(spec, "://") != NULL)
		return NULL;
	/* As sink_open has it: a prefix ends with the first colon before any slash; flows: holds a second spec. */
	while (spec[prefix] == ':') {
		spec += prefix + 1;
		prefix = strcspn(spec, ":/");
	}
	return spec[0] == '\0' || strcmp(spec, "-") == 0 ? NULL : spec;
}

int run_archive_open(const struct run_options *options, struct run_archive *archive)
{
	struct archive_options archive_options = { .dirfd = AT_FDCWD, .provider = options->crypto };
	struct error error = { 0 };
	int result = 0;

	if (options->seal_key == NULL && options->manifest == NULL)
		return 0;
	if (options->seal_key != NULL) {
		result = seal_key_guard(&error);
		if (result == 0)
			result = seal_key_read(&archive->key, options->seal_key, SEAL_KEY_FILE, &error);
	}
	if (result == 0 && options->manifest != NULL)
		result = manifest_open(&archive->manifest, options->manifest, ".", &error);
	archive_options.key = archive->key;
	archive_options.manifest = archive->manifest;
	if (result == 0)
		result = archive_open(&archive->archive, &archive_options, &error);
	return result < 0 ? cli_fail(&error) : 0;
}

static bool is_regular(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

int run_archive_submit(struct run_archive *archive, const struct ledger *ledger)
{
	int status = 0;

	if (archive->archive == NULL)
		return 0;
	for (unsigned i = 0; i < ledger->sink_count; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];
		const char *path = run_output_file(sink->label);
		struct error error = { 0 };
		int result;

		/* A failed output is still .part: there is no finished file to seal. */
		if (path == NULL || sink->failed || !is_regular(path))
			continue;
		result = archive_submit(archive->archive, path, sink->written, ledger->first_ns, ledger->last_ns);
		if (result < 0) {
			error_set_errno(&error, result, "cannot seal or record %s", path);
			status = cli_fail(&error);
		}
	}
	return status;
}

int run_archive_close(struct run_archive *archive)
{
	struct error error = { 0 };
	int result = archive_close(archive->archive, &error);

	manifest_close(archive->manifest);
	seal_key_close(archive->key);
	memset(archive, 0, sizeof *archive);
	return result < 0 ? cli_fail(&error) : 0;
}
