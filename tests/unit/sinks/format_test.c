/* Numbers, addresses and strings as text, compared with the C library's; the schema and the interface
 * table. */
#include "tests/unit/sinks/support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/format.h"
#include "engine/schema.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void check_u64(uint64_t value)
{
	char got[64], expected[64];

	memset(got, '#', sizeof got);
	*format_u64(got, value) = '\0';
	snprintf(expected, sizeof expected, "%" PRIu64, value);
	assert_string_equal(got, expected);
	if (value > UINT32_MAX)
		return;
	*format_u32(got, (uint32_t)value) = '\0';
	assert_string_equal(got, expected);
	*format_hex32(got, (uint32_t)value) = '\0';
	snprintf(expected, sizeof expected, "%" PRIx64, value);
	assert_string_equal(got, expected);
}

static void numbers(void **state)
{
	for (uint64_t value = 0; value < 70000; value++)
		check_u64(value);
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int off = -2; off <= 2; off++)
			check_u64((UINT64_C(1) << bit) + (uint64_t)off);
	}
	for (uint64_t power = 1, i = 0; i < 20; i++, power *= 10) {
		for (int off = -2; off <= 2; off++)
			check_u64(power + (uint64_t)off);
	}
	check_u64(UINT64_MAX);
	for (unsigned i = 0; i < 100000; i++)
		check_u64(random64() >> (random64() % 64));
}

static void fixed_and_hex(void **state)
{
	char got[32], expected[32];

	for (unsigned value = 0; value < 65536; value++) {
		*format_hex16(got, (uint16_t)value) = '\0';
		snprintf(expected, sizeof expected, "%04x", value);
		assert_string_equal(got, expected);
		*format_fixed(got, value, 6) = '\0';
		snprintf(expected, sizeof expected, "%06u", value);
		assert_string_equal(got, expected);
	}
	for (unsigned value = 0; value < 256; value++) {
		*format_u8(got, (uint8_t)value) = '\0';
		snprintf(expected, sizeof expected, "%u", value);
		assert_string_equal(got, expected);
	}
	for (unsigned value = 0; value < 100; value++) {
		*format_two(got, value) = '\0';
		snprintf(expected, sizeof expected, "%02u", value);
		assert_string_equal(got, expected);
	}
}

static void ipv6_is(const char *text)
{
	uint8_t address[16];
	char got[FORMAT_IP_MAX + 1];

	assert_int_equal(inet_pton(AF_INET6, text, address), 1);
	*format_ipv6(got, address) = '\0';
	assert_string_equal(got, text);
}

/* RFC 5952, section 4 and its examples. */
static void ipv6_addresses(void **state)
{
	static const char *const texts[] = {
		"::", "::1", "1::", "2001:db8::1", "2001:db8::1:0:0:1", "2001:db8:0:1:1:1:1:1", "2001:0:0:1::1", "fe80::1:2:3:4",
		"2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa", "::ffff:192.0.2.1", "::ffff:0.0.0.0", "1:2:3:4:5:6:7:0",
		"1:2:3:4:5:6::", "0:1::", "0:1:2:3:4:5:6:7", "64:ff9b::c000:201", "::fffe:102:304", "::1:ffff:102:304",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1:0:0:2::3", "1::2:0:0:3",
	};

	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
		ipv6_is(texts[i]);
	/* The C library's is the same but for the embedded IPv4 of ::/96. */
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t words[2] = { random64(), random64() };
		uint8_t *address = (uint8_t *)words;
		char got[FORMAT_IP_MAX + 1], expected[INET6_ADDRSTRLEN];

		for (unsigned group = 0; group < 8; group++) {
			if (random64() & 1 && group > 0)
				memset(address + 2 * group, 0, 2);
		}
		address[0] |= 1;
		*format_ipv6(got, address) = '\0';
		assert_non_null(inet_ntop(AF_INET6, address, expected, sizeof expected));
		assert_string_equal(got, expected);
	}
}

static void ipv4_and_mac(void **state)
{
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t word = random64();
		uint8_t *bytes = (uint8_t *)&word;
		char got[32], expected[32];

		*format_ipv4(got, bytes) = '\0';
		snprintf(expected, sizeof expected, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
		assert_string_equal(got, expected);
		*format_mac(got, bytes) = '\0';
		snprintf(expected, sizeof expected, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3],
			 bytes[4], bytes[5]);
		assert_string_equal(got, expected);
	}
}

static void json_is(const char *string, const char *expected)
{
	char got[256];

	*format_json_string(got, sizeof got, string) = '\0';
	assert_string_equal(got, expected);
}

static void json_strings(void **state)
{
	char got[64];

	json_is("", "\"\"");
	json_is("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	json_is("\n\x01\x1f\x7f", "\"\\u000a\\u0001\\u001f\\u007f\"");
	json_is("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb1", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb1\"");
	json_is("\xff", "\"\\ufffd\"");
	json_is("\xc3", "\"\\ufffd\"");             /* cut off */
	json_is("\xc0\xaf", "\"\\ufffd\\ufffd\"");  /* overlong */
	json_is("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
	json_is("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	for (size_t room = 0; room < 40; room++) {
		char *end;

		memset(got, '#', sizeof got);
		end = format_json_string(got, room, "\x01\x02\x03");
		if (end != NULL)
			assert_true(end <= got + room);
		assert_int_equal(got[room], '#');
	}
}

static void schema_covers_the_record(void **state)
{
	bool covered[RECORD_SIZE] = { false };

	for (unsigned i = 0; i < SCHEMA_RECORD_COLUMNS; i++) {
		for (unsigned k = 0; k < schema_columns[i].size; k++)
			covered[schema_columns[i].offset + k] = true;
		assert_false(schema_columns[i].derived);
		assert_ptr_equal(schema_find(schema_columns[i].name), &schema_columns[i]);
	}
	for (unsigned i = 0; i < RECORD_SIZE; i++) {
		if (!covered[i])
			fail_msg("byte %u of the record is in no column", i);
	}
	for (unsigned i = SCHEMA_RECORD_COLUMNS; i < SCHEMA_ALL_COLUMNS; i++)
		assert_true(schema_columns[i].derived);
	assert_int_equal(SCHEMA_ALL_COLUMNS, SCHEMA_RECORD_COLUMNS + 4);
	assert_null(schema_find("nosuch"));
}

static bool valid(const char *name, const struct record *record)
{
	return schema_valid(schema_find(name), record);
}

static void schema_validity(void **state)
{
	struct record record = { .layers = LAYER_IPV4 | LAYER_ICMP, .icmp_type = 8, .packet_offset = 5 };

	assert_true(valid("icmp_id", &record));
	assert_true(valid("icmp_code", &record));
	assert_true(valid("packet_offset", &record));
	assert_false(valid("tcp_seq", &record));
	assert_false(valid("direction", &record));
	record.icmp_type = 3;
	assert_false(valid("icmp_id", &record));
	record.layers = LAYER_IGMP | LAYER_IPV4;
	assert_true(valid("icmp_type", &record));
	assert_false(valid("icmp_code", &record));
	record.layers = LAYER_ARP;
	assert_true(valid("src_ip", &record));
	assert_true(valid("arp_operation", &record));
	assert_false(valid("ip_ttl", &record));
	assert_false(valid("ip_version", &record));
	record.layers = LAYER_IPV6;
	assert_false(valid("ip_id", &record));
	assert_int_equal(schema_number(schema_find("ip_version"), &record), 6);
	record.layers |= LAYER_IPV6_FRAG | LAYER_VLAN;
	record.ip_id = 0x12345678;
	record.vlan_tci = 0xf123;
	record.status = DIRECTION_OTHER;
	record.packet_offset = RECORD_NO_OFFSET;
	assert_true(valid("ip_id", &record));
	assert_int_equal(schema_number(schema_find("ip_id"), &record), 0x12345678);
	assert_int_equal(schema_number(schema_find("vlan_id"), &record), 0x123);
	assert_int_equal(schema_number(schema_find("direction"), &record), DIRECTION_OTHER);
	assert_false(valid("packet_offset", &record));
	assert_true(valid("direction", &record));
}

static void *add_many(void *argument)
{
	for (unsigned i = 0; i < 1000; i++)
		support_add(argument, "x", LINK_ETHERNET);
	return NULL;
}

static void interface_table(void **state)
{
	struct interface_table *table;
	struct interface interface = { .name = "last", .link_type = 9 };
	pthread_t threads[4];
	uint16_t index;

	assert_int_equal(interface_table_create(&table, NULL), 0);
	assert_int_equal(interface_table_count(table), 0);
	assert_null(interface_table_get(table, 0));
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, add_many, table);
	for (uint32_t seen = 0; seen < 4000;) {
		uint32_t count = interface_table_count(table);

		for (; seen < count; seen++)
			assert_string_equal(interface_table_get(table, (uint16_t)seen)->name, "x");
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	while (interface_table_count(table) < INTERFACE_TABLE_MAX)
		assert_int_equal(interface_table_add(table, &interface, &index), 0);
	assert_int_equal(index, INTERFACE_TABLE_MAX - 1);
	assert_int_equal(interface_table_add(table, &interface, &index), -ENOSPC);
	assert_string_equal(interface_table_get(table, INTERFACE_TABLE_MAX - 1)->name, "last");
	assert_null(interface_table_get(table, UINT16_MAX));
	interface_table_close(table);
	interface_table_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(fixed_and_hex),
		cmocka_unit_test(ipv6_addresses),
		cmocka_unit_test(ipv4_and_mac),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(schema_covers_the_record),
		cmocka_unit_test(schema_validity),
		cmocka_unit_test(interface_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
