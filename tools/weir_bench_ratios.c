#include <string.h>

#include "tools/weir_bench.h"

#define WALK_AIM 1.15     /* user space of records over the bare walk's, at most */
#define DESCS_AIM 1.5     /* the same over the bare loop's over descriptors */
#define RAWSOCKET_AIM 5.0 /* rawsocket's user space over that of AF_XDP, at least */

static const struct bench_row *find(const struct bench *bench, const char *name, enum bench_work work,
				    const char *size)
{
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct bench_row *row = &bench->rows[i];

		if (row->work == work && row->workers == 1 && strcmp(row->name, name) == 0 && strcmp(row->size, size) == 0)
			return row;
	}
	return NULL;
}

static const struct bench_row *base_of(const struct bench *bench, const struct bench_row *row,
				       enum bench_base base)
{
	char name[sizeof row->name];

	switch (base) {
	case BASE_WALK:
		return find(bench, "bare walk", BENCH_COUNT, row->size);
	case BASE_DESCS:
		if (strncmp(row->name, "afxdp ", 6) != 0)
			return NULL;
		snprintf(name, sizeof name, "descs %.20s", row->name + 6);
		return find(bench, name, BENCH_COUNT, row->size);
	default:
		return strncmp(row->name, "rawsocket", 9) != 0 ? find(bench, "rawsocket", row->work, row->size) : NULL;
	}
}

static double over(const struct bench_figure *figure, const struct bench_figure *base)
{
	if (figure->count == 0 || base->count == 0 || figure_median(base) <= 0)
		return 0;
	return figure_median(figure) / figure_median(base);
}

bool ratio_to(const struct bench *bench, const struct bench_row *row, enum bench_base base,
	      struct bench_ratio *ratio)
{
	const struct bench_row *other = base_of(bench, row, base);

	*ratio = (struct bench_ratio){ 0 };
	if (other == NULL)
		return false;
	ratio->cpu = over(&row->total_ns, &other->total_ns);
	ratio->user = over(&row->user_ns, &other->user_ns);
	return ratio->cpu > 0 || ratio->user > 0;
}

static void spell(char *text, size_t size, double ratio)
{
	if (ratio > 0)
		snprintf(text, size, "%.2f times", ratio);
	else
		snprintf(text, size, "not measured against");
}

bool ratio_aims(const struct bench *bench, const struct bench_row *row, char *text, size_t size)
{
	bool descs = strncmp(row->name, "afxdp ", 6) == 0;
	struct bench_ratio bare, raw;
	char user[32], all[32], slower[32];

	if (row->skipped || row->work != BENCH_RECORDS || row->workers != 1 ||
	    (!descs && strcmp(row->name, "afpacket") != 0) || base_of(bench, row, descs ? BASE_DESCS : BASE_WALK) == NULL)
		return false;
	ratio_to(bench, row, descs ? BASE_DESCS : BASE_WALK, &bare);
	spell(user, sizeof user, bare.user);
	spell(all, sizeof all, bare.cpu);
	if (!descs) {
		snprintf(text, size, "%s, records, %s: user space %s the bare walk's (aim: at most %.2f), all CPU %s",
			 row->name, row->size, user, WALK_AIM, all);
		return true;
	}
	ratio_to(bench, row, BASE_RAWSOCKET, &raw);
	spell(slower, sizeof slower, raw.user > 0 ? 1 / raw.user : 0);
	snprintf(text, size,
		 "%s, records, %s: user space %s the bare descriptor loop's (aim: at most %.1f), all CPU %s; rawsocket's user "
		 "space %s its (aim: at least %.0f)", row->name, row->size, user, DESCS_AIM, all, slower, RAWSOCKET_AIM);
	return true;
}

void overhead_of(const struct bench *bench, struct bench_figure *overhead)
{
	double most = 0, medians[BENCH_ROWS_MAX];
	size_t count = 0;

	*overhead = (struct bench_figure){ 0 };
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct bench_figure *figure = &bench->rows[i].overhead;

		if (figure->count == 0)
			continue;
		medians[count++] = figure_median(figure);
		most = figure_max(figure) > most ? figure_max(figure) : most;
	}
	if (count == 0)
		return;
	figure_add(overhead, percentile(medians, count, 0.5));
	figure_add(overhead, most);
}
