/* Every vector cut at every length, and changed at random, in a heap buffer that ends where the
 * packet does (AddressSanitizer sees the first byte too many). What must hold for any packet:
 * the invariants of the record, and that the fast path and the loop give the same one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/flow_hash.h"
#include "tests/unit/decoders/vector.h"

#define MUTATIONS 3000

static struct vector *vectors;
static unsigned vector_count;

static bool is_zero(const void *data, size_t length)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static unsigned bits(uint32_t value)
{
	return (unsigned)__builtin_popcount(value);
}

static void check_presence(const struct record *r)
{
	uint32_t layers = r->layers;
	bool ip = layers & LAYERS_IP;

	assert_int_equal(r->layers >> 30, 0);
	assert_true(bits(layers & LAYERS_IP) <= 1);
	assert_true(bits(layers & LAYERS_L4) <= 1);
	assert_true(!(layers & LAYERS_L4) || ip);
	assert_true(!(layers & LAYER_ARP) || !ip);
	assert_true(!(layers & (LAYER_IPV6_EXT | LAYER_IPV6_FRAG)) || (layers & LAYER_IPV6));
	assert_true(!(layers & (LAYER_AH | LAYER_ESP)) || ip);
	assert_true(!(layers & LAYER_VLAN_INNER) || (layers & LAYER_VLAN));
	assert_int_equal(!!(layers & LAYER_PORTS),
			 !!(layers & (LAYER_TCP | LAYER_UDP | LAYER_UDPLITE | LAYER_SCTP | LAYER_DCCP)));
	assert_true(!(layers & LAYER_TUNNEL_ID) || (layers & LAYER_TUNNEL));
	assert_int_equal(!!(layers & LAYER_TUNNEL), r->tunnel_type != TUNNEL_NONE);
	assert_true(r->tunnel_depth <= DECODE_TUNNEL_BOUND);
	assert_int_equal(!!(layers & LAYER_TUNNEL), r->tunnel_depth != 0);
}

static void check_nulls(const struct record *r)
{
	uint32_t layers = r->layers;
	bool ip = layers & LAYERS_IP;
	bool fragment = layers & (LAYER_IPV4 | LAYER_IPV6_FRAG);

	if (!ip && !(layers & LAYER_ARP))
		assert_true(is_zero(r->src_ip, 32) && r->l3_offset == 0);
	if (!(layers & LAYER_PORTS))
		assert_true(r->src_port == 0 && r->dst_port == 0);
	if (!ip)
		assert_true(r->payload_length == 0 && r->flow_hash == 0 && r->ip_protocol == 0 && r->payload_offset == 0 &&
			    r->ip_ttl == 0 && r->ip_tos == 0);
	if (!(layers & LAYER_ETHERTYPE))
		assert_int_equal(r->ethertype, 0);
	if (!(layers & LAYER_TCP))
		assert_true(r->tcp_flags == 0 && r->tcp_ack == 0 &&
			    !(r->status & (STATUS_TCP_AE | STATUS_TCP_MSS | STATUS_TCP_WINDOW_SCALE |
					   STATUS_TCP_SACK_PERMITTED | STATUS_TCP_SACK | STATUS_TCP_TIMESTAMPS)));
	if (!(layers & LAYER_TCP) && !record_has_icmp_id(r))
		assert_int_equal(r->tcp_seq, 0);
	if (!(layers & (LAYER_TCP | LAYER_ICMP | LAYER_ICMPV6 | LAYER_IGMP | LAYER_ARP)))
		assert_int_equal(r->tcp_window, 0);
	if (!(layers & LAYER_TUNNEL_ID))
		assert_int_equal(r->tunnel_id, 0);
	if (!fragment)
		assert_true(r->ip_id == 0 && r->fragment_offset == 0 && !(r->status & STATUS_FRAGMENT));
	if (!(layers & LAYER_ETH))
		assert_true(is_zero(r->src_mac, 12));
	if (!(layers & LAYER_VLAN))
		assert_int_equal(r->vlan_tci, 0);
	if (!(layers & LAYER_VLAN_INNER))
		assert_int_equal(r->inner_vlan_tci, 0);
	if (!(layers & LAYERS_L4))
		assert_int_equal(r->l4_offset, 0);
}

static void check_offsets(const struct record *r)
{
	if (r->layers & (LAYERS_IP | LAYER_ARP))
		assert_true(r->l3_offset < r->captured_length);
	if (r->layers & LAYERS_L4)
		assert_true(r->l4_offset > r->l3_offset && r->l4_offset < r->captured_length);
	if (r->layers & LAYERS_IP) {
		assert_true(r->payload_offset >= r->l3_offset + (r->layers & LAYER_IPV4 ? 20 : 40));
		assert_true(r->payload_offset + (uint64_t)r->payload_length <= r->wire_length);
	}
	if (r->layers & LAYERS_IP && r->status & STATUS_FRAGMENT && r->fragment_offset != 0)
		assert_false(r->layers & (LAYERS_L4 | LAYER_PORTS));
	if (r->status & STATUS_CUT)
		assert_true(r->captured_length < r->wire_length);
	assert_int_equal(r->timestamp_ns, 0);
	assert_int_equal(r->interface, 0);
	assert_true(r->packet_offset == RECORD_NO_OFFSET);
	assert_int_equal(r->status & (STATUS_AGGREGATED | STATUS_TIME_HARDWARE | STATUS_LATE | STATUS_TAG_RESTORED |
				      STATUS_CONTROL), 0);
}

static void check_hash(const struct record *r)
{
	if (!(r->layers & LAYERS_IP) || (r->status & STATUS_FRAGMENT))
		return;
	assert_int_equal(r->flow_hash, flow_hash(r->src_ip, r->dst_ip, r->src_port, r->dst_port, r->ip_protocol));
	assert_int_equal(r->flow_hash, flow_hash(r->dst_ip, r->src_ip, r->dst_port, r->src_port, r->ip_protocol));
}

/* Decodes in all ways and checks what holds for each. */
static void check(const struct vector *vector, const uint8_t *bytes, uint32_t length, uint32_t wire_length)
{
	struct decode_options options = vector->options;
	struct decode_trace trace;
	struct record plain, traced;

	for (unsigned way = 0; way < 4; way++) {
		options.tunnel = way & 1 ? DECODE_TUNNEL_OUTER : DECODE_TUNNEL_INNER;
		options.verify_checksums = way & 2;
		memset(&plain, 0xa5, sizeof plain);
		memset(&traced, 0x5a, sizeof traced);
		decode_packet(&options, bytes, length, wire_length, vector->link_type, &plain, NULL);
		decode_packet(&options, bytes, length, wire_length, vector->link_type, &traced, &trace);
		assert_int_equal(vector_differences(&plain, &traced), 0);
		assert_true(plain.captured_length == length && plain.wire_length == wire_length);
		check_presence(&plain);
		check_nulls(&plain);
		check_offsets(&plain);
		check_hash(&plain);
		assert_true(trace.count <= DECODE_TRACE_LAYERS);
		for (uint32_t i = 0; i < trace.count; i++)
			assert_true(trace.layers[i].name != NULL && trace.layers[i].offset <= length);
	}
}

static void test_cut(void **state)
{
	(void)state;
	for (unsigned v = 0; v < vector_count; v++) {
		const struct vector *vector = &vectors[v];

		for (uint32_t length = 0; length <= vector->length; length++) {
			uint8_t *bytes = malloc(length ? length : 1);

			assert_non_null(bytes);
			memcpy(bytes, vector->bytes, length);
			check(vector, bytes, length, vector->wire_length); /* cut by the snap length */
			check(vector, bytes, length, length);              /* a frame that ended there */
			free(bytes);
		}
	}
}

/* xorshift: the same packets every time. */
static uint32_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 32);
}

static void test_mutated(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15;

	(void)state;
	for (unsigned v = 0; v < vector_count; v++) {
		const struct vector *vector = &vectors[v];
		uint8_t *bytes = malloc(vector->length ? vector->length : 1);

		assert_non_null(bytes);
		for (unsigned i = 0; i < MUTATIONS && vector->length > 0; i++) {
			memcpy(bytes, vector->bytes, vector->length);
			for (unsigned n = next_random(&seed) % 6; n < 6; n++)
				bytes[next_random(&seed) % (vector->length < 128 ? vector->length : 128)] =
					(uint8_t)next_random(&seed);
			check(vector, bytes, vector->length, vector->wire_length);
		}
		free(bytes);
	}
}

static void test_noise(void **state)
{
	static const uint16_t links[] = { 0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 166, 228, 229, 276, 999 };
	static struct vector vector;
	uint64_t seed = 0x123456789abcdef;

	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		uint32_t length = next_random(&seed) % 160;
		uint8_t *bytes = malloc(length ? length : 1);

		assert_non_null(bytes);
		for (uint32_t b = 0; b < length; b++)
			bytes[b] = (uint8_t)next_random(&seed);
		vector.link_type = links[i % (sizeof links / sizeof links[0])];
		check(&vector, bytes, length, length + next_random(&seed) % 3 * 40);
		free(bytes);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_noise),
	};
	int failed;

	if (argc != 2)
		return 2;
	vector_count = vector_read_all(argv[1], &vectors);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(vectors);
	return failed;
}
