/* The bench's arithmetic, on inputs recorded from a real machine and on cases worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/weir_bench.h"

/* /proc/stat of a machine with two CPUs, two seconds apart, CPU 0 pinned by a busy loop. */
static const char stat_before[] =
	"cpu  4321 17 2210 1033215 1204 0 88 513 0 0\n"
	"cpu0 2204 9 1101 516400 602 0 51 250 0 0\n"
	"cpu1 2117 8 1109 516815 602 0 37 263 0 0\n"
	"intr 1 2 3\n";
static const char stat_after[] =
	"cpu  4511 17 2222 1033410 1203 0 90 514 0 0\n"
	"cpu0 2392 9 1112 516400 602 0 52 250 0 0\n"
	"cpu1 2119 8 1110 517010 601 0 38 264 0 0\n"
	"intr 1 2 3\n";

static void near(double value, double wanted)
{
	assert_true(value > wanted - 1e-9 && value < wanted + 1e-9);
}

static void test_proc_stat(void **state)
{
	struct cpu_ticks before, after, ticks;

	(void)state;
	assert_true(parse_proc_stat(stat_before, -1, &before));
	assert_int_equal(before.user, 4338);
	assert_int_equal(before.idle, 1033215 + 1204);
	assert_int_equal(before.steal, 513);
	assert_true(parse_proc_stat(stat_after, -1, &after));
	ticks = ticks_between(&before, &after);
	assert_int_equal(ticks.user, 190);
	assert_int_equal(ticks.system, 12);
	assert_int_equal(ticks.softirq, 2);
	assert_int_equal(ticks.steal, 1);
	assert_int_equal(ticks.idle, 194);
	assert_true(parse_proc_stat(stat_before, 1, &before));
	assert_int_equal(before.user, 2125);
	assert_false(parse_proc_stat(stat_before, 2, &before));
	assert_false(parse_proc_stat("", -1, &before));
	/* A counter that steps back counts as nothing, not as 2^64. */
	after = before;
	after.idle -= 3;
	ticks = ticks_between(&before, &after);
	assert_int_equal(ticks.idle, 0);
}

static void test_disturbance(void **state)
{
	struct cpu_ticks ticks = { .user = 190, .system = 12, .softirq = 2, .steal = 1, .idle = 195 };
	struct disturbance d = disturbance_of(&ticks, 100, 2, 1.98);

	(void)state;
	near(d.steal, 1.0 / 400);
	near(d.other, (2.02 - 1.98) / 2);
	assert_false(is_disturbed(&d));
	d = disturbance_of(&ticks, 100, 2, 1.80); /* 0.22 s of 2 s are somebody else's */
	assert_true(is_disturbed(&d));
	ticks.steal = 4;
	d = disturbance_of(&ticks, 100, 2, 2.02);
	assert_true(is_disturbed(&d));
	d = disturbance_of(&ticks, 100, 2, 9); /* the tick may give less than the scheduler knows */
	near(d.other, 0);
}

static void test_figures(void **state)
{
	struct bench_figure figure = { .count = 0 };

	(void)state;
	figure_add(&figure, 5);
	near(figure_median(&figure), 5);
	figure_add(&figure, 1);
	near(figure_median(&figure), 3);
	figure_add(&figure, 2);
	near(figure_median(&figure), 2);
	near(figure_min(&figure), 1);
	near(figure_max(&figure), 5);
	for (int i = 0; i < 2 * BENCH_RUNS_MAX; i++)
		figure_add(&figure, 7);
	assert_int_equal(figure.count, BENCH_RUNS_MAX);
}

static void test_percentile(void **state)
{
	double values[1000];

	(void)state;
	for (int i = 0; i < 1000; i++)
		values[i] = 1000 - i;
	near(percentile(values, 1000, 0.5), 500);
	near(percentile(values, 1000, 0.99), 990);
	near(percentile(values, 1000, 0.999), 999);
	near(percentile(values, 1000, 1), 1000);
	near(percentile(values, 1, 0.5), 1);
	near(percentile(values, 3, 0.5), 2);
}

static void test_loss(void **state)
{
	(void)state;
	near(loss_of(1000000, 999990), 1e-5);
	near(loss_of(0, 0), 0);
	near(loss_of(10, 11), 0);
	near(loss_of(10, 0), 1);
}

/* A contestant that loses above `true_rate`: how near the bisection comes, and that it never says more. */
static void bisect(double true_rate, double top, unsigned probes)
{
	struct bisection bisection = { .bad = top, .precision = 0.03, .probes_max = probes };
	double rate;

	while (bisection_next(&bisection, &rate))
		bisection_step(&bisection, rate, rate <= true_rate);
	assert_true(bisection.probes <= probes);
	assert_true(bisection.good <= true_rate);
	assert_true(bisection.bad > true_rate || bisection.bad >= top);
	if (probes >= 9)
		assert_true(bisection.good > true_rate - 0.05 * top);
}

static void test_bisection(void **state)
{
	(void)state;
	bisect(1.3e6, 4e6, 9);
	bisect(3.9e6, 4e6, 9);
	bisect(2e5, 4e6, 9);
	bisect(1.3e6, 4e6, 3);
	bisect(0, 4e6, 9);
}

static void test_texts(void **state)
{
	static const char json[] = "{\"seen\":120,\"written\":117,\"filtered\":0,"
				   "\"rings\":[{\"written\":5}],\"none\":null}";
	double number = -1;

	(void)state;
	assert_true(json_number(json, "written", &number));
	near(number, 117);
	assert_false(json_number(json, "none", &number));
	assert_false(json_number(json, "itten", &number));
	assert_int_equal(parse_status_bytes("Name:\tweir\nVmPeak:\t  90 kB\nVmHWM:\t   70512 kB\n", "VmHWM:"),
			 70512 * 1024);
	assert_int_equal(parse_status_bytes("Name:\tweir\n", "VmHWM:"), 0);
}

/* What may be called a figure that counts. */
static void test_rules(void **state)
{
	struct bench_options options = { 0 };
	struct bench_row row = { .shortest_run = 10, .margin = 1.5 };

	(void)state;
	for (int i = 0; i < 5; i++)
		figure_add(&row.total_ns, 30);
	assert_true(row_counts(&row, &options));
	row.margin = 1.4;
	assert_false(row_counts(&row, &options));
	row.margin = 1.5;
	row.disturbed = 1;
	assert_false(row_counts(&row, &options));
	row.disturbed = 0;
	row.shortest_run = 9;
	assert_false(row_counts(&row, &options));
	row.shortest_run = 10;
	row.total_ns.count = 4;
	assert_false(row_counts(&row, &options));
	row.total_ns.count = 5;
	row.shares_cpu = true;
	assert_false(row_counts(&row, &options));
	row.shares_cpu = false;
	options.quick = true;
	assert_false(row_counts(&row, &options));
}

static struct bench bench; /* large */

static struct bench_row *add(const char *name, enum bench_work work, unsigned workers, double cpu, double user)
{
	struct bench_row *row = &bench.rows[bench.row_count++];

	*row = (struct bench_row){ .work = work, .workers = workers };
	strcpy(row->name, name);
	strcpy(row->size, "60");
	if (cpu > 0)
		figure_add(&row->total_ns, cpu);
	if (user > 0)
		figure_add(&row->user_ns, user);
	return row;
}

/* What is put against which bare loop, and that nothing is made up where one side was not measured. */
static void test_ratios(void **state)
{
	struct bench_ratio ratio;
	struct bench_row *packet, *native, *generic, *two, *short_run;
	char text[320];

	(void)state;
	bench.row_count = 0;
	add("bare walk", BENCH_COUNT, 1, 20, 4);
	add("descs native", BENCH_COUNT, 1, 10, 2);
	add("rawsocket", BENCH_RECORDS, 1, 600, 90);
	packet = add("afpacket", BENCH_RECORDS, 1, 70, 5);
	native = add("afxdp native", BENCH_RECORDS, 1, 30, 3);
	generic = add("afxdp generic", BENCH_RECORDS, 1, 30, 3);
	two = add("afpacket", BENCH_RECORDS, 2, 80, 8);
	short_run = add("xdp-records", BENCH_RECORDS, 1, 40, 0);

	assert_true(ratio_to(&bench, packet, BASE_WALK, &ratio));
	near(ratio.cpu, 3.5);
	near(ratio.user, 1.25);
	assert_false(ratio_to(&bench, packet, BASE_DESCS, &ratio));
	assert_true(ratio_to(&bench, native, BASE_DESCS, &ratio));
	near(ratio.cpu, 3);
	near(ratio.user, 1.5);
	assert_true(ratio_to(&bench, native, BASE_RAWSOCKET, &ratio));
	near(ratio.user, 3.0 / 90);
	assert_false(ratio_to(&bench, generic, BASE_DESCS, &ratio)); /* the loop of its own mode was not run */
	assert_true(ratio_to(&bench, two, BASE_WALK, &ratio));
	near(ratio.cpu, 4);
	assert_true(ratio_to(&bench, short_run, BASE_WALK, &ratio));
	near(ratio.user, 0);
	bench.rows[0].total_ns.count = bench.rows[0].user_ns.count = 0;
	assert_false(ratio_to(&bench, packet, BASE_WALK, &ratio));

	assert_true(ratio_aims(&bench, native, text, sizeof text));
	assert_non_null(strstr(text, "user space 1.50 times the bare descriptor loop's (aim: at most 1.5)"));
	assert_non_null(strstr(text, "rawsocket's user space 30.00 times its (aim: at least 5)"));
	assert_true(ratio_aims(&bench, packet, text, sizeof text));
	assert_non_null(strstr(text, "user space not measured against the bare walk's"));
	assert_false(ratio_aims(&bench, two, text, sizeof text));
	assert_false(ratio_aims(&bench, short_run, text, sizeof text));
}

/* The bench's own share: the middle row's median and the worst run of all; none when nothing was run. */
static void test_overhead(void **state)
{
	struct bench_figure overhead;

	(void)state;
	bench.row_count = 0;
	for (unsigned i = 0; i < 4; i++)
		add("afpacket", BENCH_COUNT, 1, 0, 0);
	overhead_of(&bench, &overhead);
	assert_int_equal(overhead.count, 0);
	figure_add(&bench.rows[0].overhead, 0.001);
	figure_add(&bench.rows[1].overhead, 0.002);
	figure_add(&bench.rows[1].overhead, 0.004);
	figure_add(&bench.rows[2].overhead, 0.004);
	figure_add(&bench.rows[2].overhead, 0.004);
	figure_add(&bench.rows[2].overhead, 0.031);
	overhead_of(&bench, &overhead);
	near(overhead.values[0], 0.003);
	near(overhead.values[1], 0.031);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proc_stat), cmocka_unit_test(test_disturbance), cmocka_unit_test(test_figures),
		cmocka_unit_test(test_percentile), cmocka_unit_test(test_loss), cmocka_unit_test(test_bisection),
		cmocka_unit_test(test_texts), cmocka_unit_test(test_rules), cmocka_unit_test(test_ratios),
		cmocka_unit_test(test_overhead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
