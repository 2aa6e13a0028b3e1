/* Link types that put a header of the capturing system before the packet: what it was captured on, which way
 * it went, and, mostly, what kind of packet follows.
 *
 * https://www.tcpdump.org/linktypes.html and the format that it gives for each:
 *
 *     PPI      | version | flags | length LE (2) | link type LE (4) | fields ...             to length
 *     PKTAP    | length LE (4) | 1 LE (4) | link type LE (4) | name (24) | flags LE (4) ...  to length
 *     PFLOG    | length | family | ... | direction at 60 |                     to length, in fours
 *     ENC      | family, host order (4) | SPI (4) | flags (4) |                                12
 *     NFLOG    | family | version 0 | resource (2) | then length LE (2), type LE (2), value, in fours:
 *                the packet is the value of type 9
 *     IPNET    | version | family | ... |                                                      24
 *     IPOIB    | global routing header (40) | EtherType | reserved (2) |                       44
 *     SLIP     | direction | ... |                                                             16
 *     JUNIPER  | "MGC" | flags | with flag 0x80: length (2), TLVs |  then Ethernet, or with flag 0x02
 *                the family (4) and an IP packet
 *     PPP      | direction | then PPP
 *
 * SLIP's packets are IP packets: the headers that were compressed on the line are written out whole.
 */
#include "decoders/decode_internal.h"

#define NFLOG_ATTRIBUTES 32

enum {
	FAMILY_IPV4 = 2,
	FAMILY_IPV6_LINUX = 10,
	FAMILY_IPV6_OPENBSD = 24,
	FAMILY_IPV6_SOLARIS = 26,
	FAMILY_IPV6_FREEBSD = 28,
	FAMILY_IPV6_DARWIN = 30,
	NFLOG_PAYLOAD = 9,
	JUNIPER_MAGIC = 0x4d4743,
	JUNIPER_IN = 0x01,
	JUNIPER_NO_LINK = 0x02,
	JUNIPER_EXTENSION = 0x80,
	PKTAP_PACKET = 1,
	PKTAP_IN = 1,
	PKTAP_OUT = 2,
};

static uint16_t load_le16(const uint8_t *bytes)
{
	return (uint16_t)((uint32_t)bytes[1] << 8 | bytes[0]);
}

static uint32_t load_le32(const uint8_t *bytes)
{
	return __builtin_bswap32(load_be32(bytes));
}

static void direction(struct decode *d, enum record_direction which)
{
	d->record->status |= (uint32_t)which << STATUS_DIRECTION_SHIFT;
}

static enum decode_next family(uint32_t number)
{
	switch (number) {
	case FAMILY_IPV4:
		return NEXT_IPV4;
	case FAMILY_IPV6_LINUX:
	case FAMILY_IPV6_OPENBSD:
	case FAMILY_IPV6_SOLARIS:
	case FAMILY_IPV6_FREEBSD:
	case FAMILY_IPV6_DARWIN:
		return NEXT_IPV6;
	default:
		return NEXT_END;
	}
}

/* What a header says that it has before. One inside another is not looked into. */
static enum decode_next inner(struct decode *d, uint32_t link_type)
{
	switch (link_type) {
	case LINK_ETHERNET:
		return NEXT_ETHERNET;
	case LINK_RAW:
	case LINK_RAW_OLD12:
	case LINK_RAW_OLD14:
		return NEXT_IP;
	case LINK_IPV4:
		return NEXT_IPV4;
	case LINK_IPV6:
		return NEXT_IPV6;
	case LINK_NULL:
		return decode_null(d, false);
	case LINK_LOOP:
		return decode_null(d, true);
	case LINK_LINUX_SLL:
		return NEXT_SLL;
	case LINK_LINUX_SLL2:
		return NEXT_SLL2;
	case LINK_PPP:
	case LINK_PPP_HDLC:
		return NEXT_PPP;
	case LINK_CISCO_HDLC:
		return NEXT_CISCO_HDLC;
	case LINK_IEEE802_11:
		return decode_wlan(d);
	case LINK_IEEE802_11_RADIOTAP:
		return decode_radiotap(d);
	default:
		return NEXT_END;
	}
}

enum decode_next decode_ppi(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 8, STATUS_MALFORMED_L2);
	uint16_t length;

	if (header == NULL)
		return NEXT_END;
	length = load_le16(header + 2);
	if (header[0] != 0 || length < 8) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	decode_trace_at(d, "PPI", offset, length);
	if (!decode_skip(d, length - UINT32_C(8), STATUS_MALFORMED_L2))
		return NEXT_END;
	return inner(d, load_le32(header + 4));
}

enum decode_next decode_pktap(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 40, STATUS_MALFORMED_L2);
	uint32_t length, flags;

	if (header == NULL)
		return NEXT_END;
	length = load_le32(header);
	if (length < 40) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	decode_trace_at(d, "PKTAP", offset, length);
	flags = load_le32(header + 36);
	direction(d, flags & PKTAP_IN ? DIRECTION_IN : flags & PKTAP_OUT ? DIRECTION_OUT : DIRECTION_UNKNOWN);
	if (!decode_skip(d, length - 40, STATUS_MALFORMED_L2) || load_le32(header + 4) != PKTAP_PACKET)
		return NEXT_END;
	return inner(d, load_le32(header + 8));
}

enum decode_next decode_pflog(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 48, STATUS_MALFORMED_L2);
	const uint8_t *way;
	uint32_t length, whole;

	if (header == NULL)
		return NEXT_END;
	length = header[0];
	whole = (length + 3) & ~UINT32_C(3);
	if (whole < 48) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	decode_trace_at(d, "PFLOG", offset, whole);
	way = cursor_look(&d->cursor, 13); /* bytes 48 to 60 */
	if (length > 60 && way != NULL && way[12] > 0 && way[12] < 3)
		direction(d, way[12] == 1 ? DIRECTION_IN : DIRECTION_OUT);
	if (!decode_skip(d, whole - 48, STATUS_MALFORMED_L2))
		return NEXT_END;
	return family(header[1]);
}

enum decode_next decode_enc(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 12, STATUS_MALFORMED_L2);
	uint32_t number;

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "ENC", offset, 12);
	number = load_le32(header);
	/* Families are small numbers: the other byte order shows. */
	return family(number > UINT16_MAX ? __builtin_bswap32(number) : number);
}

enum decode_next decode_nflog(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 4, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	if (header[1] != 0) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	for (uint32_t i = 0; i < NFLOG_ATTRIBUTES; i++) {
		const uint8_t *attribute = decode_take(d, 4, STATUS_MALFORMED_L2);
		uint32_t length;

		if (attribute == NULL)
			return NEXT_END;
		length = load_le16(attribute);
		if (length < 4) {
			d->record->status |= STATUS_MALFORMED_L2;
			return NEXT_END;
		}
		if (load_le16(attribute + 2) == NFLOG_PAYLOAD) {
			decode_trace_at(d, "NFLOG", offset, d->cursor.at - offset);
			decode_claim(d, d->cursor.at, length - 4);
			return family(header[0]);
		}
		if (!decode_skip(d, (length - 1) & ~UINT32_C(3), STATUS_MALFORMED_L2))
			return NEXT_END;
	}
	return NEXT_END;
}

enum decode_next decode_ipnet(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 24, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "IPNET", offset, 24);
	return family(header[1]);
}

enum decode_next decode_ipoib(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 44, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "IP over InfiniBand", offset, 44);
	return decode_ethertype(d, load_be16(header + 40));
}

enum decode_next decode_slip(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 16, STATUS_MALFORMED_L2);

	if (header == NULL)
		return NEXT_END;
	decode_trace_at(d, "SLIP", offset, 16);
	if (header[0] < 2)
		direction(d, header[0] == 0 ? DIRECTION_IN : DIRECTION_OUT);
	return NEXT_IP;
}

enum decode_next decode_juniper(struct decode *d)
{
	uint32_t offset = d->cursor.at;
	const uint8_t *header = decode_take(d, 4, STATUS_MALFORMED_L2);
	uint8_t flags;

	if (header == NULL)
		return NEXT_END;
	if (load_be24(header) != JUNIPER_MAGIC) {
		d->record->status |= STATUS_MALFORMED_L2;
		return NEXT_END;
	}
	flags = header[3];
	direction(d, flags & JUNIPER_IN ? DIRECTION_IN : DIRECTION_OUT);
	if (flags & JUNIPER_EXTENSION) {
		header = decode_take(d, 2, STATUS_MALFORMED_L2);
		if (header == NULL || !decode_skip(d, load_be16(header), STATUS_MALFORMED_L2))
			return NEXT_END;
	}
	decode_trace_at(d, "Juniper", offset, d->cursor.at - offset);
	if (!(flags & JUNIPER_NO_LINK))
		return NEXT_ETHERNET;
	return decode_skip(d, 4, STATUS_MALFORMED_L2) ? NEXT_IP : NEXT_END;
}

enum decode_next decode_ppp_direction(struct decode *d)
{
	const uint8_t *bytes = decode_take(d, 1, STATUS_MALFORMED_L2);

	if (bytes == NULL)
		return NEXT_END;
	direction(d, bytes[0] == 0 ? DIRECTION_IN : DIRECTION_OUT);
	return NEXT_PPP;
}
