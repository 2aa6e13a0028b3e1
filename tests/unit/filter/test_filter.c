/* Filters for files: what compiles, what matches, what is refused, and that any thread may do it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"
#include "engine/filter/filter.h"

/* Ethernet, VLAN 100, IPv4 10.0.0.1 > 10.0.0.2, UDP 1000 > 53, 4 bytes */
static const uint8_t tagged[] =
	"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x81\0\0\x64\x08\0"
	"\x45\0\0\x20\0\0\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02"
	"\x03\xe8\0\x35\0\x0c\0\0wave";
#define TAGGED_LENGTH (sizeof tagged - 1)
#define IP_AT 18

static bool matches(const char *text, uint16_t link_type, const uint8_t *data, size_t length,
		    size_t wire_length)
{
	struct filter_program *program;
	struct error error = { 0 };
	bool match;

	if (filter_compile(text, link_type, &program, &error) != 0)
		fail_msg("'%s': %s", text, error.message);
	match = filter_match(program, data, (uint32_t)length, (uint32_t)wire_length);
	filter_close(program);
	return match;
}

static void empty_accepts_all(void **state)
{
	assert_true(matches(NULL, LINK_ETHERNET, tagged, TAGGED_LENGTH, TAGGED_LENGTH));
	assert_true(matches("", LINK_ETHERNET, tagged, 0, 0));
	assert_true(matches(" \t\n", LINK_RAW, tagged, 0, 0));
}

static void tags_lie_in_the_bytes(void **state)
{
	static const struct {
		const char *text;
		bool match;
	} cases[] = {
		{ "vlan", true }, { "vlan 100", true }, { "vlan 101", false }, { "vlan and udp", true }, { "udp", false },
		{ "vlan 100 and udp port 53 and host 10.0.0.2", true }, { "vlan 100 and udp port 54", false },
		{ "ether host 02:00:00:00:00:01", true }, { "not vlan", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (matches(cases[i].text, LINK_ETHERNET, tagged, TAGGED_LENGTH, TAGGED_LENGTH) != cases[i].match)
			fail_msg("'%s' should %smatch", cases[i].text, cases[i].match ? "" : "not ");
	}
}

static void link_types(void **state)
{
	static const uint8_t null[4] = { 2, 0, 0, 0 };
	uint8_t with_header[64] = { 0 };
	const uint8_t *ip = tagged + IP_AT;
	size_t length = TAGGED_LENGTH - IP_AT;

	assert_true(matches("udp port 53", LINK_RAW, ip, length, length));
	assert_true(matches("udp port 53", LINK_RAW_OLD12, ip, length, length));
	assert_true(matches("udp port 53", LINK_RAW_OLD14, ip, length, length));
	assert_true(matches("udp port 53", LINK_IPV4, ip, length, length));
	assert_false(matches("ip6", LINK_RAW, ip, length, length));
	memcpy(with_header, null, 4);
	memcpy(with_header + 4, ip, length);
	assert_true(matches("udp port 53", LINK_NULL, with_header, length + 4, length + 4));
	/* files have the address families of all BSDs, not this machine's */
	memcpy(with_header, "\x1e\0\0\0\x60", 5);
	assert_true(matches("ip6", LINK_NULL, with_header, length + 4, length + 4));
	memset(with_header, 0, 20);
	with_header[0] = 8;
	with_header[10] = 4; /* outgoing */
	memcpy(with_header + 20, ip, length);
	assert_true(matches("udp port 53 and outbound", LINK_LINUX_SLL2, with_header, length + 20, length + 20));
	assert_false(matches("inbound", LINK_LINUX_SLL2, with_header, length + 20, length + 20));
}

/* A load behind the captured bytes rejects, as in the kernel; `len` is the length on the wire. */
static void cut_packets(void **state)
{
	for (size_t length = 0; length < TAGGED_LENGTH; length++)
		assert_int_equal(matches("vlan and udp[8] = 0x77", LINK_ETHERNET, tagged, length, TAGGED_LENGTH),
				 length > 46);
	assert_true(matches("greater 1000", LINK_ETHERNET, tagged, 10, 1000));
	assert_false(matches("greater 1000", LINK_ETHERNET, tagged, 10, 999));
}

static void errors_say_why(void **state)
{
	static const struct {
		const char *text, *part;
		uint16_t link_type;
	} cases[] = {
		{ "host and", "syntax error", LINK_ETHERNET },
		{ "port notaport", "notaport", LINK_ETHERNET },
		{ "tcp port 99999999", "99999999", LINK_ETHERNET },
		{ "vlan 5000", "5000", LINK_ETHERNET },
		{ "vlan", "no VLAN support", LINK_RAW },
		/* only the kernel knows these of an Ethernet packet: a file's filter must not silently match nothing */
		{ "inbound", "not supported", LINK_ETHERNET },
		{ "udp and outbound", "not supported", LINK_RAW },
		{ "ifindex 3", "", LINK_ETHERNET },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct filter_program *program = (void *)1;
		struct error error = { 0 };

		assert_int_equal(filter_compile(cases[i].text, cases[i].link_type, &program, &error), -EINVAL);
		assert_null(program);
		assert_int_equal(error.code, -EINVAL);
		if (strstr(error.message, cases[i].part) == NULL)
			fail_msg("'%s': %s", cases[i].text, error.message);
		assert_true(error.hint[0] != '\0');
	}
}

static void loops_run_in_user_space(void **state)
{
	static const uint8_t packet[] =
		"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x86\xdd"
		"\x60\0\0\0\0\x18\0\x40" "0123456789abcdef" "fedcba9876543210"
		"\x3c\0\1\4\0\0\0\0" "\x11\0\1\4\0\0\0\0" "\x03\xe8\0\x35\0\x08\0\0";

	assert_true(matches("ip6 protochain 17", LINK_ETHERNET, packet, sizeof packet - 1, sizeof packet - 1));
	assert_false(matches("ip6 protochain 6", LINK_ETHERNET, packet, sizeof packet - 1, sizeof packet - 1));
	assert_false(matches("ip6 proto 17", LINK_ETHERNET, packet, sizeof packet - 1, sizeof packet - 1));
}

static void *compile_and_match(void *context)
{
	const struct filter_program *shared = context;
	uintptr_t wrong = 0;

	for (int i = 0; i < 200; i++) {
		struct filter_program *own = NULL;
		char text[64];

		snprintf(text, sizeof text, "vlan 100 and udp port %d", i % 2 ? 53 : 54);
		wrong += filter_compile(text, LINK_ETHERNET, &own, NULL) != 0 ||
			 filter_match(own, tagged, TAGGED_LENGTH, TAGGED_LENGTH) != (i % 2 == 1);
		wrong += !filter_match(shared, tagged, TAGGED_LENGTH, TAGGED_LENGTH);
		filter_close(own);
	}
	return (void *)wrong;
}

static void many_threads(void **state)
{
	struct filter_program *shared;
	pthread_t threads[4];

	assert_int_equal(filter_compile("vlan and udp", LINK_ETHERNET, &shared, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, compile_and_match, shared), 0);
	for (int i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	filter_close(shared);
	filter_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_accepts_all),
		cmocka_unit_test(tags_lie_in_the_bytes),
		cmocka_unit_test(link_types),
		cmocka_unit_test(cut_packets),
		cmocka_unit_test(errors_say_why),
		cmocka_unit_test(loops_run_in_user_space),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
