/* The packets that a shape makes: checksums, lengths, stamps, flows and sizes; checked by code of its own,
 * which parses the frame from the outside and sums byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gen/shape.h"

static const char all_kinds[] = "udp,tcp,ipv6,tcp6,icmp,vlan,qinq,vxlan";

static struct shape *build(const char *mix, const char *size, uint32_t flows)
{
	struct shape_options options = { .mix = mix, .size = size, .flows = flows,
					 .src_mac = { 2, 0, 0, 0, 0, 1 }, .dst_mac = { 2, 0, 0, 0, 0, 2 } };
	struct shape *shape = calloc(1, sizeof *shape);
	struct error error = { 0 };

	assert_non_null(shape);
	if (shape_build(shape, &options, &error) != 0)
		fail_msg("%s", error.message);
	return shape;
}

static void fill_filler(uint8_t *frame, size_t length)
{
	for (size_t i = 0; i < length; i++)
		frame[i] = shape_filler((uint32_t)i);
}

struct parsed {
	uint32_t l3, l4, payload;
	uint8_t protocol, version, source; /* last byte of the source address */
	uint16_t src_port, dst_port;
};

static uint32_t word(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

/* RFC 1071 by the book: big-endian words, an odd byte padded. */
static uint32_t sum_of(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	return sum;
}

static uint32_t folded(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* IPv4 or IPv6 at `at`; lengths must reach exactly to the frame's end. */
static uint32_t parse_ip(const uint8_t *frame, uint32_t length, uint32_t at, uint32_t ethertype,
			 struct parsed *p)
{
	p->l3 = at;
	if (ethertype == 0x0800) {
		assert_int_equal(frame[at], 0x45);
		assert_int_equal(word(frame + at + 2), length - at);
		assert_int_equal(folded(sum_of(0, frame + at, 20)), 0xffff);
		p->version = 4;
		p->protocol = frame[at + 9];
		p->source = frame[at + 15];
		return at + 20;
	}
	assert_int_equal(ethertype, 0x86dd);
	assert_int_equal(word(frame + at + 4), length - at - 40);
	p->version = 6;
	p->protocol = frame[at + 6];
	p->source = frame[at + 23];
	return at + 40;
}

/* The innermost level, found from the outside in. */
static void parse(const uint8_t *frame, uint32_t length, struct parsed *p)
{
	uint32_t at = 12;

	for (;;) {
		uint32_t ethertype = word(frame + at);

		at += 2;
		if (ethertype == 0x8100 || ethertype == 0x88a8) {
			at += 2;
			continue;
		}
		at = parse_ip(frame, length, at, ethertype, p);
		if (p->protocol != 17)
			break;
		assert_int_equal(word(frame + at + 4), length - at);
		if (word(frame + at + 2) != 4789)
			break;
		assert_int_equal(word(frame + at + 6), 0);
		at += 8 + 8 + 12;
	}
	p->l4 = at;
	p->src_port = (uint16_t)word(frame + at + (p->protocol == 1 ? 4 : 0));
	p->dst_port = (uint16_t)word(frame + at + (p->protocol == 1 ? 6 : 2));
	p->payload = at + (p->protocol == 6 ? 20 : 8);
}

static void check_frame(const uint8_t *frame, uint32_t length, uint64_t sequence, uint64_t timestamp)
{
	struct parsed p;
	struct stamp stamp;
	uint32_t sum;

	parse(frame, length, &p);
	sum = sum_of(0, frame + p.l4, length - p.l4);
	if (p.protocol != 1) {
		sum += p.protocol + length - p.l4;
		sum = p.version == 4 ? sum_of(sum, frame + p.l3 + 12, 8) : sum_of(sum, frame + p.l3 + 8, 32);
	}
	assert_int_equal(folded(sum), 0xffff);
	assert_true(stamp_read(frame + p.payload, length - p.payload, &stamp));
	assert_int_equal(stamp.sequence, sequence);
	assert_int_equal(stamp.timestamp_ns, timestamp);
}

static void test_every_kind_and_size(void **state)
{
	static const char *const sizes[] = { "60", "61", "128", "127", "512", "1514", "imix" };
	uint8_t frame[SHAPE_LENGTH_MAX];

	(void)state;
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		struct shape *shape = build(all_kinds, sizes[s], 100);
		struct shape_cursor cursor = { 0 };

		fill_filler(frame, sizeof frame);
		for (uint64_t n = 0; n < 4000; n++) {
			uint64_t timestamp = 1700000000000000000u + n * 977;
			uint32_t length = shape_fill(shape, &cursor, timestamp, frame);

			assert_true(length >= 60 && length <= shape->longest);
			check_frame(frame, length, n, timestamp);
		}
		free(shape);
	}
}

/* A checksum that comes out as 0 is sent as 0xffff in UDP: walk the timestamp until it happens. */
static void test_checksum_of_zero(void **state)
{
	struct shape *shape = build("udp", "60", 1);
	uint8_t frame[SHAPE_LENGTH_MAX];
	unsigned met = 0;

	(void)state;
	fill_filler(frame, sizeof frame);
	for (uint32_t n = 0; n < 70000; n++) {
		struct shape_cursor cursor = { 0 };

		shape_fill(shape, &cursor, n, frame);
		assert_false(frame[40] == 0 && frame[41] == 0);
		met += frame[40] == 0xff && frame[41] == 0xff;
	}
	assert_true(met > 0);
	free(shape);
}

/* The flows are as many as asked, each in the same addresses and ports every time, in even shares. */
static void check_flows(const char *mix, uint32_t flows)
{
	struct shape *shape = build(mix, "128", flows);
	struct shape_cursor cursor = { 0 };
	uint64_t *keys = calloc(flows, sizeof *keys);
	uint8_t frame[SHAPE_LENGTH_MAX];
	struct parsed p;

	assert_non_null(keys);
	assert_int_equal(shape->flows, flows);
	fill_filler(frame, sizeof frame);
	for (uint32_t n = 0; n < 3 * flows; n++) {
		uint32_t length = shape_fill(shape, &cursor, n, frame);
		uint64_t key;

		parse(frame, length, &p);
		key = (uint64_t)p.source << 48 | (uint64_t)p.protocol << 40 | (uint64_t)p.version << 32 |
		      (uint64_t)p.src_port << 16 | p.dst_port;
		if (n < flows)
			keys[n] = key;
		else
			assert_int_equal(keys[n % flows], key);
	}
	for (uint32_t i = 0; i + 1 < flows && flows <= 1000; i++) {
		for (uint32_t j = i + 1; j < flows; j++)
			assert_int_not_equal(keys[i], keys[j]);
	}
	free(keys);
	free(shape);
}

static void test_flows(void **state)
{
	(void)state;
	check_flows("udp", 1);
	check_flows("udp", 7);
	check_flows("udp", 1000);
	check_flows("udp,tcp,ipv6", 100);
	check_flows("udp:3,vlan", 64);
	check_flows("udp", 1u << 20);
}

static void test_imix_shares(void **state)
{
	struct shape *shape = build("udp", "imix", 5);
	struct shape_cursor cursor = { 0 };
	uint8_t frame[SHAPE_LENGTH_MAX];
	unsigned small = 0, middle = 0, large = 0;

	(void)state;
	for (int n = 0; n < 12000; n++) {
		uint32_t length = shape_fill(shape, &cursor, 0, frame);

		small += length == 60;
		middle += length == 590;
		large += length == 1514;
	}
	assert_in_range(small, 6950, 7050);
	assert_in_range(middle, 3950, 4050);
	assert_in_range(large, 950, 1050);
	free(shape);
}

static void refuse(const char *mix, const char *size, uint32_t flows)
{
	struct shape_options options = { .mix = mix, .size = size, .flows = flows };
	struct shape *shape = calloc(1, sizeof *shape);
	struct error error = { 0 };

	assert_non_null(shape);
	assert_int_not_equal(shape_build(shape, &options, &error), 0);
	assert_true(error.message[0] != '\0');
	free(shape);
}

static void test_bad_input(void **state)
{
	(void)state;
	refuse("udpx", "60", 1);
	refuse("udp:0", "60", 1);
	refuse("udp:65", "60", 1);
	refuse("udp:40,tcp:40", "60", 1);
	refuse("udp:x", "60", 1);
	refuse("", "60", 1);
	refuse("udp", "59", 1);
	refuse("udp", "9015", 1);
	refuse("udp", "sixty", 1);
	refuse("udp", "60", 0);
	refuse("udp", "60", SHAPE_FLOWS_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_and_size),
		cmocka_unit_test(test_checksum_of_zero),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_imix_shares),
		cmocka_unit_test(test_bad_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
