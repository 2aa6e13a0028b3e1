/* The flow table against a plain list, the timeouts by packet time, and Community IDs from the
 * specification. */
#include "tests/unit/sinks/support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow/flow.h"
#include "tests/analytics/sample.h"

#define KEYS 3000u

static struct flow_key key_of(uint32_t number)
{
	struct flow_key key = { .protocol = 6, .version = 4, .low_port = (uint16_t)number };

	memcpy(key.high_ip, &number, sizeof number);
	return key;
}

static void count_visit(void *context, struct flow_entry *entry)
{
	(*(uint32_t *)context)++;
}

/* Random insertions and removals: what is in is found, what is out is not, through growth and refilled
 * holes. */
static void test_table(void **state)
{
	struct flow_table table;
	struct error error;
	bool in[KEYS] = { false };
	uint64_t random = 3;
	uint32_t count = 0, walked = 0;

	(void)state;
	assert_int_equal(flow_table_create(&table, 64, KEYS / 2, &error), 0);
	/* A short index, so that probes run long and wrap. */
	table.index_mask = 1023;
	for (unsigned i = 0; i < 400000; i++) {
		uint32_t number = (uint32_t)(sample_random(&random) % KEYS);
		struct flow_key key = key_of(number);
		uint64_t hash = flow_table_hash(&table, &key);
		struct flow_entry *entry = flow_table_find(&table, &key, hash);

		assert_int_equal(entry != NULL, in[number]);
		if (entry) {
			assert_memory_equal(&entry->key, &key, sizeof key);
			flow_table_remove(&table, entry);
			count--;
		} else {
			entry = flow_table_insert(&table, &key, hash);
			assert_int_equal(entry == NULL, count == KEYS / 2);
			if (!entry)
				continue;
			count++;
		}
		in[number] = !in[number];
		assert_int_equal(table.count, count);
		if (table.index_mask == 1023 && count > 500)
			break; /* growing would unmap the whole mapping by the short size */
	}
	flow_table_walk(&table, UINT32_MAX, count_visit, &walked);
	assert_int_equal(walked, count);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct flow_key key = key_of(i);

		assert_int_equal(flow_table_find(&table, &key, flow_table_hash(&table, &key)) != NULL, in[i]);
	}
	table.index_mask = 65535;
	flow_table_close(&table);
}

static void test_growth(void **state)
{
	struct flow_table table;
	struct error error;

	(void)state;
	assert_int_equal(flow_table_create(&table, 64, 200000, &error), 0);
	for (uint32_t i = 0; i < 200000; i++) {
		struct flow_key key = key_of(i);

		assert_non_null(flow_table_insert(&table, &key, flow_table_hash(&table, &key)));
	}
	assert_null(flow_table_insert(&table, &(struct flow_key){ .protocol = 1 }, 7));
	for (uint32_t i = 0; i < 200000; i += 2) {
		struct flow_key key = key_of(i);

		flow_table_remove(&table, flow_table_find(&table, &key, flow_table_hash(&table, &key)));
	}
	for (uint32_t i = 0; i < 200000; i++) {
		struct flow_key key = key_of(i);

		assert_int_equal(flow_table_find(&table, &key, flow_table_hash(&table, &key)) != NULL, i % 2);
	}
	flow_table_close(&table);
}

/* From the specification's baseline. */
static void test_community_id(void **state)
{
	struct flow tcp = {
		.ip_version = 4, .ip_protocol = 6, .has_ports = 1, .src_port = 34855, .dst_port = 80
	};
	struct flow ping = { .ip_version = 4, .ip_protocol = 1, .has_icmp = 1, .icmp_type = 8 };
	struct flow exceeded = { .ip_version = 4, .ip_protocol = 1, .has_icmp = 1, .icmp_type = 11 };
	struct flow rsvp = { .ip_version = 4, .ip_protocol = 46 };
	struct flow_digest *digest;
	char id[32];

	(void)state;
	assert_int_equal(flow_digest_create(&digest), 0);
	support_ipv4(tcp.src_ip, 128, 232, 110, 120);
	support_ipv4(tcp.dst_ip, 66, 35, 250, 204);
	flow_community_id(&tcp, digest, id);
	assert_string_equal(id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
	support_ipv4(ping.src_ip, 192, 168, 0, 89);
	support_ipv4(ping.dst_ip, 192, 168, 0, 1);
	flow_community_id(&ping, digest, id);
	assert_string_equal(id, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
	support_ipv4(exceeded.src_ip, 10, 0, 0, 1);
	support_ipv4(exceeded.dst_ip, 10, 0, 0, 2);
	flow_community_id(&exceeded, digest, id);
	assert_string_equal(id, "1:YHxtAirCG//0OzkcVAukqKQN9xM=");
	support_ipv4(rsvp.src_ip, 10, 1, 12, 1);
	support_ipv4(rsvp.dst_ip, 10, 1, 12, 2);
	flow_community_id(&rsvp, digest, id);
	assert_string_equal(id, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=");
	flow_digest_close(digest);
}

/* Each line's value of a key of an NDJSON text, separated by spaces. */
static void values(const char *text, const char *key, char *out)
{
	*out = '\0';
	for (const char *at = strstr(text, key); at; at = strstr(at + 1, key)) {
		size_t length = strcspn(at + strlen(key) + 2, ",}\n");

		strncat(out, at + strlen(key) + 2, length);
		strcat(out, " ");
	}
}

static void check_flows(const char *query, const struct record *records, uint32_t count, const char *ends,
			const char *packets)
{
	char *directory = support_directory(), *text, spec[4200], got[512];
	struct interface_table *table = support_table();
	struct sink_options options = { .interfaces = table };

	snprintf(spec, sizeof spec, "flows:%s%s", support_path(directory, "x.ndjson"), query);
	support_run(spec, &options, records, count);
	text = support_read(support_path(directory, "x.ndjson"), NULL);
	values(text, "end_reason", got);
	assert_string_equal(got, ends);
	values(text, "packets_forward", got);
	assert_string_equal(got, packets);
	free(text);
	interface_table_close(table);
	support_remove(directory);
}

static void test_timeouts(void **state)
{
	struct record records[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		records[i] = support_tcp(10);
		records[i].timestamp_ns += (uint64_t)i * 60000000000u;
		records[i].tcp_seq += 10 * i;
	}
	check_flows("", records, 8, "\"end\" ", "8 ");
	check_flows("?idle=59", records, 4, "\"idle\" \"idle\" \"idle\" \"end\" ", "1 1 1 1 ");
	check_flows("?active=150", records, 8, "\"active\" \"active\" \"end\" ", "3 3 2 ");
	check_flows("?idle=61&active=86400", records, 8, "\"end\" ", "8 ");
	records[3].tcp_flags = 0x04;
	check_flows("", records, 8, "\"rst\" \"end\" ", "4 4 ");
}

static void test_full_table(void **state)
{
	struct record records[65];

	(void)state;
	for (unsigned i = 0; i < 65; i++) {
		records[i] = support_tcp(10);
		records[i].src_port = (uint16_t)(i + 1);
		records[i].timestamp_ns += i;
	}
	records[0].timestamp_ns += 40; /* the second is the longest idle then */
	{
		char *directory = support_directory(), *text, spec[4200], got[4096];
		struct sink_options options = { 0 };

		snprintf(spec, sizeof spec, "flows:%s?flows=64", support_path(directory, "x.ndjson"));
		support_run(spec, &options, records, 65);
		text = support_read(support_path(directory, "x.ndjson"), NULL);
		values(text, "end_reason", got);
		assert_int_equal(strncmp(got, "\"evicted\" \"end\" ", 16), 0);
		values(text, "src_port", got);
		assert_int_equal(strncmp(got, "2 1 65 3 ", 9), 0);
		free(text);
		support_remove(directory);
	}
}

static void test_bad_targets(void **state)
{
	static const char *const specs[] = { "flows:x", "flows:x.ndjson?idle=0", "flows:x.ndjson?flows=3",
					     "flows:x.pcapng" };
	struct sink_options options = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct error error = { 0 };
		struct sink *sink;

		assert_int_equal(sink_open(specs[i], &options, &sink, &error), -EINVAL);
		assert_true(error.message[0] && error.hint[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_growth),
		cmocka_unit_test(test_community_id), cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_full_table),   cmocka_unit_test(test_bad_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
