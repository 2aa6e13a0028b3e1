#include "tests/unit/decoders/vector.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const layer_names[32] = {
	"ETH", "ETHERTYPE", "LLC_SNAP", "VLAN", "VLAN_INNER", "PBB", "MACSEC", "MPLS", "PPP", "ARP", "IPV4", "IPV6",
	"IPV6_EXT", "IPV6_FRAG", "AH", "ESP", "TCP", "UDP", "UDPLITE", "SCTP", "DCCP", "ICMP", "ICMPV6", "IGMP",
	"L4_OTHER", "L2_CONTROL", "NSH", "TUNNEL", "TUNNEL_ID", "PORTS",
};

/* Directions and TPIDs are numbers: IN, OUT, OTHER; TPID_88A8 and INNER_88A8, and so on. */
static const struct {
	const char *name;
	uint32_t mask, value;
} status_names[] = {
	{ "IN", 3, 1 }, { "OUT", 3, 2 }, { "OTHER", 3, 3 },
	{ "TPID_88A8", 3 << 2, 1 << 2 }, { "TPID_9100", 3 << 2, 2 << 2 }, { "TPID_9200", 3 << 2, 3 << 2 },
	{ "INNER_88A8", 3 << 4, 1 << 4 }, { "INNER_9100", 3 << 4, 2 << 4 }, { "INNER_9200", 3 << 4, 3 << 4 },
#define BIT(name) { #name, STATUS_##name, STATUS_##name }
	BIT(CUT), BIT(SHORT), BIT(MALFORMED_L2), BIT(MALFORMED_L3), BIT(MALFORMED_L4), BIT(FRAGMENT),
	BIT(MORE_FRAGMENTS), BIT(DONT_FRAGMENT), BIT(CHECKSUMS_CHECKED), BIT(IP_CHECKSUM_BAD), BIT(L4_CHECKSUM_BAD),
	BIT(CHECKSUM_NOT_READY), BIT(TCP_AE), BIT(TCP_MSS), BIT(TCP_WINDOW_SCALE), BIT(TCP_SACK_PERMITTED),
	BIT(TCP_SACK), BIT(TCP_TIMESTAMPS), BIT(TUNNEL_BOUND), BIT(AGGREGATED), BIT(TIME_HARDWARE), BIT(LATE),
	BIT(TAG_RESTORED),
#undef BIT
};

static const struct {
	const char *name;
	size_t offset, size;
} number_fields[] = {
#define FIELD(name) { #name, offsetof(struct record, name), sizeof ((struct record *)0)->name }
	FIELD(timestamp_ns), FIELD(wire_length), FIELD(captured_length), FIELD(src_port), FIELD(dst_port),
	FIELD(payload_length), FIELD(flow_hash), FIELD(ethertype), FIELD(ip_protocol), FIELD(tcp_flags),
	FIELD(packet_offset), FIELD(tcp_seq), FIELD(icmp_id), FIELD(icmp_sequence), FIELD(tcp_ack), FIELD(tunnel_id),
	FIELD(ip_id), FIELD(layers), FIELD(status), FIELD(vlan_tci), FIELD(inner_vlan_tci), FIELD(l3_offset),
	FIELD(l4_offset), FIELD(payload_offset), FIELD(fragment_offset), FIELD(tcp_window), FIELD(icmp_type),
	FIELD(icmp_code), FIELD(arp_operation), FIELD(ip_ttl), FIELD(ip_tos), FIELD(tunnel_type), FIELD(tunnel_depth),
	FIELD(interface),
#undef FIELD
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void fail(const char *path, const char *line, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", path, why, line);
	exit(2);
}

const char *vector_layer_names(uint32_t layers)
{
	static char text[512];

	text[0] = '\0';
	for (unsigned bit = 0; bit < 32; bit++) {
		if (layers >> bit & 1) {
			strcat(text, text[0] ? " " : "");
			strcat(text, layer_names[bit] ? layer_names[bit] : "?");
		}
	}
	return text;
}

const char *vector_status_names(uint32_t status)
{
	static char text[512];

	text[0] = '\0';
	for (unsigned i = 0; i < COUNT(status_names); i++) {
		if ((status & status_names[i].mask) == status_names[i].value) {
			strcat(text, text[0] ? " " : "");
			strcat(text, status_names[i].name);
		}
	}
	return text;
}

static void read_names(const char *path, char *words, bool layers, uint32_t *value)
{
	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
		bool found = false;

		for (unsigned i = 0; layers && i < 30; i++) {
			if (strcmp(word, layer_names[i]) == 0) {
				*value |= 1u << i;
				found = true;
			}
		}
		for (unsigned i = 0; !layers && i < COUNT(status_names); i++) {
			if (strcmp(word, status_names[i].name) == 0) {
				*value |= status_names[i].value;
				found = true;
			}
		}
		if (!found)
			fail(path, word, "no such bit");
	}
}

static void read_address(const char *path, const char *text, uint8_t ip[16])
{
	if (inet_pton(AF_INET, text, ip + 12) == 1) {
		ip[10] = ip[11] = 0xff;
		return;
	}
	if (inet_pton(AF_INET6, text, ip) != 1)
		fail(path, text, "no address");
}

static void read_mac(const char *path, const char *text, uint8_t mac[6])
{
	unsigned b[6];

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6)
		fail(path, text, "no MAC");
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
}

static void read_expect(const char *path, char *text, struct record *record)
{
	char *value = strchr(text, ' ');

	if (value == NULL)
		fail(path, text, "no value");
	*value++ = '\0';
	if (strcmp(text, "layers") == 0 || strcmp(text, "status") == 0) {
		read_names(path, value, text[0] == 'l', text[0] == 'l' ? &record->layers : &record->status);
		return;
	}
	if (strcmp(text, "src_ip") == 0 || strcmp(text, "dst_ip") == 0) {
		read_address(path, value, text[0] == 's' ? record->src_ip : record->dst_ip);
		return;
	}
	if (strcmp(text, "src_mac") == 0 || strcmp(text, "dst_mac") == 0) {
		read_mac(path, value, text[0] == 's' ? record->src_mac : record->dst_mac);
		return;
	}
	for (unsigned i = 0; i < COUNT(number_fields); i++) {
		if (strcmp(text, number_fields[i].name) == 0) {
			uint64_t number = strtoull(value, NULL, 0);

			memcpy((uint8_t *)record + number_fields[i].offset, &number, number_fields[i].size);
			return;
		}
	}
	fail(path, text, "no such field");
}

static void read_options(const char *path, char *words, struct decode_options *options)
{
	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
		char *value = strchr(word, '=');
		uint16_t port = value ? (uint16_t)atoi(value + 1) : 0;

		if (strcmp(word, "outer") == 0)
			options->tunnel = DECODE_TUNNEL_OUTER;
		else if (strcmp(word, "verify") == 0)
			options->verify_checksums = true;
		else if (strcmp(word, "not-ready") == 0)
			options->checksum_not_ready = true;
		else if (strncmp(word, "vxlan=", 6) == 0)
			options->ports.vxlan[0] = port;
		else if (strncmp(word, "gpe=", 4) == 0)
			options->ports.vxlan_gpe[0] = port;
		else if (strncmp(word, "geneve=", 7) == 0)
			options->ports.geneve[1] = port;
		else if (strncmp(word, "gtpu=", 5) == 0)
			options->ports.gtpu[2] = port;
		else if (strncmp(word, "l2tp=", 5) == 0)
			options->ports.l2tp[3] = port;
		else if (strncmp(word, "teredo=", 7) == 0)
			options->ports.teredo[0] = port;
		else
			fail(path, word, "no such option");
	}
}

static void read_hex(const char *path, const char *text, struct vector *vector)
{
	unsigned byte;

	for (; *text != '\0'; text++) {
		if (*text == ' ')
			continue;
		if (vector->length == VECTOR_BYTES || sscanf(text, "%2x", &byte) != 1)
			fail(path, text, "bad hex");
		vector->bytes[vector->length++] = (uint8_t)byte;
		text++;
	}
}

static void read_trace(const char *path, char *text, struct vector *vector)
{
	char *length = strrchr(text, ' '), *offset;

	if (length == NULL || vector->traces == VECTOR_TRACES)
		fail(path, text, "bad trace");
	*length++ = '\0';
	offset = strrchr(text, ' ');
	if (offset == NULL)
		fail(path, text, "bad trace");
	*offset++ = '\0';
	snprintf(vector->trace[vector->traces].name, sizeof vector->trace[0].name, "%s", text);
	vector->trace[vector->traces].offset = (unsigned)atoi(offset);
	vector->trace[vector->traces].length = (unsigned)atoi(length);
	vector->traces++;
}

static uint16_t read_link(const char *path, const char *text)
{
	static const struct {
		const char *name;
		uint16_t type;
	} links[] = {
		{ "ethernet", LINK_ETHERNET }, { "raw", LINK_RAW }, { "null", LINK_NULL }, { "loop", LINK_LOOP },
		{ "sll", LINK_LINUX_SLL }, { "sll2", LINK_LINUX_SLL2 }, { "ppp", LINK_PPP }, { "chdlc", LINK_CISCO_HDLC },
	};

	for (unsigned i = 0; i < COUNT(links); i++) {
		if (strcmp(text, links[i].name) == 0)
			return links[i].type;
	}
	if (text[0] < '0' || text[0] > '9')
		fail(path, text, "no such link type");
	return (uint16_t)atoi(text);
}

void vector_read(const char *path, struct vector *vector)
{
	const char *base = strrchr(path, '/');
	FILE *file = fopen(path, "r");
	char line[4096];

	if (file == NULL)
		fail(path, "", "cannot be opened");
	memset(vector, 0, sizeof *vector);
	snprintf(vector->name, sizeof vector->name, "%s", base ? base + 1 : path);
	vector->expected.packet_offset = RECORD_NO_OFFSET;
	while (fgets(line, sizeof line, file) != NULL) {
		char *rest = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (rest == NULL)
			fail(path, line, "no value");
		*rest++ = '\0';
		if (strcmp(line, "link") == 0)
			vector->link_type = read_link(path, rest);
		else if (strcmp(line, "options") == 0)
			read_options(path, rest, &vector->options);
		else if (strcmp(line, "wire") == 0)
			vector->wire_length = (uint32_t)atoi(rest);
		else if (strcmp(line, "hex") == 0)
			read_hex(path, rest, vector);
		else if (strcmp(line, "expect") == 0)
			read_expect(path, rest, &vector->expected);
		else if (strcmp(line, "trace") == 0)
			read_trace(path, rest, vector);
		else
			fail(path, line, "no such keyword");
	}
	fclose(file);
	if (vector->wire_length < vector->length)
		vector->wire_length = vector->length;
	vector->expected.captured_length = vector->length;
	vector->expected.wire_length = vector->wire_length;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct vector *)a)->name, ((const struct vector *)b)->name);
}

unsigned vector_read_all(const char *directory, struct vector **vectors)
{
	DIR *open = opendir(directory);
	struct dirent *entry;
	unsigned count = 0, room = 0;
	char path[1024];

	if (open == NULL)
		fail(directory, "", "cannot be opened");
	*vectors = NULL;
	while ((entry = readdir(open)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length < 5 || strcmp(entry->d_name + length - 4, ".vec") != 0)
			continue;
		if (count == room) {
			room = room ? room * 2 : 64;
			*vectors = realloc(*vectors, room * sizeof **vectors);
			if (*vectors == NULL)
				fail(directory, "", "no memory");
		}
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		vector_read(path, &(*vectors)[count++]);
	}
	closedir(open);
	if (count == 0)
		fail(directory, "", "has no vectors");
	qsort(*vectors, count, sizeof **vectors, by_name);
	return count;
}

unsigned vector_differences(const struct record *got, const struct record *want)
{
	unsigned differences = 0;

	if (memcmp(got, want, sizeof *got) == 0)
		return 0;
	for (unsigned i = 0; i < COUNT(number_fields); i++) {
		uint64_t a = 0, b = 0;

		memcpy(&a, (const uint8_t *)got + number_fields[i].offset, number_fields[i].size);
		memcpy(&b, (const uint8_t *)want + number_fields[i].offset, number_fields[i].size);
		if (a != b) {
			fprintf(stderr, "    %s: got %llu, want %llu\n", number_fields[i].name, (unsigned long long)a,
				(unsigned long long)b);
			differences++;
		}
	}
	if (got->layers != want->layers) {
		fprintf(stderr, "    layers: got %s\n", vector_layer_names(got->layers));
		fprintf(stderr, "    layers: want %s\n", vector_layer_names(want->layers));
	}
	if (got->status != want->status) {
		fprintf(stderr, "    status: got %s\n", vector_status_names(got->status));
		fprintf(stderr, "    status: want %s\n", vector_status_names(want->status));
	}
	if (memcmp(got->src_ip, want->src_ip, 32) != 0)
		differences += (unsigned)!!fprintf(stderr, "    src_ip or dst_ip differ\n");
	if (memcmp(got->src_mac, want->src_mac, 12) != 0)
		differences += (unsigned)!!fprintf(stderr, "    src_mac or dst_mac differ\n");
	return differences ? differences : 1;
}
