/* Every vector gives exactly its record, with and without a trace, and the trace that it lists.
 * argv[1]: the directory of vectors. `test_vectors --print FILE` prints the expect and trace lines
 * that the packet in a vector file gives now: to be checked against its RFC, then kept. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/decoders/vector.h"

static void test_vector(void **state)
{
	const struct vector *vector = *state;
	uint8_t *bytes = malloc(vector->length ? vector->length : 1);
	struct record plain, traced;
	struct decode_trace trace;

	assert_non_null(bytes);
	memcpy(bytes, vector->bytes, vector->length);
	memset(&plain, 0xa5, sizeof plain);
	memset(&traced, 0x5a, sizeof traced);
	decode_packet(&vector->options, bytes, vector->length, vector->wire_length, vector->link_type, &plain, NULL);
	decode_packet(&vector->options, bytes, vector->length, vector->wire_length, vector->link_type, &traced, &trace);
	free(bytes);

	assert_int_equal(vector_differences(&plain, &vector->expected), 0);
	assert_int_equal(vector_differences(&traced, &vector->expected), 0);
	for (unsigned i = 0; i < vector->traces; i++) {
		assert_true(i < trace.count);
		assert_string_equal(trace.layers[i].name, vector->trace[i].name);
		assert_int_equal(trace.layers[i].offset, vector->trace[i].offset);
		assert_int_equal(trace.layers[i].length, vector->trace[i].length);
	}
	if (vector->traces != 0)
		assert_int_equal(trace.count, vector->traces);
}

static void print_number(const char *name, unsigned long long value)
{
	if (value != 0)
		printf("expect %s %llu\n", name, value);
}

static void print_address(const char *name, const struct record *record, const uint8_t ip[16])
{
	char text[INET6_ADDRSTRLEN];
	bool six = record->layers & LAYER_IPV6;

	if (record->layers & (LAYERS_IP | LAYER_ARP))
		printf("expect %s %s\n", name, inet_ntop(six ? AF_INET6 : AF_INET, six ? ip : ip + 12, text, sizeof text));
}

static void print_mac(const char *name, const uint8_t m[6])
{
	printf("expect %s %02x:%02x:%02x:%02x:%02x:%02x\n", name, m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int print_vector(const char *path)
{
	struct vector vector;
	struct decode_trace trace;
	struct record r;

	vector_read(path, &vector);
	decode_packet(&vector.options, vector.bytes, vector.length, vector.wire_length, vector.link_type, &r, &trace);
	if (r.layers & LAYER_ETH) {
		print_mac("dst_mac", r.dst_mac);
		print_mac("src_mac", r.src_mac);
	}
	print_address("src_ip", &r, r.src_ip);
	print_address("dst_ip", &r, r.dst_ip);
#define NUMBER(name) print_number(#name, r.name)
	NUMBER(src_port), NUMBER(dst_port), NUMBER(payload_length), NUMBER(flow_hash), NUMBER(ethertype);
	NUMBER(ip_protocol), NUMBER(tcp_flags);
	if (r.layers & LAYER_TCP)
		NUMBER(tcp_seq), NUMBER(tcp_window);
	else if (r.layers & LAYER_ARP)
		NUMBER(arp_operation);
	else
		NUMBER(icmp_id), NUMBER(icmp_sequence), NUMBER(icmp_type), NUMBER(icmp_code);
	NUMBER(tcp_ack), NUMBER(tunnel_type), NUMBER(tunnel_id), NUMBER(tunnel_depth), NUMBER(ip_id), NUMBER(vlan_tci);
	NUMBER(inner_vlan_tci), NUMBER(l3_offset), NUMBER(l4_offset), NUMBER(payload_offset), NUMBER(fragment_offset);
	NUMBER(ip_ttl), NUMBER(ip_tos);
#undef NUMBER
	if (r.layers)
		printf("expect layers %s\n", vector_layer_names(r.layers));
	if (r.status)
		printf("expect status %s\n", vector_status_names(r.status));
	for (uint32_t i = 0; i < trace.count && i < VECTOR_TRACES; i++)
		printf("trace %s %u %u\n", trace.layers[i].name, trace.layers[i].offset, trace.layers[i].length);
	return 0;
}

int main(int argc, char **argv)
{
	struct CMUnitTest *tests;
	struct vector *vectors;
	unsigned count;
	int failed;

	if (argc == 3 && strcmp(argv[1], "--print") == 0)
		return print_vector(argv[2]);
	if (argc != 2)
		return 2;
	count = vector_read_all(argv[1], &vectors);
	tests = calloc(count, sizeof *tests);
	if (tests == NULL)
		return 2;
	for (unsigned i = 0; i < count; i++) {
		tests[i].name = vectors[i].name;
		tests[i].test_func = test_vector;
		tests[i].initial_state = &vectors[i];
	}
	failed = _cmocka_run_group_tests("vectors", tests, count, NULL, NULL);
	free(tests);
	free(vectors);
	return failed;
}
