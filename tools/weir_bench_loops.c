/* The bench's own contestants: the least that anyone must do who reads from a ring, and (weir_bench_libpcap.c) what
 * people do who read with libpcap. Each prints "capturing on" when it is ready and leaves {"written":N} at its end. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <pcap/pcap.h>

#include "engine/sources/block_walk.h"
#include "tools/cli.h"
#include "tools/weir_bench.h"

#define BLOCK_SIZE (1u << 20)
#define BLOCKS 64

static volatile sig_atomic_t stopping;
static pcap_t *stopping_pcap;

static void on_stop(int number)
{
	(void)number;
	stopping = 1;
	if (stopping_pcap != NULL)
		pcap_breakloop(stopping_pcap);
}

static int leave_count(const char *path, uint64_t count, uint64_t sum)
{
	FILE *out = fopen(path, "w");
	bool good = out != NULL && fprintf(out, "{\"written\":%llu,\"sum\":%llu}\n", (unsigned long long)count,
					   (unsigned long long)sum) > 0;

	if (out != NULL && fclose(out) != 0)
		good = false;
	return good ? 0 : EXIT_FAILED;
}

/* A ring of the same size as weir's own, 64 blocks of 1 MiB, retired after 10 ms. */
static int open_ring(const char *interface, uint8_t **map)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = (int)if_nametoindex(interface) };
	struct tpacket_req3 request = { .tp_block_size = BLOCK_SIZE, .tp_block_nr = BLOCKS,
					.tp_frame_size = TPACKET_ALIGNMENT << 7,
					.tp_frame_nr = BLOCKS * (BLOCK_SIZE / (TPACKET_ALIGNMENT << 7)),
					.tp_retire_blk_tov = 10 };
	int version = TPACKET_V3, reserve = BLOCK_RESERVE;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof reserve) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
		return -errno;
	*map = mmap(NULL, (size_t)BLOCK_SIZE * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (*map == MAP_FAILED || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
		return -errno;
	return fd;
}

/* As bench/bench_blocks.h: lengths, time and the first word behind the addresses. */
static uint64_t walk_block(const struct tpacket_block_desc *block)
{
	const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
	uint64_t sum = 0;

	for (uint32_t left = block->hdr.bh1.num_pkts; left > 0; left--) {
		const struct tpacket3_hdr *header = (const void *)at;
		uint32_t word;

		memcpy(&word, at + header->tp_mac + 12, sizeof word);
		sum += header->tp_len + header->tp_snaplen + header->tp_sec + header->tp_nsec + word;
		at += header->tp_next_offset;
	}
	return sum;
}

static int walk(const char *interface, const char *stats_path)
{
	uint8_t *map = NULL;
	int fd = open_ring(interface, &map);
	uint64_t count = 0, sum = 0;
	unsigned block = 0, idle = 0;

	if (fd < 0) {
		struct error error;

		error_set_errno(&error, fd, "cannot open a ring on %s", interface);
		return cli_fail(&error);
	}
	fprintf(stderr, "capturing on %s\n", interface);
	while (!stopping || idle == 0) {
		struct tpacket_block_desc *at = (void *)(map + (size_t)block * BLOCK_SIZE);

		if (!block_walk_acquire(at)) {
			struct pollfd wait = { .fd = fd, .events = POLLIN };

			idle = poll(&wait, 1, 20) == 0;
			continue;
		}
		sum += walk_block(at);
		count += at->hdr.bh1.num_pkts;
		block_walk_return(at);
		block = (block + 1) % BLOCKS;
	}
	return leave_count(stats_path, count, sum);
}

static int libpcap(const char *interface, const char *output, const char *stats_path)
{
	uint64_t count = 0, sum = 0;
	struct error error = { 0 };

	if (bench_libpcap(interface, output, &stopping, &stopping_pcap, &count, &sum, &error) < 0)
		return cli_fail(&error);
	return leave_count(stats_path, count, sum);
}

static int descs(const char *interface, const char *mode, const char *stats_path)
{
	uint64_t count = 0, bytes = 0;
	struct error error = { 0 };

	if (bench_descs(interface, mode, &stopping, &count, &bytes, &error) < 0)
		return cli_fail(&error);
	return leave_count(stats_path, count, bytes);
}

int bench_contestant(const struct bench_loop *loop, const char *interface)
{
	struct sigaction action = { .sa_handler = on_stop };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (strcmp(loop->name, "walk") == 0)
		return walk(interface, loop->stats);
	if (strcmp(loop->name, "libpcap") == 0)
		return libpcap(interface, loop->output, loop->stats);
	if (strcmp(loop->name, "descs") == 0)
		return descs(interface, loop->mode != NULL ? loop->mode : "native", loop->stats);
	return cli_usage("no contestant '%s' (walk, libpcap, descs)", loop->name);
}
