/* The text formats, byte for byte. */
#include "tests/unit/sinks/support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void expect(const char *format, const struct record *record, const char *text)
{
	struct interface_table *table = support_table();
	char *got = support_text(format, record, 1, table);

	assert_string_equal(got, text);
	free(got);
	interface_table_close(table);
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void default_line_tcp(void **state)
{
	struct record record = support_tcp(100);

	expect(NULL, &record, "08:00:00.123456 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 2, win 502, length 100\n");
	record = support_tcp(0);
	record.tcp_flags = 0x02;
	record.status = STATUS_TCP_MSS | STATUS_TCP_SACK_PERMITTED | STATUS_TCP_TIMESTAMPS | STATUS_TCP_WINDOW_SCALE;
	expect(NULL, &record, "08:00:00.123456 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [S], seq 1, win 502, "
			      "options [mss,sackOK,TS,wscale], length 0\n");
	record.tcp_flags = 0;
	record.status = STATUS_CUT | STATUS_LATE;
	expect(NULL, &record, "08:00:00.123456 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [none], seq 1, win 502, length 0 [cut] [late]\n");
	record.tcp_flags = 0xff;
	record.status = 0;
	expect(NULL, &record, "08:00:00.123456 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [FSRPUEW.], seq 1, ack 2, win 502, length 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_line_tcp),
	};

	zone("UTC");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
