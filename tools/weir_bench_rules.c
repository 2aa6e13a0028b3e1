#include "tools/weir_bench.h"

const char *profile_name(const struct bench_options *options)
{
	return options->quick ? "quick" : options->full ? "full" : "default";
}

bool row_counts(const struct bench_row *row, const struct bench_options *options)
{
	return !options->quick && !row->skipped && !row->shares_cpu && row->total_ns.count >= 5 &&
	       row->shortest_run >= 9.9 && row->disturbed == 0 && (options->interface != NULL || row->margin >= SENDER_MARGIN - 0.01);
}
