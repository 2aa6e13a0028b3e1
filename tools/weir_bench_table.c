#include <string.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tools/weir_bench.h"

#define BAR 30

void progress_show(const struct bench *bench, const char *doing)
{
	unsigned done = bench->steps_done * BAR / (bench->steps_all > 0 ? bench->steps_all : 1);
	double seconds = (double)(clock_monotonic_ns() - bench->start_ns) / 1e9;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K[%.*s%*s] %u/%u %3.0f s  %.70s", (int)done, "##############################",
			(int)(BAR - done), "", bench->steps_done, bench->steps_all, seconds, doing);
	else if (bench->steps_done % 10 == 1)
		fprintf(stderr, "weir bench: step %u of %u (%s)\n", bench->steps_done, bench->steps_all, doing);
}

void progress_clear(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static void cell(FILE *out, const struct bench_figure *figure, double divide, const char *format, int width)
{
	char text[32] = "not measured";

	if (figure->count > 0)
		snprintf(text, sizeof text, format, figure_median(figure) / divide);
	fprintf(out, " %*s", width, text);
}

/* "median min-max" in a fixed width. */
static void range_cell(FILE *out, const struct bench_figure *figure, double divide, int width)
{
	char text[48] = "not measured";

	if (figure->count > 0)
		snprintf(text, sizeof text, "%.1f (%.1f-%.1f)", figure_median(figure) / divide,
			 figure_min(figure) / divide, figure_max(figure) / divide);
	fprintf(out, " %*s", width, text);
}

static void print_row(const struct bench *bench, const struct bench_row *row, FILE *out)
{
	struct bench_ratio ratio;
	char loss_free[32] = "not measured", latency[48] = "not measured";

	if (row->loss_free_pps > 0)
		snprintf(loss_free, sizeof loss_free, "%s%.2f", row->sender_limited ? ">=" : "",
			 row->loss_free_pps / 1e6);
	if (row->latency_us[0] > 0)
		snprintf(latency, sizeof latency, "%.0f/%.0f/%.0f", row->latency_us[0], row->latency_us[1],
			 row->latency_us[2]);
	fprintf(out, "%-15s %-8s %-5s %3u", row->name, work_name(row->work), row->size, row->workers);
	fprintf(out, " %12s", loss_free);
	cell(out, &row->received_pps, 1e6, "%.2f", 12);
	cell(out, &row->loss, 0.01, "%.3f", 12);
	range_cell(out, &row->total_ns, 1, 22);
	cell(out, &row->user_ns, 1, "%.1f", 12);
	if (ratio_to(bench, row, BASE_WALK, &ratio) && ratio.cpu > 0)
		fprintf(out, " %7.2f", ratio.cpu);
	else
		fprintf(out, " %7s", "-");
	if (ratio_to(bench, row, BASE_DESCS, &ratio) && ratio.cpu > 0)
		fprintf(out, " %8.2f", ratio.cpu);
	else
		fprintf(out, " %8s", "-");
	fprintf(out, " %18s", latency);
	if (row->memory_bytes > 0)
		fprintf(out, " %6.0f", row->memory_bytes / 1048576);
	else
		fprintf(out, " %6s", "-");
	fprintf(out, "  %s\n", row->skipped ? "-" : row_counts(row, &bench->options) ? "yes" : "no");
}

void table_print(const struct bench *bench, FILE *out)
{
	const struct bench_machine *machine = &bench->machine;
	struct bench_figure overhead;
	char aims[320];

	fprintf(out, "%-15s %-8s %-5s %3s %12s %12s %12s %22s %12s %7s %8s %18s %6s  %s\n", "who", "does", "bytes", "wrk",
		"loss-free", "full blast", "loss there", "CPU, all", "of it user", "to bare", "to bare", "delivery latency",
		"memory", "counts");
	fprintf(out, "%-15s %-8s %-5s %3s %12s %12s %12s %22s %12s %7s %8s %18s %6s\n", "", "", "", "", "Mpps", "Mpps", "%",
		"ns/packet (min-max)", "ns/packet", "walk", "descs", "us p50/p99/p99.9", "MiB");
	for (unsigned i = 0; i < bench->row_count; i++)
		print_row(bench, &bench->rows[i], out);
	fputc('\n', out);
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct bench_row *row = &bench->rows[i];

		if (row->why[0] != '\0')
			fprintf(out, "%s, %s, %s, %u: %s%s\n", row->name, work_name(row->work), row->size, row->workers,
				row->skipped ? "not measured: " : "", row->why);
		if (ratio_aims(bench, row, aims, sizeof aims))
			fprintf(out, "%s\n", aims);
		if (row->disturbed > 0)
			fprintf(out, "%s, %s, %s: the machine was busy with something else in %u runs, also when "
				"repeated\n", row->name, work_name(row->work), row->size, row->disturbed);
	}
	overhead_of(bench, &overhead);
	if (overhead.count > 0)
		fprintf(out, "the bench's own CPU time in the runs that costs come from: %.2f %% of the contestant's (median "
			"of the rows), %.2f %% at most (aim: below %.0f %%)\n", 100 * overhead.values[0],
			100 * overhead.values[1], 100 * BENCH_OVERHEAD_AIM);
	else
		fputs("the bench's own CPU time: not measured\n", out);
	fprintf(out, "%s; %s, %u CPUs; capture on CPU %d, sender on CPU %d; %s profile, %.0f s\n", machine->kernel,
		machine->cpu_model, machine->cpus, bench->capture_cpu, bench->sender_cpu,
		profile_name(&bench->options), bench->seconds_taken);
	fputs("counts: at least 5 undisturbed runs of 10 s each, with a sender that goes 1.5 times as fast "
	      "(--full)\n", out);
	fputs("to bare: all CPU time over that of the bare walk, and of the bare loop over AF_XDP descriptors, at the "
	      "same frame size\n", out);
	fputs(">=: as fast as the sender went; CPU: the capturing process with all its threads, at a rate without "
	      "loss\n", out);
}
