/* The savefile source: filters, gzip, files that change, stopping. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "decoders/decode.h"
#include "engine/filter/filter.h"
#include "tests/unit/savefile/capfile.h"
#include "tests/unit/savefile/reading.h"

#define MICRO 0xa1b2c3d4u
#define SECOND UINT64_C(1000000000)

/* ---- filters ---- */

static void test_filter(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 0, "eth0");
	ng_interface(&file, LINK_ETHERNET, 0, "eth1");
	ng_interface(&file, 147, 0, "user0"); /* a private link type: `ip` means nothing there */
	ng_packet(&file, 0, 1, 60, 60, 0);
	ng_packet(&file, 1, 1, 60, 60, 0);
	ng_packet(&file, 2, 1, 60, 60, 0);
	reading_run(&reading, file.bytes, file.length, FROM_MEMORY, 0, "ip or len >= 0");
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.count, 3); /* the filter runs in the worker */
	assert_int_equal(reading.warning.code, -EINVAL);
	assert_non_null(strstr(reading.warning.message, "link type 147"));
	reading_free(&reading);

	reading_run(&reading, file.bytes, file.length, FROM_MEMORY, 0, "this is no filter");
	assert_int_equal(reading.opened, -EINVAL);
	reading_free(&reading);
	reading_run(&reading, file.bytes, 28, FROM_MEMORY, 0,
		    "this is no filter"); /* without any interface too */
	assert_int_equal(reading.opened, -EINVAL);
	reading_free(&reading);
	capfile_free(&file);
}

/* What the interface entries' programs say, while the source lives. */
static void test_filter_programs(void **state)
{
	static const uint8_t packet[60] = { [12] = 0x08, [14] = 0x45 };
	struct savefile_options options = { .filter = "ip" };
	struct capfile file = { 0 };
	struct interface_table *table;
	struct source *source;
	struct frame frames[4];

	(void)state;
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 0, "eth0");
	ng_interface(&file, LINK_ETHERNET, 0, "eth1");
	ng_interface(&file, 147, 0, "user0");
	assert_int_equal(interface_table_create(&table, NULL), 0);
	assert_int_equal(source_open_bytes(file.bytes, file.length, "x", &options, table, &source, NULL), 0);
	while (source->ops->rx_burst(source, frames, 4) >= 0)
		continue;
	assert_int_equal(interface_table_count(table), 3);
	assert_true(filter_match(interface_table_get(table, 0)->user_filter, packet, 60, 60));
	assert_ptr_equal(interface_table_get(table, 0)->user_filter,
			 interface_table_get(table, 1)->user_filter);
	assert_false(filter_match(interface_table_get(table, 2)->user_filter, packet, 60, 60));
	source->ops->close(source);
	interface_table_close(table);
	capfile_free(&file);
}

/* ---- gzip ---- */

static void pack(const struct capfile *file, struct capfile *packed, size_t from, size_t to)
{
	z_stream zlib = { .next_in = file->bytes + from, .avail_in = (uInt)(to - from) };
	size_t bound;

	assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	bound = deflateBound(&zlib, to - from);
	put_fill(packed, 0, bound);
	zlib.next_out = packed->bytes + packed->length - bound;
	zlib.avail_out = (uInt)bound;
	assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
	packed->length -= zlib.avail_out;
	deflateEnd(&zlib);
}

static void test_gzip(void **state)
{
	struct capfile file = { 0 }, packed = { 0 };
	struct reading reading;
	unsigned seed = 5;

	(void)state;
	pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
	for (uint32_t i = 0; i < 20000; i++) {
		pcap_packet(&file, i, 0, 60, 60, (uint8_t)i);
		for (int b = 8; b < 60; b++) /* hard to pack, so that it takes several reads */
			file.bytes[file.length - 60 + (size_t)b] = (uint8_t)rand_r(&seed);
	}
	pack(&file, &packed, 0, file.length / 3);
	pack(&file, &packed, file.length / 3, file.length); /* a second member */
	for (enum how how = FROM_FILE; how < HOW_COUNT; how++) {
		reading_run(&reading, packed.bytes, packed.length, how, 2, NULL);
		assert_int_equal(reading.opened, 0);
		assert_int_equal(reading.count, 20000);
		assert_int_equal(reading.warning.code, 0);
		for (uint32_t i = 0; i < 20000; i++) {
			assert_int_equal(reading.got[i].first[0], (uint8_t)i);
			assert_true(reading.got[i].frame.timestamp_ns == i * SECOND);
		}
		reading_free(&reading);
	}
	/* Padding behind the last member is passed over, as gzip does. */
	put_fill(&packed, 0, 512);
	reading_run(&reading, packed.bytes, packed.length, FROM_FILE, 0, NULL);
	assert_int_equal(reading.count, 20000);
	assert_int_equal(reading.warning.code, 0);
	reading_free(&reading);
	/* Cut off: what came before is there. */
	reading_run(&reading, packed.bytes, packed.length / 2, FROM_FILE, 0, NULL);
	assert_true(reading.count > 5000 && reading.count < 20000);
	assert_int_equal(reading.warning.code, -ENODATA);
	reading_free(&reading);
	/* Corrupted in the middle. */
	memset(packed.bytes + packed.length / 2, 0xff, 64);
	reading_run(&reading, packed.bytes, packed.length, FROM_FILE, 0, NULL);
	assert_true(reading.count > 5000 && reading.count < 20000);
	assert_int_equal(reading.warning.code, -EBADMSG);
	reading_free(&reading);
	capfile_free(&packed);
	capfile_free(&file);
}

/* ---- a file that changes ---- */

/* Somebody truncates it between two bursts: what was read is read, then it ends with a warning. */
static void test_truncated_while_reading(void **state)
{
	struct savefile_options options = { .window = 4096 };
	struct capfile file = { 0 };
	struct interface_table *table;
	struct source *source;
	struct frame frames[SOURCE_BURST];
	char path[] = "/tmp/weir-savefile-XXXXXX";
	int fd = mkstemp(path), count;
	unsigned packets = 0;

	(void)state;
	pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
	for (uint32_t i = 0; i < 10000; i++)
		pcap_packet(&file, i, 0, 1000, 1000, 1);
	assert_int_equal(write(fd, file.bytes, file.length), (ssize_t)file.length);
	assert_int_equal(interface_table_create(&table, NULL), 0);
	assert_int_equal(source_open_file(path, &options, table, &source, NULL), 0);
	while ((count = source->ops->rx_burst(source, frames, SOURCE_BURST)) >= 0) {
		for (int i = 0; i < count; i++) {
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
			else
				packets++;
		}
		if (packets > 100)
			assert_int_equal(ftruncate(fd, 24 + 1016 * 100 + 500), 0);
	}
	assert_int_equal(count, -ENODATA);
	assert_true(packets >= 100 && packets < 10000);
	assert_int_equal(source->warning.code, -ENODATA);
	source->ops->close(source);
	interface_table_close(table);
	close(fd);
	unlink(path);
	capfile_free(&file);
}

/* stop: nothing more comes, but the end of the span that was being handed out. */
static void test_stop(void **state)
{
	struct savefile_options options = { 0 };
	struct capfile file = { 0 };
	struct interface_table *table;
	struct source *source;
	struct frame frames[8];
	uint64_t done, total;

	(void)state;
	pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
	for (uint32_t i = 0; i < 100; i++)
		pcap_packet(&file, i, 0, 60, 60, 1);
	assert_int_equal(interface_table_create(&table, NULL), 0);
	assert_int_equal(source_open_bytes(file.bytes, file.length, "x", &options, table, &source, NULL), 0);
	assert_int_equal(source->ops->start(source, NULL), 0);
	assert_int_equal(source->ops->rx_burst(source, frames, 8), 8);
	assert_true(source->progress(source, &done, &total));
	assert_true(done <= total && total == file.length);
	source->ops->stop(source);
	assert_int_equal(source->ops->rx_burst(source, frames, 8), 1);
	assert_int_equal(frames[0].flags, FRAME_NO_PACKET | FRAME_LAST_OF_SPAN);
	source->ops->release(source, frames[0].span);
	source->ops->release(source, frames[0].span); /* once too often: harmless */
	source->ops->release(source, 12345);
	assert_int_equal(source->ops->rx_burst(source, frames, 8), -ENODATA);
	assert_int_equal(source->warning.code, 0);
	source->ops->close(source);
	interface_table_close(table);
	capfile_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter), cmocka_unit_test(test_filter_programs),
		cmocka_unit_test(test_gzip),   cmocka_unit_test(test_truncated_while_reading),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
