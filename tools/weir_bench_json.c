#include <string.h>

#include "tools/weir_bench.h"

static void text(FILE *out, const char *key, const char *value)
{
	fprintf(out, "\"%s\":\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else if ((unsigned char)*value < 32)
			fprintf(out, "\\u%04x", *value);
		else
			fputc(*value, out);
	}
	fputs("\",", out);
}

/* null: not measured. */
static void number(FILE *out, const char *key, double value, bool measured)
{
	if (measured)
		fprintf(out, "\"%s\":%.9g,", key, value);
	else
		fprintf(out, "\"%s\":null,", key);
}

static void figure(FILE *out, const char *key, const struct bench_figure *values)
{
	if (values->count == 0) {
		fprintf(out, "\"%s\":null,", key);
		return;
	}
	fprintf(out, "\"%s\":{\"median\":%.9g,\"min\":%.9g,\"max\":%.9g,\"runs\":[", key, figure_median(values),
		figure_min(values), figure_max(values));
	for (unsigned i = 0; i < values->count; i++)
		fprintf(out, "%s%.9g", i > 0 ? "," : "", values->values[i]);
	fputs("]},", out);
}

static void ratio(FILE *out, const char *key, const struct bench *bench, const struct bench_row *row,
		  enum bench_base base)
{
	struct bench_ratio ratio;

	if (!ratio_to(bench, row, base, &ratio)) {
		fprintf(out, "\"%s\":null,", key);
		return;
	}
	fprintf(out, "\"%s\":{", key);
	number(out, "cpu", ratio.cpu, ratio.cpu > 0);
	if (ratio.user > 0)
		fprintf(out, "\"user\":%.9g},", ratio.user);
	else
		fputs("\"user\":null},", out);
}

static void write_row(const struct bench *bench, const struct bench_row *row, FILE *out)
{
	fputc('{', out);
	text(out, "name", row->name);
	text(out, "work", work_name(row->work));
	text(out, "size", row->size);
	text(out, "command", row->command);
	text(out, "feed", bench->options.interface != NULL ? "live traffic" : feed_name(row->feed));
	text(out, "why", row->why);
	fprintf(out, "\"shares_cpu\":%s,", row->shares_cpu ? "true" : "false");
	fprintf(out, "\"peer\":%s,\"workers\":%u,\"measured\":%s,\"counts\":%s,", row->peer ? "true" : "false",
		row->workers, row->skipped ? "false" : "true", row_counts(row, &bench->options) ? "true" : "false");
	number(out, "loss_free_pps", row->loss_free_pps, row->loss_free_pps > 0);
	fprintf(out, "\"sender_limited\":%s,\"loss_free_runs\":%u,", row->sender_limited ? "true" : "false",
		row->loss_free_runs);
	figure(out, "sent_pps", &row->sent_pps);
	figure(out, "received_pps", &row->received_pps);
	figure(out, "loss", &row->loss);
	number(out, "cost_rate_pps", row->cost_rate, row->cost_rate > 0);
	number(out, "sender_margin", row->margin, row->margin > 0);
	figure(out, "cpu_ns_per_packet", &row->total_ns);
	figure(out, "user_ns_per_packet", &row->user_ns);
	figure(out, "system_ns_per_packet", &row->system_ns);
	ratio(out, "to_bare_walk", bench, row, BASE_WALK);
	ratio(out, "to_bare_descs", bench, row, BASE_DESCS);
	ratio(out, "to_rawsocket", bench, row, BASE_RAWSOCKET);
	figure(out, "pinned_cpu_busy", &row->busy_share);
	if (bench->machine.irq_accounting)
		figure(out, "softirq_share", &row->softirq_share);
	else
		fputs("\"softirq_share\":null,", out);
	figure(out, "bench_overhead", &row->overhead);
	number(out, "latency_us_p50", row->latency_us[0], row->latency_us[0] > 0);
	number(out, "latency_us_p99", row->latency_us[1], row->latency_us[1] > 0);
	number(out, "latency_us_p999", row->latency_us[2], row->latency_us[2] > 0);
	number(out, "memory_bytes", row->memory_bytes, row->memory_bytes > 0);
	number(out, "shortest_run_seconds", row->shortest_run, row->shortest_run > 0);
	fprintf(out, "\"disturbed_runs\":%u,\"repeated_runs\":%u}", row->disturbed, row->repeated);
}

void json_write(const struct bench *bench, FILE *out)
{
	const struct bench_machine *machine = &bench->machine;
	struct bench_figure overhead;

	overhead_of(bench, &overhead);
	fputc('{', out);
	text(out, "bench", "weir");
	text(out, "profile", profile_name(&bench->options));
	text(out, "when", bench->when);
	fprintf(out, "\"seconds\":%.1f,\"machine\":{", bench->seconds_taken);
	text(out, "kernel", machine->kernel);
	text(out, "cpu", machine->cpu_model);
	text(out, "hypervisor", machine->hypervisor);
	text(out, "governor", machine->governor);
	text(out, "mitigations", machine->mitigations);
	text(out, "driver", machine->driver);
	text(out, "offloads", machine->offloads);
	fprintf(out, "\"cpus\":%u,\"memory_bytes\":%llu,\"softirq_time_exact\":%s},", machine->cpus,
		(unsigned long long)machine->memory_bytes, machine->irq_accounting ? "true" : "false");
	if (overhead.count > 0)
		fprintf(out, "\"bench_overhead\":{\"median\":%.9g,\"max\":%.9g},", overhead.values[0], overhead.values[1]);
	else
		fputs("\"bench_overhead\":null,", out);
	fprintf(out, "\"capture_cpu\":%d,\"sender_cpu\":%d,\"rows\":[", bench->capture_cpu, bench->sender_cpu);
	for (unsigned i = 0; i < bench->row_count; i++) {
		if (i > 0)
			fputs(",\n", out);
		write_row(bench, &bench->rows[i], out);
	}
	fputs("]}\n", out);
}
