/* weir decode: one packet, given in hex, as a tree of its headers and as its record. For people who
 * debug a packet, and for those who write a decoder. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"
#include "engine/schema.h"
#include "tools/cli.h"
#include "tools/hexdump.h"
#include "tools/weir_decode.h"

#define INPUT_MAX (4u << 20)

struct options {
	struct decode_options decode;
	uint16_t link_type;
	uint32_t wire_length;
	bool all;
};

static const struct {
	const char *name;
	uint16_t type;
} links[] = {
	{ "ethernet", LINK_ETHERNET }, { "en10mb", LINK_ETHERNET }, { "raw", LINK_RAW }, { "ipv4", LINK_IPV4 },
	{ "ipv6", LINK_IPV6 }, { "null", LINK_NULL }, { "loop", LINK_LOOP }, { "linux_sll", LINK_LINUX_SLL },
	{ "sll", LINK_LINUX_SLL }, { "linux_sll2", LINK_LINUX_SLL2 }, { "sll2", LINK_LINUX_SLL2 }, { "ppp", LINK_PPP },
	{ "ppp_hdlc", LINK_PPP_HDLC }, { "ppp_pppd", LINK_PPP_PPPD }, { "pppoe", LINK_PPPOE },
	{ "chdlc", LINK_CISCO_HDLC }, { "c_hdlc", LINK_CISCO_HDLC }, { "ieee802", LINK_TOKEN_RING }, { "slip", LINK_SLIP },
	{ "fddi", LINK_FDDI }, { "atm_rfc1483", LINK_ATM_RFC1483 }, { "ieee802_11", LINK_IEEE802_11 },
	{ "ieee802_11_radio", LINK_IEEE802_11_RADIOTAP }, { "frelay", LINK_FRAME_RELAY }, { "enc", LINK_ENC },
	{ "pflog", LINK_PFLOG }, { "juniper_ether", LINK_JUNIPER_ETHERNET }, { "ppi", LINK_PPI },
	{ "ppp_with_dir", LINK_PPP_WITH_DIRECTION }, { "mpls", LINK_MPLS }, { "ipnet", LINK_IPNET }, { "nflog", LINK_NFLOG },
	{ "ipoib", LINK_IPOIB }, { "pktap", LINK_PKTAP }, { "dsa_tag_brcm", LINK_BROADCOM_TAG },
	{ "dsa_tag_brcm_prepend", LINK_BROADCOM_TAG_PREPEND }, { "dsa_tag_dsa", LINK_DSA_TAG }, { "dsa_tag_edsa", LINK_EDSA_TAG },
};

static void print_help(void)
{
	fputs("usage: weir decode [OPTION]... HEX... | -\n"
		"Decodes one packet: its headers as a tree with byte ranges, then its record. HEX may hold blanks,\n"
		"colons and 0x; - reads standard input, where dumps of tcpdump -xx, hexdump -C, xxd and Wireshark do.\n\n"
		"  -l, --link-type NAME   ethernet (default), raw, null, loop, sll, sll2, ppp, pppoe, chdlc, ... or\n"
		"                         a LINKTYPE_ number\n"
		"      --tunnel inner|outer      which IP level the record describes (default inner)\n"
		"      --tunnel-port KIND=PORT   another UDP port of vxlan, vxlan-gpe, geneve, gtpu, l2tp or teredo\n"
		"      --verify-checksums        check IP and L4 checksums\n"
		"      --wire-length N    bytes on the wire, where the capture cut the packet\n"
		"      --all              fields without a value too, as null\n", stdout);
}

static int parse_link(const char *text, uint16_t *type)
{
	uint64_t number;

	for (unsigned i = 0; i < sizeof links / sizeof links[0]; i++) {
		if (strcasecmp(text, links[i].name) == 0) {
			*type = links[i].type;
			return 0;
		}
	}
	if (!cli_parse_number(text, 0, UINT16_MAX, &number))
		return cli_usage("no link type '%s' (a name such as ethernet, raw, sll, or a LINKTYPE_ number)", text);
	*type = (uint16_t)number;
	return 0;
}

static int parse_port(const char *text, struct decode_ports *ports)
{
	struct {
		const char *name;
		uint16_t *list;
	} kinds[] = {
		{ "vxlan=", ports->vxlan }, { "vxlan-gpe=", ports->vxlan_gpe }, { "geneve=", ports->geneve },
		{ "gtpu=", ports->gtpu },   { "l2tp=", ports->l2tp },           { "teredo=", ports->teredo },
	};
	uint64_t port;

	for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t length = strlen(kinds[i].name);

		if (strncmp(text, kinds[i].name, length) != 0 || !cli_parse_number(text + length, 1, 65535, &port))
			continue;
		for (unsigned k = 0; k < DECODE_TUNNEL_PORTS; k++) {
			if (kinds[i].list[k] == 0) {
				kinds[i].list[k] = (uint16_t)port;
				return 0;
			}
		}
		return cli_usage("more than %d ports for %s", DECODE_TUNNEL_PORTS, kinds[i].name);
	}
	return cli_usage("--tunnel-port '%s' (KIND=PORT, as in vxlan=8472)", text);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	enum { OPT_TUNNEL = 256, OPT_PORT, OPT_CHECKSUMS, OPT_WIRE, OPT_ALL };
	static const struct option longs[] = {
		{ "link-type", required_argument, NULL, 'l' }, { "tunnel", required_argument, NULL, OPT_TUNNEL },
		{ "tunnel-port", required_argument, NULL, OPT_PORT }, { "verify-checksums", no_argument, NULL, OPT_CHECKSUMS },
		{ "wire-length", required_argument, NULL, OPT_WIRE }, { "all", no_argument, NULL, OPT_ALL },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint64_t number;
	int option, ret = 0;

	while (ret == 0 && (option = getopt_long(argc, argv, ":l:h", longs, NULL)) != -1) {
		switch (option) {
		case 'l':
			ret = parse_link(optarg, &options->link_type);
			break;
		case OPT_TUNNEL:
			if (strcmp(optarg, "outer") == 0)
				options->decode.tunnel = DECODE_TUNNEL_OUTER;
			else if (strcmp(optarg, "inner") != 0)
				ret = cli_usage("--tunnel '%s' (inner or outer)", optarg);
			break;
		case OPT_PORT:
			ret = parse_port(optarg, &options->decode.ports);
			break;
		case OPT_CHECKSUMS:
			options->decode.verify_checksums = true;
			break;
		case OPT_WIRE:
			if (!cli_parse_number(optarg, 0, UINT32_MAX, &number))
				ret = cli_usage("--wire-length '%s' (a number of bytes)", optarg);
			else
				options->wire_length = (uint32_t)number;
			break;
		case OPT_ALL:
			options->all = true;
			break;
		case 'h':
			print_help();
			return -1;
		case ':':
			return cli_usage("%s wants a value (weir decode --help)", argv[optind - 1]);
		default:
			return cli_usage("no option '%s' (weir decode --help)", argv[optind - 1]);
		}
	}
	return ret;
}

/* The input as one text: the arguments, or standard input for "-". */
static char *read_input(int count, char **arguments, struct error *error)
{
	bool standard = count == 1 && strcmp(arguments[0], "-") == 0;
	size_t length = 0, room = 1;
	char *text;

	for (int i = 0; i < count; i++)
		room += strlen(arguments[i]) + 1;
	if (standard)
		room = INPUT_MAX + 1;
	text = malloc(room);
	if (text == NULL) {
		error_set_errno(error, -ENOMEM, "cannot hold the packet");
		return NULL;
	}
	if (standard) {
		length = fread(text, 1, INPUT_MAX, stdin);
		if (ferror(stdin) || !feof(stdin)) {
			if (ferror(stdin))
				error_set_errno(error, -EIO, "cannot read standard input");
			else
				error_set(error, -EFBIG, "more than %u bytes of text on standard input", INPUT_MAX);
			free(text);
			return NULL;
		}
		for (size_t i = 0; i < length; i++)
			text[i] = text[i] == '\0' ? '?' : text[i];
	}
	for (int i = 0; i < count && !standard; i++)
		length += (size_t)sprintf(text + length, "%s ", arguments[i]);
	text[length] = '\0';
	return text;
}

static void print_tree(const struct decode_trace *trace, uint32_t captured_length)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < trace->count; i++) {
		const struct decode_layer *layer = &trace->layers[i];
		char range[32];

		if (layer->length == 0)
			snprintf(range, sizeof range, "%u", layer->offset);
		else
			snprintf(range, sizeof range, "%u..%u", layer->offset, layer->offset + layer->length - 1);
		printf("%11s  %*s%s (%u byte%s)%s\n", range, (int)(2 * layer->depth), "", layer->name, layer->length,
			layer->length == 1 ? "" : "s",
			layer->length > captured_length - layer->offset ? ", not all captured" : "");
		if (end < layer->offset + layer->length)
			end = layer->offset + layer->length;
	}
	if (end < captured_length) {
		char range[32];

		snprintf(range, sizeof range, "%u..%u", end, captured_length - 1);
		printf("%11s  %s (%u byte%s)\n", range, trace->count == 0 ? "not decoded" : "payload", captured_length - end,
			captured_length - end == 1 ? "" : "s");
	}
}

static void print_bits(uint32_t bits, const char *const names[32])
{
	const char *between = "  (";

	for (unsigned bit = 0; bit < 32; bit++) {
		if ((bits >> bit & 1) == 0)
			continue;
		printf("%s%s", between, names[bit] != NULL ? names[bit] : "?");
		between = " ";
	}
	if (bits != 0)
		putchar(')');
}

static void print_value(const struct schema_column *column, const struct record *record)
{
	const uint8_t *at = (const uint8_t *)record + column->offset;
	uint64_t number = schema_number(column, record);
	char text[INET6_ADDRSTRLEN];

	if (column->type == SCHEMA_IP) {
		bool six = record->layers & LAYER_IPV6;

		fputs(inet_ntop(six ? AF_INET6 : AF_INET, six ? at : at + 12, text, sizeof text), stdout);
	} else if (column->type == SCHEMA_MAC) {
		printf("%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1], at[2], at[3], at[4], at[5]);
	} else if (column->type == SCHEMA_DIRECTION) {
		fputs(schema_direction_names[number & 3], stdout);
	} else {
		printf("%" PRIu64, number);
	}
	if (column == &schema_columns[COLUMN_layers])
		print_bits(record->layers, schema_layer_names);
	else if (column == &schema_columns[COLUMN_status])
		print_bits(record->status & ~(STATUS_DIRECTION_MASK | STATUS_TPID_MASK << STATUS_OUTER_TPID_SHIFT |
						STATUS_TPID_MASK << STATUS_INNER_TPID_SHIFT), schema_status_names);
	else if (column == &schema_columns[COLUMN_tunnel_type] && number < SCHEMA_TUNNEL_TYPES)
		printf("  (%s)", schema_tunnel_names[number]);
	else if (column == &schema_columns[COLUMN_ethertype])
		printf("  (0x%04" PRIx64 ")", number);
}

static void print_record(const struct record *record, bool all)
{
	for (unsigned i = 0; i < SCHEMA_ALL_COLUMNS; i++) {
		const struct schema_column *column = &schema_columns[i];

		/* One packet out of nowhere has no time, place or interface. */
		if (i == COLUMN_timestamp_ns || i == COLUMN_interface || i == COLUMN_packet_offset)
			continue;
		if (!schema_valid(column, record)) {
			if (all)
				printf("%-16s null\n", column->name);
			continue;
		}
		printf("%-16s ", column->name);
		print_value(column, record);
		putchar('\n');
	}
}

int weir_decode(int argc, char **argv)
{
	struct options options = { .link_type = LINK_ETHERNET };
	struct error error = { 0 };
	struct decode_trace trace;
	struct record record;
	uint8_t *bytes;
	size_t length;
	char *text;
	int more, ret;

	ret = parse_options(argc, argv, &options);
	if (ret != 0)
		return ret < 0 ? 0 : ret;
	if (optind == argc)
		return cli_usage("no packet (weir decode HEX, or - for standard input)");
	text = read_input(argc - optind, argv + optind, &error);
	if (text == NULL)
		return cli_fail(&error);
	ret = hexdump_read(text, &bytes, &length, &more, &error);
	free(text);
	if (ret != 0)
		return cli_fail(&error);
	if (more)
		cli_note("the dump holds more than one packet; this is the first");
	decode_packet(&options.decode, bytes, (uint32_t)length, options.wire_length, options.link_type, &record, &trace);
	print_tree(&trace, (uint32_t)length);
	putchar('\n');
	print_record(&record, options.all);
	free(bytes);
	return fflush(stdout) != 0 || ferror(stdout) ? EXIT_FAILED : 0;
}
