/* pcap: draft-ietf-opsawg-pcap, with the nanosecond magic. One link type; no direction, no statistics. */
#include <errno.h>
#include <string.h>

#include "decoders/decode.h"
#include "engine/sinks/file_sink.h"
#include "engine/sinks/sinks.h"

#define MAGIC_NANOSECONDS 0xa1b23c4du
#define SNAP_LENGTH_MAX 262144u
#define PACKET_HEAD 16u

struct pcap_sink {
	struct file_sink file;
	const struct interface_table *table;
	uint32_t snap_length;
	uint32_t interface_count; /* interfaces whose link type was looked at */
	bool header_written;
	uint16_t link_type;
};

static void write_header(struct pcap_sink *pcap, uint16_t link_type)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t reserved[2];
		uint32_t snap_length;
		uint32_t link_type;
	} header = {
		.magic = MAGIC_NANOSECONDS, .major = 2, .minor = 4,
		.snap_length = pcap->snap_length != 0 ? pcap->snap_length : SNAP_LENGTH_MAX,
		.link_type = link_type,
	};

	output_write(pcap->file.output, &header, sizeof header);
	pcap->link_type = link_type;
	pcap->header_written = true;
}

/* Looks at the interfaces that are new: the first one's link type is the file's. */
static int check_interfaces(struct pcap_sink *pcap, struct error *error)
{
	uint32_t count = interface_table_count(pcap->table);

	for (; pcap->interface_count < count; pcap->interface_count++) {
		const struct interface *interface = interface_table_get(pcap->table, (uint16_t)pcap->interface_count);

		if (!pcap->header_written)
			write_header(pcap, interface->link_type);
		if (interface->link_type == pcap->link_type)
			continue;
		error_set(error, -EPROTOTYPE, "a pcap file has one link type: %s is of type %u, the first interface of %u",
			  interface->name, interface->link_type, pcap->link_type);
		return error_hint(error, "use pcapng, which has one for each interface");
	}
	return 0;
}

static int write_packet(struct pcap_sink *pcap, const struct record *record, const uint8_t *packet)
{
	uint32_t head[4] = {
		(uint32_t)(record->timestamp_ns / 1000000000), (uint32_t)(record->timestamp_ns % 1000000000),
		record->captured_length, record->wire_length,
	};
	uint8_t *at;

	if (record->captured_length > OUTPUT_RESERVE_MAX - PACKET_HEAD) {
		output_write(pcap->file.output, head, sizeof head);
		return output_write(pcap->file.output, packet, record->captured_length);
	}
	at = output_reserve(pcap->file.output, PACKET_HEAD + record->captured_length);
	if (at == NULL)
		return -EIO;
	memcpy(at, head, sizeof head);
	memcpy(at + sizeof head, packet, record->captured_length);
	output_commit(pcap->file.output, sizeof head + record->captured_length);
	return 0;
}

static int pcap_write(struct sink *sink, const struct batch *batch)
{
	struct pcap_sink *pcap = (struct pcap_sink *)sink;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct record *record = batch->records[i];
		const uint8_t *packet = sink_packet(record);

		if (packet == NULL)
			return file_sink_no_packet(&pcap->file);
		if (record->interface >= pcap->interface_count) {
			int code = check_interfaces(pcap, &sink->error);

			if (code < 0)
				return code;
		}
		if (write_packet(pcap, record, packet) < 0)
			break;
	}
	return file_sink_done(&pcap->file);
}

static int pcap_finish(struct sink *sink, const struct ledger *ledger)
{
	struct pcap_sink *pcap = (struct pcap_sink *)sink;

	if (!pcap->header_written)
		write_header(pcap, LINK_ETHERNET); /* no interface was ever known: an empty capture */
	return file_sink_finish(sink, ledger);
}

static const struct sink_ops pcap_ops = {
	.name = "pcap",
	.write = pcap_write,
	.flush = file_sink_flush,
	.tick = file_sink_tick,
	.finish = pcap_finish,
	.close = file_sink_close,
};

int pcap_open(const char *target, const struct sink_options *options, struct sink **sink, struct error *error)
{
	struct pcap_sink *pcap;
	struct file_sink *file;
	int code = file_sink_open_binary(sizeof *pcap, &pcap_ops, target, options, &file, error);

	*sink = NULL;
	if (code < 0)
		return code;
	pcap = (struct pcap_sink *)file;
	file->sink.needs = SINK_NEEDS_PACKET;
	pcap->table = options->interfaces;
	pcap->snap_length = options->snap_length;
	code = check_interfaces(pcap, error);
	if (code < 0) {
		file_sink_close(&file->sink);
		return code;
	}
	*sink = &file->sink;
	return 0;
}
