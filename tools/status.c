#include "tools/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/clock.h"

#define BAR_CELLS 30
#define BAR_LEAST_BYTES (64u << 20) /* smaller files are read before a bar could be seen */

void status_init(struct status *status, bool wanted)
{
	memset(status, 0, sizeof *status);
	status->active = isatty(STDERR_FILENO) && (wanted || !isatty(STDOUT_FILENO));
	status->at_ns = clock_monotonic_ns();
}

bool status_active(const struct status *status)
{
	return status->active;
}

void status_clear(struct status *status)
{
	if (status->shown)
		fputs("\r\033[K", stderr);
	status->shown = false;
}

/* "12.3k": three figures and a unit. */
static void scaled(char *text, size_t size, double value)
{
	static const char units[] = " kMGT";
	unsigned unit = 0;

	while (value >= 1000 && unit < sizeof units - 2) {
		value /= 1000;
		unit++;
	}
	snprintf(text, size, unit == 0 ? "%.0f" : "%.1f%c", value, units[unit]);
}

/* False: no source knows how far it is (a live capture). */
static bool file_progress(struct source *const *sources, unsigned count, uint64_t *done, uint64_t *total)
{
	bool known = false;

	*done = *total = 0;
	for (unsigned i = 0; i < count; i++) {
		uint64_t source_done, source_total;

		if (sources[i]->progress == NULL || !sources[i]->progress(sources[i], &source_done, &source_total))
			continue;
		*done += source_done;
		*total += source_total;
		known = true;
	}
	return known && *total > 0;
}

static void draw_bar(const struct ledger *ledger, uint64_t done, uint64_t total, double rate)
{
	char packets[16], per_second[16];
	unsigned cells = (unsigned)(BAR_CELLS * (done < total ? done : total) / total);

	scaled(packets, sizeof packets, (double)(ledger->written + ledger->filtered));
	scaled(per_second, sizeof per_second, rate);
	fprintf(stderr, "\r[%.*s%*s] %3" PRIu64 " %%  %s packets  %s/s\033[K", (int)cells,
		"##############################", (int)(BAR_CELLS - cells), "", 100 * done / total, packets, per_second);
}

static void draw_live(const struct ledger *ledger, double rate, double bits)
{
	char packets[16], per_second[16], bit_rate[16];
	unsigned use = 0;

	for (unsigned i = 0; i < ledger->ring_count; i++) {
		const struct source_stats *stats = &ledger->rings[i].stats;
		unsigned ring_use = stats->spans_total > 1 ? 100 * stats->spans_held_most / stats->spans_total : 0;

		use = ring_use > use ? ring_use : use;
	}
	scaled(packets, sizeof packets, (double)ledger->seen);
	scaled(per_second, sizeof per_second, rate);
	scaled(bit_rate, sizeof bit_rate, bits);
	fprintf(stderr, "\r%s packets  %s/s  %sbit/s  lost %" PRIu64 "  ring at worst %u %%\033[K", packets, per_second,
		bit_rate, ledger->lost, use);
}

void status_update(struct status *status, struct engine *engine, struct source *const *sources, unsigned count)
{
	uint64_t now = clock_monotonic_ns(), done, total, records = 0;
	struct ledger ledger;
	double seconds, rate, bits;

	if (!status->active || now - status->at_ns < STATUS_PERIOD_MS * NS_PER_MS)
		return;
	if (engine_ledger(engine, &ledger) < 0)
		return;
	for (unsigned i = 0; i < ledger.ring_count; i++)
		records += ledger.rings[i].walked;
	seconds = (double)(now - status->at_ns) / 1e9;
	rate = (double)(records - status->records) / seconds;
	bits = 8.0 * (double)(ledger.wire_bytes - status->wire_bytes) / seconds;
	status->at_ns = now;
	status->records = records;
	status->wire_bytes = ledger.wire_bytes;
	if (!file_progress(sources, count, &done, &total)) {
		draw_live(&ledger, rate, bits);
		status->shown = true;
	} else if (total >= BAR_LEAST_BYTES) {
		draw_bar(&ledger, done, total, rate);
		status->shown = true;
	}
	ledger_close(&ledger);
}
