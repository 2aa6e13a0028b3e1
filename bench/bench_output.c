/* How fast a file is written: weir's output (io_uring with O_DIRECT, io_uring, pwrite) against a plain
 * write loop, a plain O_DIRECT write loop, and fio's figure for the same disk where fio is installed.
 *
 *	bench_output [--runs N] [--mib N] [DIRECTORY]      DIRECTORY: on the disk to measure, default "."
 *
 * Each file is written whole, synced (fdatasync) and removed; ms per GiB of wall time, sync included. weir's
 * output copies once into its buffers, as sinks do; the plain loops and fio write one buffer again and again.
 * CPU in ns per KiB beside it. ratio: time against the plain write loop of the same run.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench_util.h"
#include "engine/output.h"

#define CHUNK (1u << 20)

static uint8_t *data;

static double cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
	       ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static bool write_output(const char *path, uint64_t mib, const struct output_options *options)
{
	struct error error = { 0 };
	struct output *output;

	if (output_open(path, options, &output, &error) != 0)
		bench_die(error.message);
	for (uint64_t i = 0; i < mib * 4; i++) {
		void *place = output_reserve(output, CHUNK / 4);

		if (place == NULL)
			bench_die("a write failed");
		memcpy(place, data, CHUNK / 4);
		output_commit(output, CHUNK / 4);
	}
	if (output_finish(output, &error) != 0)
		bench_die(error.message);
	output_close(output);
	return true;
}

static bool write_plain(const char *path, uint64_t mib, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0600);

	if (fd < 0)
		return false; /* no O_DIRECT on this file system */
	for (uint64_t i = 0; i < mib; i++) {
		if (write(fd, data, CHUNK) != CHUNK)
			bench_die("a plain write failed");
	}
	if (fdatasync(fd) != 0)
		bench_die("cannot sync");
	close(fd);
	return true;
}

/* fio's bandwidth in MiB/s for the same writes, 0: not there. */
static double fio_rate(const char *directory, uint64_t mib)
{
	char command[1024], line[4096];
	double rate = 0;
	FILE *pipe;

	snprintf(command, sizeof command,
		 "fio --name=weir --directory='%s' --rw=write --bs=1M --size=%lluM --ioengine=io_uring --iodepth=8 "
		 "--direct=1 --end_fsync=1 --unlink=1 --output-format=terse 2>/dev/null",
		 directory, (unsigned long long)mib);
	pipe = popen(command, "r");
	if (pipe == NULL)
		return 0;
	while (fgets(line, sizeof line, pipe) != NULL) {
		char *field = line;

		/* terse version 3: field 48 is the write bandwidth in KiB/s */
		for (int i = 0; i < 47 && field != NULL; i++)
			field = strchr(field, ';') != NULL ? strchr(field, ';') + 1 : NULL;
		if (line[0] == '3' && field != NULL)
			rate = strtod(field, NULL) / 1024;
	}
	pclose(pipe);
	return rate;
}

struct method {
	const char *name;
	bool ours;
	struct output_options options;
	int flags;
};

/* Seconds, 0 where it cannot be. */
static double one(const struct method *method, const char *path, uint64_t mib, double *cpu)
{
	uint64_t start = clock_monotonic_ns();
	double cpu_start = cpu_ns();
	bool done = method->ours ? write_output(path, mib, &method->options) : write_plain(path, mib, method->flags);
	double seconds = (double)(clock_monotonic_ns() - start) / 1e9;

	*cpu = (cpu_ns() - cpu_start) / ((double)mib * 1024);
	unlink(path);
	return done ? seconds : 0;
}

int main(int argc, char **argv)
{
	static const struct method methods[] = {
		{ .name = "plain write" },
		{ .name = "plain O_DIRECT write", .flags = O_DIRECT },
		{ .name = "output io_uring+O_DIRECT", .ours = true },
		{ .name = "output io_uring", .ours = true, .options = { .no_direct = true } },
		{ .name = "output pwrite", .ours = true, .options = { .no_direct = true, .no_uring = true } },
	};
	static struct bench bench = { .name = "output", .unit = "ms/GiB", .base = "the plain write", .runs = 3 };
	const char *directory = ".";
	uint64_t mib = 512;
	char path[512];

	if (argc > 1 && argv[argc - 1][0] != '-' && (argc < 3 || argv[argc - 2][0] != '-'))
		directory = argv[--argc];
	if (!bench_arguments(argc, argv, &bench.runs, &mib, "--mib"))
		return 2;
	data = aligned_alloc(4096, CHUNK);
	if (data == NULL)
		bench_die("no memory");
	for (uint32_t i = 0; i < CHUNK; i++)
		data[i] = (uint8_t)(i * 131 + (i >> 8));
	snprintf(path, sizeof path, "%s/weir-bench-output.%d", directory, (int)getpid());
	for (unsigned run = 0; run < bench.runs; run++) {
		double plain = 0, fio;

		for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++) {
			double cpu, seconds = one(&methods[m], path, mib, &cpu);
			char name[48];

			if (seconds <= 0)
				continue;
			plain = m == 0 ? seconds : plain;
			bench_add(&bench, methods[m].name, seconds * 1e3 * 1024 / (double)mib, seconds / plain);
			snprintf(name, sizeof name, "%s: CPU", methods[m].name);
			bench_add(&bench, name, cpu, 0)->unit = "ns/KiB";
		}
		fio = fio_rate(directory, mib);
		if (fio > 0)
			bench_add(&bench, "fio io_uring O_DIRECT", 1e3 * 1024 / fio, (double)mib / fio / plain);
	}
	bench_print(&bench);
	free(data);
	return 0;
}
