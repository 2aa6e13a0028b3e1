/* What a vector file is too small for: frames above 64 KiB, deep nesting, long chains, and the
 * flow hash as a hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/flow_hash.h"
#include "tests/unit/decoders/vector.h"

static const struct decode_options defaults;

struct frame {
	uint8_t *bytes;
	uint32_t length;
};

static void put(struct frame *frame, const void *bytes, uint32_t length)
{
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += length;
}

static struct frame frame_new(uint32_t room)
{
	struct frame frame = { calloc(1, room), 0 };

	assert_non_null(frame.bytes);
	return frame;
}

static void put_ethernet(struct frame *frame, uint16_t type)
{
	uint8_t header[14] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, (uint8_t)(type >> 8), (uint8_t)type };

	put(frame, header, sizeof header);
}

static void put_ipv4(struct frame *frame, uint16_t total, uint8_t protocol, uint8_t last)
{
	uint8_t header[20] = { 0x45, 0, (uint8_t)(total >> 8), (uint8_t)total, 0, 1, 0x40, 0, 64, protocol, 0, 0,
			       10, 0, 0, last, 10, 0, 1, last };

	put(frame, header, sizeof header);
}

static void put_ipv6(struct frame *frame, uint16_t payload, uint8_t next)
{
	uint8_t header[40] = { 0x60, 0, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload, next, 64, 0x20, 1, [23] = 1,
			       [24] = 0x20, 1, [39] = 2 };

	put(frame, header, sizeof header);
}

static void put_tcp(struct frame *frame)
{
	static const uint8_t header[20] = { 0x1f, 0x90, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0 };

	put(frame, header, sizeof header);
}

static struct record decode(const struct frame *frame, uint32_t captured)
{
	struct record record;

	decode_packet(&defaults, frame->bytes, captured, frame->length, LINK_ETHERNET, &record, NULL);
	return record;
}

/* An aggregated frame has total length 0: the frame's end counts, above 64 KiB too. */
static void test_aggregated_ipv4(void **state)
{
	struct frame frame = frame_new(300000);
	struct record record;

	(void)state;
	put_ethernet(&frame, 0x0800);
	put_ipv4(&frame, 0, 6, 1);
	put_tcp(&frame);
	frame.length = 262144 + 54;
	record = decode(&frame, frame.length);
	assert_int_equal(record.layers & LAYER_TCP, LAYER_TCP);
	assert_int_equal(record.payload_length, 262144);
	assert_int_equal(record.payload_offset, 54);
	assert_int_equal(record.status, STATUS_DONT_FRAGMENT);
	record = decode(&frame, 128);
	assert_int_equal(record.payload_length, 262144);
	assert_int_equal(record.status, STATUS_DONT_FRAGMENT);
	free(frame.bytes);
}

static void test_jumbogram(void **state)
{
	static const uint8_t hop[8] = { 6, 0, 0xc2, 4, 0, 4, 0, 0x1c }; /* 8 + 20 + 262144 - 0 */
	struct frame frame = frame_new(300000);
	struct record record;

	(void)state;
	put_ethernet(&frame, 0x86dd);
	put_ipv6(&frame, 0, 0);
	put(&frame, hop, sizeof hop);
	put_tcp(&frame);
	frame.length = 14 + 40 + 0x4001c + 6; /* six bytes of trailer */
	record = decode(&frame, frame.length);
	assert_int_equal(record.layers, LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV6 | LAYER_IPV6_EXT | LAYER_TCP | LAYER_PORTS);
	assert_int_equal(record.payload_length, 262144);
	assert_int_equal(record.status, 0);
	/* Without the option but with that many bytes: the frame's end again. */
	frame.bytes[20] = 6;
	memmove(frame.bytes + 54, frame.bytes + 62, 20);
	record = decode(&frame, frame.length);
	assert_int_equal(record.payload_length, 262144 + 6 + 8);
	free(frame.bytes);
}

static void test_huge_udp_checksum(void **state)
{
	struct decode_options options = { .verify_checksums = true };
	struct frame frame = frame_new(300000);
	struct record record;

	(void)state;
	put_ethernet(&frame, 0x86dd);
	put_ipv6(&frame, 0, 0);
	put(&frame, (uint8_t[8]){ 17, 0, 0xc2, 4, 0, 4, 0, 0x10 }, 8);
	put(&frame, (uint8_t[8]){ 0x30, 0x39, 0x30, 0x3a, 0, 0, 0, 1 }, 8);
	memset(frame.bytes + frame.length, 0x5a, 0x40010 - 16);
	frame.length = 14 + 40 + 0x40010;
	decode_packet(&options, frame.bytes, frame.length, frame.length, LINK_ETHERNET, &record, NULL);
	assert_int_equal(record.status, STATUS_CHECKSUMS_CHECKED | STATUS_L4_CHECKSUM_BAD);
	assert_int_equal(record.payload_length, 0x40000);
	free(frame.bytes);
}

/* levels tunnels of IP in IP: the bound stops the decoding, and what is described is the last. */
static struct record nested(unsigned tunnels, enum decode_tunnel mode)
{
	struct decode_options options = { .tunnel = mode };
	struct frame frame = frame_new(2000);
	struct record record;
	unsigned whole = 20 * (tunnels + 1) + 20;

	put_ethernet(&frame, 0x0800);
	for (unsigned i = 0; i <= tunnels; i++)
		put_ipv4(&frame, (uint16_t)(whole - 20 * i), i == tunnels ? 6 : 4, (uint8_t)(i + 1));
	put_tcp(&frame);
	decode_packet(&options, frame.bytes, frame.length, frame.length, LINK_ETHERNET, &record, NULL);
	free(frame.bytes);
	return record;
}

static void test_nesting(void **state)
{
	(void)state;
	for (unsigned tunnels = 1; tunnels <= 12; tunnels++) {
		struct record inner = nested(tunnels, DECODE_TUNNEL_INNER);
		struct record outer = nested(tunnels, DECODE_TUNNEL_OUTER);
		bool beyond = tunnels > DECODE_TUNNEL_BOUND;

		assert_int_equal(inner.tunnel_depth, beyond ? DECODE_TUNNEL_BOUND : tunnels);
		assert_int_equal(outer.tunnel_depth, inner.tunnel_depth);
		assert_int_equal(!!(inner.status & STATUS_TUNNEL_BOUND), beyond);
		assert_int_equal(!!(outer.status & STATUS_TUNNEL_BOUND), beyond);
		assert_int_equal(!!(inner.layers & LAYER_TCP), !beyond);
		assert_int_equal(inner.src_ip[15], beyond ? DECODE_TUNNEL_BOUND + 1 : tunnels + 1);
		assert_int_equal(outer.src_ip[15], 1);
		assert_int_equal(outer.ip_protocol, 4);
		assert_int_equal(outer.layers & LAYERS_L4, 0);
		assert_int_equal(outer.tunnel_type, TUNNEL_IPIP);
	}
}

/* Destination options of 2048 bytes each: the chain is bounded and offsets saturate. */
static void test_long_chain(void **state)
{
	struct frame frame = frame_new(400000);
	struct record record;

	(void)state;
	put_ethernet(&frame, 0x86dd);
	put_ipv6(&frame, 0, 60);
	for (unsigned i = 0; i < 40; i++) {
		put(&frame, (uint8_t[8]){ i == 39 ? 6 : 60, 255, 1, 4 }, 8);
		frame.length += 2040;
	}
	put_tcp(&frame);
	record = decode(&frame, frame.length);
	assert_int_equal(record.layers & LAYER_TCP, LAYER_TCP);
	assert_int_equal(record.l4_offset, UINT16_MAX);
	assert_int_equal(record.payload_offset, UINT16_MAX);
	assert_int_equal(record.payload_length, 0);
	assert_int_equal(record.src_port, 8080);
	free(frame.bytes);

	frame = frame_new(4000);
	put_ethernet(&frame, 0x86dd);
	put_ipv6(&frame, 8 * 200, 60);
	for (unsigned i = 0; i < 200; i++)
		put(&frame, (uint8_t[8]){ 60, 0, 1, 4 }, 8);
	record = decode(&frame, frame.length);
	assert_int_equal(record.status & STATUS_MALFORMED_L3, STATUS_MALFORMED_L3);
	free(frame.bytes);
}

/* What a caller may pass at the edges. */
static void test_edges(void **state)
{
	struct record record;
	uint8_t byte = 0;

	(void)state;
	decode_packet(&defaults, &byte, 0, 0, LINK_ETHERNET, &record, NULL);
	assert_int_equal(record.layers, 0);
	assert_int_equal(record.status, STATUS_SHORT);
	decode_packet(&defaults, &byte, 0, 60, LINK_ETHERNET, &record, NULL);
	assert_int_equal(record.status, STATUS_CUT);
	decode_packet(&defaults, &byte, 1, 0, LINK_ETHERNET, &record, NULL);
	assert_int_equal(record.wire_length, 1);
	decode_packet(&defaults, &byte, 0, UINT32_MAX, LINK_RAW, &record, NULL);
	assert_int_equal(record.wire_length, UINT32_MAX);
	assert_int_equal(record.status, STATUS_CUT);
	decode_packet(&defaults, &byte, 1, 1, 12345, &record, NULL);
	assert_int_equal(record.layers | record.status, 0);
}

/* Flows that differ in one port or one address byte spread evenly over 256 buckets: chi-square
 * with 255 degrees of freedom stays below 350 (p about 0.0001). */
static void check_spread(bool ports)
{
	unsigned buckets[256] = { 0 }, low[256] = { 0 };
	double chi = 0, chi_low = 0;

	for (unsigned i = 0; i < 65536; i++) {
		uint8_t src[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 }, dst[16] = { [10] = 0xff, 0xff, 10, 0, 0, 2 };
		uint32_t hash;

		if (!ports) {
			src[14] = (uint8_t)(i >> 8);
			src[15] = (uint8_t)i;
		}
		hash = flow_hash(src, dst, (uint16_t)(ports ? i : 1234), 443, 6);
		buckets[hash >> 24]++;
		low[hash & 255]++;
	}
	for (unsigned i = 0; i < 256; i++) {
		chi += ((double)buckets[i] - 256) * ((double)buckets[i] - 256) / 256;
		chi_low += ((double)low[i] - 256) * ((double)low[i] - 256) / 256;
	}
	assert_true(chi < 350);
	assert_true(chi_low < 350);
}

static void test_hash(void **state)
{
	uint8_t a[16] = { 0x20, 1, [15] = 1 }, b[16] = { 0x20, 1, [15] = 2 };

	(void)state;
	check_spread(true);
	check_spread(false);
	assert_int_equal(flow_hash(a, b, 1, 2, 6), flow_hash(b, a, 2, 1, 6));
	assert_int_not_equal(flow_hash(a, b, 1, 2, 6), flow_hash(a, b, 2, 1, 6));
	assert_int_not_equal(flow_hash(a, b, 1, 2, 6), flow_hash(a, b, 1, 2, 17));
	/* A host that talks to itself, and equal ports, must not collapse. */
	assert_int_not_equal(flow_hash(a, a, 1, 1, 6), flow_hash(b, b, 1, 1, 6));
	assert_int_not_equal(flow_hash(a, a, 1, 2, 6), flow_hash(a, a, 1, 3, 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aggregated_ipv4), cmocka_unit_test(test_jumbogram),
		cmocka_unit_test(test_huge_udp_checksum), cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_long_chain),      cmocka_unit_test(test_edges),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
