#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/seal/partfile.h"
#include "engine/seal/seal.h"
#include "tools/cli.h"
#include "tools/weir_seal.h"

struct options {
	const char *in, *out;
	const char *secret;
	enum seal_key_kind kind;
	enum crypto_provider provider;
	bool seal, raw, iv_given, force, verbose;
	uint8_t iv[CRYPTO_BLOCK];
	unsigned iterations; /* 0: not given */
};

enum { OPENSSL_ITERATIONS = 10000 }; /* what openssl enc -pbkdf2 takes without -iter */

/* Set by the signal handler; read by the engine between two chunks. */
static atomic_bool interrupted;

static void interrupt(int signal_number)
{
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

static void print_help(bool seal)
{
	printf("usage: weir %s (--key-file F | --passphrase-file F) [OPTION]... IN -o OUT\n",
		seal ? "seal" : "unseal");
	fputs(seal ? "Encrypts and authenticates IN into OUT (AES-256-CBC, HMAC-SHA-256).\n\n" :
		     "Opens what weir seal made; OUT gets its name only when IN has proved whole.\n\n", stdout);
	fputs("  -k, --key-file F         32 bytes or 64 hexadecimal digits, readable by its owner alone\n"
		"  -p, --passphrase-file F  the first line is the passphrase (scrypt)\n"
		"  -o, --output OUT         the result; IN and OUT may be -\n"
		"  -f, --force              replace OUT if it exists\n"
		"      --raw                bare AES-256-CBC as openssl enc -aes-256-cbc has it, not authenticated:\n"
		"                           -K and -iv with --key-file, -pbkdf2 with --passphrase-file\n"
		"      --iv HEX             with --raw --key-file: 32 hexadecimal digits\n"
		"      --iterations N       with --raw --passphrase-file: PBKDF2 iterations (10000, as openssl)\n"
		"      --crypto WHICH       auto (default), kernel (AF_ALG) or library (libcrypto)\n"
		"      --verbose            say which of them was used\n", stdout);
}

static bool parse_iv(const char *text, uint8_t *iv)
{
	if (strlen(text) != 2 * CRYPTO_BLOCK || strspn(text, "0123456789abcdefABCDEF") != 2 * CRYPTO_BLOCK)
		return false;
	for (size_t i = 0; i < CRYPTO_BLOCK; i++)
		(void)sscanf(text + 2 * i, "%2hhx", &iv[i]);
	return true;
}

static int parse_option(int option, char **argv, struct options *options)
{
	uint64_t number;

	switch (option) {
	case 'k':
	case 'p':
		if (options->secret != NULL)
			return cli_usage("one secret only: --key-file or --passphrase-file");
		options->secret = optarg;
		options->kind = option == 'k' ? SEAL_KEY_FILE : SEAL_KEY_PASSPHRASE;
		return 0;
	case 'o':
		options->out = optarg;
		return 0;
	case 'f':
		options->force = true;
		return 0;
	case 'r':
		options->raw = true;
		return 0;
	case 'i':
		if (!parse_iv(optarg, options->iv))
			return cli_usage("--iv takes 32 hexadecimal digits");
		options->iv_given = true;
		return 0;
	case 'n':
		if (!cli_parse_number(optarg, 1, 1000000000, &number))
			return cli_usage("--iterations takes a number from 1 to 1000000000");
		options->iterations = (unsigned)number;
		return 0;
	case 'c':
		if (!crypto_provider_parse(optarg, &options->provider))
			return cli_usage("--crypto %s is none of auto, kernel, library", optarg);
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case ':':
		return cli_usage("%s needs a value", argv[optind - 1]);
	default:
		return cli_usage("unknown option %s (weir %s --help)", argv[optind - 1], argv[0]);
	}
}

/* 0, EXIT_USAGE, or -1 when the help was printed. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "key-file", required_argument, NULL, 'k' }, { "passphrase-file", required_argument, NULL, 'p' },
		{ "output", required_argument, NULL, 'o' },   { "force", no_argument, NULL, 'f' },
		{ "raw", no_argument, NULL, 'r' },            { "iv", required_argument, NULL, 'i' },
		{ "iterations", required_argument, NULL, 'n' }, { "crypto", required_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },        { "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, status;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":k:p:o:fh", long_options, NULL)) != -1) {
		if (option == 'h') {
			print_help(options->seal);
			return -1;
		}
		status = parse_option(option, argv, options);
		if (status != 0)
			return status;
	}
	if (argc - optind != 1)
		return cli_usage("%s takes one input file (weir %s --help)", argv[0], argv[0]);
	options->in = argv[optind];
	if (options->out == NULL)
		return cli_usage("%s needs -o OUT", argv[0]);
	if (options->secret == NULL)
		return cli_usage("%s needs --key-file or --passphrase-file", argv[0]);
	if (!options->raw && (options->iv_given || options->iterations != 0))
		return cli_usage("--iv and --iterations go with --raw");
	if (options->raw && options->iv_given != (options->kind == SEAL_KEY_FILE))
		return cli_usage("--raw --key-file needs --iv; with --passphrase-file it has none");
	if (options->iterations != 0 && options->kind == SEAL_KEY_FILE)
		return cli_usage("--iterations goes with --passphrase-file");
	if (options->iterations == 0)
		options->iterations = OPENSSL_ITERATIONS;
	return 0;
}

static int run_job(const struct options *options, struct seal_job *job, const struct seal_key *key,
	struct error *error)
{
	const uint8_t *iv = options->iv_given ? options->iv : NULL;

	if (options->raw && options->seal)
		return seal_raw_write(job, key, iv, options->iterations, error);
	if (options->raw)
		return seal_raw_read(job, key, iv, options->iterations, error);
	return options->seal ? seal_write(job, key, error) : seal_read(job, key, error);
}

static int open_input(const struct options *options, struct seal_job *job, struct error *error)
{
	bool standard = strcmp(options->in, "-") == 0;

	job->in_name = standard ? "standard input" : options->in;
	job->in = standard ? STDIN_FILENO : open(options->in, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (job->in < 0)
		return error_set_errno(error, -errno, "cannot open %s", options->in);
	return 0;
}

/* What was not looked at twice may go to a name that appears later, but not to where it is seen at once. */
static int check_order(const struct options *options, const struct seal_job *job, bool direct,
	struct error *error)
{
	if (options->seal || options->raw || !direct || seal_is_seekable(job->in))
		return 0;
	error_set(error, -ESPIPE, "%s cannot be read twice, so nothing of it is shown before it is verified",
		job->in_name);
	return error_hint(error, "-o FILE, or unseal from a file");
}

static int process(const struct options *options, struct error *error)
{
	struct seal_job job = { .in = -1, .out = STDOUT_FILENO, .out_name = "standard output",
		.provider = options->provider, .cancel = &interrupted };
	bool to_stdout = strcmp(options->out, "-") == 0;
	struct partfile file = { 0 };
	struct seal_key *key = NULL;
	int ret;

	ret = seal_key_guard(error);
	if (ret == 0)
		ret = seal_key_read(&key, options->secret, options->kind, error);
	if (ret == 0)
		ret = open_input(options, &job, error);
	if (ret == 0 && !to_stdout) {
		ret = partfile_open(&file, AT_FDCWD, options->out, options->force, error);
		job.out = file.fd;
		job.out_name = options->out;
	}
	if (ret == 0)
		ret = check_order(options, &job, to_stdout || file.direct, error);
	if (ret == 0)
		ret = run_job(options, &job, key, error);
	if (ret == 0 && !to_stdout)
		ret = partfile_commit(&file, error);
	partfile_close(&file);
	seal_key_close(key);
	if (job.in > STDIN_FILENO)
		close(job.in);
	if (ret == 0 && options->verbose)
		cli_note("AES-256-CBC%s by %s", options->raw ? "" : " and HMAC-SHA-256",
			job.used == CRYPTO_KERNEL ? "the kernel (AF_ALG)" : "libcrypto");
	return ret;
}

static int run(int argc, char **argv, bool seal)
{
	struct options options = { .seal = seal, .provider = CRYPTO_AUTO };
	struct sigaction action = { .sa_handler = interrupt };
	struct error error = { 0 };
	int status;

	status = parse_options(argc, argv, &options);
	if (status != 0)
		return status < 0 ? 0 : status;
	sigaction(SIGINT, &action, NULL); /* no SA_RESTART: a read that waits must end */
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return process(&options, &error) != 0 ? cli_fail(&error) : 0;
}

int weir_seal(int argc, char **argv)
{
	return run(argc, argv, true);
}

int weir_unseal(int argc, char **argv)
{
	return run(argc, argv, false);
}
