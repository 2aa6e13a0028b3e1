#include <stdlib.h>
#include <string.h>

#include "tools/weir_bench.h"

static int order(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

void figure_add(struct bench_figure *figure, double value)
{
	if (figure->count < BENCH_RUNS_MAX)
		figure->values[figure->count++] = value;
}

/* Of an even count the mean of the middle two. */
double figure_median(const struct bench_figure *figure)
{
	double sorted[BENCH_RUNS_MAX];
	unsigned middle = figure->count / 2;

	memcpy(sorted, figure->values, figure->count * sizeof *sorted);
	qsort(sorted, figure->count, sizeof *sorted, order);
	return figure->count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double figure_min(const struct bench_figure *figure)
{
	double least = figure->values[0];

	for (unsigned i = 1; i < figure->count; i++)
		least = figure->values[i] < least ? figure->values[i] : least;
	return least;
}

double figure_max(const struct bench_figure *figure)
{
	double most = figure->values[0];

	for (unsigned i = 1; i < figure->count; i++)
		most = figure->values[i] > most ? figure->values[i] : most;
	return most;
}

double percentile(double *values, size_t count, double part)
{
	size_t rank = (size_t)(part * (double)count);

	if ((double)rank < part * (double)count)
		rank++; /* nearest rank: ceil(part * count) */
	qsort(values, count, sizeof *values, order);
	return values[rank == 0 ? 0 : rank - 1];
}

double loss_of(uint64_t sent, uint64_t received)
{
	return sent == 0 || received >= sent ? 0 : (double)(sent - received) / (double)sent;
}

bool bisection_next(const struct bisection *bisection, double *rate)
{
	if (bisection->probes >= bisection->probes_max ||
	    bisection->bad - bisection->good <= bisection->precision * bisection->bad)
		return false;
	*rate = (bisection->good + bisection->bad) / 2;
	return true;
}

void bisection_step(struct bisection *bisection, double rate, bool lossless)
{
	bisection->probes++;
	if (lossless && rate > bisection->good)
		bisection->good = rate;
	else if (!lossless && rate < bisection->bad)
		bisection->bad = rate;
}

bool json_number(const char *text, const char *key, double *number)
{
	char quoted[64];
	const char *at;
	char *rest;
	size_t length = strlen(key);

	if (length > sizeof quoted - 4)
		return false;
	quoted[0] = '"';
	memcpy(quoted + 1, key, length);
	memcpy(quoted + 1 + length, "\":", 3);
	at = strstr(text, quoted);
	if (at == NULL)
		return false;
	at += length + 3;
	*number = strtod(at, &rest);
	return rest != at;
}
