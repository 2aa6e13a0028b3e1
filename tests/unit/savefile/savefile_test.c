/* The savefile source on files made byte by byte, each read from memory, a file, a pipe, spans of 64 bytes and a pipe that
 * dribbles: the packets must be the same every time. */
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
#define NANO 0xa1b23c4du
#define KUZNETZOV 0xa1b2cd34u
#define SECOND UINT64_C(1000000000)

static void read_from_memory(struct reading *reading, const struct capfile *file)
{
	reading_run(reading, file->bytes, file->length, FROM_MEMORY, 0, NULL);
}

static const struct interface *interface_of(const struct reading *reading, size_t packet)
{
	return interface_table_get(reading->table, reading->got[packet].frame.interface);
}

/* Reads in every way and expects the same of each. */
static void read_every_way(const struct capfile *file)
{
	struct reading first;

	read_from_memory(&first, file);
	for (enum how how = FROM_FILE; how < HOW_COUNT; how++) {
		for (unsigned late = 0; late <= 6; late += 3) {
			struct reading other;

			reading_run(&other, file->bytes, file->length, how, late, NULL);
			assert_int_equal(other.opened, first.opened);
			assert_int_equal(other.last, first.last);
			assert_int_equal(other.count, first.count);
			assert_int_equal(other.warning.code, first.warning.code);
			for (size_t i = 0; i < first.count; i++) {
				const struct got *a = &first.got[i], *b = &other.got[i];

				assert_memory_equal(a->first, b->first, sizeof a->first);
				assert_true(a->frame.timestamp_ns == b->frame.timestamp_ns);
				assert_int_equal(a->frame.captured_len, b->frame.captured_len);
				assert_int_equal(a->frame.wire_len, b->frame.wire_len);
				assert_int_equal(a->frame.link_type, b->frame.link_type);
				assert_int_equal(a->frame.interface, b->frame.interface);
				assert_int_equal(a->frame.flags, b->frame.flags);
			}
			reading_free(&other);
		}
	}
	reading_free(&first);
}

/* ---- pcap ---- */

static void test_pcap_variants(void **state)
{
	static const struct {
		uint32_t magic;
		uint64_t fraction;
	} variants[] = { { MICRO, 1000 }, { NANO, 1 } };

	(void)state;
	for (int v = 0; v < 4; v++) {
		struct capfile file = { .swap = v & 1 };
		struct reading reading;

		pcap_header(&file, variants[v / 2].magic, 65535, LINK_ETHERNET);
		for (uint32_t i = 0; i < 300; i++)
			pcap_packet(&file, 1700000000 + i, 999999 - i, i % 90, i % 90 + i % 3, (uint8_t)i);
		pcap_packet(&file, UINT32_MAX, 999999, 60, 40, 9); /* more captured than was on the wire */
		read_from_memory(&reading, &file);
		assert_int_equal(reading.opened, 0);
		assert_int_equal(reading.last, -ENODATA);
		assert_int_equal(reading.warning.code, 0);
		assert_int_equal(reading.count, 301);
		for (uint32_t i = 0; i < 300; i++) {
			const struct frame *frame = &reading.got[i].frame;

			assert_true(frame->timestamp_ns ==
				    (1700000000 + i) * SECOND + (999999 - i) * variants[v / 2].fraction);
			assert_int_equal(frame->captured_len, i % 90);
			assert_int_equal(frame->wire_len, i % 90 + i % 3);
			assert_int_equal(frame->link_type, LINK_ETHERNET);
			assert_int_equal(reading.got[i].first[0], i % 90 > 0 ? (uint8_t)i : 0);
		}
		assert_int_equal(reading.got[300].frame.wire_len, 60);
		assert_true(reading.got[300].frame.timestamp_ns / SECOND == UINT32_MAX);
		assert_string_equal(interface_of(&reading, 0)->name, "made.pcap");
		assert_int_equal(interface_of(&reading, 0)->snap_length, 65535);
		reading_free(&reading);
		read_every_way(&file);
		capfile_free(&file);
	}
}

static void test_pcap_kuznetzov(void **state)
{
	static const uint8_t types[] = { 0, 1, 2, 3, 4 };
	static const uint32_t directions[] = { DIRECTION_IN, DIRECTION_IN, DIRECTION_IN, DIRECTION_OTHER, DIRECTION_OUT };

	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct capfile file = { .swap = swap };
		struct reading reading;

		pcap_header(&file, KUZNETZOV, 1514, LINK_ETHERNET);
		for (unsigned i = 0; i < 5; i++) {
			put32(&file, 100);
			put32(&file, i);
			put32(&file, 14);
			put32(&file, 20);
			put32(&file, 2);      /* ifindex */
			put16(&file, 0x0800); /* protocol */
			put_bytes(&file, &types[i], 1);
			put_fill(&file, 0, 1);
			put_fill(&file, (uint8_t)(i + 1), 14);
		}
		read_from_memory(&reading, &file);
		assert_int_equal(reading.count, 5);
		for (unsigned i = 0; i < 5; i++) {
			assert_int_equal(reading.got[i].first[0], i + 1);
			assert_int_equal(reading.got[i].frame.flags & FRAME_DIRECTION_MASK, directions[i]);
			assert_true(reading.got[i].frame.timestamp_ns == 100 * SECOND + i * 1000);
		}
		reading_free(&reading);
		read_every_way(&file);
		capfile_free(&file);
	}
}

/* The link-type field also says how many bytes of FCS each packet ends with: they are taken off. */
static void test_pcap_fcs(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	pcap_header(&file, MICRO, 65535, 0x24000000u | LINK_ETHERNET);
	pcap_packet(&file, 1, 0, 64, 64, 1);   /* whole: both lengths shrink */
	pcap_packet(&file, 1, 0, 60, 1000, 2); /* cut: the FCS was not captured */
	pcap_packet(&file, 1, 0, 62, 64, 3);   /* half of the FCS captured */
	pcap_packet(&file, 1, 0, 3, 3, 4);     /* shorter than an FCS */
	read_from_memory(&reading, &file);
	assert_int_equal(reading.count, 4);
	assert_int_equal(reading.got[0].frame.captured_len, 60);
	assert_int_equal(reading.got[0].frame.wire_len, 60);
	assert_int_equal(reading.got[1].frame.captured_len, 60);
	assert_int_equal(reading.got[1].frame.wire_len, 996);
	assert_int_equal(reading.got[2].frame.captured_len, 60);
	assert_int_equal(reading.got[2].frame.wire_len, 60);
	assert_int_equal(reading.got[3].frame.captured_len, 0);
	assert_int_equal(reading.got[3].frame.wire_len, 0);
	reading_free(&reading);
	capfile_free(&file);
}

static void test_pcap_huge_length(void **state)
{
	static const uint32_t lengths[] = { UINT32_MAX, UINT32_MAX - 15, UINT32_C(1) << 31, SAVEFILE_PACKET_MAX + 1,
					    SAVEFILE_PACKET_MAX, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct capfile file = { 0 };
		struct reading reading;

		pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
		pcap_packet(&file, 1, 0, 60, 60, 1);
		put32(&file, 1);
		put32(&file, 2);
		put32(&file, lengths[i]);
		put32(&file, 60);
		put_fill(&file, 7, 1000);
		read_from_memory(&reading, &file);
		assert_int_equal(reading.count, 1);
		assert_int_equal(reading.last, -ENODATA);
		assert_int_equal(reading.warning.code, -EBADMSG);
		assert_non_null(strstr(reading.warning.message, "corrupted at offset 100"));
		reading_free(&reading);
		read_every_way(&file);
		capfile_free(&file);
	}
}

/* A packet beyond the snap length is a packet all the same; a large one crosses many spans. */
static void test_pcap_beyond_snap_length(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	pcap_header(&file, MICRO, 96, LINK_ETHERNET);
	pcap_packet(&file, 1, 0, 60, 60, 1);
	pcap_packet(&file, 1, 0, 3000000, 3000000, 2);
	pcap_packet(&file, 1, 0, 60, 60, 3);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.count, 3);
	assert_int_equal(reading.got[1].frame.captured_len, 3000000);
	assert_int_equal(reading.warning.code, 0);
	reading_free(&reading);
	read_every_way(&file);
	capfile_free(&file);
}

static void put_section_with_packets(struct capfile *file, unsigned packets)
{
	ng_section(file);
	ng_interface(file, LINK_ETHERNET, 0, "eth0");
	for (unsigned i = 0; i < packets; i++)
		ng_packet(file, 0, 1700000000000000 + i, 40 + i, 40 + i, (uint8_t)i);
}

/* Cut at every byte: the whole packets before the cut come, and a warning unless it fell between two. */
static void test_cut_at_every_byte(void **state)
{
	(void)state;
	for (int format = 0; format < 2; format++) {
		struct capfile file = { 0 };
		size_t ends[6], end_count = 0;

		if (format == 0) {
			pcap_header(&file, MICRO, 65535, LINK_ETHERNET);
			ends[end_count++] = file.length;
			for (unsigned i = 0; i < 4; i++, ends[end_count++] = file.length)
				pcap_packet(&file, 1, i, 40 + i, 40 + i, (uint8_t)i);
		} else {
			put_section_with_packets(&file, 0);
			ends[end_count++] = file.length;
			for (unsigned i = 0; i < 4; i++, ends[end_count++] = file.length)
				ng_packet(&file, 0, i, 40 + i, 40 + i, (uint8_t)i);
		}
		for (size_t length = 1; length <= file.length; length++) {
			struct reading reading;
			size_t whole = 0;
			bool between = false;

			while (whole + 1 < end_count && ends[whole + 1] <= length)
				whole++;
			between = length == ends[whole] || (format == 1 && length == 28);
			reading_run(&reading, file.bytes, length, FROM_MEMORY, 0, NULL);
			if (length < 4 || (format == 0 && length < 24)) {
				assert_true(reading.opened == (length < 4 ? -EBADMSG : -ENODATA));
			} else {
				assert_int_equal(reading.opened, 0);
				assert_int_equal(reading.count, whole);
				assert_int_equal(reading.warning.code, between ? 0 : -ENODATA);
				if (!between)
					assert_non_null(strstr(reading.warning.message, "cut off after packet "));
			}
			reading_free(&reading);
		}
		capfile_free(&file);
	}
}

static void test_no_capture(void **state)
{
	static const char *const texts[] = { "", "x", "hello, this is not a capture file at all, is it?", "\x28\xb5\x2f\xfd....",
					     "snoop\0\0\0\0\0\0\2\0\0\0\4......", "WEIRREC1", "WEIRREC2aaaaaaaaaaaaaaaaaaaa" };
	static const size_t lengths[] = { 0, 1, 49, 8, 22, 8, 28 };
	static const int codes[] = { -ENODATA, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -ENODATA, -EBADMSG };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct reading reading;

		for (enum how how = 0; how < HOW_COUNT; how++) {
			reading_run(&reading, texts[i], lengths[i], how, 0, NULL);
			assert_int_equal(reading.opened, codes[i]);
			assert_true(strlen(reading.error.message) > 10);
			reading_free(&reading);
		}
	}
}

static void test_cannot_open(void **state)
{
	static const struct {
		const char *path;
		int code;
	} paths[] = { { "/nonexistent/file.pcap", -ENOENT }, { "/tmp", -EISDIR }, { "/dev/null", -ENODATA } };
	struct savefile_options options = { 0 };
	struct interface_table *table;

	(void)state;
	assert_int_equal(interface_table_create(&table, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		struct error error = { 0 };
		struct source *source;

		assert_int_equal(source_open_file(paths[i].path, &options, table, &source, &error), paths[i].code);
		assert_null(source);
		assert_non_null(strstr(error.message, paths[i].path));
		assert_int_not_equal(error.hint[0], '\0');
	}
	interface_table_close(table);
}

static void test_pcap_bad_header(void **state)
{
	struct capfile version = { 0 }, link = { 0 };
	struct reading reading;

	(void)state;
	pcap_header(&version, MICRO, 65535, 1);
	version.bytes[4] = 9;
	read_from_memory(&reading, &version);
	assert_int_equal(reading.opened, -EBADMSG);
	reading_free(&reading);
	pcap_header(&link, MICRO, 65535, 0x00010001);
	read_from_memory(&reading, &link);
	assert_int_equal(reading.opened, -EBADMSG);
	reading_free(&reading);
	capfile_free(&version);
	capfile_free(&link);
}

/* ---- pcapng ---- */

static void interface_with(struct capfile *file, uint8_t resolution, int64_t offset, uint8_t fcs)
{
	size_t start = block_begin(file, 1);
	uint64_t swapped = (uint64_t)offset;

	if (file->swap)
		swapped = __builtin_bswap64(swapped);
	put16(file, LINK_ETHERNET);
	put16(file, 0);
	put32(file, 262144);
	put_option(file, 9, &resolution, 1);
	put_option(file, 14, &swapped, 8);
	put_option(file, 13, &fcs, 1);
	put_option(file, 2, "x", 1);
	put_option(file, 0, "", 0);
	block_end(file, start);
}

struct stamp {
	uint8_t resolution;
	int64_t offset;
	uint64_t stamp;
	uint64_t ns;
};

static const struct stamp stamps[] = {
	{ 6, 0, 1700000000123456, 1700000000123456000 },
	{ 9, 0, 1700000000123456789, 1700000000123456789 },
	{ 9, 0, UINT64_MAX, UINT64_MAX },
	{ 0, 0, 1700000000, 1700000000 * SECOND },
	{ 0, 0, 18446744073, 18446744073 * SECOND },
	{ 0, 0, 18446744074, UINT64_MAX },
	{ 0, 0, UINT64_MAX, UINT64_MAX },
	{ 3, 0, 1700000000123, 1700000000123000000 },
	{ 6, 0, 18446744073709551, 18446744073709551000u },
	{ 6, 0, 18446744073709552, UINT64_MAX },
	{ 6, 0, UINT64_MAX, UINT64_MAX },
	{ 10, 0, 17000000001234567899u, 1700000000123456789 },
	{ 12, 0, 1700000123456789, 1700000123456 },
	{ 19, 0, 17000000001234567899u, 1700000000 },
	{ 20, 0, UINT64_MAX, 184467440 },
	{ 28, 0, UINT64_MAX, 1 },
	{ 29, 0, UINT64_MAX, 0 },
	{ 127, 0, UINT64_MAX, 0 },
	{ 0x80, 0, 1700000000, 1700000000 * SECOND },
	{ 0x80, 0, UINT64_MAX, UINT64_MAX },
	{ 0x80 | 1, 0, 3, 1500000000 },
	{ 0x80 | 10, 0, 1024 * UINT64_C(1700000000) + 512, 1700000000500000000 },
	{ 0x80 | 32, 0, (UINT64_C(1700000000) << 32) | UINT64_C(0x80000000), 1700000000500000000 },
	{ 0x80 | 63, 0, UINT64_C(1) << 63, SECOND },
	{ 0x80 | 63, 0, UINT64_MAX, 1999999999 },
	{ 0x80 | 64, 0, UINT64_MAX, 999999999 },
	{ 0x80 | 93, 0, UINT64_MAX, 1 },
	{ 0x80 | 94, 0, UINT64_MAX, 0 },
	{ 0xff, 0, UINT64_MAX, 0 },
	{ 6, 1700000000, 5, 1700000000000005000 },
	{ 9, -5, 6 * SECOND + 7, SECOND + 7 },
	{ 9, -5, 4 * SECOND, 0 },
	{ 9, INT64_MIN, UINT64_MAX, 0 },
	{ 9, INT64_MAX, UINT64_MAX, UINT64_MAX },
	{ 0, INT64_MAX, UINT64_MAX, UINT64_MAX },
	{ 0, INT64_MIN, UINT64_MAX, UINT64_MAX },
	{ 0, INT64_MIN, UINT64_C(1) << 63, 0 },
	{ 0, INT64_MIN, (UINT64_C(1) << 63) + 3, 3 * SECOND },
};
#define STAMPS (sizeof stamps / sizeof stamps[0])

static void test_resolutions(void **state)
{
	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct capfile file = { .swap = swap };
		struct reading reading;

		ng_section(&file);
		for (size_t i = 0; i < STAMPS; i++)
			interface_with(&file, stamps[i].resolution, stamps[i].offset, 0);
		for (size_t i = 0; i < STAMPS; i++)
			ng_packet(&file, (uint32_t)i, stamps[i].stamp, 14, 14, 0);
		read_from_memory(&reading, &file);
		assert_int_equal(reading.count, STAMPS);
		for (size_t i = 0; i < STAMPS; i++) {
			if (reading.got[i].frame.timestamp_ns != stamps[i].ns)
				fail_msg("stamp %zu: %llu, not %llu", i,
					 (unsigned long long)reading.got[i].frame.timestamp_ns,
					 (unsigned long long)stamps[i].ns);
		}
		assert_int_equal(interface_table_count(reading.table), STAMPS);
		reading_free(&reading);
		capfile_free(&file);
	}
}

static void test_ng_sections(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 65535, "eth0");
	ng_interface(&file, LINK_RAW, 0, NULL);
	ng_packet(&file, 1, 1, 20, 20, 1);
	ng_packet(&file, 0, 2, 20, 20, 2);
	file.swap = true; /* the next section comes from another machine */
	ng_section(&file);
	ng_interface(&file, LINK_LINUX_SLL, 0, "any");
	ng_packet(&file, 0, 3, 20, 20, 3);
	ng_interface(&file, LINK_ETHERNET, 0, "late"); /* behind a packet */
	ng_packet(&file, 1, 4, 21, 20, 4);
	file.swap = false;
	ng_section(&file);
	ng_interface(&file, LINK_LINUX_SLL, 0, "any"); /* as the one before at this place: one interface */
	ng_packet(&file, 0, 5, 20, 20, 5);
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 65535, "eth0"); /* another than the one before at this place: one more */
	ng_packet(&file, 0, 6, 20, 20, 6);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.count, 6);
	assert_int_equal(reading.warning.code, 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(reading.got[i].first[0], i + 1);
		assert_true(reading.got[i].frame.timestamp_ns == (i + 1) * 1000);
	}
	assert_int_equal(interface_table_count(reading.table), 5);
	assert_string_equal(interface_of(&reading, 0)->name, "made.pcap");
	assert_int_equal(interface_of(&reading, 0)->link_type, LINK_RAW);
	assert_int_equal(reading.got[0].frame.link_type, LINK_RAW);
	assert_string_equal(interface_of(&reading, 1)->name, "eth0");
	assert_string_equal(interface_of(&reading, 2)->name, "any");
	assert_string_equal(interface_of(&reading, 3)->name, "late");
	assert_int_equal(reading.got[4].frame.interface, reading.got[2].frame.interface);
	reading_free(&reading);
	read_every_way(&file);
	capfile_free(&file);
}

static void test_ng_interface_texts(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
	struct capfile file = { 0 };
	struct reading reading;
	char longest[4000];
	size_t start;

	(void)state;
	memset(longest, 'a', sizeof longest);
	longest[0] = 0; /* filter code 0: text */
	ng_section(&file);
	start = block_begin(&file, 1);
	put16(&file, LINK_ETHERNET);
	put16(&file, 0);
	put32(&file, 96);
	put_option(&file, 2, "e\x1b[31mth\xff\xc3\xa9\x7f", 12);
	put_option(&file, 3, "a\0b", 3);
	put_option(&file, 6, mac, 6);
	put_option(&file, 11, longest, sizeof longest);
	put_option(&file, 12345, "unknown", 7);
	block_end(&file, start);
	ng_packet(&file, 0, 1, 20, 20, 1);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.count, 1);
	assert_string_equal(interface_of(&reading, 0)->name, "e?[31mth?\xc3\xa9?");
	assert_string_equal(interface_of(&reading, 0)->description, "a");
	assert_memory_equal(interface_of(&reading, 0)->mac, mac, 6);
	assert_int_equal(strlen(interface_of(&reading, 0)->filter), sizeof interface_of(&reading, 0)->filter - 1);
	assert_int_equal(interface_of(&reading, 0)->snap_length, 96);
	reading_free(&reading);
	capfile_free(&file);
}

static void packet_with_flags(struct capfile *file, uint32_t flags)
{
	size_t start = block_begin(file, 6);

	put32(file, 0);
	put32(file, 0);
	put32(file, 1);
	put32(file, 15);
	put32(file, 15);
	put_fill(file, 1, 15);
	put_fill(file, 0, 1);
	put_option(file, 1, "a comment", 9);
	put32(file, 2 | 4 << 16);
	if (file->swap) /* code and length are two fields of 16 bits */
		file->length -= 4, put16(file, 2), put16(file, 4);
	put32(file, flags);
	put_option(file, 0, "", 0);
	block_end(file, start);
}

static void test_ng_direction(void **state)
{
	static const uint32_t flags[] = { 0, 1, 2, 1 | 4 << 2, 2 | 4 << 2, 4 << 2, 1 | 3 << 2, 0xfffffffc };
	static const uint32_t directions[] = { DIRECTION_UNKNOWN, DIRECTION_IN,	 DIRECTION_OUT, DIRECTION_OTHER,
					       DIRECTION_OUT,	  DIRECTION_OTHER, DIRECTION_IN,  DIRECTION_UNKNOWN };

	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct capfile file = { .swap = swap };
		struct reading reading;

		put_section_with_packets(&file, 0);
		for (size_t i = 0; i < 8; i++)
			packet_with_flags(&file, flags[i]);
		read_from_memory(&reading, &file);
		assert_int_equal(reading.count, 8);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(reading.got[i].frame.flags & FRAME_DIRECTION_MASK, directions[i]);
		reading_free(&reading);
		capfile_free(&file);
	}
}

static void simple_packet(struct capfile *file, uint32_t wire, uint32_t captured, uint8_t fill)
{
	size_t start = block_begin(file, 3);

	put32(file, wire);
	put_fill(file, fill, captured);
	block_end(file, start);
}

static void test_ng_other_blocks(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;
	size_t start;

	(void)state;
	ng_section(&file);
	ng_interface(&file, LINK_ETHERNET, 50, "eth0");
	start = block_begin(&file, 4); /* name resolution */
	put_fill(&file, 0x41, 100);
	block_end(&file, start);
	simple_packet(&file, 20, 20, 1);
	simple_packet(&file, 2000, 50, 2);   /* cut by the snap length */
	simple_packet(&file, 2000, 1000, 3); /* beyond it: the rest is no packet */
	start = block_begin(&file, 2); /* obsolete packet block */
	put16(&file, 0);
	put16(&file, 77);
	put32(&file, 0);
	put32(&file, 9);
	put32(&file, 21);
	put32(&file, 99);
	put_fill(&file, 4, 21);
	block_end(&file, start);
	start = block_begin(&file, 0xbad); /* custom, large */
	put_fill(&file, 0x42, 2000000);
	block_end(&file, start);
	start = block_begin(&file, 5); /* interface statistics */
	put_fill(&file, 0, 12);
	block_end(&file, start);
	ng_packet(&file, 0, 10, 22, 22, 5);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.count, 5);
	assert_int_equal(reading.warning.code, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(reading.got[i].first[0], i + 1);
	assert_int_equal(reading.got[0].frame.captured_len, 20);
	assert_true(reading.got[0].frame.timestamp_ns == 0);
	assert_int_equal(reading.got[1].frame.captured_len, 50);
	assert_int_equal(reading.got[1].frame.wire_len, 2000);
	assert_int_equal(reading.got[2].frame.captured_len, 50);
	assert_int_equal(reading.got[3].frame.captured_len, 21);
	assert_int_equal(reading.got[3].frame.wire_len, 99);
	assert_true(reading.got[3].frame.timestamp_ns == 9000);
	reading_free(&reading);
	read_every_way(&file);
	capfile_free(&file);
}

/* A whole good packet, then one field of the next block overwritten. */
static void expect_corrupted(size_t at, uint32_t value, const char *why)
{
	struct capfile file = { 0 };
	struct reading reading;
	size_t bad;
	char offset[64];

	put_section_with_packets(&file, 1);
	bad = file.length;
	ng_packet(&file, 0, 1, 40, 40, 2);
	ng_packet(&file, 0, 1, 40, 40, 3);
	memcpy(file.bytes + bad + at, &value, sizeof value);
	snprintf(offset, sizeof offset, "corrupted at offset %zu", bad);
	for (enum how how = 0; how < HOW_COUNT; how++) {
		reading_run(&reading, file.bytes, file.length, how, 0, NULL);
		assert_int_equal(reading.count, 1);
		assert_int_equal(reading.last, -ENODATA);
		assert_int_equal(reading.warning.code, -EBADMSG);
		assert_non_null(strstr(reading.warning.message, offset));
		assert_non_null(strstr(reading.warning.message, why));
		reading_free(&reading);
	}
	capfile_free(&file);
}

static void test_ng_corrupted(void **state)
{
	(void)state;
	expect_corrupted(4, 0, "claims 0 bytes");
	expect_corrupted(4, 31, "claims 31 bytes");
	expect_corrupted(4, 68, "two lengths");
	expect_corrupted(4, UINT32_MAX, "claims 4294967295 bytes");
	expect_corrupted(4, 0x0fffffff, "packet 2 claims 268435456 bytes");
	expect_corrupted(8, 1, "interface 1");
	expect_corrupted(8, UINT32_MAX, "interface 4294967295");
	expect_corrupted(20, 41, "claims 41 bytes of a block of 72");
	expect_corrupted(20, UINT32_MAX, "claims 4294967295 bytes of a block");
	expect_corrupted(68, 76, "two lengths");
}

static void test_ng_bad_sections(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} faults[] = { { 4, 0 }, { 4, 24 }, { 4, UINT32_MAX }, { 8, 0x11223344 }, { 12, 2 }, { 24, 32 } };

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		struct capfile file = { 0 };
		struct reading reading;

		put_section_with_packets(&file, 2);
		memcpy(file.bytes + faults[i].at, &faults[i].value, 4);
		read_from_memory(&reading, &file);
		assert_int_equal(reading.opened, -EBADMSG);
		reading_free(&reading);
		capfile_free(&file);
	}
}

/* A block without interface before it, a file without packets. */
static void test_ng_without(void **state)
{
	struct capfile bare = { 0 }, none = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&bare);
	read_from_memory(&reading, &bare);
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.count, 0);
	assert_int_equal(reading.warning.code, 0);
	reading_free(&reading);
	read_every_way(&bare);

	ng_section(&none);
	simple_packet(&none, 20, 20, 1);
	read_from_memory(&reading, &none);
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.count, 0);
	assert_int_equal(reading.warning.code, -EBADMSG);
	reading_free(&reading);
	capfile_free(&bare);
	capfile_free(&none);
}

static void test_ng_fcs(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	ng_section(&file);
	interface_with(&file, 6, 0, 4);
	ng_packet(&file, 0, 1, 64, 64, 1);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.got[0].frame.captured_len, 60);
	assert_int_equal(reading.got[0].frame.wire_len, 60);
	reading_free(&reading);
	capfile_free(&file);
}

/* Thousands of concatenated sections do not fill the run's table. */
static void test_ng_many_sections(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;

	(void)state;
	for (unsigned i = 0; i < 70000; i++)
		put_section_with_packets(&file, 1);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.count, 70000);
	assert_int_equal(interface_table_count(reading.table), 1);
	reading_free(&reading);
	capfile_free(&file);
}

/* More interfaces than the table holds: an error that says so, and no crash. */
static void test_ng_too_many_interfaces(void **state)
{
	struct capfile file = { 0 };
	struct reading reading;
	char name[16];

	(void)state;
	ng_section(&file);
	for (unsigned i = 0; i < 66000; i++) {
		snprintf(name, sizeof name, "if%u", i);
		ng_interface(&file, LINK_ETHERNET, 0, name);
	}
	ng_packet(&file, 0, 1, 20, 20, 1);
	read_from_memory(&reading, &file);
	assert_int_equal(reading.opened, 0);
	assert_int_equal(reading.last, -ENOSPC);
	assert_int_equal(reading.error.code, -ENOSPC);
	reading_free(&reading);
	capfile_free(&file);
}

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
	reading_run(&reading, file.bytes, 28, FROM_MEMORY, 0, "this is no filter"); /* without any interface too */
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
	assert_ptr_equal(interface_table_get(table, 0)->user_filter, interface_table_get(table, 1)->user_filter);
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
		cmocka_unit_test(test_pcap_variants),
		cmocka_unit_test(test_pcap_kuznetzov),
		cmocka_unit_test(test_pcap_fcs),
		cmocka_unit_test(test_pcap_huge_length),
		cmocka_unit_test(test_pcap_beyond_snap_length),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_no_capture),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_pcap_bad_header),
		cmocka_unit_test(test_resolutions),
		cmocka_unit_test(test_ng_sections),
		cmocka_unit_test(test_ng_interface_texts),
		cmocka_unit_test(test_ng_direction),
		cmocka_unit_test(test_ng_other_blocks),
		cmocka_unit_test(test_ng_corrupted),
		cmocka_unit_test(test_ng_bad_sections),
		cmocka_unit_test(test_ng_without),
		cmocka_unit_test(test_ng_fcs),
		cmocka_unit_test(test_ng_many_sections),
		cmocka_unit_test(test_ng_too_many_interfaces),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_programs),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_truncated_while_reading),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
