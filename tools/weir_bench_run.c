#include <errno.h>
#include <string.h>

#include "tools/weir_bench.h"

#define REPEATS_MAX 2
#define BLASTS_MAX 3 /* for the sender's limit and what is lost there; figures that count come from the cost runs */
#define COST_TRIES 3
#define CONFIRMS_MAX 10
#define CONFIRM_STEP 0.87  /* down to a quarter of what the short probes promised: small buffers overflow in rare stalls */
#define COST_SHARE 0.9     /* of the rate without loss, so that the figure's own runs are without loss too */

/* How long and how often, by profile. */
struct profile {
	double seconds, probe_seconds, latency_seconds;
	unsigned runs, probes, confirms;
};

static struct profile profile_of(const struct bench_options *options)
{
	struct profile profile = { 2, 0.7, 2, 3, 6, 3 };

	if (options->quick)
		profile = (struct profile){ 0.5, 0.3, 1, 2, 3, 1 };
	else if (options->full)
		profile = (struct profile){ 10, 2, 5, 5, 9, 3 };
	if (options->seconds > 0)
		profile.seconds = options->seconds;
	if (options->runs > 0)
		profile.runs = options->runs;
	return profile;
}

static void not_measured(struct bench_row *row, const struct error *error)
{
	row->skipped = true;
	snprintf(row->why, sizeof row->why, "%.190s", error->message);
}

/* cell_run, again when something else used the machine meanwhile; the last try stands and is marked. */
static int run_quiet(struct bench *bench, struct bench_row *row, double rate, double seconds,
		     struct bench_cell *cell, struct error *error)
{
	int status = 0;

	for (unsigned tries = 0; tries <= (bench->options.quick ? 0 : REPEATS_MAX); tries++) {
		if (tries > 0)
			row->repeated++;
		status = cell_run(bench, row, rate, seconds, cell, error);
		if (status != 0 || !cell->disturbed)
			return status;
	}
	row->disturbed++;
	return status;
}

static void note_length(struct bench_row *row, const struct bench_cell *cell)
{
	if (row->shortest_run == 0 || cell->seconds < row->shortest_run)
		row->shortest_run = cell->seconds;
	if (cell->memory_bytes > row->memory_bytes)
		row->memory_bytes = cell->memory_bytes;
}

static int blast(struct bench *bench, struct bench_row *row, const struct profile *profile,
	         struct error *error)
{
	struct bench_cell cell;
	int status = run_quiet(bench, row, 0, profile->seconds, &cell, error);

	if (status != 0)
		return status;
	figure_add(&row->sent_pps, cell.sent_pps);
	figure_add(&row->received_pps, cell.received_pps);
	figure_add(&row->loss, cell.loss);
	note_length(row, &cell);
	return 0;
}

/* Whether `rate` goes without loss, `times` times over. */
static int confirm(struct bench *bench, struct bench_row *row, double rate, double seconds, unsigned times,
		   bool *lossless, struct error *error)
{
	*lossless = true;
	for (unsigned i = 0; i < times && *lossless; i++) {
		struct bench_cell cell;
		int status = cell_run(bench, row, rate, seconds, &cell, error);

		if (status != 0)
			return status;
		*lossless = cell.loss <= BENCH_LOSS_ALLOWED;
	}
	return 0;
}

static int find_loss_free(struct bench *bench, struct bench_row *row, const struct profile *profile,
			  struct error *error)
{
	struct bisection bisection = { .precision = 0.03, .probes_max = profile->probes };
	double rate;
	bool lossless;
	int status = 0;

	if (figure_max(&row->loss) <= BENCH_LOSS_ALLOWED) {
		row->loss_free_pps = figure_min(&row->sent_pps);
		row->loss_free_runs = row->loss.count;
		row->sender_limited = true;
		return 0;
	}
	bisection.bad = figure_median(&row->sent_pps);
	while (status == 0 && bisection_next(&bisection, &rate)) {
		status = confirm(bench, row, rate, profile->probe_seconds, 1, &lossless, error);
		bisection_step(&bisection, rate, lossless);
	}
	rate = bisection.good;
	for (unsigned tries = 0; status == 0 && tries < CONFIRMS_MAX && rate > 0; tries++, rate *= CONFIRM_STEP) {
		status = confirm(bench, row, rate, profile->seconds, profile->confirms, &lossless, error);
		if (status == 0 && lossless) {
			row->loss_free_pps = rate;
			row->loss_free_runs = profile->confirms;
			return 0;
		}
	}
	if (status == 0)
		snprintf(row->why, sizeof row->why, "no rate without loss was found (down to %.0f a second)", rate);
	return status;
}

static void add_costs(struct bench_row *row, const struct bench_cell *cell)
{
	figure_add(&row->total_ns, cell->total_ns);
	if (!cell->split_known)
		return;
	figure_add(&row->user_ns, cell->user_ns);
	figure_add(&row->system_ns, cell->system_ns);
}

static int cost(struct bench *bench, struct bench_row *row, const struct profile *profile,
	        struct error *error)
{
	struct bench_cell cell = { .loss = 1 };
	int status = 0;

	if (row->cost_rate <= 0)
		return 0;
	/* A stall that the rate's confirmation did not meet: once more, and it is said if it comes again. */
	for (unsigned tries = 0; tries < COST_TRIES && status == 0 && cell.loss > BENCH_LOSS_ALLOWED; tries++)
		status = run_quiet(bench, row, row->cost_rate, profile->seconds, &cell, error);
	if (status != 0)
		return status;
	if (cell.loss > BENCH_LOSS_ALLOWED) {
		snprintf(row->why, sizeof row->why, "a cost run at %.0f a second lost %.4f %%: left out",
			 row->cost_rate, 100 * cell.loss);
		return 0;
	}
	add_costs(row, &cell);
	figure_add(&row->busy_share, cell.busy_share);
	figure_add(&row->softirq_share, cell.softirq_share);
	figure_add(&row->overhead, cell.overhead);
	note_length(row, &cell);
	return 0;
}

/* The rate for the costs: without loss, and such that the sender is shown to go 1.5 times as fast. */
static void choose_cost_rate(struct bench_row *row)
{
	double fastest = figure_median(&row->sent_pps);

	row->cost_rate = row->loss_free_pps;
	if (!row->sender_limited)
		row->cost_rate *= COST_SHARE;
	if (row->cost_rate > fastest / SENDER_MARGIN)
		row->cost_rate = fastest / SENDER_MARGIN;
	if (row->cost_rate > 0)
		row->margin = fastest / row->cost_rate;
}

/* One step of the course for one row. A row that fails is told and left; -EINTR ends all. */
static int step(struct bench *bench, unsigned index, const char *doing, const struct profile *profile,
		int (*what)(struct bench *, struct bench_row *, const struct profile *, struct error *))
{
	struct bench_row *row = &bench->rows[index];
	char text[96];
	struct error error = { 0 };
	int status;

	bench->steps_done++;
	if (row->skipped)
		return 0;
	if (bench->workers_most > 1)
		snprintf(text, sizeof text, "%s %s, %s B, %u workers: %s", row->name, work_name(row->work), row->size,
			 row->workers, doing);
	else
		snprintf(text, sizeof text, "%s %s, %s B: %s", row->name, work_name(row->work), row->size, doing);
	progress_show(bench, text);
	status = what(bench, row, profile, &error);
	if (status == -EINTR)
		return -EINTR;
	if (status != 0)
		not_measured(row, &error);
	return 0;
}

static int latency(struct bench *bench, struct bench_row *row, const struct profile *profile,
	           struct error *error)
{
	int status;

	if (row->pipe[0] == NULL)
		return 0;
	status = cell_latency(bench, row, profile->latency_seconds, error);
	if (status != 0 && status != -EINTR) {
		/* The other figures of the row stand. */
		snprintf(row->why, sizeof row->why, "latency: %.180s", error->message);
		return 0;
	}
	return status;
}

/* With live traffic there is no sender to command: what came, what was lost, what it cost. */
static int watch(struct bench *bench, struct bench_row *row, const struct profile *profile,
	         struct error *error)
{
	struct bench_cell cell;
	int status = cell_run(bench, row, 0, profile->seconds, &cell, error);

	if (status != 0)
		return status;
	figure_add(&row->received_pps, cell.received_pps);
	if (cell.sent > 0) {
		figure_add(&row->sent_pps, cell.sent_pps);
		figure_add(&row->loss, cell.loss);
	}
	if (cell.received > 0)
		add_costs(row, &cell);
	figure_add(&row->busy_share, cell.busy_share);
	figure_add(&row->softirq_share, cell.softirq_share);
	figure_add(&row->overhead, cell.overhead);
	row->disturbed += cell.disturbed;
	note_length(row, &cell);
	return 0;
}

/* Rows alternate within each round, so that a drift of the machine meets all of them alike. */
static int rounds(struct bench *bench, const char *doing, const struct profile *profile, unsigned count,
		  int (*what)(struct bench *, struct bench_row *, const struct profile *, struct error *))
{
	int status = 0;

	for (unsigned round = 0; round < count; round++) {
		for (unsigned i = 0; i < bench->row_count && status == 0; i++)
			status = step(bench, i, doing, profile, what);
	}
	return status;
}

static int use_feeds(struct bench *bench, struct error *error)
{
	bool live, out;

	if (bench->options.interface != NULL)
		return 0;
	live = cell_feed_works(bench, FEED_LIVE);
	out = live && cell_feed_works(bench, FEED_OUT);
	if (!live && !cell_feed_works(bench, FEED_TXRING)) {
		error_set(error, -EIO, "the generator cannot send on the bench's own interface");
		return error_hint(error, "try: weir gen -i lo --count 1");
	}
	for (unsigned i = 0; i < bench->row_count; i++) {
		struct bench_row *row = &bench->rows[i];

		if (row->feed == FEED_LIVE && !live)
			row->feed = FEED_TXRING;
		if (row->feed == FEED_OUT && !out) {
			row->skipped = true;
			snprintf(row->why, sizeof row->why, "this kernel has no BPF_PROG_TEST_RUN live frames to feed it");
		}
	}
	return 0;
}

int run_rows(struct bench *bench, struct error *error)
{
	struct profile profile = profile_of(&bench->options);
	unsigned blasts;
	int status = use_feeds(bench, error);

	if (status != 0)
		return status;
	if (bench->options.interface != NULL) {
		bench->steps_all = bench->row_count * profile.runs;
		return rounds(bench, "live traffic", &profile, profile.runs, watch);
	}
	blasts = profile.runs < BLASTS_MAX ? profile.runs : BLASTS_MAX;
	bench->steps_all = bench->row_count * (blasts + profile.runs + 2);
	status = rounds(bench, "full blast", &profile, blasts, blast);
	if (status == 0)
		status = rounds(bench, "highest rate without loss", &profile, 1, find_loss_free);
	for (unsigned i = 0; i < bench->row_count && status == 0; i++) {
		if (!bench->rows[i].skipped)
			choose_cost_rate(&bench->rows[i]);
	}
	if (status == 0)
		status = rounds(bench, "CPU per packet", &profile, profile.runs, cost);
	if (status == 0)
		status = rounds(bench, "delivery latency", &profile, 1, latency);
	return status;
}
