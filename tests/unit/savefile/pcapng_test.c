/* The savefile source on pcapng files made byte by byte. */
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

#define SECOND UINT64_C(1000000000)

struct stamp {
	uint8_t resolution;
	int64_t offset;
	uint64_t stamp;
	uint64_t ns;
};

static const struct stamp stamps[] = {
	{ 6, 0, 1700000000123456, 1700000000123456000 },
	{ 9, 0, 1700000000123456789, 1700000000123456789 },
	{ 9, 0, UINT64_MAX, UINT64_MAX },
	{ 0, 0, 1700000000, 1700000000 * SECOND },
	{ 0, 0, 18446744073, 18446744073 * SECOND },
	{ 0, 0, 18446744074, UINT64_MAX },
	{ 0, 0, UINT64_MAX, UINT64_MAX },
	{ 3, 0, 1700000000123, 1700000000123000000 },
	{ 6, 0, 18446744073709551, 18446744073709551000u },
	{ 6, 0, 18446744073709552, UINT64_MAX },
	{ 6, 0, UINT64_MAX, UINT64_MAX },
	{ 10, 0, 17000000001234567899u, 1700000000123456789 },
	{ 12, 0, 1700000123456789, 1700000123456 },
	{ 19, 0, 17000000001234567899u, 1700000000 },
	{ 20, 0, UINT64_MAX, 184467440 },
	{ 28, 0, UINT64_MAX, 1 },
	{ 29, 0, UINT64_MAX, 0 },
	{ 127, 0, UINT64_MAX, 0 },
	{ 0x80, 0, 1700000000, 1700000000 * SECOND },
	{ 0x80, 0, UINT64_MAX, UINT64_MAX },
	{ 0x80 | 1, 0, 3, 1500000000 },
	{ 0x80 | 10, 0, 1024 * UINT64_C(1700000000) + 512, 1700000000500000000 },
	{ 0x80 | 32, 0, (UINT64_C(1700000000) << 32) | UINT64_C(0x80000000), 1700000000500000000 },
	{ 0x80 | 63, 0, UINT64_C(1) << 63, SECOND },
	{ 0x80 | 63, 0, UINT64_MAX, 1999999999 },
	{ 0x80 | 64, 0, UINT64_MAX, 999999999 },
	{ 0x80 | 93, 0, UINT64_MAX, 1 },
	{ 0x80 | 94, 0, UINT64_MAX, 0 },
	{ 0xff, 0, UINT64_MAX, 0 },
	{ 6, 1700000000, 5, 1700000000000005000 },
	{ 9, -5, 6 * SECOND + 7, SECOND + 7 },
	{ 9, -5, 4 * SECOND, 0 },
	{ 9, INT64_MIN, UINT64_MAX, 0 },
	{ 9, INT64_MAX, UINT64_MAX, UINT64_MAX },
	{ 0, INT64_MAX, UINT64_MAX, UINT64_MAX },
	{ 0, INT64_MIN, UINT64_MAX, UINT64_MAX },
	{ 0, INT64_MIN, UINT64_C(1) << 63, 0 },
	{ 0, INT64_MIN, (UINT64_C(1) << 63) + 3, 3 * SECOND },
};
#define STAMPS (sizeof stamps / sizeof stamps[0])

static void test_resolutions(void **state)
{
	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct capfile file = { .swap = swap };
		struct reading reading;

		ng_section(&file);
		for (size_t i = 0; i < STAMPS; i++)
			ng_interface_with(&file, stamps[i].resolution, stamps[i].offset, 0);
		for (size_t i = 0; i < STAMPS; i++)
			ng_packet(&file, (uint32_t)i, stamps[i].stamp, 14, 14, 0);
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.count, STAMPS);
		for (size_t i = 0; i < STAMPS; i++) {
			if (reading.got[i].frame.timestamp_ns != stamps[i].ns)
				fail_msg("stamp %zu: %llu, not %llu", i,
					 (unsigned long long)reading.got[i].frame.timestamp_ns,
					 (unsigned long long)stamps[i].ns);
		}
		assert_int_equal(interface_table_count(reading.table), STAMPS);
		reading_free(&reading);
		capfile_free(&file);
	}
}

static void test_ng_sections(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 65535, "eth0");
	ng_interface(&file, LINK_RAW, 0, NULL);
	ng_packet(&file, 1, 1, 20, 20, 1);
	ng_packet(&file, 0, 2, 20, 20, 2);
	file.swap = true; /* the next section comes from another machine */
	ng_section(&file);
	ng_interface(&file, LINK_LINUX_SLL, 0, "any");
	ng_packet(&file, 0, 3, 20, 20, 3);
	ng_interface(&file, LINK_ETHERNET, 0, "late"); /* behind a packet */
	ng_packet(&file, 1, 4, 21, 20, 4);
	file.swap = false;
	ng_section(&file);
	ng_interface(&file, LINK_LINUX_SLL, 0, "any"); /* as the one before at this place: one interface */
	ng_packet(&file, 0, 5, 20, 20, 5);
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 65535,
		     "eth0"); /* another than the one before at this place: one more */
	ng_packet(&file, 0, 6, 20, 20, 6);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.count, 6);
	assert_int_equal(reading.warning.code, 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(reading.got[i].first[0], i + 1);
		assert_true(reading.got[i].frame.timestamp_ns == (i + 1) * 1000);
	}
	assert_int_equal(interface_table_count(reading.table), 5);
	assert_string_equal(interface_of(&reading, 0)->name, "made.pcap");
	assert_int_equal(interface_of(&reading, 0)->link_type, LINK_RAW);
	assert_int_equal(reading.got[0].frame.link_type, LINK_RAW);
	assert_string_equal(interface_of(&reading, 1)->name, "eth0");
	assert_string_equal(interface_of(&reading, 2)->name, "any");
	assert_string_equal(interface_of(&reading, 3)->name, "late");
	assert_int_equal(reading.got[4].frame.interface, reading.got[2].frame.interface);
	reading_free(&reading);
	read_every_way(file.bytes, file.length);
	capfile_free(&file);
}

static void test_ng_interface_texts(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
	struct capfile file = { 0 };
	struct reading reading;
	char longest[4000];
	size_t start;

	(void)state;
	memset(longest, 'a', sizeof longest);
	longest[0] = 0; /* filter code 0: text */
	ng_section(&file);
	start = block_begin(&file, 1);
	put16(&file, LINK_ETHERNET);
	put16(&file, 0);
	put32(&file, 96);
	put_option(&file, 2, "e\x1b[31mth\xff\xc3\xa9\x7f", 12);
	put_option(&file, 3, "a\0b", 3);
	put_option(&file, 6, mac, 6);
	put_option(&file, 11, longest, sizeof longest);
	put_option(&file, 12345, "unknown", 7);
	block_end(&file, start);
	ng_packet(&file, 0, 1, 20, 20, 1);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.count, 1);
	assert_string_equal(interface_of(&reading, 0)->name, "e?[31mth?\xc3\xa9?");
	assert_string_equal(interface_of(&reading, 0)->description, "a");
	assert_memory_equal(interface_of(&reading, 0)->mac, mac, 6);
	assert_int_equal(strlen(interface_of(&reading, 0)->filter),
			 sizeof interface_of(&reading, 0)->filter - 1);
	assert_int_equal(interface_of(&reading, 0)->snap_length, 96);
	reading_free(&reading);
	capfile_free(&file);
}

static void packet_with_flags(struct capfile *file, uint32_t flags)
{
	size_t start = block_begin(file, 6);

	put32(file, 0);
	put32(file, 0);
	put32(file, 1);
	put32(file, 15);
	put32(file, 15);
	put_fill(file, 1, 15);
	put_fill(file, 0, 1);
	put_option(file, 1, "a comment", 9);
	put32(file, 2 | 4 << 16);
	if (file->swap) /* code and length are two fields of 16 bits */
		file->length -= 4, put16(file, 2), put16(file, 4);
	put32(file, flags);
	put_option(file, 0, "", 0);
	block_end(file, start);
}

static void test_ng_direction(void **state)
{
	static const uint32_t flags[] = { 0, 1, 2, 1 | 4 << 2, 2 | 4 << 2, 4 << 2, 1 | 3 << 2, 0xfffffffc };
	static const uint32_t directions[] = { DIRECTION_UNKNOWN, DIRECTION_IN,     DIRECTION_OUT,
					       DIRECTION_OTHER,   DIRECTION_OUT,    DIRECTION_OTHER,
					       DIRECTION_IN,      DIRECTION_UNKNOWN };

	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct capfile file = { .swap = swap };
		struct reading reading;

		ng_section_with_packets(&file, 0);
		for (size_t i = 0; i < 8; i++)
			packet_with_flags(&file, flags[i]);
		read_from_memory(&reading, file.bytes, file.length);
		assert_int_equal(reading.count, 8);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(reading.got[i].frame.flags & FRAME_DIRECTION_MASK, directions[i]);
		reading_free(&reading);
		capfile_free(&file);
	}
}

static void test_ng_other_blocks(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;
	size_t start;

	(void)state;
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 50, "eth0");
	start = block_begin(&file, 4); /* name resolution */
	put_fill(&file, 0x41, 100);
	block_end(&file, start);
	ng_simple(&file, 20, 20, 1);
	ng_simple(&file, 2000, 50, 2);   /* cut by the snap length */
	ng_simple(&file, 2000, 1000, 3); /* beyond it: the rest is no packet */
	start = block_begin(&file, 2);   /* obsolete packet block */
	put16(&file, 0);
	put16(&file, 77);
	put32(&file, 0);
	put32(&file, 9);
	put32(&file, 21);
	put32(&file, 99);
	put_fill(&file, 4, 21);
	block_end(&file, start);
	start = block_begin(&file, 0xbad); /* custom, large */
	put_fill(&file, 0x42, 2000000);
	block_end(&file, start);
	start = block_begin(&file, 5); /* interface statistics */
	put_fill(&file, 0, 12);
	block_end(&file, start);
	ng_packet(&file, 0, 10, 22, 22, 5);
	read_from_memory(&reading, file.bytes, file.length);
	assert_int_equal(reading.count, 5);
	assert_int_equal(reading.warning.code, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(reading.got[i].first[0], i + 1);
	assert_int_equal(reading.got[0].frame.captured_len, 20);
	assert_true(reading.got[0].frame.timestamp_ns == 0);
	assert_int_equal(reading.got[1].frame.captured_len, 50);
	assert_int_equal(reading.got[1].frame.wire_len, 2000);
	assert_int_equal(reading.got[2].frame.captured_len, 50);
	assert_int_equal(reading.got[3].frame.captured_len, 21);
	assert_int_equal(reading.got[3].frame.wire_len, 99);
	assert_true(reading.got[3].frame.timestamp_ns == 9000);
	reading_free(&reading);
	read_every_way(file.bytes, file.length);
	capfile_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolutions),        cmocka_unit_test(test_ng_sections),
		cmocka_unit_test(test_ng_interface_texts), cmocka_unit_test(test_ng_direction),
		cmocka_unit_test(test_ng_other_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
