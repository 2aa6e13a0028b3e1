/* Numbers, sizes and time spans as people type them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/cli.h"

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		uint64_t bytes;
	} cases[] = {
		{ "0", true, 0 }, { "4096", true, 4096 }, { "64K", true, 65536 }, { "1m", true, 1048576 },
		{ "2GiB", true, UINT64_C(2) << 30 }, { "8T", true, UINT64_C(8) << 40 }, { "5GB", true, UINT64_C(5) << 30 },
		{ "", false, 0 }, { "-1", false, 0 }, { "K", false, 0 }, { "1X", false, 0 }, { "1KK", false, 0 },
		{ "99999999999999999999", false, 0 }, { "99999999999T", false, 0 }, { " 1", false, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t bytes = 0;

		assert_int_equal(cli_parse_size(cases[i].text, &bytes), cases[i].valid);
		if (cases[i].valid)
			assert_int_equal(bytes, cases[i].bytes);
	}
}

static void test_durations(void **state)
{
	uint64_t ns;

	assert_true(cli_parse_duration("1.5", &ns) && ns == 1500000000);
	assert_true(cli_parse_duration("10ms", &ns) && ns == 10000000);
	assert_true(cli_parse_duration("2m", &ns) && ns == UINT64_C(120000000000));
	assert_true(cli_parse_duration(".5s", &ns) && ns == 500000000);
	assert_false(cli_parse_duration("", &ns));
	assert_false(cli_parse_duration("-1", &ns));
	assert_false(cli_parse_duration("nan", &ns));
	assert_false(cli_parse_duration("1e300", &ns));
	assert_false(cli_parse_duration("5 s", &ns));
}

static void test_numbers(void **state)
{
	uint64_t value;

	assert_true(cli_parse_number("7", 1, 7, &value) && value == 7);
	assert_false(cli_parse_number("8", 1, 7, &value));
	assert_false(cli_parse_number("0x7", 1, 7, &value));
	assert_false(cli_parse_number("-7", 0, UINT64_MAX, &value));
	assert_true(cli_parse_number("18446744073709551615", 0, UINT64_MAX, &value) && value == UINT64_MAX);
	assert_false(cli_parse_number("18446744073709551616", 0, UINT64_MAX, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
