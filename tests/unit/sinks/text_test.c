/* The default line, byte for byte. */
#include "tests/unit/sinks/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void expect(struct record record, const char *text)
{
	struct interface_table *table = support_table();
	char *got = support_text(NULL, &record, 1, table);
	char *end = NULL;

	assert_true(asprintf(&end, "08:00:00.123456 %s\n", text) > 0);
	assert_string_equal(got, end);
	free(end);
	free(got);
	interface_table_close(table);
}

static void tcp(void **state)
{
	struct record record = support_tcp(100);

	expect(record, "IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 2, win 502, length 100");
	record = support_tcp(0);
	record.tcp_flags = 0x02;
	record.status = STATUS_TCP_MSS | STATUS_TCP_SACK_PERMITTED | STATUS_TCP_TIMESTAMPS | STATUS_TCP_WINDOW_SCALE;
	expect(record,
	       "IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [S], seq 1, win 502, options [mss,sackOK,TS,wscale], length 0");
	record.tcp_flags = 0;
	record.status = STATUS_TCP_SACK;
	expect(record, "IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [none], seq 1, win 502, options [sack], length 0");
	record.tcp_flags = 0xff;
	record.status = 0;
	expect(record, "IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [FSRPUEW.], seq 1, ack 2, win 502, length 0");
	record = support_tcp(10);
	record.tcp_seq = UINT32_MAX; /* the sequence space wraps */
	expect(record, "IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 4294967295:9, ack 2, win 502, length 10");
}

static void udp_and_other_protocols(void **state)
{
	struct record record = support_tcp(100);

	record.layers ^= LAYER_TCP | LAYER_UDP;
	record.ip_protocol = 17;
	record.payload_offset = 42;
	expect(record, "IP 10.0.0.1.80 > 10.0.0.2.1234: UDP, length 100");
	record.layers ^= LAYER_UDP | LAYER_SCTP;
	record.ip_protocol = 132;
	record.payload_offset = 46;
	expect(record, "IP 10.0.0.1.80 > 10.0.0.2.1234: SCTP, length 112");
	record.layers ^= LAYER_SCTP | LAYER_PORTS | LAYER_L4_OTHER;
	record.ip_protocol = 200;
	record.payload_offset = 34;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: ip-proto-200, length 100");
	record.ip_protocol = 89;
	record.layers |= LAYER_AH;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: AH, OSPF, length 100");
}

static void icmp(void **state)
{
	struct record record = support_tcp(56);

	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4 | LAYER_ICMP;
	record.ip_protocol = 1;
	record.payload_offset = 42;
	record.icmp_type = 8;
	record.icmp_code = 0;
	record.icmp_id = 17;
	record.icmp_sequence = 3;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 17, seq 3, length 64");
	record.icmp_type = 3;
	record.icmp_code = 3;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: ICMP port unreachable, length 64");
	record.icmp_type = 3;
	record.icmp_code = 16; /* one past the last that has a name */
	expect(record, "IP 10.0.0.1 > 10.0.0.2: ICMP type 3 code 16, length 64");
	record.icmp_type = 255;
	record.icmp_code = 255;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: ICMP type 255 code 255, length 64");
	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4 | LAYER_IGMP;
	record.icmp_type = 0x16;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: igmp v2 report, length 64");
	record.icmp_type = 0x99;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: igmp type 153, length 64");
}

static void ipv6(void **state)
{
	struct record record = support_tcp(20);

	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV6 | LAYER_ICMPV6;
	memset(record.src_ip, 0, 16);
	record.src_ip[0] = 0xfe;
	record.src_ip[1] = 0x80;
	record.src_ip[15] = 1;
	memset(record.dst_ip, 0, 16);
	record.dst_ip[0] = 0xff;
	record.dst_ip[1] = 0x02;
	record.dst_ip[15] = 2;
	record.icmp_type = 135;
	record.icmp_code = 0;
	expect(record, "IP6 fe80::1 > ff02::2: ICMP6, neighbor solicitation, length 40");
	record.icmp_type = 129;
	record.icmp_id = 5;
	record.icmp_sequence = 6;
	expect(record, "IP6 fe80::1 > ff02::2: ICMP6, echo reply, id 5, seq 6, length 40");
	record.icmp_type = 144;
	expect(record, "IP6 fe80::1 > ff02::2: ICMP6, type 144 code 0, length 40");
	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV6 | LAYER_UDP | LAYER_PORTS;
	expect(record, "IP6 fe80::1.80 > ff02::2.1234: UDP, length 20");
}

static void arp(void **state)
{
	struct record record = support_tcp(0);

	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_ARP;
	record.wire_length = 60;
	record.arp_operation = 1;
	expect(record, "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 46");
	record.arp_operation = 2;
	expect(record, "ARP, Reply 10.0.0.1 from 00:11:22:33:44:55, length 46");
	record.arp_operation = 9;
	record.wire_length = 0; /* as a broken file may have it */
	expect(record, "ARP, operation 9 from 10.0.0.1 to 10.0.0.2, length 0");
}

static void tags_and_tunnels(void **state)
{
	struct record record = support_tcp(100);

	record.layers |= LAYER_VLAN;
	record.vlan_tci = 100;
	expect(record,
	       "vlan 100, IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 2, win 502, length 100");
	record.vlan_tci = 0xe000 | 0x1000 | 4095;
	record.layers |= LAYER_VLAN_INNER | LAYER_MPLS;
	record.inner_vlan_tci = 7;
	expect(record, "vlan 4095, p 7, vlan 7, MPLS, IP 10.0.0.1.80 > 10.0.0.2.1234: "
		       "Flags [P.], seq 1:101, ack 2, win 502, length 100");
	record.layers ^= LAYER_VLAN | LAYER_VLAN_INNER | LAYER_MPLS | LAYER_TUNNEL | LAYER_TUNNEL_ID;
	record.tunnel_type = TUNNEL_VXLAN;
	record.tunnel_id = 16777215;
	record.tunnel_depth = 1;
	expect(record,
	       "vxlan id 16777215, IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 2, win 502, length 100");
	record.tunnel_type = TUNNEL_GRE;
	record.layers &= ~(uint32_t)LAYER_TUNNEL_ID;
	record.tunnel_depth = 3;
	expect(record,
	       "gre depth 3, IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 2, win 502, length 100");
	record.tunnel_type = 255; /* from a newer file */
	expect(record,
	       "tunnel depth 3, IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1:101, ack 2, win 502, length 100");
}

static void fragments_and_remarks(void **state)
{
	struct record record = support_tcp(1480);

	record.layers = LAYER_ETH | LAYER_ETHERTYPE | LAYER_IPV4;
	record.ip_protocol = 17;
	record.status = STATUS_FRAGMENT | STATUS_MORE_FRAGMENTS;
	record.fragment_offset = 1480;
	expect(record, "IP 10.0.0.1 > 10.0.0.2: frag (id 99, offset 1480, more), UDP, length 1480");
	record.status = STATUS_FRAGMENT | STATUS_CUT | STATUS_SHORT | STATUS_MALFORMED_L4 | STATUS_IP_CHECKSUM_BAD |
			STATUS_L4_CHECKSUM_BAD | STATUS_TUNNEL_BOUND | STATUS_AGGREGATED | STATUS_LATE;
	expect(record,
	       "IP 10.0.0.1 > 10.0.0.2: frag (id 99, offset 1480), UDP, length 1480 [cut] [short] [malformed] "
		       "[bad ip cksum] [bad cksum] [nested too deep] [aggregated] [late]");
}

static void not_ip(void **state)
{
	struct record record = { .timestamp_ns = SUPPORT_TIME, .wire_length = 60,
				.packet_offset = RECORD_NO_OFFSET };

	expect(record, "link data, length 60");
	record.layers = LAYER_ETH | LAYER_ETHERTYPE;
	record.ethertype = 0x88cc;
	expect(record, "00:00:00:00:00:00 > 00:00:00:00:00:00, ethertype LLDP (0x88cc), length 60");
	record.ethertype = 0x1234;
	expect(record, "00:00:00:00:00:00 > 00:00:00:00:00:00, ethertype (0x1234), length 60");
	record.layers = LAYER_ETH | LAYER_LLC_SNAP;
	expect(record, "00:00:00:00:00:00 > 00:00:00:00:00:00, LLC, length 60");
	record.layers = LAYER_ETH | LAYER_L2_CONTROL;
	expect(record, "00:00:00:00:00:00 > 00:00:00:00:00:00, link control, length 60");
}

/* With more than one interface the name stands in front; what a file calls it cannot steer the terminal. */
static void interface_names(void **state)
{
	struct interface_table *table = support_table();
	struct record records[4] = { support_tcp(0), support_tcp(0), support_tcp(0), support_tcp(0) };
	char *got;

	support_add(table, "e\x1b[2J \xff" "1", LINK_ETHERNET);
	records[0].status = DIRECTION_IN;
	records[1].status = DIRECTION_OUT;
	records[1].interface = 1;
	records[2].status = DIRECTION_OTHER;
	records[3].interface = 9; /* in no table */
	got = support_text(NULL, records, 4, table);
	assert_string_equal(got,
		"08:00:00.123456 eth0 In IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1, ack 2, win 502, length 0\n"
		"08:00:00.123456 e?[2J??1 Out IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1, ack 2, win 502, length 0\n"
		"08:00:00.123456 eth0 P IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1, ack 2, win 502, length 0\n"
		"08:00:00.123456 IP 10.0.0.1.80 > 10.0.0.2.1234: Flags [P.], seq 1, ack 2, win 502, length 0\n");
	free(got);
	interface_table_close(table);
}

static char *without_colours(char *text)
{
	char *to = text;

	for (char *from = text; *from != '\0';) {
		if (*from == '\x1b')
			from = strchr(from, 'm') + 1;
		else
			*to++ = *from++;
	}
	*to = '\0';
	return text;
}

/* Colours only where they were asked for, and every one ends in its line. */
static void colours(void **state)
{
	struct interface_table *table = support_table();
	struct record records[3] = { support_tcp(0), support_tcp(0), support_tcp(0) };
	struct sink_options options = { .interfaces = table, .colour = true };
	char *directory = support_directory(), *plain, *coloured, spec[600];

	records[1].tcp_flags = 4;
	records[1].status = STATUS_CUT;
	records[2].layers = LAYER_ARP | LAYER_ETH;
	plain = support_text(NULL, records, 3, table);
	assert_null(strchr(plain, '\x1b'));
	snprintf(spec, sizeof spec, "%s", support_path(directory, "x.txt"));
	support_run(spec, &options, records, 3);
	coloured = support_read(spec, NULL);
	assert_non_null(strstr(coloured, "\x1b[2m08:00:00.123456\x1b[0m IP "));
	assert_non_null(strstr(coloured, "\x1b[32mFlags [P.]"));
	assert_non_null(strstr(coloured, "\x1b[1;31mFlags [R]"));
	assert_non_null(strstr(coloured, "length 0\x1b[0m\x1b[1;31m [cut]\x1b[0m\n"));
	assert_string_equal(without_colours(coloured), plain);
	free(plain);
	free(coloured);
	support_remove(directory);
	interface_table_close(table);
}

/* The longest that a line can be stays within its room: ASan watches, and nothing is cut off. */
static void longest_line(void **state)
{
	struct interface_table *table = support_table();
	struct record record;
	struct sink_options options = { .interfaces = table, .colour = true };
	char name[INTERFACE_NAME_MAX];
	char *directory = support_directory(), *got;

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	support_add(table, name, LINK_ETHERNET);
	memset(&record, 0xff, sizeof record);
	record.interface = 1;
	for (unsigned bit = 0; bit < 32; bit++) {
		struct record one = record;

		one.layers &= ~(1u << bit);
		support_run(support_path(directory, "x.txt"), &options, &one, 1);
		got = support_read(support_path(directory, "x.txt"), NULL);
		assert_in_range(strlen(got), 200, 1024);
		assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
		free(got);
	}
	support_remove(directory);
	interface_table_close(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp),
		cmocka_unit_test(udp_and_other_protocols),
		cmocka_unit_test(icmp),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(arp),
		cmocka_unit_test(tags_and_tunnels),
		cmocka_unit_test(fragments_and_remarks),
		cmocka_unit_test(not_ip),
		cmocka_unit_test(interface_names),
		cmocka_unit_test(colours),
		cmocka_unit_test(longest_line),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
