/* The report: one file that needs nothing else, readable on paper and in the dark. */
#include <math.h>
#include <string.h>

#include "tools/weir_bench.h"

#define CHART_WIDTH 860
#define CHART_LEFT 210
#define CHART_RIGHT 170
#define BAR_STEP 24
#define SERIES 3

static const char style[] =
	":root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--paper:#fff;--line:#d5dbe1;--a:#2463b4;"
	"--b:#8fb4e3;--c:#c8452f;--d:#c3d8f2}"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--paper:#14181d;--line:#333c46;"
	"--a:#6fa8f0;--b:#3f6ca6;--c:#f08a72;--d:#28415f}}"
	"@media print{:root{--ink:#000;--soft:#444;--paper:#fff;--line:#999;--a:#333;--b:#999;--c:#777;--d:#ccc}"
	"figure,tr{break-inside:avoid}.wide{overflow:visible!important}table{font-size:8pt!important}}"
	"body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:80rem;"
	"margin:2rem auto;padding:0 1rem}"
	"h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2.2rem}"
	"p.lead{color:var(--soft);margin-top:.2rem}.wide{overflow-x:auto}"
	"table{border-collapse:collapse;font-size:13px;width:100%}th,td{padding:.3rem .5rem;text-align:right;"
	"border-bottom:1px solid var(--line);vertical-align:top}th{font-weight:600}"
	"th:nth-child(-n+4),td:nth-child(-n+4){text-align:left}td small{color:var(--soft);white-space:nowrap}"
	".none{color:var(--soft)}tr.peer td:first-child{font-style:italic}"
	"figure{margin:1rem 0}svg{max-width:100%;height:auto}svg text{fill:var(--ink);"
	"font:12px system-ui,sans-serif}"
	"i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}"
	"svg .soft{fill:var(--soft)}svg .grid{stroke:var(--line)}code{font-size:12px;overflow-wrap:anywhere}"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:var(--soft)}dd{margin:0}";

static void escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		case '"': fputs("&quot;", out); break;
		default: fputc(*text, out); break;
		}
	}
}

static void figure_cell(FILE *out, const struct bench_figure *figure, double divide, int digits)
{
	if (figure->count == 0) {
		fputs("<td class=none>not measured</td>", out);
		return;
	}
	fprintf(out, "<td>%.*f<br><small>%.*f to %.*f</small></td>", digits, figure_median(figure) / divide, digits,
		figure_min(figure) / divide, digits, figure_max(figure) / divide);
}

static void number_cell(FILE *out, bool measured, const char *before, double value, int digits)
{
	if (measured)
		fprintf(out, "<td>%s%.*f</td>", before, digits, value);
	else
		fputs("<td class=none>not measured</td>", out);
}

static void split_cell(FILE *out, const struct bench_row *row)
{
	if (row->user_ns.count > 0)
		fprintf(out, "<td>%.1f + %.1f</td>", figure_median(&row->user_ns), figure_median(&row->system_ns));
	else
		fputs("<td class=none>not measured</td>", out);
}

static void latency_cell(FILE *out, const struct bench_row *row)
{
	if (row->latency_us[0] > 0)
		fprintf(out, "<td>%.0f / %.0f / %.0f</td>", row->latency_us[0], row->latency_us[1], row->latency_us[2]);
	else
		fputs("<td class=none>not measured</td>", out);
}

/* All CPU time; below it what was user space. Empty: there is nothing to put the row against. */
static void ratio_cell(FILE *out, const struct bench *bench, const struct bench_row *row, enum bench_base base)
{
	struct bench_ratio ratio;

	if (!ratio_to(bench, row, base, &ratio)) {
		fputs("<td class=none>&ndash;</td>", out);
		return;
	}
	fputs("<td>", out);
	if (ratio.cpu > 0)
		fprintf(out, "%.2f", ratio.cpu);
	if (ratio.user > 0)
		fprintf(out, "<br><small>user %.2f</small>", ratio.user);
	fputs("</td>", out);
}

static void write_table(const struct bench *bench, FILE *out)
{
	fputs("<div class=wide><table id=figures><thead><tr><th>who<th>does<th>bytes<th>workers<th>loss-free<br>Mpps"
	      "<th>full blast<br>Mpps<th>loss there<br>%<th>CPU<br>ns/packet<th>user + system<br>ns/packet"
	      "<th>to bare<br>walk<th>to bare<br>descs"
	      "<th>pinned CPU<br>busy %<th>latency, &micro;s<br>p50 / p99 / p99.9"
	      "<th>memory<br>MiB<th>sender<br>margin<th>counts</tr></thead><tbody>\n", out);
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct bench_row *row = &bench->rows[i];

		fprintf(out, "<tr%s><td>", row->peer ? " class=peer" : "");
		escaped(out, row->name);
		fprintf(out, "</td><td>%s</td><td>", work_name(row->work));
		escaped(out, row->size);
		fprintf(out, "</td><td>%u</td>", row->workers);
		number_cell(out, row->loss_free_pps > 0, row->sender_limited ? "&ge; " : "", row->loss_free_pps / 1e6, 2);
		figure_cell(out, &row->received_pps, 1e6, 2);
		figure_cell(out, &row->loss, 0.01, 3);
		figure_cell(out, &row->total_ns, 1, 1);
		split_cell(out, row);
		ratio_cell(out, bench, row, BASE_WALK);
		ratio_cell(out, bench, row, BASE_DESCS);
		figure_cell(out, &row->busy_share, 0.01, 1);
		latency_cell(out, row);
		number_cell(out, row->memory_bytes > 0, "", row->memory_bytes / 1048576, 0);
		number_cell(out, row->margin > 0, "", row->margin, 2);
		fprintf(out, "<td>%s</td></tr>\n",
			row->skipped ? "&ndash;" : row_counts(row, &bench->options) ? "yes" : "no");
	}
	fputs("</tbody></table></div>\n", out);
}

/* --- charts: horizontal bars, one line a row, stacked or on a logarithmic scale ---------------------- */

struct chart {
	const char *id, *title, *unit;
	const char *series[SERIES]; /* names; NULL: fewer */
	int digits;
	/* Values of a row; false: not measured. */
	bool (*values)(const struct bench_row *row, double values[SERIES]);
	bool stacked; /* else over each other, the first in front, on a logarithmic scale from 1 */
	const char *colours[SERIES];
};

static bool cost_values(const struct bench_row *row, double values[SERIES])
{
	if (row->total_ns.count == 0)
		return false;
	values[1] = figure_median(&row->total_ns);
	if (row->user_ns.count > 0) {
		values[0] = figure_median(&row->user_ns);
		values[1] -= values[0];
		values[1] = values[1] > 0 ? values[1] : 0;
		return true;
	}
	values[2] = values[1]; /* all of it, not told apart */
	values[1] = 0;
	return true;
}

static bool rate_values(const struct bench_row *row, double values[SERIES])
{
	if (row->received_pps.count == 0)
		return false;
	values[0] = figure_median(&row->received_pps) / 1e6;
	values[1] = row->sent_pps.count > 0 ? figure_median(&row->sent_pps) / 1e6 - values[0] : 0;
	values[1] = values[1] > 0 ? values[1] : 0;
	return true;
}

static bool loss_free_values(const struct bench_row *row, double values[SERIES])
{
	values[0] = row->loss_free_pps / 1e6;
	return row->loss_free_pps > 0;
}

static bool latency_values(const struct bench_row *row, double values[SERIES])
{
	for (int i = 0; i < SERIES; i++)
		values[i] = row->latency_us[i];
	return row->latency_us[0] > 0;
}

static double greatest(const struct bench *bench, const struct chart *chart)
{
	double most = 0;

	for (unsigned i = 0; i < bench->row_count; i++) {
		double values[SERIES] = { 0 }, sum = 0;

		if (!chart->values(&bench->rows[i], values))
			continue;
		for (int s = 0; s < SERIES; s++)
			sum = chart->stacked ? sum + values[s] : values[s] > sum ? values[s] : sum;
		most = sum > most ? sum : most;
	}
	return most;
}

/* Pixels of a value. */
static double pixels(const struct chart *chart, double value, double most)
{
	double room = CHART_WIDTH - CHART_LEFT - CHART_RIGHT;

	if (most <= 0)
		return 0;
	if (chart->stacked)
		return value / most * room;
	return value > 1 && most > 1 ? log10(value) / log10(most) * room : 0;
}

static void write_bar(const struct chart *chart, int s, double value, double at, double width, unsigned y,
		      FILE *out)
{
	fprintf(out, "<rect x=%.1f y=%u width=%.1f height=16 fill='var(%s)'><title>%s: %.*f %s</title></rect>",
		at, y, width, chart->colours[s], chart->series[s], chart->digits, value, chart->unit);
}

static void write_bars(const struct chart *chart, const struct bench_row *row, double most, unsigned y,
		       FILE *out)
{
	double values[SERIES] = { 0 }, at = CHART_LEFT;
	int count = 0, shown = 0;

	fprintf(out, "<text x=%d y=%u text-anchor=end>", CHART_LEFT - 8, y + 13);
	escaped(out, row->name);
	fprintf(out, " %s ", work_name(row->work));
	escaped(out, row->size);
	if (row->workers > 1)
		fprintf(out, " &times;%u", row->workers);
	fputs("</text>", out);
	if (!chart->values(row, values)) {
		fprintf(out, "<text class=soft x=%d y=%u>not measured</text>\n", CHART_LEFT + 4, y + 13);
		return;
	}
	while (count < SERIES && chart->series[count] != NULL)
		count++;
	for (int s = 0; s < count && chart->stacked; s++) {
		write_bar(chart, s, values[s], at, pixels(chart, values[s], most), y, out);
		at += pixels(chart, values[s], most);
	}
	for (int s = count - 1; s >= 0 && !chart->stacked; s--)
		write_bar(chart, s, values[s], CHART_LEFT, pixels(chart, values[s], most), y, out);
	if (!chart->stacked)
		at += pixels(chart, values[count - 1], most);
	fprintf(out, "<text x=%.1f y=%u>", at + 6, y + 13);
	for (int s = 0; s < count; s++) {
		if (values[s] > 0)
			fprintf(out, "%s%.*f", shown++ > 0 ? chart->stacked ? " + " : " / " : "", chart->digits, values[s]);
	}
	fputs("</text>\n", out);
}

static void write_chart(const struct bench *bench, const struct chart *chart, FILE *out)
{
	double most = greatest(bench, chart);
	unsigned height = bench->row_count * BAR_STEP + 10;

	fprintf(out, "<h2>%s</h2><figure><svg id=%s role=img aria-label='%s' viewBox='0 0 %d %u' width=%d height=%u "
		"xmlns='http://www.w3.org/2000/svg'>\n", chart->title, chart->id, chart->title, CHART_WIDTH, height,
		CHART_WIDTH, height);
	fprintf(out, "<line class=grid x1=%d y1=0 x2=%d y2=%u />\n", CHART_LEFT, CHART_LEFT, height);
	for (unsigned i = 0; i < bench->row_count; i++)
		write_bars(chart, &bench->rows[i], most, 4 + i * BAR_STEP, out);
	fputs("</svg><figcaption>", out);
	for (int s = 0; s < SERIES && chart->series[s] != NULL; s++)
		fprintf(out, "<i style='background:var(%s)'></i>%s &ensp;", chart->colours[s], chart->series[s]);
	fprintf(out, "%s%s</figcaption></figure>\n", chart->unit,
		chart->stacked ? ", medians" : ", logarithmic scale from 1");
}

static void entry(FILE *out, const char *name, const char *value)
{
	fprintf(out, "<dt>%s</dt><dd>", name);
	escaped(out, value[0] != '\0' ? value : "not known");
	fputs("</dd>", out);
}

static void write_aims(const struct bench *bench, FILE *out)
{
	char text[320];

	fputs("<h2>Against the bare loops</h2><ul id=aims>", out);
	for (unsigned i = 0; i < bench->row_count; i++) {
		if (!ratio_aims(bench, &bench->rows[i], text, sizeof text))
			continue;
		fputs("<li>", out);
		escaped(out, text);
	}
	fputs("</ul>\n", out);
}

static void write_machine(const struct bench *bench, FILE *out)
{
	const struct bench_machine *machine = &bench->machine;
	char text[128];

	fputs("<h2>Machine</h2><dl>", out);
	entry(out, "kernel", machine->kernel);
	snprintf(text, sizeof text, "%.80s, %u CPUs%s%.30s", machine->cpu_model, machine->cpus,
		 machine->hypervisor[0] != '\0' ? ", " : "", machine->hypervisor);
	entry(out, "processor", text);
	snprintf(text, sizeof text, "%.1f GiB", (double)machine->memory_bytes / 1073741824.0);
	entry(out, "memory", text);
	entry(out, "governor", machine->governor);
	entry(out, "mitigations", machine->mitigations);
	entry(out, "interface driver", machine->driver);
	entry(out, "offloads", machine->offloads);
	entry(out, "softirq time", machine->irq_accounting ? "measured by the kernel"
		      : "only sampled by this kernel, and charged to whom it interrupts: not shown");
	snprintf(text, sizeof text, "capture on CPU %d, sender on CPU %d", bench->capture_cpu, bench->sender_cpu);
	entry(out, "pinning", text);
	fputs("</dl>\n", out);
}

static void write_notes(const struct bench *bench, FILE *out)
{
	struct bench_figure overhead;

	overhead_of(bench, &overhead);
	fputs("<h2>Commands</h2><dl>", out);
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct bench_row *row = &bench->rows[i];

		fputs("<dt>", out);
		escaped(out, row->name);
		fprintf(out, ", %s, ", work_name(row->work));
		escaped(out, row->size);
		fprintf(out, ", %u", row->workers);
		fputs("</dt><dd><code>", out);
		escaped(out, row->command);
		fprintf(out, "</code>; fed by %s",
			bench->options.interface != NULL ? "live traffic" : feed_name(row->feed));
		if (row->cost_rate > 0)
			fprintf(out, "; costs at %.0f packets a second", row->cost_rate);
		if (row->why[0] != '\0') {
			fputs("; ", out);
			escaped(out, row->why);
		}
		if (row->disturbed > 0)
			fprintf(out, "; something else was busy in %u runs, also when repeated", row->disturbed);
		fputs("</dd>\n", out);
	}
	fprintf(out, "</dl><h2>How to read it</h2><ul><li>loss-free: the highest rate at which at most 0.001 %% was "
		"lost, in every one of its runs; &ge;: as fast as the sender went."
		"<li>CPU: the capturing process with all its threads, by the kernel's scheduler, at a rate without loss."
		"<li>latency: from the time in the packet to its bytes leaving the capturing process's standard output, at "
		"10,000 packets a second.<li>counts: at least 5 undisturbed runs of 10 s, and a sender that goes 1.5 times "
		"as fast.<li>afxdp native and xdp-records get XDP frames from the peer, the others get them as "
		"received by the interface itself; what the kernel does for a packet before the contestant sees it is "
		"the sender's CPU in "
		"both cases.<li>to bare: all CPU time over that of the bare walk, and of the bare loop over AF_XDP "
		"descriptors, at the same frame size.<li id=overhead>the bench's own CPU time in the runs that costs come "
		"from: ");
	if (overhead.count > 0)
		fprintf(out, "%.2f %% of the contestant's (median of the rows), %.2f %% at most; aim: below %.0f %%.</ul>\n",
			100 * overhead.values[0], 100 * overhead.values[1], 100 * BENCH_OVERHEAD_AIM);
	else
		fputs("not measured.</ul>\n", out);
}

void html_write(const struct bench *bench, FILE *out)
{
	static const struct chart charts[] = {
		{ "chart-cost", "CPU per packet", "ns a packet", { "user", "system", "not told apart (short run)" }, 1,
		  cost_values, true, { "--a", "--b", "--d" } },
		{ "chart-rate", "At full blast", "million packets a second", { "captured", "lost" }, 2, rate_values, true,
		  { "--a", "--c" } },
		{ "chart-loss-free", "Highest rate without loss", "million packets a second", { "loss-free" }, 2,
		  loss_free_values, true, { "--a" } },
		{ "chart-latency", "Delivery latency", "microseconds", { "p50", "p99", "p99.9" }, 0, latency_values, false,
		  { "--a", "--b", "--d" } },
	};

	fprintf(out, "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
		"content='width=device-width'><title>weir bench</title><link rel=icon href='data:,'>"
		"<style>%s</style></head><body><h1>weir bench</h1><p class=lead>%s profile%s, %s, %.0f s.</p>\n", style,
		profile_name(&bench->options), bench->options.quick ? ": short runs, no figure counts" : "", bench->when,
		bench->seconds_taken);
	write_table(bench, out);
	for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++)
		write_chart(bench, &charts[i], out);
	write_aims(bench, out);
	write_machine(bench, out);
	write_notes(bench, out);
	fputs("</body></html>\n", out);
}
