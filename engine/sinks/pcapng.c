/* pcapng: draft-ietf-opsawg-pcapng, https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/
 *
 *	Section Header (hardware, system, application)
 *	Interface Description, one per interface: known ones at the start, others before their first packet
 *	Enhanced Packet ...   one per packet, with its direction
 *	Interface Statistics, one per interface, from the final ledger
 *
 * Little-endian, nanoseconds always. The section's length is filled in at the end where the file can seek.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "engine/ledger.h"
#include "engine/sinks/file_sink.h"
#include "engine/sinks/sinks.h"

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,

	SECTION_LENGTH_AT = 16, /* offset in the file of the section's length */
	TIME_RESOLUTION = 9,    /* 10^-9 s */

	OPTION_END = 0,
	SECTION_HARDWARE = 2, SECTION_OS = 3, SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2, INTERFACE_DESCRIPTION = 3, INTERFACE_MAC = 6, INTERFACE_RESOLUTION = 9,
	INTERFACE_FILTER = 11,
	PACKET_FLAGS = 2,
	STATISTICS_START = 2, STATISTICS_END = 3, STATISTICS_RECEIVED = 4, STATISTICS_IF_DROP = 5,
	STATISTICS_ACCEPTED = 6, STATISTICS_OS_DROP = 7, STATISTICS_DELIVERED = 8,

	FLAGS_INBOUND = 1, FLAGS_OUTBOUND = 2,
	FLAGS_PROMISCUOUS = 4 << 2, /* how it was received: for another host */
};

#define TEXT_MAX 1024u                            /* bytes of a name, a description, ... that are written */
#define PACKET_HEAD 28u                           /* block type to original length */
#define PACKET_TAIL (8u + 4u + 4u)                /* flags option, end of options, block length */
#define PACKET_BLOCK_MAX (PACKET_HEAD + PACKET_TAIL + 4)

struct pcapng_sink {
	struct file_sink file;
	const struct interface_table *table;
	const char *filter;
	uint32_t snap_length;
	uint32_t interface_count; /* described in the file: the run's first ones, under the same numbers */
	uint64_t *packets;        /* written, of each interface */
	uint32_t header_length;   /* bytes of the section header block */
};

/* A block that is put together before it is written: all but packets. */
struct block {
	uint32_t length;
	uint8_t bytes[4096];
};

static uint32_t padded(uint32_t length)
{
	return (length + 3) & ~3u;
}

static void put(struct block *block, const void *data, uint32_t length)
{
	memcpy(block->bytes + block->length, data, length);
	memset(block->bytes + block->length + length, 0, padded(length) - length);
	block->length += padded(length);
}

static void put32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof value);
}

/* The length field is filled in by block_write. */
static void block_start(struct block *block, uint32_t type)
{
	block->length = 0;
	put32(block, type);
	put32(block, 0);
}

static void put_option(struct block *block, uint16_t code, const void *data, uint32_t length)
{
	put32(block, (uint32_t)code | length << 16);
	put(block, data, length);
}

/* One that is empty is left out. */
static void put_text(struct block *block, uint16_t code, const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;

	if (length > 0)
		put_option(block, code, text, length < TEXT_MAX ? (uint32_t)length : TEXT_MAX);
}

static void put_count(struct block *block, uint16_t code, uint64_t count)
{
	put_option(block, code, &count, sizeof count);
}

static void put_time(uint8_t *at, uint64_t nanoseconds)
{
	uint32_t halves[2] = { (uint32_t)(nanoseconds >> 32), (uint32_t)nanoseconds };

	memcpy(at, halves, sizeof halves);
}

static void put_time_option(struct block *block, uint16_t code, uint64_t nanoseconds)
{
	uint8_t halves[8];

	put_time(halves, nanoseconds);
	put_option(block, code, halves, sizeof halves);
}

static int block_write(struct pcapng_sink *pcapng, struct block *block)
{
	uint32_t length;

	put32(block, OPTION_END);
	length = block->length + 4;
	put32(block, length);
	memcpy(block->bytes + 4, &length, sizeof length);
	return output_write(pcapng->file.output, block->bytes, length);
}

static int write_section(struct pcapng_sink *pcapng, const char *application)
{
	struct block block;
	struct utsname system;
	char os[sizeof system.sysname + sizeof system.release + 1] = "";
	uint64_t unknown_length = UINT64_MAX;

	block_start(&block, BLOCK_SECTION);
	put32(&block, BYTE_ORDER_MAGIC);
	put32(&block, 1); /* version 1.0 */
	put(&block, &unknown_length, sizeof unknown_length);
	if (uname(&system) == 0) {
		strcpy(stpcpy(stpcpy(os, system.sysname), " "), system.release);
		put_text(&block, SECTION_HARDWARE, system.machine);
		put_text(&block, SECTION_OS, os);
	}
	put_text(&block, SECTION_APPLICATION, application);
	return block_write(pcapng, &block);
}

/* What filtered the packets: that of the capture that is read, and ours on top of it. */
static void put_filter(struct block *block, const struct pcapng_sink *pcapng,
		       const struct interface *interface)
{
	const char *ours = pcapng->filter != NULL ? pcapng->filter : "";
	char text[1 + 2 * 1024 + 16] = ""; /* the first byte 0: a filter string follows */
	size_t ours_length = strnlen(ours, 1023);
	size_t theirs_length = strnlen(interface->filter, sizeof interface->filter - 1);
	char *p = text + 1;

	if (ours_length > 0 && theirs_length > 0 && strcmp(ours, interface->filter) != 0) {
		p = mempcpy(stpcpy(p, "("), interface->filter, theirs_length);
		p = mempcpy(stpcpy(p, ") and ("), ours, ours_length);
		p = stpcpy(p, ")");
	} else {
		p = ours_length > 0 ? mempcpy(p, ours, ours_length) : mempcpy(p, interface->filter, theirs_length);
	}
	if (p > text + 1)
		put_option(block, INTERFACE_FILTER, text, (uint32_t)(p - text));
}

static int write_interface(struct pcapng_sink *pcapng, const struct interface *interface)
{
	static const uint8_t no_mac[6];
	struct block block;
	uint32_t snap = interface->snap_length;
	uint8_t resolution = TIME_RESOLUTION;

	if (pcapng->snap_length != 0 && (snap == 0 || pcapng->snap_length < snap))
		snap = pcapng->snap_length;
	block_start(&block, BLOCK_INTERFACE);
	put32(&block, interface->link_type);
	put32(&block, snap);
	put_text(&block, INTERFACE_NAME, interface->name);
	put_text(&block, INTERFACE_DESCRIPTION, interface->description);
	if (memcmp(interface->mac, no_mac, sizeof no_mac) != 0)
		put_option(&block, INTERFACE_MAC, interface->mac, sizeof interface->mac);
	put_option(&block, INTERFACE_RESOLUTION, &resolution, 1);
	put_filter(&block, pcapng, interface);
	return block_write(pcapng, &block);
}

/* Writes the descriptions of all interfaces that the table holds and the file does not. */
static int write_new_interfaces(struct pcapng_sink *pcapng)
{
	uint32_t count = interface_table_count(pcapng->table);
	uint64_t *grown;

	if (count <= pcapng->interface_count)
		return 0;
	grown = reallocarray(pcapng->packets, count, sizeof *grown);
	if (grown == NULL)
		return error_set_errno(&pcapng->file.sink.error, -ENOMEM, "no memory for %u interfaces", count);
	pcapng->packets = grown;
	for (; pcapng->interface_count < count; pcapng->interface_count++) {
		int code = write_interface(pcapng, interface_table_get(pcapng->table, (uint16_t)pcapng->interface_count));

		if (code < 0)
			return file_sink_done(&pcapng->file);
		grown[pcapng->interface_count] = 0;
	}
	return 0;
}

static uint32_t packet_flags(const struct record *record)
{
	switch (record_direction(record)) {
	case DIRECTION_IN:
		return FLAGS_INBOUND;
	case DIRECTION_OUT:
		return FLAGS_OUTBOUND;
	case DIRECTION_OTHER:
		return FLAGS_INBOUND | FLAGS_PROMISCUOUS;
	default:
		return 0;
	}
}

static inline uint32_t packet_block_length(const struct record *record, uint32_t flags)
{
	return PACKET_HEAD + padded(record->captured_length) + (flags != 0 ? PACKET_TAIL : 4u);
}

static inline uint8_t *packet_head(uint8_t *at, const struct record *record, uint32_t length)
{
	uint32_t head[7] = {
		BLOCK_PACKET, length, record->interface,
		(uint32_t)(record->timestamp_ns >> 32), (uint32_t)record->timestamp_ns,
		record->captured_length, record->wire_length,
	};

	memcpy(at, head, sizeof head);
	return at + sizeof head;
}

static inline uint8_t *packet_tail(uint8_t *at, uint32_t flags, uint32_t length)
{
	if (flags != 0) {
		uint32_t options[3] = { PACKET_FLAGS | 4u << 16, flags, OPTION_END };

		memcpy(at, options, sizeof options);
		at += sizeof options;
	}
	memcpy(at, &length, sizeof length);
	return at + sizeof length;
}

/* A packet beyond what can be reserved at once, in pieces. */
static void write_long_packet(struct pcapng_sink *pcapng, const struct record *record, const uint8_t *packet,
			      uint32_t flags)
{
	uint32_t length = packet_block_length(record, flags);
	uint8_t head[PACKET_HEAD], tail[PACKET_TAIL + 4] = { 0 };
	uint32_t padding = padded(record->captured_length) - record->captured_length;

	packet_head(head, record, length);
	output_write(pcapng->file.output, head, sizeof head);
	output_write(pcapng->file.output, packet, record->captured_length);
	output_write(pcapng->file.output, tail, (size_t)(packet_tail(tail + padding, flags, length) - tail));
}

static int write_packet(struct pcapng_sink *pcapng, const struct record *record, const uint8_t *packet)
{
	uint32_t flags = packet_flags(record);
	uint32_t length = packet_block_length(record, flags);
	uint8_t *start, *at;

	pcapng->packets[record->interface]++;
	if (record->captured_length > OUTPUT_RESERVE_MAX - PACKET_BLOCK_MAX) {
		write_long_packet(pcapng, record, packet, flags);
		return 0;
	}
	start = output_reserve(pcapng->file.output, length);
	if (start == NULL)
		return -1;
	at = packet_head(start, record, length);
	memset(at + (record->captured_length & ~3u), 0, 4); /* the padding; tail or packet overwrite the rest */
	memcpy(at, packet, record->captured_length);
	packet_tail(at + padded(record->captured_length), flags, length);
	output_commit(pcapng->file.output, length);
	return 0;
}

static int pcapng_write(struct sink *sink, const struct batch *batch)
{
	struct pcapng_sink *pcapng = (struct pcapng_sink *)sink;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct record *record = batch->records[i];
		const uint8_t *packet = sink_packet(record);

		if (packet == NULL)
			return file_sink_no_packet(&pcapng->file);
		if (record->interface >= pcapng->interface_count) {
			int code = write_new_interfaces(pcapng);

			if (code < 0)
				return code;
			if (record->interface >= pcapng->interface_count)
				return error_set(&sink->error, -EINVAL, "a packet of interface %u, which nobody described",
						 record->interface);
		}
		if (write_packet(pcapng, record, packet) < 0)
			break;
	}
	return file_sink_done(&pcapng->file);
}

/* kernel: what its filter rejects is counted by nobody, so "received" starts behind it. */
static void put_ring_counts(struct block *block, const struct ledger *ledger, uint16_t index)
{
	uint64_t received = 0, filtered = 0, os_drop = 0, if_drop = 0;
	bool any = false;

	for (unsigned i = 0; i < ledger->ring_count; i++) {
		const struct ledger_ring *ring = &ledger->rings[i];

		if (ring->interface_index != index)
			continue;
		any = true;
		received += ring->stats.seen;
		filtered += ring->filtered;
		for (unsigned k = 0; k < ring->stats.loss_count; k++)
			os_drop += ring->stats.losses[k].count;
		for (unsigned k = 0; k < ring->stats.outside_count; k++)
			if_drop += ring->stats.outside[k].count;
	}
	if (!any)
		return;
	put_count(block, STATISTICS_RECEIVED, received);
	put_count(block, STATISTICS_IF_DROP, if_drop);
	put_count(block, STATISTICS_ACCEPTED, received - filtered);
	put_count(block, STATISTICS_OS_DROP, os_drop);
}

static int write_statistics(struct pcapng_sink *pcapng, const struct ledger *ledger, uint16_t index)
{
	const struct interface *interface = interface_table_get(pcapng->table, index);
	struct block block;
	uint8_t time[8];

	block_start(&block, BLOCK_STATISTICS);
	put32(&block, index);
	put_time(time, ledger->end_ns);
	put(&block, time, sizeof time);
	/* A file's packets were counted where it was captured: only what we received ourselves is told. */
	if (interface->kernel_index != 0) {
		put_time_option(&block, STATISTICS_START, ledger->start_ns);
		put_time_option(&block, STATISTICS_END, ledger->end_ns);
		put_ring_counts(&block, ledger, index);
	}
	put_count(&block, STATISTICS_DELIVERED, pcapng->packets[index]);
	return block_write(pcapng, &block);
}

static int pcapng_finish(struct sink *sink, const struct ledger *ledger)
{
	struct pcapng_sink *pcapng = (struct pcapng_sink *)sink;
	struct output *output = pcapng->file.output;
	int code = write_new_interfaces(pcapng);

	for (uint32_t i = 0; code == 0 && i < pcapng->interface_count; i++)
		code = write_statistics(pcapng, ledger, (uint16_t)i);
	if (code == 0 && output_seekable(output)) {
		uint64_t section_length = output_offset(output) - pcapng->header_length;

		output_patch(output, SECTION_LENGTH_AT, &section_length, sizeof section_length);
	}
	return file_sink_finish(sink, ledger);
}

static void pcapng_close(struct sink *sink)
{
	struct pcapng_sink *pcapng = (struct pcapng_sink *)sink;

	if (pcapng == NULL)
		return;
	free(pcapng->packets);
	file_sink_close(sink);
}

static const struct sink_ops pcapng_ops = {
	.name = "pcapng",
	.write = pcapng_write,
	.flush = file_sink_flush,
	.tick = file_sink_tick,
	.finish = pcapng_finish,
	.close = pcapng_close,
};

int pcapng_open(const char *target, const struct sink_options *options, struct sink **sink,
		struct error *error)
{
	struct pcapng_sink *pcapng;
	struct file_sink *file;
	int code = file_sink_open_binary(sizeof *pcapng, &pcapng_ops, target, options, &file, error);

	*sink = NULL;
	if (code < 0)
		return code;
	pcapng = (struct pcapng_sink *)file;
	file->sink.needs = SINK_NEEDS_PACKET;
	pcapng->table = options->interfaces;
	pcapng->filter = options->filter;
	pcapng->snap_length = options->snap_length;
	code = write_section(pcapng, options->application);
	if (code == 0) {
		pcapng->header_length = (uint32_t)output_offset(file->output);
		code = write_new_interfaces(pcapng);
	}
	if (code < 0) {
		if (file->sink.error.code == 0)
			file_sink_done(file);
		*error = file->sink.error;
		pcapng_close(&file->sink);
		return code;
	}
	*sink = &file->sink;
	return 0;
}
