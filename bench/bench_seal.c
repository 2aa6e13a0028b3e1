/* What digesting and sealing a file costs, as whole processes over one file in the page cache, beside the
 * tools that people use for it:
 *
 *	digest    weir digest by each provider, sha256sum, openssl dgst -sha256
 *	raw       weir seal --raw by each provider, openssl enc -aes-256-cbc
 *	seal      weir seal (cipher and HMAC), openssl enc | tee | openssl dgst -hmac: the same work
 *	          by two processes
 *	unseal    weir unseal (HMAC in both passes), openssl enc -d (no HMAC at all)
 *
 * Output goes to /dev/null, the contestants alternate within each run, and the ratio is the time taken to
 * that of openssl in the same run (below 1 is faster). A provider or a tool that is not here is left out and
 * said. The key stands in openssl's arguments because openssl wants it there; it is made for the run.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_util.h"

struct contestant {
	const char *name;
	const char *command; /* for sh; $WEIR, $F (file), $S (sealed), $K (key file), $H (key in hex), $I (IV) */
	bool is_base;        /* what the ratios of its group are to */
	const char *needs;   /* a command that must work, or NULL */
};

static const struct contestant groups[][6] = {
	{
		{ "openssl dgst -sha256", "openssl dgst -sha256 $F", true, NULL },
		{ "digest --crypto library", "$WEIR digest --crypto library $F", false, NULL },
		{ "digest --crypto kernel", "$WEIR digest --crypto kernel $F", false, "kernel" },
		{ "sha256sum", "sha256sum $F", false, "sha256sum /dev/null" },
	},
	{
		{ "openssl enc", "openssl enc -aes-256-cbc -K $H -iv $I -in $F -out /dev/null", true, NULL },
		{ "seal --raw library", "$WEIR seal --crypto library --raw -k $K --iv $I $F -o /dev/null", false,
			NULL },
		{ "seal --raw kernel", "$WEIR seal --crypto kernel --raw -k $K --iv $I $F -o /dev/null", false,
			"kernel" },
	},
	{
		{ "openssl enc | tee | dgst", "openssl enc -aes-256-cbc -K $H -iv $I -in $F | tee /dev/null |"
			" openssl dgst -sha256 -mac HMAC -macopt hexkey:$H", true, NULL },
		{ "seal library", "$WEIR seal --crypto library -k $K $F -o /dev/null", false, NULL },
		{ "seal kernel", "$WEIR seal --crypto kernel -k $K $F -o /dev/null", false, "kernel" },
	},
	{
		{ "openssl enc -d", "openssl enc -d -aes-256-cbc -K $H -iv $I -in $S.raw -out /dev/null", true,
			NULL },
		{ "unseal --raw library", "$WEIR unseal --crypto library --raw -k $K --iv $I $S.raw -o /dev/null",
			false, NULL },
		{ "unseal library", "$WEIR unseal --crypto library -k $K $S -o /dev/null", false, NULL },
		{ "unseal kernel", "$WEIR unseal --crypto kernel -k $K $S -o /dev/null", false, "kernel" },
	},
};

static int run(const char *command)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static double seconds_of(const struct contestant *contestant)
{
	uint64_t start = clock_monotonic_ns();
	int status = run(contestant->command);

	if (status != 0) {
		fprintf(stderr, "bench: status %d of: %s\n", status, contestant->command);
		exit(1);
	}
	return (double)(clock_monotonic_ns() - start) / 1e9;
}

static bool is_here(const struct contestant *contestant)
{
	const char *needs = contestant->needs;

	if (needs != NULL && strcmp(needs, "kernel") == 0)
		needs = "$WEIR digest --crypto kernel /dev/null";
	return needs == NULL || run(needs) == 0;
}

static void write_random(const char *path, uint64_t bytes, mode_t mode)
{
	static uint8_t block[1 << 20];
	int in = open("/dev/urandom", O_RDONLY), out = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);

	if (in < 0 || out < 0)
		bench_die("cannot make the file to work on");
	while (bytes > 0) {
		size_t part = bytes < sizeof block ? bytes : sizeof block;
		ssize_t got = read(in, block, part);

		if (got <= 0 || write(out, block, (size_t)got) != got)
			bench_die("cannot fill the file to work on");
		bytes -= (uint64_t)got;
	}
	close(in);
	close(out);
}

static void name_file(const char *variable, const char *directory, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	setenv(variable, path, 1);
}

static void prepare(const char *weir, const char *directory, uint64_t megabytes)
{
	char hex[65];
	uint8_t key[32];
	FILE *file;

	setenv("WEIR", weir, 1);
	name_file("F", directory, "file");
	name_file("S", directory, "sealed");
	name_file("K", directory, "key");
	setenv("I", "000102030405060708090a0b0c0d0e0f", 1);
	write_random(getenv("F"), megabytes << 20, 0600);
	write_random(getenv("K"), sizeof key, 0600);
	file = fopen(getenv("K"), "re");
	if (file == NULL || fread(key, 1, sizeof key, file) != sizeof key)
		bench_die("cannot read the key");
	fclose(file);
	for (unsigned i = 0; i < sizeof key; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	setenv("H", hex, 1);
	if (run("$WEIR seal --crypto library -k $K $F -o $S") != 0 ||
	    run("$WEIR seal --crypto library --raw -k $K --iv $I $F -o $S.raw") != 0)
		bench_die("weir seal does not work (is WEIR the program?)");
}

static void remove_directory(void)
{
	run("rm -rf \"$D\"");
}

static void run_group(struct bench *bench, const struct contestant *group, double gigabytes)
{
	double base[BENCH_RUNS_MAX];

	for (unsigned i = 0; i < 6 && group[i].name != NULL; i++) {
		if (!is_here(&group[i]))
			printf("bench: not here: %s\n", group[i].name);
	}
	for (unsigned at = 0; at < bench->runs; at++) {
		for (unsigned i = 0; i < 6 && group[i].name != NULL; i++) {
			double seconds;

			if (!is_here(&group[i]))
				continue;
			seconds = seconds_of(&group[i]);
			if (group[i].is_base)
				base[at] = seconds;
			bench_add(bench, group[i].name, gigabytes / seconds, seconds / base[at]);
		}
	}
}

int main(int argc, char **argv)
{
	struct bench bench = { .name = "seal", .unit = "GB/s", .base = "the time of openssl", .runs = 7 };
	uint64_t megabytes = 512;
	const char *weir = getenv("WEIR");
	char directory[] = "/tmp/weir-bench.XXXXXX";

	if (!bench_arguments(argc, argv, &bench.runs, &megabytes, "--megabytes"))
		return 2;
	if (weir == NULL || access(weir, X_OK) != 0)
		bench_die("set WEIR to the program");
	if (run("openssl version") != 0) {
		puts("bench: no openssl to compare with");
		return 77;
	}
	if (mkdtemp(directory) == NULL)
		bench_die("no directory to work in");
	setenv("D", directory, 1);
	atexit(remove_directory);
	prepare(weir, directory, megabytes);
	for (unsigned i = 0; i < sizeof groups / sizeof groups[0]; i++)
		run_group(&bench, groups[i], (double)(megabytes << 20) / 1e9);
	bench_print(&bench);
	return 0;
}
