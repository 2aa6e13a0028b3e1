#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/seal/crypto.h"
#include "tools/cli.h"
#include "tools/weir_digest.h"

struct options {
	enum crypto_algorithm algorithm;
	bool algorithm_given;
	enum crypto_provider provider;
	bool check, quiet, verbose;
};

static void print_help(void)
{
	fputs("usage: weir digest [OPTION]... [FILE]...\n"
		"Prints the digest of each FILE (- or none: standard input) as sha256sum does.\n\n"
		"  -a, --algorithm NAME  sha256 (default), sha512, sha384, sha224, sha1, sha3-256, sha3-512\n"
		"  -c, --check           read such lines from FILE and check the files that they name\n"
		"      --quiet           with --check: no line for a file that is right\n"
		"      --crypto WHICH    auto (default), kernel (AF_ALG) or library (libcrypto)\n"
		"      --verbose         say which of them was used\n", stdout);
}

static int digest_fd(const struct options *options, enum crypto_algorithm algorithm, int fd, uint8_t *digest,
	struct error *error)
{
	struct crypto_hash *hash = NULL;
	ssize_t got;
	int ret;

	ret = crypto_hash_open(&hash, options->provider, algorithm, NULL, 0, error);
	if (ret != 0)
		return ret;
	if (options->verbose)
		cli_note("%s by %s", crypto_algorithm_name(algorithm),
			crypto_hash_provider(hash) == CRYPTO_KERNEL ? "the kernel (AF_ALG)" : "libcrypto");
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while ((got = crypto_hash_file(hash, fd, CRYPTO_CHUNK)) > 0)
		;
	ret = got < 0 ? (int)got : crypto_hash_final(hash, digest);
	crypto_hash_close(hash);
	return ret == 0 ? 0 : error_set_errno(error, ret, "cannot read");
}

static int digest_file(const struct options *options, enum crypto_algorithm algorithm, const char *name,
	uint8_t *digest, struct error *error)
{
	int fd = STDIN_FILENO, ret;

	if (strcmp(name, "-") != 0) {
		fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return error_set_errno(error, -errno, "cannot open %s", name);
	}
	ret = digest_fd(options, algorithm, fd, digest, error);
	if (ret != 0 && ret != -EOPNOTSUPP)
		error_set_errno(error, ret, "cannot read %s", name);
	if (fd != STDIN_FILENO)
		close(fd);
	return ret;
}

/* coreutils: a name with a backslash or a line end is escaped, and its line begins with a backslash. */
static void print_line(const char *name, const uint8_t *digest, size_t size)
{
	bool escape = strpbrk(name, "\\\n\r") != NULL;

	if (escape)
		putchar('\\');
	for (size_t i = 0; i < size; i++)
		printf("%02x", digest[i]);
	fputs("  ", stdout);
	for (; *name != '\0'; name++) {
		if (*name == '\\')
			fputs("\\\\", stdout);
		else if (*name == '\n')
			fputs("\\n", stdout);
		else if (*name == '\r')
			fputs("\\r", stdout);
		else
			putchar(*name);
	}
	putchar('\n');
}

static bool unescape(char *name)
{
	char *out = name;

	for (; *name != '\0'; name++) {
		if (*name != '\\') {
			*out++ = *name;
			continue;
		}
		name++;
		if (*name == 'n')
			*out++ = '\n';
		else if (*name == 'r')
			*out++ = '\r';
		else if (*name == '\\')
			*out++ = '\\';
		else
			return false;
	}
	*out = '\0';
	return true;
}

static bool parse_hex(const char *text, uint8_t *out, size_t count)
{
	for (size_t i = 0; i < 2 * count; i++) {
		char c = text[i];
		unsigned value;

		if (c >= '0' && c <= '9')
			value = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = (unsigned)((c | 0x20) - 'a') + 10;
		else
			return false;
		out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
	}
	return true;
}

/* "HEX  NAME" or "HEX *NAME"; the algorithm from the length of HEX unless one was asked for. */
static bool parse_line(const struct options *options, char *line, enum crypto_algorithm *algorithm,
	uint8_t *digest, char **name)
{
	static const enum crypto_algorithm by_length[] = {
		CRYPTO_SHA1, CRYPTO_SHA224, CRYPTO_SHA256, CRYPTO_SHA384, CRYPTO_SHA512,
	};
	bool escaped = line[0] == '\\';
	size_t digits, i;

	if (escaped)
		line++;
	digits = strcspn(line, " ");
	if (options->algorithm_given) {
		*algorithm = options->algorithm;
	} else {
		for (i = 0; i < sizeof by_length / sizeof by_length[0]; i++) {
			if (2 * crypto_algorithm_size(by_length[i]) == digits)
				break;
		}
		if (i == sizeof by_length / sizeof by_length[0])
			return false;
		*algorithm = by_length[i];
	}
	if (digits != 2 * crypto_algorithm_size(*algorithm) || line[digits] != ' ' ||
	    (line[digits + 1] != ' ' && line[digits + 1] != '*') || line[digits + 2] == '\0')
		return false;
	*name = line + digits + 2;
	return parse_hex(line, digest, digits / 2) && (!escaped || unescape(*name));
}

struct tally {
	unsigned long good, wrong, unreadable, malformed;
};

static void check_line(const struct options *options, char *line, struct tally *tally)
{
	uint8_t wanted[CRYPTO_DIGEST_MAX], found[CRYPTO_DIGEST_MAX];
	enum crypto_algorithm algorithm;
	struct error error = { 0 };
	char *name;

	if (!parse_line(options, line, &algorithm, wanted, &name)) {
		tally->malformed++;
		return;
	}
	if (digest_file(options, algorithm, name, found, &error) != 0) {
		cli_fail(&error);
		printf("%s: FAILED open or read\n", name);
		tally->unreadable++;
	} else if (memcmp(wanted, found, crypto_algorithm_size(algorithm)) != 0) {
		printf("%s: FAILED\n", name);
		tally->wrong++;
	} else {
		if (!options->quiet)
			printf("%s: OK\n", name);
		tally->good++;
	}
}

static int check_list(const struct options *options, const char *path)
{
	FILE *list = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct tally tally = { 0 };
	struct error error = { 0 };
	char *line = NULL;
	size_t capacity = 0;
	ssize_t length;

	if (list == NULL) {
		error_set_errno(&error, -errno, "cannot open %s", path);
		return cli_fail(&error);
	}
	while ((length = getline(&line, &capacity, list)) > 0) {
		if (line[length - 1] == '\n')
			line[--length] = '\0';
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (length == 0 || line[0] == '#')
			continue;
		if (strlen(line) != (size_t)length)
			tally.malformed++;
		else
			check_line(options, line, &tally);
	}
	if (ferror(list))
		error_set(&error, -EIO, "cannot read %s", path);
	else if (tally.good + tally.wrong + tally.unreadable == 0)
		error_set(&error, -EINVAL, "%s holds no digest line", path);
	else if (tally.wrong + tally.unreadable + tally.malformed > 0)
		error_set(&error, -EBADMSG, "%s: %lu files wrong, %lu unreadable, %lu lines malformed, %lu right",
			path,
			tally.wrong, tally.unreadable, tally.malformed, tally.good);
	free(line);
	if (list != stdin)
		fclose(list);
	return error.code != 0 ? cli_fail(&error) : 0;
}

static int finish_output(int status)
{
	struct error error = { 0 };

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	error_set_errno(&error, -(errno != 0 ? errno : EIO), "cannot write to standard output");
	return cli_fail(&error);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "algorithm", required_argument, NULL, 'a' }, { "check", no_argument, NULL, 'c' },
		{ "quiet", no_argument, NULL, 'q' },           { "crypto", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },         { "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":a:ch", long_options, NULL)) != -1) {
		switch (option) {
		case 'a':
			if (!crypto_algorithm_parse(optarg, &options->algorithm))
				return cli_usage("no digest algorithm '%s' (weir digest --help lists them)", optarg);
			options->algorithm_given = true;
			break;
		case 'c':
			options->check = true;
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
			return cli_usage("%s needs a value (weir digest --help)", argv[optind - 1]);
		default:
			return cli_usage("unknown option %s (weir digest --help)", argv[optind - 1]);
		}
	}
	return 0;
}

int weir_digest(int argc, char **argv)
{
	struct options options = { .algorithm = CRYPTO_SHA256, .provider = CRYPTO_AUTO };
	static char standard_input[] = "-";
	char *none[] = { standard_input };
	char **names;
	int count, status;

	status = parse_options(argc, argv, &options);
	if (status != 0)
		return status < 0 ? 0 : status;
	names = optind < argc ? argv + optind : none;
	count = optind < argc ? argc - optind : 1;
	for (int i = 0; i < count; i++) {
		uint8_t digest[CRYPTO_DIGEST_MAX];
		struct error error = { 0 };

		if (options.check) {
			if (check_list(&options, names[i]) != 0)
				status = EXIT_FAILED;
		} else if (digest_file(&options, options.algorithm, names[i], digest, &error) != 0) {
			status = cli_fail(&error);
			if (error.code == -EOPNOTSUPP) /* the same for every file: said once */
				break;
		} else {
			print_line(names[i], digest, crypto_algorithm_size(options.algorithm));
		}
	}
	return finish_output(status);
}
