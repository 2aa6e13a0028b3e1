/* Record files read back: whole, cut, hostile; and the JSON reader on which their header depends. */
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
#include "decoders/record.h"
#include "engine/sources/json_reader.h"
#include "tests/unit/savefile/capfile.h"
#include "tests/unit/savefile/reading.h"

#define INTERFACES                                                                                           \
	"\"interfaces\":[{\"name\":\"eth0\",\"link_type\":1,\"snap_length\":96,\"mac\":\"02:00:00:00:00:"    \
	"0a\"},"                                                                                             \
	"{\"name\":\"any\\u00e9\\u001b\",\"link_type\":276,\"snap_length\":0,\"other\":[{}]}]"
#define HEADER "{\"version\":1,\"dtype\":{\"names\":[\"a\",\"b\"],\"n\":-1.5e3}," INTERFACES ",\"x\":null} \n"

static void put_header(struct capfile *file, const char *json, uint32_t header_size, uint32_t record_size)
{
	size_t length = strlen(json);

	put_bytes(file, "WEIRREC1", 8);
	put32(file, header_size);
	put32(file, record_size);
	put_bytes(file, json, length);
	if (header_size > 16 + length && header_size < 1 << 20)
		put_fill(file, ' ', header_size - 16 - length);
}

static struct record record_of(unsigned number)
{
	struct record record = { .timestamp_ns = number,
				 .wire_length = 60 + number,
				 .captured_length = 60,
				 .packet_offset = number,
				 .status = DIRECTION_OUT,
				 .interface = (uint16_t)(number % 2) };

	return record;
}

static void put_records(struct capfile *file, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct record record = record_of(i);

		put_bytes(file, &record, sizeof record);
	}
}

static void test_records(void **state)
{
	static const unsigned counts[] = { 0, 1, 63, 64, 65, 20000 };

	(void)state;
	for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		struct capfile file = { 0 };

		put_header(&file, HEADER, 512, 128);
		put_records(&file, counts[c]);
		for (enum how how = 0; how < HOW_COUNT; how++) {
			struct reading reading;

			reading_run(&reading, file.bytes, file.length, how, 2, NULL);
			assert_int_equal(reading.opened, 0);
			assert_int_equal(reading.count, counts[c]);
			assert_int_equal(reading.last, -ENODATA);
			assert_int_equal(reading.warning.code, 0);
			for (unsigned i = 0; i < counts[c]; i++) {
				struct record wanted = record_of(i);

				wanted.packet_offset = RECORD_NO_OFFSET;
				assert_memory_equal(reading.got[i].first, &wanted, sizeof wanted);
				assert_int_equal(reading.got[i].frame.flags, FRAME_IS_RECORD | DIRECTION_OUT);
				assert_true(reading.got[i].frame.timestamp_ns == i);
				assert_int_equal(reading.got[i].frame.wire_len, 60 + i);
			}
			assert_int_equal(interface_table_count(reading.table), 2);
			if (counts[c] > 1) {
				static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 10 };

				assert_string_equal(interface_of(&reading, 0)->name, "eth0");
				assert_int_equal(interface_of(&reading, 0)->snap_length, 96);
				assert_memory_equal(interface_of(&reading, 0)->mac, mac, 6);
				assert_string_equal(interface_of(&reading, 1)->name, "any\xc3\xa9?");
				assert_int_equal(interface_of(&reading, 1)->link_type, LINK_LINUX_SLL2);
			}
			reading_free(&reading);
		}
		capfile_free(&file);
	}
}

static void test_records_cut(void **state)
{
	struct capfile file = { 0 };

	(void)state;
	put_header(&file, HEADER, 512, 128);
	put_records(&file, 3);
	for (size_t length = 8; length < file.length; length++) {
		struct reading reading;

		reading_run(&reading, file.bytes, length, FROM_MEMORY, 0, NULL);
		if (length < 512) {
			assert_int_equal(reading.opened, -ENODATA);
		} else {
			assert_int_equal(reading.opened, 0);
			assert_int_equal(reading.count, (length - 512) / 128);
			assert_int_equal(reading.warning.code, length % 128 == 0 ? 0 : -ENODATA);
		}
		reading_free(&reading);
	}
	capfile_free(&file);
}

/* What a hostile file sets is taken out before anybody acts on it. */
static void test_records_hostile(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;
	struct record record;

	(void)state;
	put_header(&file, HEADER, 512, 128);
	put_records(&file, 1);
	put_fill(&file, 0xff, 128);
	put_records(&file, 1);
	reading_run(&reading, file.bytes, file.length, FROM_FILE, 0, NULL);
	assert_int_equal(reading.count, 3);
	memcpy(&record, reading.got[1].first, sizeof record);
	assert_int_equal(record.status & STATUS_CONTROL, 0);
	assert_true(record.packet_offset == RECORD_NO_OFFSET);
	assert_int_equal(record.interface, reading.got[1].frame.interface);
	assert_true(record.interface < interface_table_count(reading.table));
	assert_string_equal(interface_of(&reading, 1)->name, "unknown");
	assert_int_equal(reading.warning.code, -ENXIO);
	reading_free(&reading);
	capfile_free(&file);
}

static void test_bad_headers(void **state)
{
	static const struct {
		const char *json;
		uint32_t header_size, record_size;
		int code;
	} headers[] = {
		{ HEADER, 512, 127, -EBADMSG },
		{ HEADER, 512, 0, -EBADMSG },
		{ HEADER, 15, 128, -EBADMSG },
		{ HEADER, 508, 128, -EBADMSG }, /* records would not lie aligned */
		{ HEADER, UINT32_MAX - 7, 128, -EBADMSG },
		{ HEADER, 1 << 20, 128, -ENODATA },
		{ HEADER, 16, 128, -EBADMSG }, /* no JSON */
		{ HEADER, 64, 128, -EBADMSG }, /* cut JSON */
		{ "{\"version\":2,\"interfaces\":[]}", 512, 128, -EBADMSG },
		{ "{\"version\":1e0}", 512, 128, -EBADMSG },
		{ "{}", 512, 128, -EBADMSG },
		{ "[]", 512, 128, -EBADMSG },
		{ "{\"version\":1}x", 512, 128, -EBADMSG },
		{ "{\"version\":1,}", 512, 128, -EBADMSG },
		{ "{\"version\":1,\"interfaces\":[{\"name\":7}]}", 512, 128, -EBADMSG },
		{ "{\"version\":1,\"interfaces\":{}}", 512, 128, -EBADMSG },
		{ "{\"version\":1}", 512, 128, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		struct capfile file = { 0 };
		struct reading reading;

		put_header(&file, headers[i].json, headers[i].header_size, headers[i].record_size);
		put_records(&file, 2);
		reading_run(&reading, file.bytes, file.length, FROM_MEMORY, 0, NULL);
		if (reading.opened != headers[i].code)
			fail_msg("header %zu: %d (%s)", i, reading.opened, reading.error.message);
		reading_free(&reading);
		capfile_free(&file);
	}
}

static void test_filter_refused(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	put_header(&file, HEADER, 512, 128);
	reading_run(&reading, file.bytes, file.length, FROM_MEMORY, 0, "ip");
	assert_int_equal(reading.opened, -EINVAL);
	assert_int_not_equal(reading.error.hint[0], '\0');
	reading_free(&reading);
	capfile_free(&file);
}

/* ---- JSON ---- */

static bool valid(const char *text)
{
	struct json_reader reader = json_over(text, strlen(text));

	return json_skip(&reader) && json_over_now(&reader);
}

static void test_json_syntax(void **state)
{
	static const char *const good[] = { "{}",
					    "[]",
					    " [ ] ",
					    "[[],{}]",
					    "\"\"",
					    "0",
					    "-0",
					    "10",
					    "-1.25E+3",
					    "true",
					    "false",
					    "null",
					    "[1,2,3]",
					    "{\"a\":{\"b\":[true,false,null,\"x\"]}}",
					    "\"\\u00e9\\ud83d\\ude00\"",
					    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
					    "\t{\n\"a\" : 1 ,\r\"b\" : 2 }" };
	static const char *const bad[] = { "",
					   " ",
					   "{",
					   "[",
					   "]",
					   "}",
					   "[1",
					   "[1,",
					   "[1,]",
					   "[,1]",
					   "[1 2]",
					   "{\"a\"}",
					   "{\"a\":}",
					   "{\"a\":1,}",
					   "{,}",
					   "{a:1}",
					   "{\"a\" 1}",
					   "01",
					   "-",
					   "1.",
					   ".5",
					   "1e",
					   "1e+",
					   "+1",
					   "tru",
					   "truex",
					   "nul",
					   "\"",
					   "\"\\",
					   "\"\\x\"",
					   "\"\\u12\"",
					   "\"\\u12g4\"",
					   "\"\\ud800\"",
					   "\"\\ud800\\u0041\"",
					   "\"\\udc00\"",
					   "\"\n\"",
					   "[] []",
					   "1 2",
					   "{\"a\":1 \"b\":2}",
					   "[}",
					   "{]",
					   "'a'",
					   "NaN" };
	char deep[80];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (!valid(good[i]))
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (valid(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	}
	for (int depth = 1; depth <= 36; depth++) {
		memset(deep, '[', (size_t)depth);
		memset(deep + depth, ']', (size_t)depth);
		deep[2 * depth] = '\0';
		assert_int_equal(valid(deep), depth <= JSON_DEPTH);
	}
}

static void test_json_values(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} numbers[] = { { "0", true, 0 },
			{ "18446744073709551615", true, UINT64_MAX },
			{ "18446744073709551616", false, 0 },
			{ "99999999999999999999", false, 0 },
			{ "-1", false, 0 },
			{ "1.0", false, 0 },
			{ "1e3", false, 0 },
			{ "00", true, 0 },
			{ "07", false, 0 },
			{ "\"1\"", false, 0 } };
	struct json_reader reader;
	char text[8];
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		reader = json_over(numbers[i].text, strlen(numbers[i].text));
		if (strcmp(numbers[i].text, "00") == 0)
			continue;
		assert_int_equal(json_unsigned(&reader, &value), numbers[i].good);
		if (numbers[i].good)
			assert_true(value == numbers[i].value);
	}
	reader = json_over("\"\\u00e9\\ud83d\\ude00\"", 20);
	assert_true(json_string(&reader, text, sizeof text));
	assert_string_equal(text, "\xc3\xa9\xf0\x9f\x98\x80");
	/* Cut at a character's edge: seven bytes do not hold both. */
	reader = json_over("\"\\u00e9ab\\ud83d\\ude00cd\"", 24);
	assert_true(json_string(&reader, text, sizeof text));
	assert_string_equal(text, "\xc3\xa9"
				  "ab");
	reader = json_over("\"abcdef\xc3\xa9xyz\"", 13);
	assert_true(json_string(&reader, text, sizeof text));
	assert_string_equal(text, "abcdef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),         cmocka_unit_test(test_records_cut),
		cmocka_unit_test(test_records_hostile), cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_filter_refused),  cmocka_unit_test(test_json_syntax),
		cmocka_unit_test(test_json_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
