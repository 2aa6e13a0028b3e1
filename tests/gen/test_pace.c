/* The schedule, on a clock that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/gen/pace.h"

/* Looks every step_ns for span_ns; returns packets sent, and the most that were due at once. */
static uint64_t play(struct pace *pace, uint64_t from, uint64_t span_ns, uint64_t step_ns, unsigned *most)
{
	uint64_t sent = 0;

	for (uint64_t now = from; now < from + span_ns; now += step_ns) {
		unsigned due = pace_due(pace, now);

		if (due > *most)
			*most = due;
		pace_sent(pace, due);
		sent += due;
	}
	return sent;
}

static void test_one_by_one(void **state)
{
	struct pace pace;
	unsigned most = 0;

	(void)state;
	pace_start(&pace, 1e6, 1000);
	assert_int_equal(play(&pace, 1000, 1000000000, 500, &most), 1000000);
	assert_int_equal(most, 1);
	assert_int_equal(pace.slips, 0);
}

/* A sender that looks seldom gets groups, never more than PACE_BURST. */
static void test_slow_sender(void **state)
{
	struct pace pace;
	unsigned most = 0;

	(void)state;
	pace_start(&pace, 1e6, 0);
	assert_in_range(play(&pace, 0, 100000000, 10000, &most), 99990, 100001);
	assert_in_range(most, 10, 11);
	assert_int_equal(pace.slips, 0);
}

/* Held up for 10 ms at a million a second: the debt is forfeited, not sent as a burst. */
static void test_forfeit(void **state)
{
	struct pace pace;
	unsigned most = 0;

	(void)state;
	pace_start(&pace, 1e6, 0);
	play(&pace, 0, 1000000, 1000, &most);
	most = 0;
	play(&pace, 11000000, 1000000, 1000, &most);
	assert_int_equal(most, 1);
	assert_int_equal(pace.slips, 1);
	assert_in_range(pace.slipped, 9990, 10010);
}

static void test_slow_rate_and_no_rate(void **state)
{
	struct pace pace;
	unsigned most = 0;

	(void)state;
	pace_start(&pace, 0.5, 0);
	assert_int_equal(play(&pace, 0, 5000000000u, 100000, &most), 3); /* at 0, 2 and 4 s */
	assert_int_equal(pace_next_ns(&pace), 6000000000u);
	pace_start(&pace, 0, 0);
	assert_int_equal(pace_due(&pace, 0), PACE_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_slow_sender),
		cmocka_unit_test(test_forfeit),
		cmocka_unit_test(test_slow_rate_and_no_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
