#include "engine/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void ledger_close(struct ledger *ledger)
{
	free(ledger->rings);
	free(ledger->sinks);
	memset(ledger, 0, sizeof *ledger);
}

static void add_loss(struct ledger *ledger, const char *name, uint64_t count)
{
	for (unsigned i = 0; i < ledger->loss_count; i++) {
		if (strcmp(ledger->losses[i].name, name) == 0) {
			ledger->losses[i].count += count;
			return;
		}
	}
	source_stats_add(ledger->losses, &ledger->loss_count, name, count);
}

static int out_of_balance(struct ledger *ledger, struct error *error, const char *what, uint64_t left, uint64_t right)
{
	ledger->balanced = false;
	error_set(error, -EPROTO, "the ledger does not balance: %s (%" PRIu64 " against %" PRIu64 ")", what, left, right);
	return error_hint(error, "this is a bug in weir; please report it with the --stats-json object");
}

/* What the ring's own losses leave to be walked. */
static uint64_t ring_lost(const struct ledger_ring *ring)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < ring->stats.loss_count; i++)
		lost += ring->stats.losses[i].count;
	return lost;
}

static int check(struct ledger *ledger, struct error *error)
{
	for (unsigned i = 0; i < ledger->ring_count; i++) {
		const struct ledger_ring *ring = &ledger->rings[i];

		if (ring->stats.handed_out + ring_lost(ring) > ring->stats.seen)
			return out_of_balance(ledger, error, "ring handed out and lost more than it saw",
					      ring->stats.handed_out + ring_lost(ring), ring->stats.seen);
		if (ring->walked != ring->records + ring->filtered)
			return out_of_balance(ledger, error, "walked = records + filtered", ring->walked,
					      ring->records + ring->filtered);
	}
	for (unsigned i = 0; i < ledger->sink_count; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];

		if (sink->offered != sink->written + sink->shed)
			return out_of_balance(ledger, error, "sink offered = written + shed", sink->offered,
					      sink->written + sink->shed);
		if (sink->offered != ledger->offered)
			return out_of_balance(ledger, error, "sink offered = records offered", sink->offered,
					      ledger->offered);
	}
	for (unsigned i = 0; i < ledger->loss_count; i++) {
		if (!ledger->cut_short && ledger->losses[i].count > 0 && strcmp(ledger->losses[i].name, "abandoned") == 0)
			return out_of_balance(ledger, error, "walked = seen - lost: packets left in a drained ring",
					      ledger->losses[i].count, 0);
	}
	if (ledger->seen != ledger->written + ledger->filtered + ledger->lost)
		return out_of_balance(ledger, error, "seen = written + filtered + lost", ledger->seen,
				      ledger->written + ledger->filtered + ledger->lost);
	return 0;
}

int ledger_balance(struct ledger *ledger, struct error *error)
{
	uint64_t abandoned = 0;

	ledger->loss_count = 0;
	/* Records go to all sinks in one order: what every one of them has is what the worst of them has. */
	ledger->written = ledger->offered;
	for (unsigned i = 0; i < ledger->sink_count; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];

		if (sink->failed && !sink->sheds && sink->written < ledger->written)
			ledger->written = sink->written;
	}
	add_loss(ledger, "output_failed", ledger->offered - ledger->written);
	ledger->seen = ledger->filtered_user = ledger->cut = ledger->wire_bytes = 0;
	for (unsigned i = 0; i < ledger->ring_count; i++) {
		const struct ledger_ring *ring = &ledger->rings[i];
		uint64_t lost = ring_lost(ring);

		ledger->seen += ring->stats.seen;
		ledger->filtered_user += ring->filtered;
		ledger->cut += ring->cut;
		ledger->wire_bytes += ring->wire_bytes;
		for (unsigned k = 0; k < ring->stats.loss_count; k++)
			add_loss(ledger, ring->stats.losses[k].name, ring->stats.losses[k].count);
		if (ring->stats.seen > lost + ring->walked)
			abandoned += ring->stats.seen - lost - ring->walked;
	}
	add_loss(ledger, "abandoned", abandoned);
	ledger->filtered = ledger->filtered_user + ledger->after_limit;
	ledger->lost = 0;
	for (unsigned i = 0; i < ledger->loss_count; i++)
		ledger->lost += ledger->losses[i].count;
	ledger->balanced = true;
	return ledger->final ? check(ledger, error) : 0;
}

/* --- JSON ----------------------------------------------------------------------------------- */

static void json_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at >= 0x7f)
			fprintf(out, "\\u%04x", *at);
		else
			fputc(*at, out);
	}
	fputc('"', out);
}

static void json_counters(FILE *out, const char *key, const struct source_counter *counters, unsigned count)
{
	fprintf(out, "\"%s\":{", key);
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", counters[i].name, counters[i].count);
	fputc('}', out);
}

static void json_ring(FILE *out, const struct ledger_ring *ring)
{
	fprintf(out, "{\"backend\":\"%s\",\"interface\":", ring->backend);
	json_string(out, ring->interface);
	fprintf(out, ",\"worker\":%u,\"mode\":", ring->worker);
	json_string(out, ring->stats.mode);
	fprintf(out, ",\"seen\":%" PRIu64 ",\"walked\":%" PRIu64 ",\"records\":%" PRIu64 ",\"filtered\":%" PRIu64
		",\"cut\":%" PRIu64 ",\"wire_bytes\":%" PRIu64 ",",
		ring->stats.seen, ring->walked, ring->records, ring->filtered, ring->cut, ring->wire_bytes);
	json_counters(out, "losses", ring->stats.losses, ring->stats.loss_count);
	fputc(',', out);
	json_counters(out, "outside", ring->stats.outside, ring->stats.outside_count);
	fputc(',', out);
	json_counters(out, "events", ring->stats.events, ring->stats.event_count);
	fprintf(out, ",\"spans\":%u,\"spans_held_most\":%u,\"sleeps\":%" PRIu64 ",\"full_waits\":%" PRIu64
		",\"queue_used_most\":%u,\"queue_capacity\":%u}",
		ring->stats.spans_total, ring->stats.spans_held_most, ring->sleeps, ring->full_waits,
		ring->queue_used_most, ring->queue_capacity);
}

static void json_sink(FILE *out, const struct ledger_sink *sink)
{
	fputs("{\"output\":", out);
	json_string(out, sink->label);
	fprintf(out, ",\"kind\":\"%s\",\"offered\":%" PRIu64 ",\"written\":%" PRIu64 ",\"shed\":%" PRIu64
		",\"bytes\":%" PRIu64 ",",
		sink->name, sink->offered, sink->written, sink->shed, sink->bytes);
	json_counters(out, "events", sink->events, sink->event_count);
	fputc('}', out);
}

int ledger_write_json(const struct ledger *ledger, FILE *out)
{
	uint64_t end_ns = ledger->end_ns != 0 ? ledger->end_ns : ledger->start_ns;

	fprintf(out, "{\"seen\":%" PRIu64 ",\"written\":%" PRIu64 ",\"filtered\":%" PRIu64 ",\"lost\":%" PRIu64
		",\"kernel_filtered\":null,\"filtered_user\":%" PRIu64 ",\"after_limit\":%" PRIu64 ",",
		ledger->seen, ledger->written, ledger->filtered, ledger->lost, ledger->filtered_user,
		ledger->after_limit);
	json_counters(out, "losses", ledger->losses, ledger->loss_count);
	fprintf(out, ",\"late\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"wire_bytes\":%" PRIu64 ",\"start_ns\":%" PRIu64
		",\"end_ns\":%" PRIu64 ",\"final\":%s,\"balanced\":%s,\"rings\":[",
		ledger->late, ledger->cut, ledger->wire_bytes, ledger->start_ns, end_ns,
		ledger->final ? "true" : "false", ledger->balanced ? "true" : "false");
	for (unsigned i = 0; i < ledger->ring_count; i++) {
		fputs(i > 0 ? "," : "", out);
		json_ring(out, &ledger->rings[i]);
	}
	fputs("],\"sinks\":[", out);
	for (unsigned i = 0; i < ledger->sink_count; i++) {
		fputs(i > 0 ? "," : "", out);
		json_sink(out, &ledger->sinks[i]);
	}
	fputs("]}\n", out);
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

/* --- for people ------------------------------------------------------------------------------ */

static void print_counters(FILE *out, const char *title, const struct source_counter *counters, unsigned count)
{
	bool any = false;

	for (unsigned i = 0; i < count; i++) {
		if (counters[i].count == 0)
			continue;
		fprintf(out, "%s%s %" PRIu64, any ? ", " : title, counters[i].name, counters[i].count);
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void print_ring(FILE *out, const struct ledger_ring *ring)
{
	const struct source_stats *stats = &ring->stats;

	fprintf(out, "  %s worker %u (%s): %" PRIu64 " seen", ring->interface, ring->worker, stats->mode, stats->seen);
	if (stats->spans_total > 1)
		fprintf(out, ", ring use at worst %u %%", 100 * stats->spans_held_most / stats->spans_total);
	fputc('\n', out);
	print_counters(out, "    lost: ", stats->losses, stats->loss_count);
	print_counters(out, "    outside the ledger: ", stats->outside, stats->outside_count);
	print_counters(out, "    events: ", stats->events, stats->event_count);
}

void ledger_print(const struct ledger *ledger, FILE *out)
{
	fprintf(out, "%" PRIu64 " packets seen = %" PRIu64 " written + %" PRIu64 " filtered + %" PRIu64 " lost%s\n",
		ledger->seen, ledger->written, ledger->filtered, ledger->lost,
		ledger->final && !ledger->balanced ? " (DOES NOT BALANCE)" : "");
	print_counters(out, "  lost: ", ledger->losses, ledger->loss_count);
	if (ledger->after_limit > 0)
		fprintf(out, "  behind the packet limit: %" PRIu64 "\n", ledger->after_limit);
	if (ledger->cut > 0)
		fprintf(out, "  cut by the snap length before the decoder's end: %" PRIu64 "\n", ledger->cut);
	if (ledger->late > 0)
		fprintf(out, "  written out of order: %" PRIu64 "\n", ledger->late);
	for (unsigned i = 0; i < ledger->ring_count; i++)
		print_ring(out, &ledger->rings[i]);
	for (unsigned i = 0; i < ledger->sink_count; i++) {
		const struct ledger_sink *sink = &ledger->sinks[i];

		fprintf(out, "  %s: %" PRIu64 " written", sink->label, sink->written);
		if (sink->shed > 0)
			fprintf(out, ", %" PRIu64 " shed", sink->shed);
		fprintf(out, ", %" PRIu64 " bytes\n", sink->bytes);
		print_counters(out, "    ", sink->events, sink->event_count);
	}
}
