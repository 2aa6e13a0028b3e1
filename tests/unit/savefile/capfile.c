#include "tests/unit/savefile/capfile.h"

#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"

void capfile_free(struct capfile *file)
{
	free(file->bytes);
	*file = (struct capfile){ 0 };
}

void put_bytes(struct capfile *file, const void *bytes, size_t length)
{
	if (file->length + length > file->capacity) {
		file->capacity = 2 * (file->length + length);
		file->bytes = realloc(file->bytes, file->capacity);
		if (file->bytes == NULL)
			abort();
	}
	if (length > 0)
		memcpy(file->bytes + file->length, bytes, length);
	file->length += length;
}

void put_fill(struct capfile *file, uint8_t byte, size_t length)
{
	while (length-- > 0)
		put_bytes(file, &byte, 1);
}

void put16(struct capfile *file, uint16_t value)
{
	if (file->swap)
		value = __builtin_bswap16(value);
	put_bytes(file, &value, sizeof value);
}

void put32(struct capfile *file, uint32_t value)
{
	if (file->swap)
		value = __builtin_bswap32(value);
	put_bytes(file, &value, sizeof value);
}

void put64(struct capfile *file, uint64_t value)
{
	if (file->swap)
		value = __builtin_bswap64(value);
	put_bytes(file, &value, sizeof value);
}

void pcap_header(struct capfile *file, uint32_t magic, uint32_t snap_length, uint32_t link_field)
{
	put32(file, magic);
	put16(file, 2);
	put16(file, 4);
	put32(file, 0);
	put32(file, 0);
	put32(file, snap_length);
	put32(file, link_field);
}

void pcap_packet(struct capfile *file, uint32_t seconds, uint32_t fraction, uint32_t captured, uint32_t wire,
		 uint8_t fill)
{
	put32(file, seconds);
	put32(file, fraction);
	put32(file, captured);
	put32(file, wire);
	put_fill(file, fill, captured);
}

size_t block_begin(struct capfile *file, uint32_t type)
{
	size_t start = file->length;

	put32(file, type);
	put32(file, 0);
	return start;
}

void block_end(struct capfile *file, size_t start)
{
	uint32_t length;

	put_fill(file, 0, (0u - (file->length - start)) & 3);
	length = (uint32_t)(file->length - start + 4);
	put32(file, length);
	memcpy(file->bytes + start + 4, file->bytes + file->length - 4, 4);
}

void put_option(struct capfile *file, uint16_t code, const void *value, uint16_t length)
{
	put16(file, code);
	put16(file, length);
	put_bytes(file, value, length);
	put_fill(file, 0, (0u - length) & 3);
}

void ng_section(struct capfile *file)
{
	size_t start = block_begin(file, 0x0a0d0d0a);

	put32(file, 0x1a2b3c4d);
	put16(file, 1);
	put16(file, 0);
	put64(file, UINT64_MAX);
	block_end(file, start);
}

void ng_interface(struct capfile *file, uint16_t link_type, uint32_t snap_length, const char *name)
{
	size_t start = block_begin(file, 1);

	put16(file, link_type);
	put16(file, 0);
	put32(file, snap_length);
	if (name != NULL)
		put_option(file, 2, name, (uint16_t)strlen(name));
	put_option(file, 0, "", 0);
	block_end(file, start);
}

void ng_packet(struct capfile *file, uint32_t interface, uint64_t stamp, uint32_t captured, uint32_t wire,
	       uint8_t fill)
{
	size_t start = block_begin(file, 6);

	put32(file, interface);
	put32(file, (uint32_t)(stamp >> 32));
	put32(file, (uint32_t)stamp);
	put32(file, captured);
	put32(file, wire);
	put_fill(file, fill, captured);
	block_end(file, start);
}

void ng_section_with_packets(struct capfile *file, unsigned packets)
{
	ng_section(file);
	ng_interface(file, LINK_ETHERNET, 0, "eth0");
	for (unsigned i = 0; i < packets; i++)
		ng_packet(file, 0, 1700000000000000 + i, 40 + i, 40 + i, (uint8_t)i);
}

/* Cut at every byte: the whole packets before the cut come, and a warning unless it fell between two. */

void ng_interface_with(struct capfile *file, uint8_t resolution, int64_t offset, uint8_t fcs)
{
	size_t start = block_begin(file, 1);
	uint64_t swapped = (uint64_t)offset;

	if (file->swap)
		swapped = __builtin_bswap64(swapped);
	put16(file, LINK_ETHERNET);
	put16(file, 0);
	put32(file, 262144);
	put_option(file, 9, &resolution, 1);
	put_option(file, 14, &swapped, 8);
	put_option(file, 13, &fcs, 1);
	put_option(file, 2, "x", 1);
	put_option(file, 0, "", 0);
	block_end(file, start);
}

void ng_simple(struct capfile *file, uint32_t wire, uint32_t captured, uint8_t fill)
{
	size_t start = block_begin(file, 3);

	put32(file, wire);
	put_fill(file, fill, captured);
	block_end(file, start);
}
