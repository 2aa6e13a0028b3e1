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
	options.quick = true;
	assert_false(row_counts(&row, &options));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proc_stat), cmocka_unit_test(test_disturbance), cmocka_unit_test(test_figures),
		cmocka_unit_test(test_percentile), cmocka_unit_test(test_loss), cmocka_unit_test(test_bisection),
		cmocka_unit_test(test_texts), cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
