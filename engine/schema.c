#include "engine/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct schema_column schema_columns[SCHEMA_ALL_COLUMNS] = {
#define X(column, column_type, validity, mask, text)                                            \
	[COLUMN_##column] = { .name = #column, .description = text, .layers = mask,             \
			      .offset = offsetof(struct record, column),                        \
			      .size = sizeof(((struct record *)0)->column),                     \
			      .type = SCHEMA_##column_type, .valid = VALID_##validity },
	SCHEMA_COLUMNS(X)
#undef X
#define SIZE_U8 1
#define SIZE_U16 2
#define SIZE_DIRECTION 1
#define X(column, column_type, validity, mask, text)                                            \
	[COLUMN_##column] = { .name = #column, .description = text, .layers = mask,             \
			      .size = SIZE_##column_type, .type = SCHEMA_##column_type,         \
			      .valid = VALID_##validity, .derived = true },
	SCHEMA_DERIVED(X)
#undef X
};

const char *const schema_layer_names[32] = {
	"ETH", "ETHERTYPE", "LLC_SNAP", "VLAN", "VLAN_INNER", "PBB", "MACSEC", "MPLS",
	"PPP", "ARP", "IPV4", "IPV6", "IPV6_EXT", "IPV6_FRAG", "AH", "ESP",
	"TCP", "UDP", "UDPLITE", "SCTP", "DCCP", "ICMP", "ICMPV6", "IGMP",
	"L4_OTHER", "L2_CONTROL", "NSH", "TUNNEL", "TUNNEL_ID", "PORTS", NULL, NULL,
};

const char *const schema_status_names[32] = {
	"DIRECTION_0", "DIRECTION_1", "OUTER_TPID_0", "OUTER_TPID_1", "INNER_TPID_0", "INNER_TPID_1",
	"CUT", "SHORT", "MALFORMED_L2", "MALFORMED_L3", "MALFORMED_L4", "FRAGMENT", "MORE_FRAGMENTS",
	"DONT_FRAGMENT", "CHECKSUMS_CHECKED", "IP_CHECKSUM_BAD", "L4_CHECKSUM_BAD", "CHECKSUM_NOT_READY",
	"TCP_AE", "TCP_MSS", "TCP_WINDOW_SCALE", "TCP_SACK_PERMITTED", "TCP_SACK", "TCP_TIMESTAMPS",
	"TUNNEL_BOUND", "AGGREGATED", "TIME_HARDWARE", "LATE", "TAG_RESTORED", NULL, NULL, NULL,
};

const char *const schema_tunnel_names[SCHEMA_TUNNEL_TYPES] = {
	[TUNNEL_NONE] = "none", [TUNNEL_IPIP] = "ipip", [TUNNEL_6IN4] = "6in4", [TUNNEL_4IN6] = "4in6",
	[TUNNEL_6IN6] = "6in6", [TUNNEL_GRE] = "gre", [TUNNEL_PPTP] = "pptp", [TUNNEL_NVGRE] = "nvgre",
	[TUNNEL_ERSPAN1] = "erspan1", [TUNNEL_ERSPAN2] = "erspan2", [TUNNEL_ERSPAN3] = "erspan3",
	[TUNNEL_VXLAN] = "vxlan", [TUNNEL_VXLAN_GPE] = "vxlan-gpe", [TUNNEL_GENEVE] = "geneve",
	[TUNNEL_GTPU] = "gtpu", [TUNNEL_L2TPV2] = "l2tpv2", [TUNNEL_L2TPV3] = "l2tpv3",
	[TUNNEL_TEREDO] = "teredo", [TUNNEL_AYIYA] = "ayiya", [TUNNEL_ESP_UDP] = "esp-udp",
	[TUNNEL_NSH] = "nsh", [TUNNEL_MPLS_UDP] = "mpls-udp", [TUNNEL_MPLS_GRE] = "mpls-gre",
	[TUNNEL_ETHERIP] = "etherip",
	[TUNNEL_ETHERNET] = "ethernet",
};

const char *const schema_direction_names[4] = {
	[DIRECTION_UNKNOWN] = NULL, [DIRECTION_IN] = "in", [DIRECTION_OUT] = "out", [DIRECTION_OTHER] = "other",
};

const struct schema_column *schema_find(const char *name)
{
	for (unsigned i = 0; i < SCHEMA_ALL_COLUMNS; i++) {
		if (strcmp(schema_columns[i].name, name) == 0)
			return &schema_columns[i];
	}
	return NULL;
}

void schema_describe_validity(const struct schema_column *column, char *text, size_t size)
{
	switch ((enum schema_validity)column->valid) {
	case VALID_ALWAYS:
		snprintf(text, size, "always");
		break;
	case VALID_LAYERS:
		snprintf(text, size, "layers & 0x%" PRIx32, column->layers);
		break;
	case VALID_OFFSET:
		snprintf(text, size, "packet_offset != 0xffffffffffffffff");
		break;
	case VALID_ICMP_ID:
		snprintf(text, size,
			 "layers & 0x%x and icmp_type in (0,8,13,14,15,16,17,18) or layers & 0x%x and icmp_type in (128,129)",
			 LAYER_ICMP, LAYER_ICMPV6);
		break;
	case VALID_DIRECTION:
		snprintf(text, size, "status & 0x%x", STATUS_DIRECTION_MASK);
		break;
	}
}

const char *schema_numpy_type(const struct schema_column *column)
{
	switch ((enum schema_type)column->type) {
	case SCHEMA_U8:
	case SCHEMA_DIRECTION:
		return "u1";
	case SCHEMA_U16:
		return "<u2";
	case SCHEMA_U32:
		return "<u4";
	case SCHEMA_U64:
	case SCHEMA_TIME_NS:
		return "<u8";
	case SCHEMA_IP:
		return "(16,)u1";
	case SCHEMA_MAC:
		return "(6,)u1";
	}
	return "u1";
}

const char *schema_type_name(enum schema_type type)
{
	static const char *const names[] = {
		[SCHEMA_U8] = "u8", [SCHEMA_U16] = "u16", [SCHEMA_U32] = "u32", [SCHEMA_U64] = "u64",
		[SCHEMA_TIME_NS] = "time_ns", [SCHEMA_IP] = "ip", [SCHEMA_MAC] = "mac",
		[SCHEMA_DIRECTION] = "direction",
	};

	return names[type];
}
