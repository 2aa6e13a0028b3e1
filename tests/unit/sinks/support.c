#include "tests/unit/sinks/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct interface_table *support_table(void)
{
	struct interface_table *table;
	struct error error;

	assert_int_equal(interface_table_create(&table, &error), 0);
	support_add(table, "eth0", LINK_ETHERNET);
	return table;
}

void support_add(struct interface_table *table, const char *name, uint16_t link_type)
{
	struct interface interface = { .kernel_index = 7, .link_type = link_type, .snap_length = 262144 };
	uint16_t index;

	snprintf(interface.name, sizeof interface.name, "%s", name);
	assert_int_equal(interface_table_add(table, &interface, &index), 0);
}

struct record support_record(const uint8_t *packet, uint32_t length)
{
	static const struct decode_options options;
	struct record record;

	decode_packet(&options, packet, length, length, LINK_ETHERNET, &record, NULL);
	record.timestamp_ns = SUPPORT_TIME;
	record.packet_offset = (uint64_t)(uintptr_t)packet;
	return record;
}

void support_ipv4(uint8_t address[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	memset(address, 0, 16);
	address[10] = address[11] = 0xff;
	address[12] = (uint8_t)a;
	address[13] = (uint8_t)b;
	address[14] = (uint8_t)c;
	address[15] = (uint8_t)d;
}

struct record support_tcp(uint32_t payload_length)
{
	struct record record = {
		.timestamp_ns = SUPPORT_TIME,
		.wire_length = 54 + payload_length, .captured_length = 54 + payload_length,
		.src_port = 80, .dst_port = 1234, .payload_length = payload_length, .flow_hash = 77,
		.ethertype = 0x0800, .ip_protocol = 6, .tcp_flags = 0x18, .packet_offset = RECORD_NO_OFFSET,
		.tcp_seq = 1, .tcp_ack = 2, .ip_id = 99, .l3_offset = 14, .l4_offset = 34, .payload_offset = 54,
		.tcp_window = 502, .ip_ttl = 64,
		.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4 | LAYER_TCP | LAYER_PORTS,
		.src_mac = { 0, 0x11, 0x22, 0x33, 0x44, 0x55 }, .dst_mac = { 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff },
	};

	support_ipv4(record.src_ip, 10, 0, 0, 1);
	support_ipv4(record.dst_ip, 10, 0, 0, 2);
	return record;
}

char *support_directory(void)
{
	char *directory = strdup("/tmp/weir-sinks-XXXXXX");

	assert_non_null(mkdtemp(directory));
	return directory;
}

void support_remove(char *directory)
{
	DIR *entries = opendir(directory);

	for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
		unlinkat(dirfd(entries), entry->d_name, 0);
	if (entries != NULL)
		closedir(entries);
	rmdir(directory);
	free(directory);
}

const char *support_path(const char *directory, const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

char *support_read(const char *path, size_t *length)
{
	struct stat status;
	int fd = open(path, O_RDONLY);
	char *bytes;
	size_t done = 0;

	if (fd < 0)
		fail_msg("%s is not there", path);
	assert_int_equal(fstat(fd, &status), 0);
	bytes = malloc((size_t)status.st_size + 1);
	assert_non_null(bytes);
	while (done < (size_t)status.st_size) {
		ssize_t got = read(fd, bytes + done, (size_t)status.st_size - done);

		assert_true(got > 0);
		done += (size_t)got;
	}
	close(fd);
	bytes[done] = '\0';
	if (length != NULL)
		*length = done;
	return bytes;
}

int support_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

void support_run(const char *spec, const struct sink_options *options, const struct record *records,
		 uint32_t count)
{
	const struct record **pointers = calloc(count + 1, sizeof *pointers);
	struct batch batch = { .records = pointers, .count = count, .interfaces = options->interfaces };
	struct ledger ledger = { .start_ns = SUPPORT_TIME, .end_ns = SUPPORT_TIME + 1 };
	struct error error = { 0 };
	struct sink *sink;

	for (uint32_t i = 0; i < count; i++)
		pointers[i] = &records[i];
	if (sink_open(spec, options, &sink, &error) != 0)
		fail_msg("%s: %s", spec, error.message);
	if (sink->ops->write(sink, &batch) != 0)
		fail_msg("%s: %s", spec, sink->error.message);
	if (sink->ops->finish(sink, &ledger) != 0)
		fail_msg("%s: %s", spec, sink->error.message);
	sink->ops->close(sink);
	free(pointers);
}

char *support_text(const char *format, const struct record *records, uint32_t count,
		   struct interface_table *table)
{
	char *directory = support_directory(), *bytes;
	char spec[600];
	struct sink_options options = { .interfaces = table, .format = format };

	snprintf(spec, sizeof spec, "text:%s/out", directory);
	support_run(spec, &options, records, count);
	bytes = support_read(spec + 5, NULL);
	support_remove(directory);
	return bytes;
}

void support_ledger(struct ledger *ledger)
{
	*ledger = (struct ledger){
		.start_ns = SUPPORT_TIME, .end_ns = SUPPORT_TIME + UINT64_C(5000000000),
		.seen = 110, .written = 100, .filtered = 3, .lost = 7, .final = true,
	};
	ledger->rings = calloc(1, sizeof *ledger->rings);
	assert_non_null(ledger->rings);
	ledger->ring_count = 1;
	ledger->rings[0].interface_index = 0;
	ledger->rings[0].filtered = 3;
	ledger->rings[0].stats.seen = 110;
	source_stats_add(ledger->rings[0].stats.losses, &ledger->rings[0].stats.loss_count, "ring_full", 7);
	source_stats_add(ledger->rings[0].stats.outside, &ledger->rings[0].stats.outside_count, "nic", 4);
}
