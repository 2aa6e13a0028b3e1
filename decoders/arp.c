/* ARP and RARP for IPv4.
 *
 * RFC 826, RFC 903, RFC 5227 (probes and announcements).
 *
 *      0                   1                   2                   3
 *     |        hardware type          |        protocol type          |
 *     | hw length (n) | pr length (m) |          operation            |
 *     | sender hardware (n) | sender protocol (m) | target hardware (n) | target protocol (m) |
 *
 * Only protocol type IPv4 with 4-byte addresses has a place in the record. Inside a tunnel an
 * ARP is listed but not described: the record stays with the outer IP level.
 */
#include "decoders/decode_internal.h"

static void map_ipv4(uint8_t ip[16], const uint8_t *bytes)
{
	ip[10] = 0xff;
	ip[11] = 0xff;
	__builtin_memcpy(ip + 12, bytes, 4);
}

enum decode_next decode_arp(struct decode *d)
{
	struct record *record = d->record;
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L3);
	const uint8_t *sender, *target;
	uint32_t hardware_length;

	if (header == NULL)
		return NEXT_END;
	hardware_length = header[4];
	if (load_be16(header + 2) != 0x0800 || header[5] != 4)
		return NEXT_END;
	if (!decode_skip(d, hardware_length, STATUS_MALFORMED_L3))
		return NEXT_END;
	sender = decode_take(d, 4, STATUS_MALFORMED_L3);
	if (sender == NULL || !decode_skip(d, hardware_length, STATUS_MALFORMED_L3))
		return NEXT_END;
	target = decode_take(d, 4, STATUS_MALFORMED_L3);
	if (target == NULL)
		return NEXT_END;
	decode_trace_at(d, d->ethertype == 0x8035 ? "RARP" : "ARP", offset, d->cursor.at - offset);
	if (d->levels > 0)
		return NEXT_END;
	record->layers |= LAYER_ARP;
	record->l3_offset = decode_offset16(offset);
	record->arp_operation = load_be16(header + 6);
	map_ipv4(record->src_ip, sender);
	map_ipv4(record->dst_ip, target);
	return NEXT_END;
}
