/* --format streams: what is printed for segments in order, out of order, twice, overlapping, and never. */
#include "tests/unit/sinks/support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SYN 0x02
#define ACK 0x10
#define FIN 0x01
#define RST 0x04
#define SECOND UINT64_C(1000000000)

/* A segment 10.0.0.1:80 > 10.0.0.2:1234, or back. */
static struct record segment(double at, bool back, uint8_t flags, uint32_t seq, uint32_t length)
{
	struct record record = support_tcp(length);

	record.timestamp_ns = SUPPORT_TIME + (uint64_t)(at * 1e9);
	record.tcp_flags = flags;
	record.tcp_seq = seq;
	if (back) {
		uint8_t address[16];

		memcpy(address, record.src_ip, 16);
		memcpy(record.src_ip, record.dst_ip, 16);
		memcpy(record.dst_ip, address, 16);
		record.src_port = 1234;
		record.dst_port = 80;
	}
	return record;
}

static void check(const struct record *records, uint32_t count, const char *expected)
{
	struct interface_table *table = support_table();
	char *text = support_text("streams", records, count, table);

	assert_string_equal(text, expected);
	free(text);
	interface_table_close(table);
}

#define CHECK(records, expected) check(records, sizeof(records) / sizeof((records)[0]), expected)
#define AB "10.0.0.1:80->10.0.0.2:1234"
#define BA "10.0.0.2:1234->10.0.0.1:80"
#define T "2017/11/14 08:00:00 "

static void test_issue_lines(void **state)
{
	const struct record records[] = { segment(0, false, ACK, 1000, 204) };

	(void)state;
	setenv("TZ", "UTC-9:33", 1); /* the packet's time is written in local time */
	tzset();
	CHECK(records, "2017/11/14 17:33:00 new stream " AB " started\n2017/11/14 17:33:00 " AB " 204\n");
	setenv("TZ", "UTC", 1);
	tzset();
	CHECK(records, T "new stream " AB " started\n" T AB " 204\n");
}

static void test_order(void **state)
{
	const struct record handshake[] = {
		segment(0, false, SYN, 999, 0),	 segment(0, true, SYN | ACK, 4999, 0),
		segment(0, false, ACK, 1000, 0), segment(0, false, ACK, 1000, 10),
		segment(0, true, ACK, 5000, 20), segment(0, false, ACK, 1010, 5),
	};
	const struct record swapped[] = {
		segment(0, false, SYN, 999, 0),	  segment(0, false, ACK, 1010, 5),
		segment(0, false, ACK, 1020, 5),  segment(0, false, ACK, 1015, 5),
		segment(0, false, ACK, 1000, 10), segment(0, false, ACK, 1025, 1),
	};
	const struct record wrap[] = {
		segment(0, false, SYN, 0xfffffff0, 0),
		segment(0, false, ACK, 5, 10),
		segment(0, false, ACK, 0xfffffff1, 20),
	};

	(void)state;
	CHECK(handshake, T "new stream " AB " started\n" T "new stream " BA " started\n" T AB " 10\n" T BA
			   " 20\n" T AB " 5\n");
	CHECK(swapped, T "new stream " AB " started\n" T AB " 25\n" T AB " 1\n");
	CHECK(wrap, T "new stream " AB " started\n" T AB " 30\n");
}

static void test_duplicates(void **state)
{
	const struct record records[] = {
		segment(0, false, ACK, 1000, 10), segment(0, false, ACK, 1000, 10),
		segment(0, false, ACK, 1005, 10), segment(0, false, ACK, 1020, 10),
		segment(0, false, ACK, 1018, 6),  segment(0, false, ACK, 1010, 30),
		segment(0, false, ACK, 1039, 1), /* a keep-alive probe: one old byte */
	};

	(void)state;
	CHECK(records, T "new stream " AB " started\n" T AB " 10\n" T AB " 5\n" T AB " 25\n");
}

static void test_gap_given_up(void **state)
{
	const struct record at_end[] = { segment(0, false, ACK, 1000, 10), segment(0, false, ACK, 2000, 10) };
	const struct record by_time[] = {
		segment(0, false, ACK, 1000, 10), segment(0, false, ACK, 1020, 10),
		segment(11, false, ACK, 1030, 10), segment(11, false, ACK, 1010, 10),
	};
	const struct record by_size[] = {
		segment(0, false, ACK, 1000, 10),
		segment(0, false, ACK, 1020, 10),
		segment(0, false, ACK, 1030 + (17u << 20), 10),
	};

	(void)state;
	CHECK(at_end, T "new stream " AB " started\n" T AB " 10\n" T AB " missing 990\n" T AB " 10\n");
	CHECK(by_time, T "new stream " AB " started\n" T AB " 10\n2017/11/14 08:00:11 " AB " missing 10\n"
		       "2017/11/14 08:00:11 " AB " 10\n2017/11/14 08:00:11 " AB " 10\n");
	CHECK(by_size, T "new stream " AB " started\n" T AB " 10\n" T AB " missing 10\n" T AB " 10\n"
		       T AB " missing 17825792\n" T AB " 10\n");
}

static void test_ends(void **state)
{
	const struct record fins[] = {
		segment(0, false, ACK, 1000, 10),     segment(0, false, FIN | ACK, 1010, 5),
		segment(0, true, FIN | ACK, 5000, 0), segment(0, false, ACK, 1016, 0),
		segment(0, false, ACK, 1015, 7), /* behind the end: nothing */
		segment(1, false, SYN, 7000, 0),      segment(1, false, ACK, 7001, 3),
	};
	const struct record rst[] = {
		segment(0, false, ACK, 1000, 10), segment(0, true, RST, 5000, 0),
		segment(1, true, RST, 5000, 0),
		segment(6.5, false, ACK, 1010, 4), /* the reset was not meant: after 5 s it is a new stream */
	};
	const struct record idle[] = { segment(0, false, ACK, 1000, 10), segment(121, false, ACK, 1010, 4) };
	const struct record reuse[] = {
		segment(0, false, SYN, 999, 0),	   segment(0, false, ACK, 1005, 5),
		segment(0, false, SYN, 999, 0),	   segment(1, false, SYN, 99999, 0),
		segment(1, false, ACK, 100000, 8),
	};

	(void)state;
	CHECK(fins, T "new stream " AB " started\n" T AB " 10\n" T AB " 5\n" T "new stream " BA " started\n"
		    "2017/11/14 08:00:01 new stream " AB " started\n2017/11/14 08:00:01 " AB " 3\n");
	CHECK(rst, T "new stream " AB " started\n" T AB " 10\n" T "new stream " BA " started\n"
		   "2017/11/14 08:00:06 new stream " AB " started\n2017/11/14 08:00:06 " AB " 4\n");
	CHECK(idle,
	      T "new stream " AB " started\n" T AB " 10\n2017/11/14 08:02:01 new stream " AB " started\n"
		"2017/11/14 08:02:01 " AB " 4\n");
	CHECK(reuse, T "new stream " AB " started\n2017/11/14 08:00:01 " AB
		       " missing 5\n2017/11/14 08:00:01 " AB " 5\n"
		       "2017/11/14 08:00:01 new stream " AB " started\n2017/11/14 08:00:01 " AB " 8\n");
}

static void test_ipv6(void **state)
{
	struct record record = segment(0, false, ACK, 1, 5);

	(void)state;
	record.layers = (record.layers & ~(uint32_t)LAYER_IPV4) | LAYER_IPV6;
	memset(record.src_ip, 0, 16);
	memset(record.dst_ip, 0, 16);
	memcpy(record.src_ip, "\x20\x01\x0d\xb8", 4);
	record.dst_ip[15] = 1;
	check(&record, 1,
	      T "new stream [2001:db8::]:80->[::1]:1234 started\n" T "[2001:db8::]:80->[::1]:1234 5\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_issue_lines), cmocka_unit_test(test_order),
		cmocka_unit_test(test_duplicates),  cmocka_unit_test(test_gap_given_up),
		cmocka_unit_test(test_ends),	    cmocka_unit_test(test_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
