/* The savefile source on pcap files made byte by byte, right and wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/decode.h"
#include "tests/unit/savefile/capfile.h"
#include "tests/unit/savefile/reading.h"

#define MICRO 0xa1b2c3d4u
#define NANO 0xa1b23c4du
#define KUZNETZOV 0xa1b2cd34u
#define SECOND UINT64_C(1000000000)

static void test_pcap_variants(void **state)
{
	static const struct {
		uint32_t magic;
		uint64_t fraction;
	} variants[] = { { MICRO, 1000 }, { NANO, 1 } };

	(void)state;
	for (int v = 0; v < 4; v++) {
		struct capfile file = { .swap = v & 1 };
		struct reading reading;

		pcap_header(&file, variants[v / 2].magic, 65535, LINK_ETHERNET);
		for (uint32_t i = 0; i < 300; i++)
			pcap_packet(&file, 1700000000 + i, 999999 - i, i % 90, i % 90 + i % 3, (uint8_t)i);
		pcap_packet(&file, UINT32_MAX, 999999, 60, 40, 9); /* more captured than was on the wire */
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.opened, 0);
		assert_int_equal(reading.last, -ENODATA);
		assert_int_equal(reading.warning.code, 0);
		assert_int_equal(reading.count, 301);
		for (uint32_t i = 0; i < 300; i++) {
			const struct frame *frame = &reading.got[i].frame;

			assert_true(frame->timestamp_ns ==
				    (1700000000 + i) * SECOND + (999999 - i) * variants[v / 2].fraction);
			assert_int_equal(frame->captured_len, i % 90);
			assert_int_equal(frame->wire_len, i % 90 + i % 3);
			assert_int_equal(frame->link_type, LINK_ETHERNET);
			assert_int_equal(reading.got[i].first[0], i % 90 > 0 ? (uint8_t)i : 0);
		}
		assert_int_equal(reading.got[300].frame.wire_len, 60);
		assert_true(reading.got[300].frame.timestamp_ns / SECOND == UINT32_MAX);
		assert_string_equal(interface_of(&reading, 0)->name, "made.pcap");
		assert_int_equal(interface_of(&reading, 0)->snap_length, 65535);
		reading_free(&reading);
		read_every_way(file.bytes, file.length);
		capfile_free(&file);
	}
}

static void test_pcap_kuznetzov(void **state)
{
	static const uint8_t types[] = { 0, 1, 2, 3, 4 };
	static const uint32_t directions[] = { DIRECTION_IN, DIRECTION_IN, DIRECTION_IN, DIRECTION_OTHER,
					       DIRECTION_OUT };

	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct capfile file = { .swap = swap };
		struct reading reading;

		pcap_header(&file, KUZNETZOV, 1514, LINK_ETHERNET);
		for (unsigned i = 0; i < 5; i++) {
			put32(&file, 100);
			put32(&file, i);
			put32(&file, 14);
			put32(&file, 20);
			put32(&file, 2);      /* ifindex */
			put16(&file, 0x0800); /* protocol */
			put_bytes(&file, &types[i], 1);
			put_fill(&file, 0, 1);
			put_fill(&file, (uint8_t)(i + 1), 14);
		}
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.count, 5);
		for (unsigned i = 0; i < 5; i++) {
			assert_int_equal(reading.got[i].first[0], i + 1);
			assert_int_equal(reading.got[i].frame.flags & FRAME_DIRECTION_MASK, directions[i]);
			assert_true(reading.got[i].frame.timestamp_ns == 100 * SECOND + i * 1000);
		}
		reading_free(&reading);
		read_every_way(file.bytes, file.length);
		capfile_free(&file);
	}
}

/* The link-type field also says how many bytes of FCS each packet ends with: they are taken off. */
static void test_pcap_fcs(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	pcap_header(&file, MICRO, 65535, 0x24000000u | LINK_ETHERNET);
	pcap_packet(&file, 1, 0, 64, 64, 1);   /* whole: both lengths shrink */
	pcap_packet(&file, 1, 0, 60, 1000, 2); /* cut: the FCS was not captured */
	pcap_packet(&file, 1, 0, 62, 64, 3);   /* half of the FCS captured */
	pcap_packet(&file, 1, 0, 3, 3, 4);     /* shorter than an FCS */
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.count, 4);
	assert_int_equal(reading.got[0].frame.captured_len, 60);
	assert_int_equal(reading.got[0].frame.wire_len, 60);
	assert_int_equal(reading.got[1].frame.captured_len, 60);
	assert_int_equal(reading.got[1].frame.wire_len, 996);
	assert_int_equal(reading.got[2].frame.captured_len, 60);
	assert_int_equal(reading.got[2].frame.wire_len, 60);
	assert_int_equal(reading.got[3].frame.captured_len, 0);
	assert_int_equal(reading.got[3].frame.wire_len, 0);
	reading_free(&reading);
	capfile_free(&file);
}

static void test_pcap_huge_length(void **state)
{
	static const uint32_t lengths[] = { UINT32_MAX,          UINT32_MAX - 15,
					    UINT32_C(1) << 31,   SAVEFILE_PACKET_MAX + 1,
					    SAVEFILE_PACKET_MAX, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct capfile file = { 0 };
		struct reading reading;

		pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
		pcap_packet(&file, 1, 0, 60, 60, 1);
		put32(&file, 1);
		put32(&file, 2);
		put32(&file, lengths[i]);
		put32(&file, 60);
		put_fill(&file, 7, 1000);
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.count, 1);
		assert_int_equal(reading.last, -ENODATA);
		assert_int_equal(reading.warning.code, -EBADMSG);
		assert_non_null(strstr(reading.warning.message, "corrupted at offset 100"));
		reading_free(&reading);
		read_every_way(file.bytes, file.length);
		capfile_free(&file);
	}
}

/* A packet beyond the snap length is a packet all the same; a large one crosses many spans. */
static void test_pcap_beyond_snap_length(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	pcap_header(&file, MICRO, 96, LINK_ETHERNET);
	pcap_packet(&file, 1, 0, 60, 60, 1);
	pcap_packet(&file, 1, 0, 3000000, 3000000, 2);
	pcap_packet(&file, 1, 0, 60, 60, 3);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.count, 3);
	assert_int_equal(reading.got[1].frame.captured_len, 3000000);
	assert_int_equal(reading.warning.code, 0);
	reading_free(&reading);
	read_every_way(file.bytes, file.length);
	capfile_free(&file);
}

static void test_pcap_bad_header(void **state)
{
	struct capfile version = { 0 }, link = { 0 };
	struct reading reading;

	(void)state;
	pcap_header(&version, MICRO, 65535, 1);
	version.bytes[4] = 9;
	read_from_memory(&reading, version.bytes, version.length);
	assert_int_equal(reading.opened, -EBADMSG);
	reading_free(&reading);
	pcap_header(&link, MICRO, 65535, 0x00010001);
	read_from_memory(&reading, link.bytes, link.length);
	assert_int_equal(reading.opened, -EBADMSG);
	reading_free(&reading);
	capfile_free(&version);
	capfile_free(&link);
}

static void test_no_capture(void **state)
{
	static const char *const texts[] = { "",
					     "x",
					     "hello, this is not a capture file at all, is it?",
					     "\x28\xb5\x2f\xfd....",
					     "snoop\0\0\0\0\0\0\2\0\0\0\4......",
					     "WEIRREC1",
					     "WEIRREC2aaaaaaaaaaaaaaaaaaaa" };
	static const size_t lengths[] = { 0, 1, 49, 8, 22, 8, 28 };
	static const int codes[] = { -ENODATA, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -ENODATA, -EBADMSG };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct reading reading;

		for (enum how how = 0; how < HOW_COUNT; how++) {
			reading_run(&reading, texts[i], lengths[i], how, 0, NULL);
			assert_int_equal(reading.opened, codes[i]);
			assert_true(strlen(reading.error.message) > 10);
			reading_free(&reading);
		}
	}
}

static void test_cannot_open(void **state)
{
	static const struct {
		const char *path;
		int code;
	} paths[] = { { "/nonexistent/file.pcap", -ENOENT }, { "/tmp", -EISDIR }, { "/dev/null", -ENODATA } };
	struct savefile_options options = { 0 };
	struct interface_table *table;

	(void)state;
	assert_int_equal(interface_table_create(&table, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		struct error error = { 0 };
		struct source *source;

		assert_int_equal(source_open_file(paths[i].path, &options, table, &source, &error),
				 paths[i].code);
		assert_null(source);
		assert_non_null(strstr(error.message, paths[i].path));
		assert_int_not_equal(error.hint[0], '\0');
	}
	interface_table_close(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcap_variants),
		cmocka_unit_test(test_pcap_kuznetzov),
		cmocka_unit_test(test_pcap_fcs),
		cmocka_unit_test(test_pcap_huge_length),
		cmocka_unit_test(test_pcap_beyond_snap_length),
		cmocka_unit_test(test_pcap_bad_header),
		cmocka_unit_test(test_no_capture),
		cmocka_unit_test(test_cannot_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
