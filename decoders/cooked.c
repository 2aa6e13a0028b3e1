/* Link types of captures that have no link-layer header of their own: Linux cooked captures,
 * BSD loopback.
 *
 * https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html, LINKTYPE_LINUX_SLL2.html, NULL and
 * LOOP in https://www.tcpdump.org/linktypes.html.
 *
 *     SLL     | type | ARPHRD | address length | address (8) | protocol |              16 bytes
 *     SLL2    | protocol | reserved | interface (4) | ARPHRD | type | length | address (8) |  20
 *     NULL    | address family, in the byte order of the machine that captured |        4
 *
 * The packet type gives the direction. The sender's address has no field in the record: MACs
 * are an Ethernet's.
 */
#include "decoders/decode_internal.h"

enum {
	ARPHRD_FRAME_RELAY = 770,
	ARPHRD_RADIOTAP = 803,
	ARPHRD_NETLINK_ = 824,
	PROTOCOL_802_3 = 1,
	PROTOCOL_ALL = 3,
	PROTOCOL_802_2 = 4,
	PROTOCOL_PPP = 7,
	FAMILY_INET = 2,
	FAMILY_INET6_LINUX = 10,
	FAMILY_INET6_BSD = 24, /* NetBSD, OpenBSD */
	FAMILY_INET6_FREEBSD = 28,
	FAMILY_INET6_DARWIN = 30,
};

static enum decode_next cooked(struct decode *d, uint32_t packet_type, uint16_t hardware, uint16_t protocol)
{
	static const uint8_t directions[5] = { DIRECTION_IN, DIRECTION_IN, DIRECTION_IN, DIRECTION_OTHER,
					       DIRECTION_OUT };

	if (packet_type < 5)
		d->record->status |= (uint32_t)directions[packet_type] << STATUS_DIRECTION_SHIFT;
	if (hardware == ARPHRD_NETLINK_ || hardware == ARPHRD_RADIOTAP || hardware == ARPHRD_FRAME_RELAY)
		return NEXT_END;
	switch (protocol) {
	case PROTOCOL_802_3:
		return NEXT_END;
	case PROTOCOL_ALL:
		return NEXT_ETHERNET;
	case PROTOCOL_802_2:
		return NEXT_LLC;
	case PROTOCOL_PPP:
		return NEXT_PPP;
	default:
		return protocol < 0x0600 ? NEXT_END : decode_ethertype(d, protocol);
	}
}

enum decode_next decode_sll(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 16, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "Linux cooked", offset, 16);
	return cooked(d, load_be16(header), load_be16(header + 2), load_be16(header + 14));
}

enum decode_next decode_sll2(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 20, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "Linux cooked v2", offset, 20);
	return cooked(d, header[10], load_be16(header + 8), load_be16(header));
}

enum decode_next decode_null(struct decode *d, bool network_order)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 4, STATUS_MALFORMED_L2);
	uint32_t family;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "Loopback", offset, 4);
	family = load_be32(header);
	/* Families are small numbers: the other byte order shows. */
	if (!network_order && family > UINT16_MAX)
		family = __builtin_bswap32(family);
	switch (family) {
	case FAMILY_INET:
		return NEXT_IPV4;
	case FAMILY_INET6_LINUX:
	case FAMILY_INET6_BSD:
	case FAMILY_INET6_FREEBSD:
	case FAMILY_INET6_DARWIN:
		return NEXT_IPV6;
	default:
		return NEXT_END;
	}
}
