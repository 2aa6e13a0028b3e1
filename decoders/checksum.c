#include "decoders/checksum.h"

#include "decoders/decode_internal.h"

uint64_t checksum_add(uint64_t sum, struct cursor bytes)
{
	const uint8_t *word;

	for (uint32_t i = 0; i < DECODE_FRAME_BOUND / 8; i++) {
		word = cursor_take(&bytes, 8);
		if (word == NULL)
			break;
		sum += (uint64_t)load_be32(word) + load_be32(word + 4);
	}
	for (uint32_t i = 0; i < 3; i++) {
		word = cursor_take(&bytes, 2);
		if (word == NULL)
			break;
		sum += load_be16(word);
	}
	word = cursor_take(&bytes, 1);
	if (word != NULL)
		sum += (uint64_t)word[0] << 8;
	return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	return (uint16_t)sum;
}

/* Two steps of four bits a byte: the reflected polynomial 0x82f63b78. */
static const uint32_t crc32c_nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t checksum_crc32c(struct cursor bytes, uint32_t skip)
{
	uint32_t crc = UINT32_MAX;

	for (uint32_t i = 0; i < DECODE_FRAME_BOUND; i++) {
		const uint8_t *byte = cursor_take(&bytes, 1);
		bool zero = i >= skip && i - skip < 4;

		if (byte == NULL)
			break;
		crc ^= zero ? 0u : byte[0];
		crc = crc >> 4 ^ crc32c_nibble[crc & 15];
		crc = crc >> 4 ^ crc32c_nibble[crc & 15];
	}
	return ~crc;
}

/* Whether the datagram that begins at l4 can be verified at all; flags CUT when bytes of it
 * were not captured. */
static bool verifiable(struct decode *d, uint32_t l4, uint32_t coverage)
{
	if (d->options->checksum_not_ready || d->in_fragment || d->checksum_unknowable ||
	    (d->record->status & (STATUS_FRAGMENT | STATUS_SHORT)))
		return false;
	if (l4 > d->cursor.end || coverage > d->cursor.end - l4) {
		if (d->cursor.end < d->wire_end)
			d->record->status |= STATUS_CUT;
		return false;
	}
	return true;
}

static uint64_t pseudo_header(const struct decode *d, uint32_t length, uint8_t protocol)
{
	const struct record *record = d->record;
	uint32_t from = record->layers & LAYER_IPV4 ? 12 : 0;
	uint64_t sum = (uint64_t)length + protocol;

	for (uint32_t i = 0; i < 16; i += 2) {
		if (i < from)
			continue;
		sum += load_be16(record->src_ip + i);
		sum += load_be16((d->routed ? d->final_dst : record->dst_ip) + i);
	}
	return sum;
}

void checksum_transport(struct decode *d, uint32_t l4, uint32_t coverage, uint8_t protocol, bool pseudo)
{
	struct cursor bytes = d->cursor;
	uint32_t length = l4 < d->wire_end ? d->wire_end - l4 : 0;
	uint64_t sum = 0;

	if (!verifiable(d, l4, coverage))
		return;
	bytes.at = l4;
	cursor_limit(&bytes, l4 + coverage);
	if (pseudo)
		sum = pseudo_header(d, length, protocol);
	sum = checksum_add(sum, bytes);
	d->record->status |= STATUS_CHECKSUMS_CHECKED;
	if (checksum_fold(sum) != UINT16_MAX)
		d->record->status |= STATUS_L4_CHECKSUM_BAD;
}

void checksum_sctp(struct decode *d, uint32_t l4)
{
	struct cursor bytes = d->cursor;
	const uint8_t *field;
	uint32_t stored;

	if (!verifiable(d, l4, l4 < d->wire_end ? d->wire_end - l4 : 0))
		return;
	bytes.at = l4 + 8;
	field = cursor_look(&bytes, 4);
	if (field == NULL)
		return;
	/* The CRC goes out least significant byte first. */
	stored = (uint32_t)field[3] << 24 | (uint32_t)field[2] << 16 | (uint32_t)field[1] << 8 | field[0];
	bytes.at = l4;
	d->record->status |= STATUS_CHECKSUMS_CHECKED;
	if (checksum_crc32c(bytes, 8) != stored)
		d->record->status |= STATUS_L4_CHECKSUM_BAD;
}

void checksum_none(struct decode *d)
{
	if (d->options->verify_checksums && !(d->record->status & (STATUS_FRAGMENT | STATUS_CUT)))
		d->record->status |= STATUS_CHECKSUMS_CHECKED;
}
