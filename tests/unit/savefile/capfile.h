/* Makes capture files byte by byte, right or wrong on purpose, for the tests of the savefile source. */
#ifndef WEIR_TESTS_UNIT_SAVEFILE_CAPFILE_H
#define WEIR_TESTS_UNIT_SAVEFILE_CAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capfile {
	uint8_t *bytes; /* length of them; freed by capfile_free */
	size_t length;
	size_t capacity;
	bool swap; /* write in the other byte order */
};

void capfile_free(struct capfile *file);
void put_bytes(struct capfile *file, const void *bytes, size_t length);
void put_fill(struct capfile *file, uint8_t byte, size_t length);
void put16(struct capfile *file, uint16_t value);
void put32(struct capfile *file, uint32_t value);
void put64(struct capfile *file, uint64_t value);

/* pcap */
void pcap_header(struct capfile *file, uint32_t magic, uint32_t snap_length, uint32_t link_field);
void pcap_packet(struct capfile *file, uint32_t seconds, uint32_t fraction, uint32_t captured, uint32_t wire,
		 uint8_t fill);

/* pcapng. block_begin writes type and a length that block_end patches, behind padding. */
size_t block_begin(struct capfile *file, uint32_t type);
void block_end(struct capfile *file, size_t start);
void put_option(struct capfile *file, uint16_t code, const void *value, uint16_t length);
void ng_section(struct capfile *file);
void ng_interface(struct capfile *file, uint16_t link_type, uint32_t snap_length, const char *name);
/* With if_tsresol, if_tsoffset and if_fcslen. */
void ng_interface_with(struct capfile *file, uint8_t resolution, int64_t offset, uint8_t fcs);
void ng_simple(struct capfile *file, uint32_t wire, uint32_t captured, uint8_t fill);

/* A section, one Ethernet interface "eth0", packets of 40 bytes and up, each filled with its number. */
void ng_section_with_packets(struct capfile *file, unsigned packets);
void ng_packet(struct capfile *file, uint32_t interface, uint64_t stamp, uint32_t captured, uint32_t wire,
	       uint8_t fill);

#endif
