/* Reading a capture file without decoding: our walk, libpcap's pcap_dispatch and, for the whole of tcpdump's
 *work, `tcpdump -nn -r FILE >/dev/null`, over the same file, made here, in the page cache; and the walk of
 *the same file in memory and through a mapping, which is why savefile_input.h reads instead of mapping.
 *
 *	bench_savefile [--runs N] [--packets N]
 */
#include <fcntl.h>
#include <pcap/pcap.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_util.h"
#include "engine/sources/savefile.h"

struct made {
	const char *name;
	char path[64];
	uint32_t packet_size;
	uint64_t packets;
	bool nanoseconds;
	bool pcapng;
};

static void put(FILE *out, const void *bytes, size_t length)
{
	if (fwrite(bytes, 1, length, out) != length)
		bench_die("cannot write the capture");
}

static void put32(FILE *out, uint32_t value)
{
	put(out, &value, sizeof value);
}

/* UDP from 256 ports. Not from many addresses: tcpdump keeps their names, also with -nn, in chains by the
 * first octets, and takes 100 us a packet for some ten thousand of one network. */
static void make_packet(uint8_t *packet, uint32_t size, uint64_t number)
{
	static const uint8_t head[] = { 2,    0, 0,  0, 0, 1, 2,    0,    0,    0,    0, 2, 8,  0,
					0x45, 0, 0,  0, 0, 0, 0,    0,    64,   17,   0, 0, 10, 0,
					0,    0, 10, 1, 0, 1, 0x9c, 0x40, 0x13, 0x88, 0, 0, 0,  0 };

	memcpy(packet, head, sizeof head);
	packet[16] = (uint8_t)((size - 14) >> 8);
	packet[17] = (uint8_t)(size - 14);
	packet[35] = (uint8_t)number;
	packet[38] = (uint8_t)((size - 34) >> 8);
	packet[39] = (uint8_t)(size - 34);
}

static void make_pcap(FILE *out, const struct made *made)
{
	const uint32_t header[6] = {
		made->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, 1
	};
	uint8_t packet[2048] = { 0 };

	put(out, header, sizeof header);
	for (uint64_t i = 0; i < made->packets; i++) {
		const uint32_t record[4] = { (uint32_t)(1700000000 + i / 1000000), (uint32_t)(i % 1000000),
					     made->packet_size, made->packet_size };

		make_packet(packet, made->packet_size, i);
		put(out, record, sizeof record);
		put(out, packet, made->packet_size);
	}
}

static void make_pcapng(FILE *out, const struct made *made)
{
	const uint32_t section[7] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28 };
	const uint32_t interface[8] = { 1, 32, 1, 262144, 9 | 1 << 16, 9, 0, 32 };
	uint32_t padded = (made->packet_size + 3) & ~3u;
	uint8_t packet[2048] = { 0 };

	put(out, section, sizeof section);
	put(out, interface, sizeof interface);
	for (uint64_t i = 0; i < made->packets; i++) {
		uint64_t time = UINT64_C(1700000000000000000) + i * 1000;
		const uint32_t block[7] = { 6,
					    32 + padded,
					    0,
					    (uint32_t)(time >> 32),
					    (uint32_t)time,
					    made->packet_size,
					    made->packet_size };

		make_packet(packet, made->packet_size, i);
		put(out, block, sizeof block);
		put(out, packet, padded);
		put32(out, 32 + padded);
	}
}

static void make(struct made *made)
{
	int fd;
	FILE *out;

	strcpy(made->path, "/tmp/weir-bench-XXXXXX");
	fd = mkstemp(made->path);
	out = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (out == NULL)
		bench_die("cannot make a file in /tmp");
	(made->pcapng ? make_pcapng : make_pcap)(out, made);
	if (fclose(out) != 0)
		bench_die("cannot write the capture");
}

static uint64_t walk(struct source *source)
{
	struct frame frames[SOURCE_BURST];
	uint64_t packets = 0, sum = 0;
	int count;

	while ((count = source->ops->rx_burst(source, frames, source_burst(source))) >= 0) {
		for (int i = 0; i < count; i++) {
			if (frames[i].flags & FRAME_LAST_OF_SPAN) {
				source->ops->release(source, frames[i].span);
				continue;
			}
			sum += frames[i].timestamp_ns + frames[i].captured_len;
			packets++;
		}
	}
	source->ops->close(source);
	return sum == 1 ? 0 : packets;
}

static double run_walk(const struct made *made, const void *bytes, size_t length)
{
	struct savefile_options options = { 0 };
	struct interface_table *table;
	struct source *source;
	uint64_t start = clock_monotonic_ns();
	int result;

	if (interface_table_create(&table, NULL) != 0)
		bench_die("no memory");
	result = bytes != NULL ? savefile_open_memory(bytes, length, "memory", &options, table, &source, NULL)
			       : savefile_open(made->path, &options, table, &source, NULL);
	if (result != 0 || walk(source) != made->packets)
		bench_die("the walk lost packets");
	interface_table_close(table);
	return (double)(clock_monotonic_ns() - start) / (double)made->packets;
}

/* The same walk, over a mapping that is made, walked and unmapped. */
static double run_mapped(const struct made *made)
{
	uint64_t start = clock_monotonic_ns();
	int fd = open(made->path, O_RDONLY);
	struct stat status;
	void *map;

	if (fd < 0 || fstat(fd, &status) != 0)
		bench_die("cannot open the capture");
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		bench_die("cannot map the capture");
	madvise(map, (size_t)status.st_size, MADV_SEQUENTIAL);
	run_walk(made, map, (size_t)status.st_size);
	munmap(map, (size_t)status.st_size);
	close(fd);
	return (double)(clock_monotonic_ns() - start) / (double)made->packets;
}

static double run_memory(const struct made *made)
{
	int fd = open(made->path, O_RDONLY);
	struct stat status;
	uint8_t *bytes;
	double spent;

	if (fd < 0 || fstat(fd, &status) != 0 || (bytes = malloc((size_t)status.st_size)) == NULL)
		bench_die("cannot open the capture");
	for (off_t done = 0; done < status.st_size;) {
		ssize_t got = read(fd, bytes + done, (size_t)(status.st_size - done));

		if (got <= 0)
			bench_die("cannot read the capture");
		done += got;
	}
	close(fd);
	spent = run_walk(made, bytes, (size_t)status.st_size);
	free(bytes);
	return spent;
}

static void count_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *bytes)
{
	uint64_t *counts = (uint64_t *)(void *)user;

	(void)bytes;
	counts[0]++;
	counts[1] += (uint64_t)header->ts.tv_usec + header->caplen;
}

static double run_libpcap(const struct made *made)
{
	char message[PCAP_ERRBUF_SIZE];
	uint64_t counts[2] = { 0 }, start = clock_monotonic_ns();
	pcap_t *pcap = pcap_open_offline(made->path, message);

	if (pcap == NULL || pcap_dispatch(pcap, -1, count_packet, (u_char *)counts) < 0 ||
	    counts[0] != made->packets)
		bench_die("libpcap lost packets");
	pcap_close(pcap);
	return (double)(clock_monotonic_ns() - start) / (double)made->packets;
}

/* 0: tcpdump is not there. */
static double run_tcpdump(const struct made *made)
{
	uint64_t start = clock_monotonic_ns();
	int status;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("tcpdump", "tcpdump", "-nn", "-r", made->path, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0)
		return 0;
	return (double)(clock_monotonic_ns() - start) / (double)made->packets;
}

static void add(struct bench *bench, const char *what, const struct made *made, double spent, double base)
{
	char name[48];

	if (spent <= 0)
		return;
	snprintf(name, sizeof name, "%s %s", made->name, what);
	bench_add(bench, name, spent, base > 0 ? spent / base : 0);
}

int main(int argc, char **argv)
{
	struct bench bench = { .name = "savefile", .unit = "ns/packet", .base = "our walk", .runs = 7 };
	uint64_t packets = 2000000;
	struct made files[] = { { .name = "pcap 60", .packet_size = 60 },
				{ .name = "pcap 1500", .packet_size = 1500 },
				{ .name = "pcapng 60", .packet_size = 60, .pcapng = true } };

	if (!bench_arguments(argc, argv, &bench.runs, &packets, "--packets"))
		return 2;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		files[i].packets = files[i].packet_size > 1000 ? packets / 8 + 1 : packets;
		make(&files[i]);
		run_libpcap(&files[i]); /* into the page cache */
	}
	for (unsigned run = 0; run < bench.runs; run++) {
		for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
			double ours = run_walk(&files[i], NULL, 0);

			add(&bench, "walk", &files[i], ours, 0);
			add(&bench, "walk in memory", &files[i], run_memory(&files[i]), ours);
			add(&bench, "walk of a mapping", &files[i], run_mapped(&files[i]), ours);
			add(&bench, "libpcap", &files[i], run_libpcap(&files[i]), ours);
			add(&bench, "tcpdump -nn", &files[i], run_tcpdump(&files[i]), ours);
		}
	}
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		unlink(files[i].path);
	bench_print(&bench);
	return 0;
}
