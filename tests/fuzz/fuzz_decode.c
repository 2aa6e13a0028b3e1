/* Any bytes as any link type, with any options: the record's invariants, the trace's bounds, the same record
 * with and without a trace, and nothing read outside the packet.
 *
 * Input: link type's number in the table 1, option bits 1, bytes cut off the packet's end 1, packet. */
#include <string.h>

#include "decoders/decode.h"
#include "engine/schema.h"
#include "tests/fuzz/fuzz.h"

#define HEAD 3

static const uint16_t links[] = { LINK_ETHERNET,   LINK_NULL,     LINK_PPP,        LINK_RAW_OLD12,
				  LINK_RAW_OLD14,  LINK_PPP_HDLC, LINK_PPPOE,      LINK_RAW,
				  LINK_CISCO_HDLC, LINK_LOOP,     LINK_LINUX_SLL,  LINK_PPP_PPPD,
				  LINK_IPV4,       LINK_IPV6,     LINK_LINUX_SLL2, 147,
				  LINK_TOKEN_RING, LINK_SLIP,     LINK_FDDI,       LINK_ATM_RFC1483,
				  LINK_IEEE802_11, LINK_FRAME_RELAY, LINK_ENC,     LINK_PFLOG,
				  LINK_IEEE802_11_RADIOTAP, LINK_JUNIPER_ETHERNET, LINK_PPI, LINK_PPP_WITH_DIRECTION,
				  LINK_MPLS,       LINK_IPNET,    LINK_NFLOG,      LINK_IPOIB,
				  LINK_PKTAP,      LINK_BROADCOM_TAG, LINK_BROADCOM_TAG_PREPEND, LINK_DSA_TAG,
				  LINK_EDSA_TAG };

enum option_bit {
	BIT_VERIFY = 1,
	BIT_OUTER = 2,
	BIT_NOT_READY = 4,
	BIT_PORTS = 8,
};

static struct decode_options options_of(uint8_t bits)
{
	struct decode_options options = {
		.tunnel = bits & BIT_OUTER ? DECODE_TUNNEL_OUTER : DECODE_TUNNEL_INNER,
		.verify_checksums = bits & BIT_VERIFY,
		.checksum_not_ready = bits & BIT_NOT_READY,
	};

	if (bits & BIT_PORTS)
		options.ports = (struct decode_ports){ .vxlan = { 53 },
						       .vxlan_gpe = { 5000 },
						       .geneve = { 5001 },
						       .gtpu = { 5002, 123 },
						       .l2tp = { 5003 },
						       .teredo = { 5004 } };
	return options;
}

/* A column without a value is zero in memory, but where another column that has one shares its bytes. */
static void check_nulls(const struct record *record)
{
	uint8_t covered[RECORD_SIZE] = { 0 };
	const uint8_t *bytes = (const uint8_t *)record;

	for (int i = 0; i < SCHEMA_RECORD_COLUMNS; i++) {
		const struct schema_column *column = &schema_columns[i];

		/* packet_offset's null is all ones. */
		if (schema_valid(column, record) || column->valid == VALID_OFFSET)
			memset(covered + column->offset, 1, column->size);
	}
	for (int i = 0; i < RECORD_SIZE; i++)
		FUZZ_CHECK(covered[i] || bytes[i] == 0);
}

static void check_record(const struct record *record, uint32_t captured, uint32_t wire)
{
	FUZZ_CHECK(record->captured_length == captured);
	FUZZ_CHECK(record->wire_length == (wire > captured ? wire : captured));
	FUZZ_CHECK(record->packet_offset == RECORD_NO_OFFSET);
	FUZZ_CHECK(record->timestamp_ns == 0 && record->interface == 0);
	FUZZ_CHECK(!(record->status & (STATUS_CONTROL | STATUS_LATE | STATUS_TAG_RESTORED |
				       STATUS_AGGREGATED | STATUS_TIME_HARDWARE)));
	FUZZ_CHECK(record->tunnel_depth <= DECODE_TUNNEL_BOUND);
	FUZZ_CHECK((record->tunnel_type != TUNNEL_NONE) == !!(record->layers & LAYER_TUNNEL));
	FUZZ_CHECK(record->tunnel_type < SCHEMA_TUNNEL_TYPES);
	/* A header whose bit is set was captured, so that its offset lies in the bytes. */
	if (record->layers & (LAYERS_IP | LAYER_ARP))
		FUZZ_CHECK(record->l3_offset < captured);
	if (record->layers & LAYERS_L4)
		FUZZ_CHECK(record->l4_offset <= captured && record->l4_offset >= record->l3_offset);
	check_nulls(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record record, traced;
	struct decode_options options;
	struct decode_trace trace;
	uint32_t captured, wire;
	uint16_t link;

	if (size < HEAD || size > HEAD + UINT16_MAX)
		return 0;
	link = links[data[0] % (sizeof links / sizeof links[0])];
	options = options_of(data[1]);
	captured = (uint32_t)size - HEAD;
	wire = captured + data[2];
	memset(&record, 0xa5, sizeof record);
	memset(&traced, 0x5a, sizeof traced);
	decode_packet(&options, data + HEAD, captured, wire, link, &record, NULL);
	decode_packet(&options, data + HEAD, captured, wire, link, &traced, &trace);
	FUZZ_CHECK(memcmp(&record, &traced, sizeof record) == 0);
	check_record(&record, captured, wire);
	FUZZ_CHECK(trace.count <= DECODE_TRACE_LAYERS);
	/* A length is what the header claims, and may reach behind a cut. */
	for (uint32_t i = 0; i < trace.count; i++) {
		FUZZ_CHECK(trace.layers[i].name != NULL);
		FUZZ_CHECK(trace.layers[i].offset <= captured);
	}
	return 0;
}
