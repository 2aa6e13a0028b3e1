/* What decoding costs, per protocol, over RAM-resident blocks of packets.
 *
 *	walk      the bare walk over the same blocks (bench_blocks.h)
 *	walk prefetched  the same with a line asked for ahead
 *	decode    the source's walk into frames, decode_packet into a record of 128 bytes each
 *	pcap+hand libpcap's loop over the same packets in a file in memory, and what people write by hand in
 *	          its callback: Ethernet, one tag, IPv4 or IPv6, ports
 *
 * One thread, alternated within each run, so that all three see the same machine.
 */
#include <pcap/pcap.h>

#include "bench_blocks.h"
#include "decoders/decode.h"

struct hand_record {
	uint64_t timestamp_ns;
	uint32_t wire_length;
	uint16_t ethertype, src_port, dst_port;
	uint8_t protocol;
	uint8_t src[16], dst[16];
};

struct hand {
	struct hand_record ring[64];
	uint64_t count;
};

static void hand_decode(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	struct hand *hand = (void *)user;
	struct hand_record *record = &hand->ring[hand->count++ % 64];
	uint32_t at = 14, type;

	record->timestamp_ns = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec;
	record->wire_length = header->len;
	if (header->caplen < 18)
		return;
	type = (uint32_t)data[12] << 8 | data[13];
	if (type == 0x8100) {
		type = (uint32_t)data[16] << 8 | data[17];
		at = 18;
	}
	record->ethertype = (uint16_t)type;
	if (type == 0x0800 && header->caplen >= at + 20) {
		record->protocol = data[at + 9];
		memcpy(record->src, data + at + 12, 4);
		memcpy(record->dst, data + at + 16, 4);
		at += 4u * (data[at] & 15);
	} else if (type == 0x86dd && header->caplen >= at + 40) {
		record->protocol = data[at + 6];
		memcpy(record->src, data + at + 8, 16);
		memcpy(record->dst, data + at + 24, 16);
		at += 40;
	} else {
		return;
	}
	if ((record->protocol == 6 || record->protocol == 17) && header->caplen >= at + 4) {
		record->src_port = (uint16_t)((uint32_t)data[at] << 8 | data[at + 1]);
		record->dst_port = (uint16_t)((uint32_t)data[at + 2] << 8 | data[at + 3]);
	}
}

/* The blocks' packets as a pcap file in memory. */
static uint8_t *make_file(const struct blocks *blocks, size_t *size)
{
	struct frame frames[SOURCE_BURST];
	struct source *source = blocks->source;
	uint8_t *file = NULL;
	FILE *out = open_memstream((char **)&file, size);
	uint32_t header[6] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, 1 };
	int count;

	fwrite(header, sizeof header, 1, out);
	for (uint64_t left = blocks->packets; left > 0; left -= (uint64_t)count) {
		count = source->ops->rx_burst(source, frames, source_burst(source));
		if (count <= 0)
			bench_die("the blocks ended early");
		for (int i = 0; i < count; i++) {
			uint32_t packet[4] = { (uint32_t)(frames[i].timestamp_ns / 1000000000u),
					       (uint32_t)(frames[i].timestamp_ns % 1000000000u),
					       frames[i].captured_len, frames[i].wire_len };

			fwrite(packet, sizeof packet, 1, out);
			fwrite(frames[i].data, frames[i].captured_len, 1, out);
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
		}
	}
	fclose(out);
	return file;
}

static double decode_ns(const struct blocks *blocks, struct record *records)
{
	const struct decode_options options = { 0 };
	struct source *source = blocks->source;
	struct frame frames[SOURCE_BURST];
	uint64_t start = bench_thread_ns(), done = 0;

	while (done < blocks->packets) {
		int count = source->ops->rx_burst(source, frames, source_burst(source));

		if (count <= 0)
			bench_die("the blocks ended early");
		for (int i = 0; i < count; i++) {
			struct record *record = &records[(done + (unsigned)i) % 4096];

			decode_packet(&options, frames[i].data, frames[i].captured_len, frames[i].wire_len,
				      frames[i].link_type, record, NULL);
			record->timestamp_ns = frames[i].timestamp_ns;
			record->status |= frames[i].flags & FRAME_DIRECTION_MASK;
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
		}
		done += (unsigned)count;
	}
	return (double)(bench_thread_ns() - start) / (double)blocks->packets;
}

static double hand_ns(const struct blocks *blocks, uint8_t *file, size_t size)
{
	static struct hand hand;
	char text[PCAP_ERRBUF_SIZE];
	FILE *in = fmemopen(file, size, "rb");
	pcap_t *pcap = NULL;
	uint64_t start;
	double ns;

	if (in != NULL)
		pcap = pcap_fopen_offline_with_tstamp_precision(in, PCAP_TSTAMP_PRECISION_NANO, text);

	if (pcap == NULL)
		bench_die("libpcap does not take the file");
	hand.count = 0;
	start = bench_thread_ns();
	pcap_loop(pcap, -1, hand_decode, (u_char *)&hand);
	ns = (double)(bench_thread_ns() - start) / (double)blocks->packets;
	if (hand.count != blocks->packets)
		bench_die("libpcap read another number of packets");
	pcap_close(pcap);
	return ns;
}

static void measure(struct bench *bench, const char *name, const char *mix, const char *size,
		    uint64_t packets)
{
	static struct record records[4096];
	struct blocks_options options = { .mix = mix, .size = size, .flows = 1000, .packets = packets,
					  .first_ns = 1700000000000000000u };
	char text[48];
	struct blocks blocks;
	uint8_t *file;
	size_t file_size;

	blocks_open(&blocks, &options);
	file = make_file(&blocks, &file_size);
	blocks_walk_ns(&blocks); /* warm: page tables, frequency */
	for (unsigned run = 0; run < bench->runs; run++) {
		double walk = blocks_walk_ns(&blocks), prefetched = blocks_walk_prefetch_ns(&blocks);
		double decode = decode_ns(&blocks, records);
		double hand = hand_ns(&blocks, file, file_size);

		snprintf(text, sizeof text, "%s walk", name);
		bench_add(bench, text, walk, 1);
		snprintf(text, sizeof text, "%s walk prefetched", name);
		bench_add(bench, text, prefetched, prefetched / walk);
		snprintf(text, sizeof text, "%s decode", name);
		bench_add(bench, text, decode, decode / walk);
		snprintf(text, sizeof text, "%s pcap+hand", name);
		bench_add(bench, text, hand, hand / walk);
	}
	free(file);
	blocks_close(&blocks, true);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *mix, *size;
	} cases[] = {
		{ "udp-60", "udp", "60" },
		{ "udp+tcp", "udp,tcp", "60" },
		{ "tcp", "tcp", "60" },
		{ "ipv6-udp", "ipv6", "60" },
		{ "ipv6-tcp", "tcp6", "60" },
		{ "icmp", "icmp", "60" },
		{ "vlan", "vlan", "60" },
		{ "qinq", "qinq", "60" },
		{ "vxlan", "vxlan", "60" },
		/* 10 % VLAN, 10 % VXLAN, 15 % IPv6, of the rest half TCP, IMIX sizes */
		{ "mix-imix", "udp:7,tcp:6,ipv6:2,tcp6:1,vlan:2,vxlan:2", "imix" },
	};
	static struct bench bench = { .name = "decode", .unit = "ns/packet", .base = "the bare walk", .runs = 7 };
	uint64_t packets = 400000;

	if (!bench_arguments(argc, argv, &bench.runs, &packets, "--packets"))
		return 2;
	bench_pin(0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		measure(&bench, cases[i].name, cases[i].mix, cases[i].size, packets);
	bench_print(&bench);
	return 0;
}
