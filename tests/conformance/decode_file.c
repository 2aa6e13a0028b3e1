/* Decodes a capture file and prints one record a line as JSON, all fields under their schema
 * names, null by the record's predicates. It shares nothing with the engine but the decoders, so
 * that the conformance test judges these and not the readers and sinks around them.
 *
 *     decode_file [--outer] [--verify-checksums] FILE
 *
 * libpcap reads no file of several link types; the comparison splits those first.
 */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"

static void number(const char *name, bool valid, uint64_t value)
{
	if (valid)
		printf(",\"%s\":%llu", name, (unsigned long long)value);
	else
		printf(",\"%s\":null", name);
}

static void address(const char *name, const struct record *record, const uint8_t ip[16])
{
	char text[INET6_ADDRSTRLEN];

	if (record->layers & LAYER_IPV6)
		inet_ntop(AF_INET6, ip, text, sizeof text);
	else
		inet_ntop(AF_INET, ip + 12, text, sizeof text);
	if (record->layers & (LAYERS_IP | LAYER_ARP))
		printf(",\"%s\":\"%s\"", name, text);
	else
		printf(",\"%s\":null", name);
}

static void mac(const char *name, bool valid, const uint8_t a[6])
{
	if (valid)
		printf(",\"%s\":\"%02x:%02x:%02x:%02x:%02x:%02x\"", name, a[0], a[1], a[2], a[3], a[4], a[5]);
	else
		printf(",\"%s\":null", name);
}

static void print_record(const struct record *r)
{
	bool ip = r->layers & LAYERS_IP;
	bool fragment = r->layers & (LAYER_IPV4 | LAYER_IPV6_FRAG);
	bool icmp = r->layers & (LAYER_ICMP | LAYER_ICMPV6);

	printf("{\"wire_length\":%u,\"captured_length\":%u", r->wire_length, r->captured_length);
	address("src_ip", r, r->src_ip);
	address("dst_ip", r, r->dst_ip);
	number("src_port", r->layers & LAYER_PORTS, r->src_port);
	number("dst_port", r->layers & LAYER_PORTS, r->dst_port);
	number("payload_length", ip, r->payload_length);
	number("flow_hash", ip, r->flow_hash);
	number("ethertype", r->layers & LAYER_ETHERTYPE, r->ethertype);
	number("ip_protocol", ip, r->ip_protocol);
	number("tcp_flags", r->layers & LAYER_TCP, r->tcp_flags);
	number("tcp_seq", r->layers & LAYER_TCP, r->tcp_seq);
	number("tcp_ack", r->layers & LAYER_TCP, r->tcp_ack);
	number("tcp_window", r->layers & LAYER_TCP, r->tcp_window);
	number("icmp_id", record_has_icmp_id(r), r->icmp_id);
	number("icmp_sequence", record_has_icmp_id(r), r->icmp_sequence);
	number("icmp_type", icmp || (r->layers & LAYER_IGMP), r->icmp_type);
	number("icmp_code", icmp, r->icmp_code);
	number("arp_operation", r->layers & LAYER_ARP, r->arp_operation);
	number("tunnel_type", r->layers & LAYER_TUNNEL, r->tunnel_type);
	number("tunnel_id", r->layers & LAYER_TUNNEL_ID, r->tunnel_id);
	number("tunnel_depth", true, r->tunnel_depth);
	number("ip_id", fragment, r->ip_id);
	number("fragment_offset", fragment, r->fragment_offset);
	number("ip_ttl", ip, r->ip_ttl);
	number("ip_tos", ip, r->ip_tos);
	number("layers", true, r->layers);
	number("status", true, r->status);
	mac("src_mac", r->layers & LAYER_ETH, r->src_mac);
	mac("dst_mac", r->layers & LAYER_ETH, r->dst_mac);
	number("vlan_tci", r->layers & LAYER_VLAN, r->vlan_tci);
	number("inner_vlan_tci", r->layers & LAYER_VLAN_INNER, r->inner_vlan_tci);
	number("l3_offset", ip || (r->layers & LAYER_ARP), r->l3_offset);
	number("l4_offset", r->layers & LAYERS_L4, r->l4_offset);
	number("payload_offset", ip, r->payload_offset);
	puts("}");
}

int main(int argc, char **argv)
{
	struct decode_options options = { 0 };
	char message[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *bytes;
	pcap_t *pcap;
	int got, link_type;

	for (; argc > 2; argc--, argv++) {
		if (strcmp(argv[1], "--outer") == 0)
			options.tunnel = DECODE_TUNNEL_OUTER;
		else if (strcmp(argv[1], "--verify-checksums") == 0)
			options.verify_checksums = true;
		else
			return 2;
	}
	pcap = argc == 2 ? pcap_open_offline(argv[1], message) : NULL;
	if (pcap == NULL) {
		fprintf(stderr, "decode_file: %s\n", argc == 2 ? message : "usage");
		return 2;
	}
	link_type = pcap_datalink(pcap);
	if (link_type == DLT_RAW)
		link_type = LINK_RAW;
	if (link_type == DLT_ATM_RFC1483)
		link_type = LINK_ATM_RFC1483;
	while ((got = pcap_next_ex(pcap, &header, &bytes)) == 1) {
		/* A buffer that ends where the packet does: AddressSanitizer sees the first byte too many. */
		uint8_t *exact = malloc(header->caplen ? header->caplen : 1);
		struct record record;

		if (exact == NULL)
			return 2;
		memcpy(exact, bytes, header->caplen);
		decode_packet(&options, exact, header->caplen, header->len, (uint16_t)link_type,
			      &record, NULL);
		print_record(&record);
		free(exact);
	}
	if (got == PCAP_ERROR)
		fprintf(stderr, "decode_file: %s\n", pcap_geterr(pcap));
	pcap_close(pcap);
	return got == PCAP_ERROR;
}
