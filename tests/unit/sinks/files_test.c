/* The file formats: exact bytes, what is refused, and how an argument names a format. */
#include "tests/unit/sinks/support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/output.h"
#include "engine/schema.h"

static const uint8_t udp_packet[60] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 8, 0,
	0x45, 0, 0, 31, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	0, 53, 4, 0, 0, 11, 0, 0, 'a', 'b', 'c',
};

struct setting {
	char *directory;
	struct interface_table *table;
	struct sink_options options;
};

static int set_up(void **state)
{
	struct setting *setting = calloc(1, sizeof *setting);

	setting->directory = support_directory();
	setting->table = support_table();
	setting->options = (struct sink_options){
		.interfaces = setting->table, .application = "weir test", .snap_length = 262144,
	};
	*state = setting;
	return 0;
}

static int tear_down(void **state)
{
	struct setting *setting = *state;

	support_remove(setting->directory);
	interface_table_close(setting->table);
	free(setting);
	return 0;
}

static uint32_t u32_at(const char *bytes, size_t at)
{
	uint32_t value;

	memcpy(&value, bytes + at, sizeof value);
	return value;
}

static uint64_t u64_at(const char *bytes, size_t at)
{
	uint64_t value;

	memcpy(&value, bytes + at, sizeof value);
	return value;
}

/* ---- ndjson and csv ---- */

#define HEAD_KEYS "{\"timestamp_ns\":1510646400123456789,\"wire_length\":"

static void ndjson_tcp(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.ndjson");
	struct record record = support_tcp(100);
	char *got;

	record.layers |= LAYER_VLAN;
	record.vlan_tci = 0x6000 | 100;
	record.status = DIRECTION_OUT;
	support_run(path, &setting->options, &record, 1);
	got = support_read(path, NULL);
	assert_string_equal(got,
		HEAD_KEYS "154,\"captured_length\":154,\"src_ip\":\"10.0.0.1\",\"dst_ip\":\"10.0.0.2\",\"src_port\":80,"
		"\"dst_port\":1234,\"payload_length\":100,\"flow_hash\":77,\"ethertype\":2048,\"ip_protocol\":6,\"tcp_flags\":24,"
		"\"packet_offset\":null,\"tcp_seq\":1,\"icmp_id\":null,\"icmp_sequence\":null,\"tcp_ack\":2,\"tunnel_id\":null,"
		"\"ip_id\":99,\"layers\":536937483,\"status\":2,\"src_mac\":\"00:11:22:33:44:55\",\"dst_mac\":\"aa:bb:cc:dd:ee:ff\","
		"\"vlan_tci\":24676,\"inner_vlan_tci\":null,\"l3_offset\":14,\"l4_offset\":34,\"payload_offset\":54,"
		"\"fragment_offset\":0,\"tcp_window\":502,\"icmp_type\":null,\"icmp_code\":null,\"arp_operation\":null,\"ip_ttl\":64,"
		"\"ip_tos\":0,\"tunnel_type\":null,\"tunnel_depth\":0,\"interface\":0,\"ip_version\":4,\"direction\":\"out\","
		"\"vlan_id\":100,\"inner_vlan_id\":null}\n");
	free(got);
}

/* Nothing known: nulls, never zeros. The same through --format ndjson. */
static void ndjson_nulls(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.txt");
	struct record record = { .timestamp_ns = SUPPORT_TIME,
				.packet_offset = 12345 }; /* an address while it travels */
	char *got;

	setting->options.format = "ndjson";
	support_run(path, &setting->options, &record, 1);
	got = support_read(path, NULL);
	assert_string_equal(got,
		HEAD_KEYS "0,\"captured_length\":0,\"src_ip\":null,\"dst_ip\":null,\"src_port\":null,\"dst_port\":null,"
		"\"payload_length\":null,\"flow_hash\":null,\"ethertype\":null,\"ip_protocol\":null,\"tcp_flags\":null,"
		"\"packet_offset\":null,\"tcp_seq\":null,\"icmp_id\":null,\"icmp_sequence\":null,\"tcp_ack\":null,\"tunnel_id\":null,"
		"\"ip_id\":null,\"layers\":0,\"status\":0,\"src_mac\":null,\"dst_mac\":null,\"vlan_tci\":null,\"inner_vlan_tci\":null,"
		"\"l3_offset\":null,\"l4_offset\":null,\"payload_offset\":null,\"fragment_offset\":null,\"tcp_window\":null,"
		"\"icmp_type\":null,\"icmp_code\":null,\"arp_operation\":null,\"ip_ttl\":null,\"ip_tos\":null,\"tunnel_type\":null,"
		"\"tunnel_depth\":0,\"interface\":0,\"ip_version\":null,\"direction\":null,\"vlan_id\":null,\"inner_vlan_id\":null}\n");
	free(got);
}

static void csv_rows(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.csv");
	struct record records[2] = { support_tcp(100), { .timestamp_ns = 1 } };
	char *got;

	support_run(path, &setting->options, records, 2);
	got = support_read(path, NULL);
	assert_string_equal(got,
		"timestamp_ns,wire_length,captured_length,src_ip,dst_ip,src_port,dst_port,payload_length,flow_hash,ethertype,"
		"ip_protocol,tcp_flags,packet_offset,tcp_seq,icmp_id,icmp_sequence,tcp_ack,tunnel_id,ip_id,layers,status,src_mac,"
		"dst_mac,vlan_tci,inner_vlan_tci,l3_offset,l4_offset,payload_offset,fragment_offset,tcp_window,icmp_type,icmp_code,"
		"arp_operation,ip_ttl,ip_tos,tunnel_type,tunnel_depth,interface,ip_version,direction,vlan_id,inner_vlan_id\r\n"
		"1510646400123456789,154,154,10.0.0.1,10.0.0.2,80,1234,100,77,2048,6,24,,1,,,2,,99,536937475,0,00:11:22:33:44:55,"
		"aa:bb:cc:dd:ee:ff,,,14,34,54,0,502,,,,64,0,,0,0,4,,,\r\n"
		"1,0,0,,,,,,,,,,,,,,,,,0,0,,,,,,,,,,,,,,,,0,0,,,,\r\n");
	free(got);
}

/* All bits set and all bytes at their largest: the longest lines, many of them. */
static void longest_lines(void **state)
{
	static const char *const names[] = { "x.ndjson", "x.csv" };
	struct setting *setting = *state;
	static struct record records[1000];

	memset(records, 0xff, sizeof records);
	for (unsigned i = 0; i < 1000; i++)
		records[i].layers = (i & 1 ? UINT32_MAX ^ LAYER_IPV6 : UINT32_MAX) ^ (i & 2 ? LAYER_ICMP : 0);
	for (unsigned k = 0; k < 2; k++) {
		const char *path = support_path(setting->directory, names[k]);
		char *got, *line;
		unsigned lines = 0;

		support_run(path, &setting->options, records, 1000);
		got = support_read(path, NULL);
		for (line = got; (line = strchr(line, '\n')) != NULL; line++)
			lines++;
		assert_int_equal(lines, 1000 + k);
		free(got);
	}
}

/* ---- pcap ---- */

static void pcap_bytes(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.pcap");
	struct record record = support_record(udp_packet, sizeof udp_packet);
	static const uint32_t head[] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, 1, 1510646400, 123456789, 60, 1514 };
	size_t length;
	char *got;

	record.wire_length = 1514;
	support_run(path, &setting->options, &record, 1);
	got = support_read(path, &length);
	assert_int_equal(length, sizeof head + 60);
	assert_memory_equal(got, head, sizeof head);
	assert_memory_equal(got + sizeof head, udp_packet, 60);
	free(got);
}

static void pcap_without_interfaces_or_packets(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.pcap");
	struct sink_options options = { .application = "weir test" };
	size_t length;
	char *got;

	assert_int_equal(interface_table_create((struct interface_table **)&options.interfaces, NULL), 0);
	support_run(path, &options, NULL, 0);
	got = support_read(path, &length);
	assert_int_equal(length, 24);
	assert_int_equal(u32_at(got, 20), LINK_ETHERNET);
	free(got);
	interface_table_close((struct interface_table *)options.interfaces);
}

static void pcap_of_two_link_types(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.pcap");
	struct record record = support_record(udp_packet, sizeof udp_packet);
	const struct record *pointer = &record;
	struct batch batch = { .records = &pointer, .count = 1, .interfaces = setting->table };
	struct error error = { 0 };
	struct sink *sink;

	assert_int_equal(sink_open(path, &setting->options, &sink, &error), 0);
	support_add(setting->table, "ppp0", LINK_RAW);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	record.interface = 1;
	assert_int_equal(sink->ops->write(sink, &batch), -EPROTOTYPE);
	assert_non_null(strstr(sink->error.hint, "pcapng"));
	atomic_store(&sink->offered, 2);
	sink->ops->close(sink);
	assert_false(support_exists(path));
	assert_true(support_exists(support_path(setting->directory, "x.pcap.part")));

	/* Known from the start, it is refused at once and leaves nothing behind. */
	path = support_path(setting->directory, "y.pcap");
	assert_int_equal(sink_open(path, &setting->options, &sink, &error), -EPROTOTYPE);
	assert_null(sink);
	assert_non_null(strstr(error.message, "ppp0"));
	assert_false(support_exists(support_path(setting->directory, "y.pcap.part")));
}

/* ---- pcapng ---- */

/* The block at *at: its type; *at moves behind it, and both its lengths are checked. */
static uint32_t next_block(const char *bytes, size_t length, size_t *at)
{
	uint32_t block = u32_at(bytes, *at + 4);
	uint32_t type = u32_at(bytes, *at);

	assert_true(block >= 12 && block % 4 == 0 && block <= length - *at);
	assert_int_equal(u32_at(bytes, *at + block - 4), block);
	*at += block;
	return type;
}

static void pcapng_packet_bytes(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.pcapng");
	struct record record = support_record(udp_packet, sizeof udp_packet);
	static const uint32_t flags[] = { 0, 1, 2, 1 | 4 << 2 };
	size_t length;
	char *got;

	for (uint32_t captured = 53; captured < 61; captured++) {
		for (uint32_t direction = 0; direction < 4; direction++) {
			size_t at = 0, packet;
			uint32_t padded = (captured + 3) & ~3u;

			record.captured_length = captured;
			record.wire_length = 1514;
			record.status = direction;
			support_run(path, &setting->options, &record, 1);
			got = support_read(path, &length);
			assert_int_equal(next_block(got, length, &at), 0x0a0d0d0a);
			assert_int_equal(u64_at(got, 16), length - at); /* the section's length */
			assert_int_equal(next_block(got, length, &at), 1);
			packet = at;
			assert_int_equal(next_block(got, length, &at), 6);
			assert_int_equal(at - packet, 28 + padded + 4 + (direction == 0 ? 0 : 12));
			assert_int_equal(u32_at(got, packet + 8), 0);
			assert_int_equal((uint64_t)u32_at(got, packet + 12) << 32 | u32_at(got, packet + 16), SUPPORT_TIME);
			assert_int_equal(u32_at(got, packet + 20), captured);
			assert_int_equal(u32_at(got, packet + 24), 1514);
			assert_memory_equal(got + packet + 28, udp_packet, captured);
			assert_memory_equal(got + packet + 28 + captured, "\0\0\0", padded - captured);
			if (direction != 0) {
				assert_int_equal(u32_at(got, packet + 28 + padded), 2 | 4 << 16);
				assert_int_equal(u32_at(got, packet + 32 + padded), flags[direction]);
				assert_int_equal(u32_at(got, packet + 36 + padded), 0);
			}
			assert_int_equal(next_block(got, length, &at), 5);
			assert_int_equal(at, length);
			free(got);
		}
	}
}

/* The value of an option of the block at, which starts its options at options. Fails when it is not there. */
static const char *option(const char *bytes, size_t at, size_t options, uint16_t code,
			  uint16_t expected_length)
{
	size_t end = at + u32_at(bytes, at + 4) - 4;

	for (at += options; at < end;) {
		uint32_t head = u32_at(bytes, at);

		if ((uint16_t)head == code) {
			assert_int_equal(head >> 16, expected_length);
			return bytes + at + 4;
		}
		if (head == 0)
			break;
		at += 4 + (((head >> 16) + 3) & ~3u);
	}
	fail_msg("option %u is not there", code);
	return NULL;
}

static void pcapng_statistics(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.pcapng");
	struct record record = support_record(udp_packet, sizeof udp_packet);
	const struct record *pointers[] = { &record, &record };
	struct batch batch = { .records = pointers, .count = 2, .interfaces = setting->table };
	struct ledger ledger;
	struct error error;
	struct sink *sink;
	size_t length, at = 0, start;
	char *got;

	setting->options.filter = "udp port 53";
	assert_int_equal(sink_open(path, &setting->options, &sink, &error), 0);
	assert_int_equal(sink->needs, SINK_NEEDS_PACKET);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	support_ledger(&ledger);
	assert_int_equal(sink->ops->finish(sink, &ledger), 0);
	got = support_read(path, &length);
	assert_int_equal(atomic_load(&sink->bytes), length);
	sink->ops->close(sink);
	next_block(got, length, &at);
	start = at;
	next_block(got, length, &at);
	assert_memory_equal(option(got, start, 16, 2, 4), "eth0", 4);
	assert_int_equal(*option(got, start, 16, 9, 1), 9);
	assert_memory_equal(option(got, start, 16, 11, 12), "\0udp port 53", 12);
	next_block(got, length, &at);
	next_block(got, length, &at);
	start = at;
	assert_int_equal(next_block(got, length, &at), 5);
	assert_int_equal(u64_at(option(got, start, 20, 4, 8), 0), 110); /* received */
	assert_int_equal(u64_at(option(got, start, 20, 5, 8), 0), 4);   /* dropped before the ring */
	assert_int_equal(u64_at(option(got, start, 20, 6, 8), 0), 107); /* accepted by the filter */
	assert_int_equal(u64_at(option(got, start, 20, 7, 8), 0), 7);   /* dropped by the ring */
	assert_int_equal(u64_at(option(got, start, 20, 8, 8), 0), 2);   /* delivered */
	assert_int_equal(u32_at(option(got, start, 20, 2, 8), 4), (uint32_t)SUPPORT_TIME);
	assert_int_equal(at, length);
	free(got);
	ledger_close(&ledger);
}

/* Interfaces that appear in mid-run are described before their first packet, in their order. */
static void pcapng_late_interfaces(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.pcapng");
	struct record record = support_record(udp_packet, sizeof udp_packet);
	const struct record *pointer = &record;
	struct batch batch = { .records = &pointer, .count = 1, .interfaces = setting->table };
	struct ledger ledger = { 0 };
	static const uint32_t types[] = { 0x0a0d0d0a, 1, 6, 1, 1, 6, 6, 1, 5, 5, 5, 5 };
	struct error error;
	struct sink *sink;
	size_t length, at = 0;
	char *got;

	assert_int_equal(sink_open(path, &setting->options, &sink, &error), 0);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	support_add(setting->table, "late1", LINK_RAW);
	support_add(setting->table, "late2", LINK_ETHERNET);
	record.interface = 2;
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	record.interface = 1;
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	support_add(setting->table, "silent", LINK_ETHERNET);
	assert_int_equal(sink->ops->finish(sink, &ledger), 0);
	sink->ops->close(sink);
	got = support_read(path, &length);
	for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
		if (i == 5)
			assert_int_equal(u32_at(got, at + 8), 2);
		assert_int_equal(next_block(got, length, &at), types[i]);
	}
	assert_int_equal(at, length);
	free(got);
}

static void pcapng_interface_nobody_described(void **state)
{
	struct setting *setting = *state;
	struct record record = support_record(udp_packet, sizeof udp_packet);
	const struct record *pointer = &record;
	struct batch batch = { .records = &pointer, .count = 1, .interfaces = setting->table };
	struct error error;
	struct sink *sink;

	record.interface = 1;
	assert_int_equal(sink_open(support_path(setting->directory, "x.pcapng"), &setting->options, &sink,
				   &error), 0);
	assert_int_equal(sink->ops->write(sink, &batch), -EINVAL);
	sink->ops->close(sink);
}

/* Longer than one reservation can be: an aggregate of many segments. */
static void packets_longer_than_a_reservation(void **state)
{
	static const uint32_t lengths[] = { OUTPUT_RESERVE_MAX - 52, OUTPUT_RESERVE_MAX - 51,
					   OUTPUT_RESERVE_MAX, 1000001 };
	static const char *const names[] = { "x.pcapng", "x.pcap" };
	struct setting *setting = *state;
	uint8_t *packet = malloc(1000001);

	for (uint32_t i = 0; i < 1000001; i++)
		packet[i] = (uint8_t)(i * 2654435761u >> 24);
	for (unsigned i = 0; i < 8; i++) {
		const char *path = support_path(setting->directory, names[i % 2]);
		struct record record = support_record(packet, lengths[i / 2]);
		size_t length, at = 0;
		char *got;

		support_run(path, &setting->options, &record, 1);
		got = support_read(path, &length);
		if (i % 2 == 0) {
			next_block(got, length, &at);
			next_block(got, length, &at);
			assert_memory_equal(got + at + 28, packet, lengths[i / 2]);
			assert_int_equal(next_block(got, length, &at), 6);
			assert_int_equal(next_block(got, length, &at), 5);
			assert_int_equal(at, length);
		} else {
			assert_int_equal(length, 40 + lengths[i / 2]);
			assert_memory_equal(got + 40, packet, lengths[i / 2]);
		}
		free(got);
	}
	free(packet);
}

static void no_packets_to_save(void **state)
{
	static const char *const names[] = { "x.pcapng", "x.pcap" };
	struct setting *setting = *state;
	struct record record = support_tcp(5);
	const struct record *pointer = &record;
	struct batch batch = { .records = &pointer, .count = 1, .interfaces = setting->table };

	for (unsigned i = 0; i < 2; i++) {
		struct error error;
		struct sink *sink;

		assert_int_equal(sink_open(support_path(setting->directory, names[i]), &setting->options,
					   &sink, &error), 0);
		assert_int_equal(sink->ops->write(sink, &batch), -ENODATA);
		assert_non_null(strstr(sink->error.message, "come without"));
		assert_non_null(strstr(sink->error.hint, "ndjson"));
		sink->ops->close(sink);
	}
}

/* ---- records ---- */

static void records_bytes(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.weir");
	static struct record records[3000];
	struct record one = support_record(udp_packet, sizeof udp_packet);
	size_t length;
	char *got;

	for (unsigned i = 0; i < 3000; i++) {
		records[i] = one;
		records[i].tcp_ack = i;
	}
	support_run(path, &setting->options, records, 3000);
	got = support_read(path, &length);
	assert_int_equal(length, 16384 + 3000 * 128);
	assert_memory_equal(got, "WEIRREC1", 8);
	assert_int_equal(u32_at(got, 8), 16384);
	assert_int_equal(u32_at(got, 12), 128);
	assert_int_equal(got[16], '{');
	assert_int_equal(got[16383], '\n');
	assert_non_null(strstr(got + 16, "\"records\":3000"));
	for (unsigned i = 0; i < 3000; i++) {
		records[i].packet_offset = RECORD_NO_OFFSET; /* an address means nothing in a file */
		assert_memory_equal(got + 16384 + i * 128, &records[i], 128);
	}
	free(got);
}

/* More interfaces than the header has room for, and names that JSON must escape: it stays a header. */
static void records_many_interfaces(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x.weir");
	struct record record = support_tcp(5);
	size_t length;
	char *got, *end;

	for (unsigned i = 0; i < 1000; i++) {
		support_add(setting->table, "a\"\\\n\xc3\xa4\xff", LINK_ETHERNET);
		if (i % 100 != 0 && i > 130)
			continue;
		support_run(path, &setting->options, &record, 1);
		got = support_read(path, &length);
		assert_int_equal(length, 16384 + 128);
		assert_non_null(strstr(got + 16, "\"interfaces_omitted\":"));
		for (end = got + 16382; *end == ' '; end--)
			;
		assert_int_equal(*end, '}');
		assert_null(memchr(got + 16, '\0', 16384 - 16));
		free(got);
	}
}

/* Into a pipe the header cannot be written again: its counts stay null. */
static void records_not_seekable(void **state)
{
	struct setting *setting = *state;
	const char *path = support_path(setting->directory, "x");
	struct record record = support_tcp(5);
	char command[1200], spec[600];
	FILE *pipe;
	size_t length;
	char *got;

	snprintf(spec, sizeof spec, "%s.fifo", path);
	assert_int_equal(mkfifo(spec, 0600), 0);
	snprintf(command, sizeof command, "cat %s.fifo > %s", path, path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	snprintf(spec, sizeof spec, "records:%s.fifo", path);
	support_run(spec, &setting->options, &record, 1);
	pclose(pipe);
	got = support_read(path, &length);
	assert_int_equal(length, 16384 + 128);
	assert_non_null(strstr(got + 16, "\"records\":null"));
	free(got);
}

/* ---- null and the names ---- */

static void null_counts(void **state)
{
	struct setting *setting = *state;
	struct record record = support_record(udp_packet, sizeof udp_packet);
	const struct record *pointers[] = { &record, &record, &record };
	struct batch batch = { .records = pointers, .count = 3, .interfaces = setting->table };
	struct ledger ledger = { 0 };
	struct error error;
	struct sink *sink;

	assert_int_equal(sink_open("null:", &setting->options, &sink, &error), 0);
	assert_int_equal(sink->needs, SINK_NEEDS_RECORD);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	assert_int_equal(sink->ops->finish(sink, &ledger), 0);
	assert_int_equal(sink->event_count, 2);
	assert_string_equal(sink->events[0].name, "packets");
	assert_int_equal(sink->events[0].count, 6);
	assert_int_equal(sink->events[1].count, 360);
	sink->ops->close(sink);
	assert_int_equal(sink_open("null:packet", &setting->options, &sink, &error), 0);
	assert_int_equal(sink->needs, SINK_NEEDS_PACKET);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	assert_int_equal(sink->ops->finish(sink, &ledger), 0);
	assert_int_equal(sink->events[2].count, 3 * 255); /* first and last byte of each packet */
	sink->ops->close(sink);
	assert_int_equal(sink_open("null:x", &setting->options, &sink, &error), -EINVAL);
}

static void arguments_name_formats(void **state)
{
	static const struct {
		const char *argument; /* %s: the directory */
		const char *name;
	} cases[] = {
		{ "%s/x.pcapng", "pcapng" }, { "%s/x.PCAPNG", "pcapng" }, { "%s/x.pcap", "pcap" },
		{ "%s/x.ndjson", "ndjson" },
		{ "%s/x.csv", "csv" }, { "%s/x.weir", "records" }, { "%s/x.txt", "text" }, { "text:%s/x.pcap", "text" },
		{ "ndjson:%s/x", "ndjson" }, { "csv:%s/x", "csv" }, { "pcapng:%s/x", "pcapng" }, { "pcap:%s/x", "pcap" },
		{ "records:%s/x", "records" }, { "%s/a:b.pcap", "pcap" }, { "-", "text" }, { "ndjson:-", "ndjson" },
	};
	static const char *const unknown[] = { "%s/x", "%s/x.zip", "%s/.pcap.", "tcpp://%s/x.pcap",
					      "%s/pcap", "", ".pcap" };
	struct setting *setting = *state;
	struct error error;
	struct sink *sink;
	char argument[600];

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(argument, sizeof argument, cases[i].argument, setting->directory);
		assert_int_equal(sink_open(argument, &setting->options, &sink, &error), 0);
		assert_string_equal(sink->ops->name, cases[i].name);
		assert_string_equal(sink->label, strcmp(argument, "-") == 0 ? "-" : argument);
		sink->ops->close(sink);
	}
	for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		snprintf(argument, sizeof argument, unknown[i], setting->directory);
		assert_int_equal(sink_open(argument, &setting->options, &sink, &error), -EINVAL);
		assert_null(sink);
		assert_non_null(strstr(error.message, "cannot tell the format"));
		assert_non_null(strstr(error.hint, ".pcapng"));
		assert_non_null(strstr(error.hint, "ndjson:"));
	}
	assert_int_equal(sink_open("csv:", &setting->options, &sink, &error), -EINVAL);
	assert_string_equal(error.hint, "csv:- is standard output");
	assert_int_equal(sink_open("/nonexistent/x.pcap", &setting->options, &sink, &error), -ENOENT);
}

/* A full device: write or finish says so. */
static void full_device(void **state)
{
	static const char *const prefixes[] = { "text:", "ndjson:", "csv:", "pcapng:", "pcap:", "records:" };
	struct setting *setting = *state;
	struct record record = support_record(udp_packet, sizeof udp_packet);
	const struct record *pointer = &record;
	struct batch batch = { .records = &pointer, .count = 1, .interfaces = setting->table };
	struct ledger ledger = { 0 };

	for (unsigned i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		char spec[64];
		struct error error;
		struct sink *sink;
		int code = 0;

		snprintf(spec, sizeof spec, "%s/dev/full", prefixes[i]);
		assert_int_equal(sink_open(spec, &setting->options, &sink, &error), 0);
		for (unsigned k = 0; k < 100000 && code == 0; k++)
			code = sink->ops->write(sink, &batch);
		assert_int_equal(code, -ENOSPC);
		assert_non_null(strstr(sink->error.message, "No space left"));
		assert_int_equal(sink->ops->flush(sink), -ENOSPC);
		assert_int_equal(sink->ops->finish(sink, &ledger), -ENOSPC);
		sink->ops->close(sink);
	}
}

/* What came long ago is in the file although its buffer is not full; under load nobody flushes. */
static void quiet_files_are_flushed(void **state)
{
	struct setting *setting = *state;
	static struct record records[SINK_BATCH];
	static const struct record *pointers[SINK_BATCH];
	struct batch batch = { .records = pointers, .count = 1, .interfaces = setting->table };
	const char *part = support_path(setting->directory, "x.weir.part");
	struct error error;
	struct sink *sink;
	size_t length;

	for (unsigned i = 0; i < SINK_BATCH; i++) {
		records[i] = support_tcp(i);
		pointers[i] = &records[i];
	}
	assert_int_equal(sink_open(support_path(setting->directory, "x.weir"), &setting->options, &sink, &error), 0);
	assert_false(sink->prompt);
	assert_int_equal(sink->ops->write(sink, &batch), 0);
	assert_int_equal(sink->ops->tick(sink, 0), 0);
	free(support_read(part, &length));
	assert_int_equal(length, 0);
	assert_int_equal(sink->ops->tick(sink, 0), 0); /* nothing came since */
	free(support_read(part, &length));
	assert_int_equal(length, 16384 + 128);
	for (unsigned i = 0; i < 10; i++) { /* something comes between any two ticks */
		free(support_read(part, &length));
		assert_int_equal(length, 16384 + 128);
		assert_int_equal(sink->ops->write(sink, &batch), 0);
		assert_int_equal(sink->ops->tick(sink, 0), 0);
	}
	free(support_read(part, &length));
	assert_int_equal(length, 16384 + 128 * 11);
	batch.count = SINK_BATCH;
	for (unsigned i = 0; i < 30; i++) { /* 128 KiB between any two ticks: whole buffers go, and no others */
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(sink->ops->write(sink, &batch), 0);
		assert_int_equal(sink->ops->tick(sink, 0), 0);
	}
	free(support_read(part, &length));
	assert_int_not_equal(length, atomic_load(&sink->bytes));
	sink->ops->close(sink);
}

static void pipes_are_prompt(void **state)
{
	struct setting *setting = *state;
	int ends[2];
	char spec[64];
	struct error error;
	struct sink *sink;

	assert_int_equal(pipe(ends), 0);
	snprintf(spec, sizeof spec, "text:/dev/fd/%d", ends[1]);
	assert_int_equal(sink_open(spec, &setting->options, &sink, &error), 0);
	assert_true(sink->prompt);
	sink->ops->close(sink);
	close(ends[0]);
	close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ndjson_tcp),
		TEST(ndjson_nulls),
		TEST(csv_rows),
		TEST(longest_lines),
		TEST(pcap_bytes),
		TEST(pcap_without_interfaces_or_packets),
		TEST(pcap_of_two_link_types),
		TEST(pcapng_packet_bytes),
		TEST(pcapng_statistics),
		TEST(pcapng_late_interfaces),
		TEST(pcapng_interface_nobody_described),
		TEST(packets_longer_than_a_reservation),
		TEST(no_packets_to_save),
		TEST(records_bytes),
		TEST(records_many_interfaces),
		TEST(records_not_seekable),
		TEST(null_counts),
		TEST(arguments_name_formats),
		TEST(full_device),
		TEST(quiet_files_are_flushed),
		TEST(pipes_are_prompt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
