/* The formats of hand-written sniffers, byte for byte, with their edges. */
#include "tests/unit/sinks/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void expect_many(const char *format, const struct record *records, uint32_t count, const char *text)
{
	struct interface_table *table = support_table();
	char *got = support_text(format, records, count, table);

	assert_string_equal(got, text);
	free(got);
	interface_table_close(table);
}

static void expect(const char *format, struct record record, const char *text)
{
	expect_many(format, &record, 1, text);
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static struct record six(struct record record)
{
	record.layers = (record.layers & ~(uint32_t)LAYER_IPV4) | LAYER_IPV6;
	memset(record.src_ip, 0, 16);
	record.src_ip[0] = 0x20;
	record.src_ip[1] = 0x01;
	record.src_ip[2] = 0x0d;
	record.src_ip[3] = 0xb8;
	memcpy(record.dst_ip, record.src_ip, 16);
	record.src_ip[15] = 1;
	record.dst_ip[15] = 2;
	record.l4_offset = 54;
	record.payload_offset = 74;
	return record;
}

static struct record icmp(void)
{
	struct record record = support_tcp(56);

	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4 | LAYER_ICMP;
	record.ip_protocol = 1;
	record.payload_offset = 42;
	support_ipv4(record.src_ip, 127, 0, 0, 1);
	support_ipv4(record.dst_ip, 127, 0, 0, 1);
	return record;
}

static void addresses(void **state)
{
	struct record record = support_tcp(0);

	support_ipv4(record.src_ip, 100, 100, 25, 3);
	support_ipv4(record.dst_ip, 10, 112, 13, 6);
	record.dst_port = 21077;
	record.status = DIRECTION_IN;
	record.wire_length = 60; /* padded: the IP total length counts */
	expect("addresses", record, "incoming src=100.100.25.3:80, dst=10.112.13.6:21077, packet len= 40\n");
	record.status = DIRECTION_OUT;
	record.payload_length = 1400;
	record.captured_length = 96; /* cut by a snap length: the length is still the packet's */
	expect("addresses", record, "outgoing src=100.100.25.3:80, dst=10.112.13.6:21077, packet len= 1440\n");
	record.status = DIRECTION_UNKNOWN;
	expect("addresses", record, "incoming src=100.100.25.3:80, dst=10.112.13.6:21077, packet len= 1440\n");
	record.status = DIRECTION_OTHER;
	record.layers ^= LAYER_TCP | LAYER_UDP;
	record.payload_offset = 42;
	record.payload_length = 12;
	expect("addresses", record, "incoming src=100.100.25.3:80, dst=10.112.13.6:21077, packet len= 40\n");
	expect("addresses", six(support_tcp(5)),
	       "incoming src=[2001:db8::1]:80, dst=[2001:db8::2]:1234, packet len= 65\n");
	expect("addresses", icmp(), "");
	record.layers ^= LAYER_UDP | LAYER_SCTP; /* it has ports, but is neither TCP nor UDP */
	expect("addresses", record, "");
	record = support_tcp(8);
	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4; /* a later fragment of a TCP segment */
	expect("addresses", record, "");
}

static void connection_line(void **state)
{
	struct record record = support_tcp(208);

	support_ipv4(record.src_ip, 10, 112, 13, 6);
	support_ipv4(record.dst_ip, 10, 100, 27, 113);
	record.src_port = 22;
	record.dst_port = 61913;
	record.timestamp_ns = UINT64_C(1510647047999999999); /* 2017-11-14 08:10:47 UTC */
	zone("CST-8");
	expect("line", record, "2017-11-14 16:10:47 10.112.13.6:22 -> 10.100.27.113:61913 228\n");
	zone("UTC");
	expect("line", record, "2017-11-14 08:10:47 10.112.13.6:22 -> 10.100.27.113:61913 228\n");
	zone("NST3:30NDT,M3.2.0,M11.1.0"); /* half an hour off, and the day before at another hour */
	record.timestamp_ns = UINT64_C(1510628400000000000);
	expect("line", record, "2017-11-13 23:30:00 10.112.13.6:22 -> 10.100.27.113:61913 228\n");
	zone("UTC");
	record.timestamp_ns = 0;
	expect("line", record, "1970-01-01 00:00:00 10.112.13.6:22 -> 10.100.27.113:61913 228\n");
	record.l4_offset = 38; /* four bytes of IP options are of the header */
	record.payload_offset = 58;
	expect("line", record, "1970-01-01 00:00:00 10.112.13.6:22 -> 10.100.27.113:61913 228\n");
	expect("line", icmp(), "2017-11-14 08:00:00 127.0.0.1 -> 127.0.0.1 64\n");
	record = six(support_tcp(5));
	record.l4_offset += 8; /* an extension header is behind the IP header */
	record.payload_offset += 8;
	expect("line", record, "2017-11-14 08:00:00 [2001:db8::1]:80 -> [2001:db8::2]:1234 33\n");
	record = support_tcp(5);
	record.layers |= LAYER_AH; /* 24 bytes of it */
	record.l4_offset += 24;
	record.payload_offset += 24;
	expect("line", record, "2017-11-14 08:00:00 10.0.0.1:80 -> 10.0.0.2:1234 49\n");
	record = support_tcp(1480);
	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4;
	record.l4_offset = 0;
	record.payload_offset = 34;
	expect("line", record, "2017-11-14 08:00:00 10.0.0.1 -> 10.0.0.2 1480\n");
}

/* Each packet has the time of its own second, forwards and backwards, and over a change of the clock. */
static void seconds_change(void **state)
{
	struct record records[4] = { support_tcp(0), support_tcp(0), support_tcp(0), support_tcp(0) };

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	records[0].timestamp_ns = UINT64_C(1509238799000000000); /* 02:59:59 summer time, 2017-10-29 */
	records[1].timestamp_ns = UINT64_C(1509238800000000000); /* 02:00:00 winter time */
	records[2].timestamp_ns = UINT64_C(1509238799500000000);
	records[3].timestamp_ns = UINT64_C(1509238801000000000);
	expect_many("line", records, 4,
		    "2017-10-29 02:59:59 10.0.0.1:80 -> 10.0.0.2:1234 20\n"
		    "2017-10-29 02:00:00 10.0.0.1:80 -> 10.0.0.2:1234 20\n"
		    "2017-10-29 02:59:59 10.0.0.1:80 -> 10.0.0.2:1234 20\n"
		    "2017-10-29 02:00:01 10.0.0.1:80 -> 10.0.0.2:1234 20\n");
	zone("UTC");
}

static void ip(void **state)
{
	static const struct {
		uint8_t protocol;
		const char *line;
	} cases[] = {
		{ 1, "ICMP: 127.0.0.1 -> 127.0.0.1\n" }, { 2, "IGMP: 127.0.0.1 -> 127.0.0.1\n" },
		{ 6, "TCP: 127.0.0.1 -> 127.0.0.1\n" }, { 17, "UDP: 127.0.0.1 -> 127.0.0.1\n" },
		{ 27, "RDP: 127.0.0.1 -> 127.0.0.1\n" }, { 0, "Unknown(0): 127.0.0.1 -> 127.0.0.1\n" },
		{ 58, "Unknown(58): 127.0.0.1 -> 127.0.0.1\n" }, { 255, "Unknown(255): 127.0.0.1 -> 127.0.0.1\n" },
	};
	struct record record = icmp();

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		record.ip_protocol = cases[i].protocol;
		expect("ip", record, cases[i].line);
	}
	expect("ip", six(support_tcp(0)), "TCP: 2001:db8::1 -> 2001:db8::2\n");
	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_ARP;
	expect("ip", record, "");
	expect("line", record, "");
	expect("brief", record, "");
	expect("addresses", record, "");
}

static void brief(void **state)
{
	expect("brief", support_tcp(9), "10.0.0.1:80 -> 10.0.0.2:1234\n");
	expect("brief", icmp(), "127.0.0.1 -> 127.0.0.1\n");
	expect("brief", six(support_tcp(9)), "[2001:db8::1]:80 -> [2001:db8::2]:1234\n");
	expect("brief", six(icmp()), "2001:db8::1 -> 2001:db8::2\n");
}

/* A segment with that payload; the bytes live until the next call. */
static struct record segment(const void *payload, uint32_t length, uint32_t padding)
{
	static uint8_t packet[54 + 2048];
	struct record record = support_tcp(length);

	memset(packet, 0xee, sizeof packet);
	memcpy(packet + 54, payload, length);
	record.captured_length = 54 + length + padding;
	record.wire_length = record.captured_length;
	record.packet_offset = (uint64_t)(uintptr_t)packet;
	record.src_port = 22;
	record.dst_port = 61913;
	record.tcp_seq = 1234;
	return record;
}

static void tcp_data(void **state)
{
	struct record record = segment("SSH-2.0\r\n", 9, 0);

	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\nData: b'SSH-2.0\\r\\n'...\n");
	record.tcp_flags = 0xff;
	expect("tcp", record, "Port 22 -> 61913 [FIN,SYN,RST,PSH,ACK,URG] Seq=1234\nData: b'SSH-2.0\\r\\n'...\n");
	record.tcp_flags = 0;
	record.tcp_seq = UINT32_MAX;
	expect("tcp", record, "Port 22 -> 61913 [] Seq=4294967295\nData: b'SSH-2.0\\r\\n'...\n");
	record = segment("", 0, 6); /* the padding of a short frame is not data */
	expect("tcp", record, "");
	record = segment("abc", 3, 3);
	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\nData: b'abc'...\n");
	record.layers ^= LAYER_TCP | LAYER_UDP;
	expect("tcp", record, "");
}

static void tcp_fifty_bytes(void **state)
{
	static const char fifty[] = "0123456789abcdefghij0123456789ABCDEFGHIJ0123456789xyz";
	struct record record = segment(fifty, 50, 0);

	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\n"
			      "Data: b'0123456789abcdefghij0123456789ABCDEFGHIJ0123456789'...\n");
	record = segment(fifty, 51, 0);
	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\n"
			      "Data: b'0123456789abcdefghij0123456789ABCDEFGHIJ0123456789'...\n");
	/* Of what the segment holds, what was captured; none, when the snap length ended before or in the header. */
	record.captured_length = 54 + 4;
	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\nData: b'0123'...\n");
	record.captured_length = 54;
	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\nData: b''...\n");
	record.captured_length = 50;
	expect("tcp", record, "Port 22 -> 61913 [PSH,ACK] Seq=1234\nData: b''...\n");
}

/* As Python 3 prints them; readback.py compares all 256 bytes and random ones with Python itself. */
static void tcp_python_bytes(void **state)
{
#define HEAD "Port 22 -> 61913 [PSH,ACK] Seq=1234\nData: "
	expect("tcp", segment("it's", 4, 0), HEAD "b\"it's\"...\n");
	expect("tcp", segment("\"q\"", 3, 0), HEAD "b'\"q\"'...\n");
	expect("tcp", segment("'\"", 2, 0), HEAD "b'\\'\"'...\n");
	expect("tcp", segment("\\\t\n\r\0\x1f ~\x7f\xff", 10, 0),
	       HEAD "b'\\\\\\t\\n\\r\\x00\\x1f ~\\x7f\\xff'...\n");
	/* Only what is shown decides about the quotes: the single quote is byte 51. */
	expect("tcp", segment("00000000001111111111222222222233333333334444444444'", 51, 0),
	       HEAD "b'00000000001111111111222222222233333333334444444444'...\n");
}

static const uint8_t arp_request[60] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x08, 0x06,
	0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01,
	0x00, 0x11, 0x22, 0x33, 0x44, 0x66, 10, 0, 0, 1,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 10, 0, 0, 2,
};

#define ARP_RULE "==================================================\n"

static void arp(void **state)
{
	uint8_t packet[60];
	struct record record = support_record(arp_request, sizeof arp_request);

	expect("arp", record,
	       ARP_RULE "ETHERNET FRAME\n Dest MAC: ffffffffffff\n Source MAC: 001122334455\nARP HEADER\n Hardware: 0001\n"
	       " Protocol: 0800\n Opcode: 0001 (Request)\n Sender MAC: 001122334466\n Sender IP: 10.0.0.1\n"
	       " Target MAC: 000000000000\n Target IP: 10.0.0.2\n");
	memcpy(packet, arp_request, sizeof packet);
	packet[21] = 2;
	record = support_record(packet, sizeof packet);
	expect("arp", record,
	       ARP_RULE "ETHERNET FRAME\n Dest MAC: ffffffffffff\n Source MAC: 001122334455\nARP HEADER\n Hardware: 0001\n"
	       " Protocol: 0800\n Opcode: 0002 (Reply)\n Sender MAC: 001122334466\n Sender IP: 10.0.0.1\n"
	       " Target MAC: 000000000000\n Target IP: 10.0.0.2\n");
	packet[21] = 8;
	record = support_record(packet, sizeof packet);
	expect("arp", record,
	       ARP_RULE "ETHERNET FRAME\n Dest MAC: ffffffffffff\n Source MAC: 001122334455\nARP HEADER\n Hardware: 0001\n"
	       " Protocol: 0800\n Opcode: 0008 (Unknown)\n Sender MAC: 001122334466\n Sender IP: 10.0.0.1\n"
	       " Target MAC: 000000000000\n Target IP: 10.0.0.2\n");
	expect("arp", segment("x", 1, 0), "");
}

/* Lengths that a sender made up reach no further than the frame; long ones stay within the room of a line. */
static void arp_hostile(void **state)
{
	uint8_t packet[14 + 8 + 4 * 255];
	struct record record;
	struct interface_table *table = support_table();
	char *got;

	memset(packet, 0xab, sizeof packet);
	memcpy(packet, arp_request, 22);
	packet[18] = 255;
	packet[19] = 255;
	record = support_record(arp_request, sizeof arp_request);
	record.packet_offset = (uint64_t)(uintptr_t)packet;
	for (uint32_t captured = 0; captured <= sizeof packet; captured += captured == 60 ? sizeof packet - 61 : 1) {
		record.captured_length = captured;
		got = support_text("arp", &record, 1, table);
		if (captured < sizeof packet)
			assert_string_equal(got, "");
		else
			assert_int_equal(strlen(got), 183 + 2 * (27 + 2 * 2 * 255));
		free(got);
	}
	interface_table_close(table);
}

/* Records that were read back have no bytes: said, not guessed. */
static void bytes_missing(void **state)
{
	static const char *const formats[] = { "tcp", "arp" };
	struct interface_table *table = support_table();
	char *directory = support_directory();
	struct record record = support_tcp(10);
	const struct record *pointer = &record;
	struct batch batch = { .records = &pointer, .count = 1, .interfaces = table };

	for (unsigned i = 0; i < 2; i++) {
		struct sink_options options = { .interfaces = table, .format = formats[i] };
		struct error error = { 0 };
		struct sink *sink;

		assert_int_equal(sink_open(support_path(directory, "x.txt"), &options, &sink, &error), 0);
		assert_int_equal(sink->needs, SINK_NEEDS_BYTES);
		assert_in_range(sink->bytes_needed, 100, 2048);
		assert_int_equal(sink->ops->write(sink, &batch), -ENODATA);
		assert_non_null(strstr(sink->error.message, formats[i]));
		sink->ops->close(sink);
	}
	support_remove(directory);
	interface_table_close(table);
}

static void unknown_format(void **state)
{
	struct sink_options options = { .format = "nosuch" };
	struct error error = { 0 };
	struct sink *sink;

	assert_int_equal(sink_open("-", &options, &sink, &error), -EINVAL);
	assert_string_equal(error.message, "no format 'nosuch'");
	assert_string_equal(error.hint,
			    "known are text, addresses, line, ip, tcp, arp, brief, ndjson, csv, streams");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(connection_line),
		cmocka_unit_test(seconds_change),
		cmocka_unit_test(ip),
		cmocka_unit_test(brief),
		cmocka_unit_test(tcp_data),
		cmocka_unit_test(tcp_fifty_bytes),
		cmocka_unit_test(tcp_python_bytes),
		cmocka_unit_test(arp),
		cmocka_unit_test(arp_hostile),
		cmocka_unit_test(bytes_missing),
		cmocka_unit_test(unknown_format),
	};

	zone("UTC");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
