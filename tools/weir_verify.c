#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/seal/manifest.h"
#include "tools/cli.h"
#include "tools/weir_verify.h"

struct options {
	const char *manifest;
	const char *directory; /* NULL: the manifest's own */
	const char *head;      /* NULL: not compared */
	enum crypto_provider provider;
	bool quiet, verbose;
};

struct tally {
	uint64_t good, bad_files, bad_lines;
};

static void print_help(void)
{
	fputs("usage: weir verify [OPTION]... MANIFEST\n"
		"Checks the chain of a capture's manifest, and every file that it names.\n\n"
		"  -d, --directory DIR  where the files lie (the manifest's directory)\n"
		"      --head HEX       an earlier run's last hash: it must still be that of a line\n"
		"      --quiet          no line for a file that is right\n"
		"      --crypto WHICH   auto (default), kernel (AF_ALG) or library (libcrypto)\n"
		"      --verbose        say which of them was used\n", stdout);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "directory", required_argument, NULL, 'd' }, { "head", required_argument, NULL, 'H' },
		{ "quiet", no_argument, NULL, 'q' },           { "crypto", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },         { "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":d:h", long_options, NULL)) != -1) {
		switch (option) {
		case 'd':
			options->directory = optarg;
			break;
		case 'H':
			if (strlen(optarg) != 2 * MANIFEST_HASH ||
			    strspn(optarg, "0123456789abcdef") != 2 * MANIFEST_HASH)
				return cli_usage("--head takes 64 hexadecimal digits in lower case");
			options->head = optarg;
			break;
		case 'q':
			options->quiet = true;
			break;
		case 'p':
			if (!crypto_provider_parse(optarg, &options->provider))
				return cli_usage("--crypto %s is none of auto, kernel, library", optarg);
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'h':
			print_help();
			return -1;
		case ':':
			return cli_usage("%s needs a value (weir verify --help)", argv[optind - 1]);
		default:
			return cli_usage("unknown option %s (weir verify --help)", argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return cli_usage("verify takes one manifest (weir verify --help)");
	options->manifest = argv[optind];
	return 0;
}

static int open_directory(const struct options *options, struct error *error)
{
	char copy[PATH_MAX];
	const char *path = options->directory;
	int fd;

	if (path == NULL) {
		snprintf(copy, sizeof copy, "%s", options->manifest);
		path = dirname(copy);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : error_set_errno(error, -errno, "cannot open the directory %s", path);
}

/* A name comes from a file that may be hostile, and goes to a terminal. */
static void print_name(const char *name)
{
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			printf("\\x%02x", (unsigned char)*name);
		else
			putchar(*name);
	}
}

static void check_file(const struct options *options, int directory, const struct manifest_entry *entry,
	struct tally *tally)
{
	static const char *const reasons[] = {
		[MANIFEST_FILE_GOOD] = "OK",
		[MANIFEST_FILE_MISSING] = "FAILED missing",
		[MANIFEST_FILE_SIZE] = "FAILED another size",
		[MANIFEST_FILE_CHANGED] = "FAILED changed",
		[MANIFEST_FILE_UNREADABLE] = "FAILED unreadable",
	};
	struct error error = { 0 };
	enum manifest_file result = manifest_check(directory, entry, options->provider, &error);

	if (result == MANIFEST_FILE_GOOD)
		tally->good++;
	else
		tally->bad_files++;
	if (result == MANIFEST_FILE_UNREADABLE)
		cli_fail(&error);
	if (result != MANIFEST_FILE_GOOD || !options->quiet) {
		print_name(entry->name);
		printf(": %s\n", reasons[result]);
	}
}

static void format_head(const struct manifest_reader *reader, char *text)
{
	for (size_t i = 0; i < MANIFEST_HASH; i++)
		sprintf(text + 2 * i, "%02x", manifest_reader_head(reader)[i]);
}

static int check_all(const struct options *options, int directory, struct manifest_reader *reader,
	struct tally *tally, bool *head_seen, struct error *error)
{
	static const char *const faults[] = {
		[MANIFEST_CHAIN] = "does not follow from the line before it (a line was changed, removed or moved)",
		[MANIFEST_MALFORMED] = "is no manifest line",
		[MANIFEST_TORN] = "is cut",
	};
	struct manifest_entry entry;
	char head[2 * MANIFEST_HASH + 1];
	int line;

	while ((line = manifest_reader_next(reader, &entry, error)) != MANIFEST_END) {
		if (line < 0)
			return line;
		if (line != MANIFEST_GOOD) {
			printf("line %" PRIu64 ": FAILED %s\n", manifest_reader_line(reader), faults[line]);
			tally->bad_lines++;
		}
		if (line == MANIFEST_GOOD || line == MANIFEST_CHAIN)
			check_file(options, directory, &entry, tally);
		format_head(reader, head);
		if (options->head != NULL && strcmp(options->head, head) == 0)
			*head_seen = true;
	}
	return 0;
}

static void say_provider(const struct options *options)
{
	struct crypto_hash *hash = NULL;

	if (crypto_hash_open(&hash, options->provider, CRYPTO_SHA256, NULL, 0, NULL) == 0)
		cli_note("sha256 by %s",
			crypto_hash_provider(hash) == CRYPTO_KERNEL ? "the kernel (AF_ALG)" : "libcrypto");
	crypto_hash_close(hash);
}

int weir_verify(int argc, char **argv)
{
	struct options options = { .provider = CRYPTO_AUTO };
	struct manifest_reader *reader = NULL;
	struct crypto_hash *probe = NULL;
	struct tally tally = { 0 };
	struct error error = { 0 };
	char head[2 * MANIFEST_HASH + 1];
	bool head_seen = false;
	int directory = -1, status;

	status = parse_options(argc, argv, &options);
	if (status != 0)
		return status < 0 ? 0 : status;
	/* A provider that is not there is one error, not one for each file. */
	status = crypto_hash_open(&probe, options.provider, CRYPTO_SHA256, NULL, 0, &error);
	crypto_hash_close(probe);
	if (status == 0)
		status = manifest_reader_open(&reader, options.manifest, &error);
	if (status == 0)
		status = directory = open_directory(&options, &error);
	if (status >= 0) {
		if (options.verbose)
			say_provider(&options);
		status = check_all(&options, directory, reader, &tally, &head_seen, &error);
	}
	if (status == 0) {
		format_head(reader, head);
		printf("%" PRIu64 " lines, %" PRIu64 " files right, %" PRIu64 " wrong; head %s\n",
			manifest_reader_line(reader), tally.good, tally.bad_files, head);
		if (tally.bad_lines > 0 || tally.bad_files > 0)
			error_set(&error, -EBADMSG, "%s: %" PRIu64 " lines and %" PRIu64 " files are not as they were",
				options.manifest, tally.bad_lines, tally.bad_files);
		else if (options.head != NULL && !head_seen)
			error_set(&error, -EBADMSG, "%s does not hold the line with that hash any more",
				options.manifest);
		if (fflush(stdout) != 0)
			error_set_errno(&error, -errno, "cannot write to standard output");
	}
	manifest_reader_close(reader);
	if (directory >= 0)
		close(directory);
	return error.code != 0 ? cli_fail(&error) : 0;
}
