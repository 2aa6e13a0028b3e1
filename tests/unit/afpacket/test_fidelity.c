/* What a frame looks like after it went through the ring: bytes, tags, lengths, direction, link type; and
 * which frames the filter lets through. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/filter/filter.h"

static int sender;

static size_t tagged_udp(uint8_t *frame, size_t length, uint32_t sequence, const uint16_t *tags,
			 unsigned tag_count)
{
	uint8_t plain[FIXTURE_FRAME_MOST];
	size_t plain_length = fixture_udp(plain, length, sequence, 1000, 2000);

	memcpy(frame, plain, 12);
	for (unsigned i = 0; i < tag_count * 2; i++) {
		frame[12 + 2 * i] = (uint8_t)(tags[i] >> 8);
		frame[13 + 2 * i] = (uint8_t)tags[i];
	}
	memcpy(frame + 12 + 4 * tag_count, plain + 12, plain_length - 12);
	return plain_length + 4 * tag_count;
}

/* The tag that the kernel took out is back, with PCP, DEI and VID 0, and as the inner of two. */
static void tags_come_back(void **state)
{
	static const uint16_t tags[][4] = {
		{ 0x8100, 100 }, { 0x8100, 0 }, { 0x8100, 0xf123 }, { 0x88a8, 0x7000 | 200, 0x8100, 0x1000 | 30 },
		{ 0x8100, 5, 0x8100, 6 }, { 0x9100, 7, 0x8100, 8 },
	};
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frames[6][FIXTURE_FRAME_MOST];
	size_t lengths[6];

	fixture_open(&capture, "va", 1, &options);
	for (unsigned i = 0; i < 6; i++) {
		lengths[i] = tagged_udp(frames[i], 60 + 100 * i, i, tags[i], i < 3 ? 1 : 2);
		fixture_send(sender, "vb", frames[i], lengths[i]);
	}
	fixture_collect_all(&capture, 6);
	assert_int_equal(capture.count, 6);
	for (unsigned i = 0; i < 6; i++) {
		const struct frame *frame = &capture.frames[i].frame;

		assert_int_equal(frame->captured_len, lengths[i]);
		assert_int_equal(frame->wire_len, lengths[i]);
		assert_memory_equal(capture.frames[i].bytes, frames[i], lengths[i]);
		assert_int_equal(frame->flags & FRAME_DIRECTION_MASK, DIRECTION_OTHER);
		/* kernel: 0x9100 is no tag to it, so there is nothing to restore. */
		assert_int_equal(!!(frame->flags & FRAME_TAG_RESTORED), tags[i][0] != 0x9100);
	}
	fixture_stop(&capture);
	fixture_close(&capture);
}

/* With the tag back a frame has at most snap_length bytes still, and its length on the wire is true. */
static void snap_length_holds(void **state)
{
	static const uint16_t tag[] = { 0x8100, 100 };
	static const uint32_t snaps[] = { 1, 4, 11, 12, 13, 64, 68, 100, 1514 };
	uint8_t frame[FIXTURE_FRAME_MOST];
	size_t length = tagged_udp(frame, 1000, 1, tag, 1);

	for (unsigned i = 0; i < sizeof snaps / sizeof snaps[0]; i++) {
		struct source_options options = fixture_options();
		struct fixture_capture capture;

		options.snap_length = snaps[i];
		options.filter = i % 2 == 0 ? NULL : "vlan and udp";
		fixture_open(&capture, "va", 1, &options);
		fixture_send(sender, "vb", frame, length);
		fixture_collect_all(&capture, 1);
		assert_int_equal(capture.count, 1);
		assert_int_equal(capture.frames[0].frame.wire_len, length);
		assert_int_equal(capture.frames[0].frame.captured_len, snaps[i] < length ? snaps[i] : length);
		assert_memory_equal(capture.frames[0].bytes, frame, capture.frames[0].frame.captured_len);
		fixture_stop(&capture);
		fixture_close(&capture);
	}
}

static unsigned count_direction(enum source_direction direction, const char *interface, const char *out,
				unsigned expected_direction, unsigned expected)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST];
	size_t length = fixture_udp(frame, 60, 1, 1, 2);
	unsigned count;

	options.direction = direction;
	fixture_open(&capture, interface, 1, &options);
	for (int i = 0; i < 5; i++)
		fixture_send(sender, out, frame, length);
	fixture_collect_all(&capture, expected);
	count = (unsigned)capture.count;
	for (unsigned i = 0; i < count; i++) {
		if (expected_direction != 99)
			assert_int_equal(capture.frames[i].frame.flags & FRAME_DIRECTION_MASK, expected_direction);
	}
	fixture_stop(&capture);
	fixture_close(&capture);
	return count;
}

static void directions(void **state)
{
	/* received by va, for another host's address */
	assert_int_equal(count_direction(SOURCE_IN_OUT, "va", "vb", DIRECTION_OTHER, 5), 5);
	assert_int_equal(count_direction(SOURCE_IN, "va", "vb", DIRECTION_OTHER, 5), 5);
	assert_int_equal(count_direction(SOURCE_OUT, "va", "vb", 99, 0), 0);
	/* sent by va */
	assert_int_equal(count_direction(SOURCE_IN_OUT, "va", "va", DIRECTION_OUT, 5), 5);
	assert_int_equal(count_direction(SOURCE_IN, "va", "va", 99, 0), 0);
	assert_int_equal(count_direction(SOURCE_OUT, "va", "va", DIRECTION_OUT, 5), 5);
}

/* Each packet on loopback is there twice for the kernel, and once for us. */
static void loopback_once(void **state)
{
	assert_int_equal(count_direction(SOURCE_IN_OUT, "lo", "lo", DIRECTION_OTHER, 5), 5);
	assert_int_equal(count_direction(SOURCE_IN, "lo", "lo", DIRECTION_OTHER, 5), 5);
	assert_int_equal(count_direction(SOURCE_OUT, "lo", "lo", DIRECTION_OUT, 5), 5);
	assert_int_equal(count_direction(SOURCE_IN_OUT, "any", "lo", DIRECTION_OTHER, 5), 5);
	assert_int_equal(count_direction(SOURCE_OUT, "any", "lo", DIRECTION_OUT, 5), 5);
	/* on "any" a frame over veth is one out and one in */
	assert_int_equal(count_direction(SOURCE_IN_OUT, "any", "vb", 99, 10), 10);
	assert_int_equal(count_direction(SOURCE_IN, "any", "vb", DIRECTION_OTHER, 5), 5);
}

/* The frames that a filter lets through of: plain UDP port 2000, tagged 100, QinQ 200/30, ARP, IPv6 with a
 * hop-by-hop header before UDP, IPv6 UDP. As bits. */
static unsigned passed(const char *interface, const char *filter, unsigned kernel_passes, bool *user,
		       char *why)
{
	static const uint16_t one[] = { 0x8100, 100 }, two[] = { 0x88a8, 200, 0x8100, 30 };
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST];
	unsigned bits = 0;

	options.filter = filter;
	options.direction = SOURCE_IN;
	fixture_open(&capture, interface, 1, &options);
	*user = interface_table_get(capture.table, capture.sources[0]->interface)->user_filter != NULL;
	snprintf(why, 256, "%s",
		 capture.report.note_count > 0 ? capture.report.notes[capture.report.note_count - 1] : "");
	fixture_send(sender, "vb", frame, fixture_udp(frame, 101, 0, 1000, 2000));
	fixture_send(sender, "vb", frame, tagged_udp(frame, 102, 1, one, 1));
	fixture_send(sender, "vb", frame, tagged_udp(frame, 103, 2, two, 2));
	fixture_udp(frame, 104, 3, 1, 2);
	memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	fixture_send(sender, "vb", frame, 104);
	fixture_udp(frame, 105, 4, 1, 2);
	memcpy(frame + 12, "\x86\xdd\x60\0\0\0\0\x33\x00\x40", 10);
	memset(frame + 22, 1, 32);
	memcpy(frame + 54, "\x11\0\1\4\0\0\0\0\x03\xe8\x07\xd0\0\x2b\0\0", 16);
	fixture_send(sender, "vb", frame, 105);
	frame[20] = 17;
	memcpy(frame + 54, "\x03\xe8\x07\xd0\0\x35\0\0", 8);
	fixture_send(sender, "vb", frame, 107);

	fixture_collect_all(&capture, kernel_passes);
	for (size_t i = 0; i < capture.count; i++) {
		const struct frame *got = &capture.frames[i].frame;
		const struct interface *entry = interface_table_get(capture.table, got->interface);
		uint32_t extra = got->link_type == LINK_LINUX_SLL2 ? 20 - 14 : 0;

		if (entry->user_filter != NULL &&
		    !filter_match(entry->user_filter, capture.frames[i].bytes, got->captured_len, got->wire_len))
			continue;
		switch (got->wire_len - extra) {
		case 101: bits |= 1; break;
		case 106: bits |= 2; break;
		case 111: bits |= 4; break;
		case 104: bits |= 8; break;
		case 105: bits |= 16; break;
		case 107: bits |= 32; break;
		default: fail_msg("a frame of %u bytes", got->wire_len);
		}
	}
	fixture_stop(&capture);
	fixture_close(&capture);
	return bits;
}

static void filters(void **state)
{
	/* bits: 1 plain, 2 tagged 100, 4 QinQ, 8 ARP, 16 IPv6 hop-by-hop, 32 IPv6 UDP */
	static const struct {
		const char *interface, *filter;
		unsigned bits;
		bool user;
	} cases[] = {
		{ "va", NULL, 63, false },
		{ "va", "", 63, false },
		{ "va", "arp", 8, false },
		{ "va", "vlan", 6, false },
		{ "va", "vlan 100", 2, false },
		{ "va", "vlan 100 and udp port 2000", 2, false },
		{ "va", "vlan 200 and vlan 30", 4, false },
		{ "va", "udp and vlan", 2, false },
		{ "va", "vlan and vlan and udp", 4, false },
		{ "va", "not vlan", 1 | 8 | 16 | 32, false },
		{ "va", "ip6 protochain 17", 16 | 32, true },
		{ "va", "udp port 2000 and ip6 or arp", 8 | 32, false },
		{ "any", "arp", 8, false },
		{ "any", "ip6", 16 | 32, false },
		{ "any", "udp port 2000", 1 | 2 | 32, false },
		{ "any", "ip[8] = 64 and udp[0:2] = 1000", 1 | 2, false },
		{ "any", "inbound and arp", 8, false },
		{ "any", "greater 113", 4 | 32, true },
		{ "any", "ip6 protochain 17", 16 | 32, true },
	};

	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char why[256];
		bool user;
		unsigned bits = passed(cases[i].interface, cases[i].filter,
				       cases[i].user ? 6 : (unsigned)__builtin_popcount(cases[i].bits), &user, why);

		if (bits != cases[i].bits || user != cases[i].user)
			fail_msg("'%s' on %s: %u instead of %u, %sin user space (%s)", cases[i].filter,
				 cases[i].interface, bits, cases[i].bits, user ? "" : "not ", why);
		if (user)
			assert_non_null(strstr(why, "runs in the worker"));
	}
}

static void bad_filter_says_why(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	struct error error = { 0 };

	options.filter = "host and or";
	assert_int_equal(fixture_try_open(&capture, "va", 1, &options, &error), -EINVAL);
	assert_non_null(strstr(error.message, "syntax error"));
	options.filter = "vlan 100";
	assert_int_equal(fixture_try_open(&capture, "any", 1, &options, &error), -EINVAL);
	assert_non_null(strstr(error.message, "no VLAN support"));
}

/* "any": an SLL2 header in front, with the tag in the way a file would have it. */
static void cooked(void **state)
{
	static const uint16_t tag[] = { 0x8100, 0x6064 };
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST];
	size_t length = tagged_udp(frame, 80, 1, tag, 1);
	const uint8_t *bytes;

	options.direction = SOURCE_IN;
	options.snap_length = 64;
	fixture_open(&capture, "any", 1, &options);
	fixture_send(sender, "vb", frame, length);
	fixture_collect_all(&capture, 1);
	assert_int_equal(capture.count, 1);
	assert_int_equal(capture.frames[0].frame.link_type, LINK_LINUX_SLL2);
	assert_int_equal(capture.frames[0].frame.wire_len, length - 14 + 20);
	assert_int_equal(capture.frames[0].frame.captured_len, 64);
	bytes = capture.frames[0].bytes;
	assert_memory_equal(bytes, "\x81\x00\0\0", 4);
	assert_int_equal(bytes[4] << 24 | bytes[5] << 16 | bytes[6] << 8 | bytes[7], if_nametoindex("va"));
	assert_memory_equal(bytes + 8, "\0\1\3\6", 4);
	assert_memory_equal(bytes + 12, frame + 6, 6);
	assert_memory_equal(bytes + 20, frame + 14, 44);
	fixture_stop(&capture);
	fixture_close(&capture);
}

/* A device without link header gives raw IP. */
static void tun_is_raw_ip(void **state)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST];
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	strcpy(request.ifr_name, "tun7");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		printf("skipped: no tun device here\n");
		skip();
	}
	fixture_run("ip link set tun7 up");
	options.filter = "udp port 2000";
	options.direction = SOURCE_IN;
	fixture_open(&capture, "tun7", 1, &options);
	fixture_udp(frame, 90, 1, 1000, 2000);
	assert_int_equal(write(fd, frame + 14, 76), 76);
	frame[37] = 1;
	assert_int_equal(write(fd, frame + 14, 76), 76);
	fixture_collect_all(&capture, 1);
	assert_int_equal(capture.count, 1);
	assert_int_equal(capture.frames[0].frame.link_type, LINK_RAW);
	assert_int_equal(capture.frames[0].frame.captured_len, 76);
	frame[37] = (uint8_t)2000;
	assert_memory_equal(capture.frames[0].bytes, frame + 14, 76);
	fixture_stop(&capture);
	fixture_close(&capture);
	close(fd);
}

/* A super-packet of TSO is marked, and so is a checksum that is still to be filled in. */
static void offloads_are_marked(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	size_t aggregated = 0, unready = 0, largest = 0;

	options.direction = SOURCE_IN;
	fixture_open(&capture, "lo", 1, &options);
	fixture_run("/usr/bin/python3 -c '\n"
		    "import socket\n"
		    "s=socket.socket(); s.bind((\"127.0.0.1\",0)); s.listen(1)\n"
		    "c=socket.create_connection(s.getsockname()); p,_=s.accept()\n"
		    "c.setblocking(True); import threading\n"
		    "t=threading.Thread(target=lambda: c.sendall(bytes(2000000))); t.start()\n"
		    "n=0\n"
		    "while n<2000000: n+=len(p.recv(1<<20))\n"
		    "t.join()'");
	fixture_collect_all(&capture, 1);
	for (size_t i = 0; i < capture.count; i++) {
		const struct frame *frame = &capture.frames[i].frame;

		aggregated += (frame->flags & FRAME_AGGREGATED) != 0;
		unready += (frame->flags & FRAME_CSUM_NOT_READY) != 0;
		largest = frame->wire_len > largest ? frame->wire_len : largest;
		if (frame->wire_len > 65535 + 14)
			assert_true(frame->flags & FRAME_AGGREGATED);
	}
	assert_true(unready > 0);
	printf("%zu frames, %zu aggregated, %zu without checksum, largest %zu\n", capture.count, aggregated, unready,
	       largest);
	fixture_stop(&capture);
	fixture_close(&capture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_come_back),
		cmocka_unit_test(snap_length_holds),
		cmocka_unit_test(directions),
		cmocka_unit_test(loopback_once),
		cmocka_unit_test(filters),
		cmocka_unit_test(bad_filter_says_why),
		cmocka_unit_test(cooked),
		cmocka_unit_test(tun_is_raw_ip),
		cmocka_unit_test(offloads_are_marked),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	fixture_enter();
	fixture_veth("va", "vb");
	sender = fixture_sender();
	return cmocka_run_group_tests_name("afpacket fidelity", tests, NULL, NULL);
}
