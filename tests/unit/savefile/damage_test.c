/* The savefile source on damaged files and on hostile ones. */
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

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	for (int format = 0; format < 2; format++) {
		struct capfile file = { 0 };
		size_t ends[6], end_count = 0;

		if (format == 0) {
			pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
			ends[end_count++] = file.length;
			for (unsigned i = 0; i < 4; i++, ends[end_count++] = file.length)
				pcap_packet(&file, 1, i, 40 + i, 40 + i, (uint8_t)i);
		} else {
			ng_section_with_packets(&file, 0);
			ends[end_count++] = file.length;
			for (unsigned i = 0; i < 4; i++, ends[end_count++] = file.length)
				ng_packet(&file, 0, i, 40 + i, 40 + i, (uint8_t)i);
		}
		for (size_t length = 1; length <= file.length; length++) {
			struct reading reading;
			size_t whole = 0;
			bool between = false;

			while (whole + 1 < end_count && ends[whole + 1] <= length)
				whole++;
			between = length == ends[whole] || (format == 1 && length == 28);
			reading_run(&reading, file.bytes, length, FROM_MEMORY, 0, NULL);
			if (length < 4 || (format == 0 && length < 24)) {
				assert_true(reading.opened == (length < 4 ? -EBADMSG : -ENODATA));
			} else {
				assert_int_equal(reading.opened, 0);
				assert_int_equal(reading.count, whole);
				assert_int_equal(reading.warning.code, between ? 0 : -ENODATA);
				if (!between)
					assert_non_null(
						strstr(reading.warning.message, "cut off after packet "));
			}
			reading_free(&reading);
		}
		capfile_free(&file);
	}
}

/* A whole good packet, then one field of the next block overwritten. */
static void expect_corrupted(size_t at, uint32_t value, const char *why)
{
	struct capfile file = { 0 };
	struct reading reading;
	size_t bad;
	char offset[64];

	ng_section_with_packets(&file, 1);
	bad = file.length;
	ng_packet(&file, 0, 1, 40, 40, 2);
	ng_packet(&file, 0, 1, 40, 40, 3);
	memcpy(file.bytes + bad + at, &value, sizeof value);
	snprintf(offset, sizeof offset, "corrupted at offset %zu", bad);
	for (enum how how = 0; how < HOW_COUNT; how++) {
		reading_run(&reading, file.bytes, file.length, how, 0, NULL);
		assert_int_equal(reading.count, 1);
		assert_int_equal(reading.last, -ENODATA);
		assert_int_equal(reading.warning.code, -EBADMSG);
		assert_non_null(strstr(reading.warning.message, offset));
		assert_non_null(strstr(reading.warning.message, why));
		reading_free(&reading);
	}
	capfile_free(&file);
}

static void test_ng_corrupted(void **state)
{
	(void)state;
	expect_corrupted(4, 0, "claims 0 bytes");
	expect_corrupted(4, 31, "claims 31 bytes");
	expect_corrupted(4, 68, "two lengths");
	expect_corrupted(4, UINT32_MAX, "claims 4294967295 bytes");
	expect_corrupted(4, 0x0fffffff, "packet 2 claims 268435456 bytes");
	expect_corrupted(8, 1, "interface 1");
	expect_corrupted(8, UINT32_MAX, "interface 4294967295");
	expect_corrupted(20, 41, "claims 41 bytes of a block of 72");
	expect_corrupted(20, UINT32_MAX, "claims 4294967295 bytes of a block");
	expect_corrupted(68, 76, "two lengths");
}

/* The two lengths of a block that is passed over are compared or not by its size alone, not by how much of it
 * happened to be in the buffer (found by fuzz_savefile). */
static void test_ng_unknown_block_lengths(void **state)
{
	static const uint32_t sizes[] = { 2000, 2000000 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct capfile file = { 0 };
		struct reading reading;
		uint32_t wrong = 12;
		size_t start;

		ng_section_with_packets(&file, 1);
		start = block_begin(&file, 0xbad);
		put_fill(&file, 0x42, sizes[i]);
		block_end(&file, start);
		memcpy(file.bytes + file.length - 4, &wrong, 4);
		ng_packet(&file, 0, 1, 40, 40, 2);
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.count, 1 + i);
		assert_int_equal(reading.warning.code, i == 0 ? -EBADMSG : 0);
		reading_free(&reading);
		read_every_way(file.bytes, file.length);
		capfile_free(&file);
	}
}

static void test_ng_bad_sections(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} faults[] = { { 4, 0 }, { 4, 24 }, { 4, UINT32_MAX }, { 8, 0x11223344 }, { 12, 2 }, { 24, 32 } };

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		struct capfile file = { 0 };
		struct reading reading;

		ng_section_with_packets(&file, 2);
		memcpy(file.bytes + faults[i].at, &faults[i].value, 4);
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.opened, -EBADMSG);
		reading_free(&reading);
		capfile_free(&file);
	}
}

/* A block without interface before it, a file without packets. */
static void test_ng_without(void **state)
{
	struct capfile bare = { 0 }, none = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&bare);
	read_from_memory(&reading, bare.bytes, bare.length);
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.count, 0);
	assert_int_equal(reading.warning.code, 0);
	reading_free(&reading);
	read_every_way(bare.bytes, bare.length);

	ng_section(&none);
	ng_simple(&none, 20, 20, 1);
	read_from_memory(&reading, none.bytes, none.length);
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.count, 0);
	assert_int_equal(reading.warning.code, -EBADMSG);
	reading_free(&reading);
	capfile_free(&bare);
	capfile_free(&none);
}

static void test_ng_fcs(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&file);
	ng_interface_with(&file, 6, 0, 4);
	ng_packet(&file, 0, 1, 64, 64, 1);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.got[0].frame.captured_len, 60);
	assert_int_equal(reading.got[0].frame.wire_len, 60);
	reading_free(&reading);
	capfile_free(&file);
}

/* Thousands of concatenated sections do not fill the run's table. */
static void test_ng_many_sections(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	for (unsigned i = 0; i < 70000; i++)
		ng_section_with_packets(&file, 1);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.count, 70000);
	assert_int_equal(interface_table_count(reading.table), 1);
	reading_free(&reading);
	capfile_free(&file);
}

/* More interfaces than the table holds: an error that says so, and no crash. */
static void test_ng_too_many_interfaces(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;
	char name[16];

	(void)state;
	ng_section(&file);
	for (unsigned i = 0; i < 66000; i++) {
		snprintf(name, sizeof name, "if%u", i);
		ng_interface(&file, LINK_ETHERNET, 0, name);
	}
	ng_packet(&file, 0, 1, 20, 20, 1);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.last, -ENOSPC);
	assert_int_equal(reading.error.code, -ENOSPC);
	reading_free(&reading);
	capfile_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_ng_corrupted),
		cmocka_unit_test(test_ng_unknown_block_lengths),
		cmocka_unit_test(test_ng_bad_sections),
		cmocka_unit_test(test_ng_without),
		cmocka_unit_test(test_ng_fcs),
		cmocka_unit_test(test_ng_many_sections),
		cmocka_unit_test(test_ng_too_many_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
