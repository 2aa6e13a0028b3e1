/* What the micro-benches share: time, repeated runs, and one way to print figures.
 *
 * Each bench prints a human line per figure as it comes, and one JSON line at its end:
 *
 *	{"bench":"decode","unit":"ns/packet","walk":16.1,"runs":7,"figures":[
 *	  {"name":"udp","value":17.0,"min":16.9,"max":17.4,"ratio":1.06,"ratio_min":..,"ratio_max":..,
 *	   "best_ratio":1.05}, ...]}
 *
 * value is the median over the runs; ratio is to the bare walk taken right before it in the same run,
 * and its median, so that a machine that slows down in mid-bench does not tilt it. best_ratio is the least
 * value over the least walk: whatever disturbs a run makes it slower and never faster, so that this is
 * what bench/compare goes by.
 *
 * One-threaded benches take the thread's own CPU time: being scheduled away does not count. Those with two
 * threads take the wall clock.
 */
#ifndef WEIR_BENCH_UTIL_H
#define WEIR_BENCH_UTIL_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"

/* This thread's CPU time. */
static inline uint64_t bench_thread_ns(void)
{
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

#define BENCH_RUNS_MAX 64
#define BENCH_FIGURES_MAX 96

struct bench_figure {
	char name[48];
	const char *unit; /* NULL: the bench's */
	double values[BENCH_RUNS_MAX];
	double ratios[BENCH_RUNS_MAX]; /* 0: none */
	unsigned runs;
};

struct bench {
	const char *name, *unit, *base; /* base: what ratios are to, for people */
	unsigned runs; /* of each figure */
	struct bench_figure figures[BENCH_FIGURES_MAX];
	unsigned count;
};

static inline int bench_order(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Of a copy; count at least 1. which: 0 the least, 0.5 the median, 1 the greatest. */
static inline double bench_quantile(const double *values, unsigned count, double which)
{
	double sorted[BENCH_RUNS_MAX];

	memcpy(sorted, values, count * sizeof *values);
	qsort(sorted, count, sizeof *sorted, bench_order);
	return sorted[(unsigned)(which * (count - 1) + 0.5)];
}

/* Adds one run's value to the figure of that name, and returns it. ratio: to the bare walk of the same
 * run, 0: none. */
static inline struct bench_figure *bench_add(struct bench *bench, const char *name, double value,
					     double ratio)
{
	struct bench_figure *figure = NULL;

	for (unsigned i = 0; i < bench->count && figure == NULL; i++) {
		if (strcmp(bench->figures[i].name, name) == 0)
			figure = &bench->figures[i];
	}
	if (figure == NULL) {
		if (bench->count == BENCH_FIGURES_MAX)
			return &bench->figures[BENCH_FIGURES_MAX - 1];
		figure = &bench->figures[bench->count++];
		snprintf(figure->name, sizeof figure->name, "%s", name);
	}
	if (figure->runs < BENCH_RUNS_MAX) {
		figure->values[figure->runs] = value;
		figure->ratios[figure->runs++] = ratio;
	}
	return figure;
}

/* The least value over the least walk of the runs. */
static inline double bench_best_ratio(const struct bench_figure *figure)
{
	double walks[BENCH_RUNS_MAX];

	for (unsigned i = 0; i < figure->runs; i++)
		walks[i] = figure->values[i] / figure->ratios[i];
	return bench_quantile(figure->values, figure->runs, 0) / bench_quantile(walks, figure->runs, 0);
}

static inline void bench_print(const struct bench *bench)
{
	for (unsigned i = 0; i < bench->count; i++) {
		const struct bench_figure *f = &bench->figures[i];

		printf("%-8s %-28s %9.2f %s (%.2f to %.2f, %u runs)", bench->name, f->name,
		       bench_quantile(f->values, f->runs, 0.5), f->unit != NULL ? f->unit : bench->unit,
		       bench_quantile(f->values, f->runs, 0),
		       bench_quantile(f->values, f->runs, 1), f->runs);
		if (f->ratios[0] > 0)
			printf("  %.2fx %s", bench_quantile(f->ratios, f->runs, 0.5), bench->base);
		putchar('\n');
	}
	printf("{\"bench\":\"%s\",\"unit\":\"%s\",\"runs\":%u,\"figures\":[", bench->name, bench->unit, bench->runs);
	for (unsigned i = 0; i < bench->count; i++) {
		const struct bench_figure *f = &bench->figures[i];

		printf("%s{\"name\":\"%s\",\"value\":%.4f,\"min\":%.4f,\"max\":%.4f", i > 0 ? "," : "", f->name,
		       bench_quantile(f->values, f->runs, 0.5), bench_quantile(f->values, f->runs, 0),
		       bench_quantile(f->values, f->runs, 1));
		if (f->unit != NULL)
			printf(",\"unit\":\"%s\"", f->unit);
		if (f->ratios[0] > 0)
			printf(",\"ratio\":%.4f,\"ratio_min\":%.4f,\"ratio_max\":%.4f,\"best_ratio\":%.4f",
			       bench_quantile(f->ratios, f->runs, 0.5), bench_quantile(f->ratios, f->runs, 0),
			       bench_quantile(f->ratios, f->runs, 1), bench_best_ratio(f));
		putchar('}');
	}
	puts("]}");
	fflush(stdout);
}

static inline void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* The --runs and --packets of every bench; false after an unknown option, which it names. */
static inline bool bench_arguments(int argc, char **argv, unsigned *runs, uint64_t *amount,
				   const char *amount_name)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
			*runs = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], amount_name) == 0 && i + 1 < argc)
			*amount = strtoull(argv[++i], NULL, 10);
		else {
			fprintf(stderr, "usage: %s [--runs N] [%s N]\n", argv[0], amount_name);
			return false;
		}
	}
	if (*runs == 0 || *runs > BENCH_RUNS_MAX || *amount == 0) {
		fprintf(stderr, "runs: 1 to %d, %s: at least 1\n", BENCH_RUNS_MAX, amount_name);
		return false;
	}
	return true;
}

static inline void bench_die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

#endif
