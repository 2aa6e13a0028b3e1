/* One column's value as text, for the formats that write them all: each expands to the one formatter
 * that its type needs. p grows; FORMAT_IP_MAX bytes and two quotes are the most. */
#ifndef WEIR_ENGINE_SINKS_COLUMN_TEXT_H
#define WEIR_ENGINE_SINKS_COLUMN_TEXT_H

#include "engine/format.h"
#include "engine/schema.h"

#define COLUMN_VALUE_MAX 56 /* with its quotes, and what the formatters may touch behind it */

static inline char *column_ip(char *p, const struct record *record, const uint8_t *address)
{
	return record->layers & LAYER_IPV6 ? format_ipv6(p, address) : format_ipv4(p, address + 12);
}

/* p, the record, a value of the column's type; QUOTE around text. */
#define COLUMN_TEXT_U8(p, record, value, quote) format_u8(p, value)
#define COLUMN_TEXT_U16(p, record, value, quote) format_u32(p, value)
#define COLUMN_TEXT_U32(p, record, value, quote) format_u32(p, value)
#define COLUMN_TEXT_U64(p, record, value, quote) format_u64(p, value)
#define COLUMN_TEXT_TIME_NS(p, record, value, quote) format_u64(p, value)
#define COLUMN_TEXT_IP(p, record, value, quote) \
	FORMAT_LITERAL(column_ip(FORMAT_LITERAL(p, quote), record, value), quote)
#define COLUMN_TEXT_MAC(p, record, value, quote) \
	FORMAT_LITERAL(format_mac(FORMAT_LITERAL(p, quote), value), quote)
#define COLUMN_TEXT_DIRECTION(p, record, value, quote) \
	FORMAT_LITERAL(format_string(FORMAT_LITERAL(p, quote), schema_direction_names[value]), quote)

/* While a record travels, packet_offset holds the packet's address: never a value for a text. */
#define COLUMN_HAS_TEXT(name, validity, mask, record) \
	(COLUMN_##name != COLUMN_packet_offset && schema_valid_as(VALID_##validity, mask, record))

#endif
