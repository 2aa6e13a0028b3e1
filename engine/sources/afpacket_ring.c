#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "engine/sources/afpacket_internal.h"

#define BLOCKS_LEAST 2
#define BLOCKS_WANTED 4       /* a block size that was not asked for shrinks until so many fit */
#define BLOCK_MOST (1u << 30) /* kernel: a signed int, and blocks that big do not come by anyway */
#define MIB (1.0 / (1 << 20))

/* Bytes that can be allocated without swapping, as the kernel estimates it. */
static uint64_t memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	struct sysinfo system;
	unsigned long long kib = 0;
	char line[128];

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	}
	if (file != NULL)
		fclose(file);
	if (kib == 0 && sysinfo(&system) == 0)
		return (uint64_t)system.freeram * system.mem_unit;
	return kib * 1024;
}

static uint32_t pick_block_size(const struct source_options *options, uint64_t ring_size, uint64_t page)
{
	uint64_t size = options->block_size != 0 ? options->block_size : AFPACKET_BLOCK_DEFAULT;

	while (options->block_size == 0 && size > page && ring_size / size < BLOCKS_WANTED)
		size /= 2;
	return (uint32_t)((size + page - 1) / page * page);
}

int afpacket_ring_plan(const struct source_options *options, unsigned workers, struct afpacket_plan *plan,
		       struct error *error)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t available = memory_available();
	uint64_t size = options->ring_size != 0 ? options->ring_size : AFPACKET_RING_DEFAULT;
	uint64_t count;

	if (options->block_size > BLOCK_MOST)
		return error_set(error, -EINVAL, "a block of %u bytes is too large (at most 1 GiB)", options->block_size);
	/* The kernel would start to kill processes before it said no. */
	if (options->ring_size != 0 && size > available / workers) {
		error_set(error, -ENOMEM, "a ring of %.0f MiB for each of %u workers does not fit into memory",
			  (double)size * MIB, workers);
		error_hint(error, "%.0f MiB are available; --ring-size sets the size of one ring",
			   (double)available * MIB);
		return -ENOMEM;
	}
	while (options->ring_size == 0 && size > page * BLOCKS_LEAST && size > available / 4 / workers)
		size /= 2;
	plan->asked = options->ring_size != 0 ? options->ring_size : AFPACKET_RING_DEFAULT;
	plan->block_size = pick_block_size(options, size, page);
	plan->timeout_ms = options->block_timeout_ms != 0 ? options->block_timeout_ms : AFPACKET_TIMEOUT_DEFAULT_MS;
	count = size / plan->block_size;
	if (count < BLOCKS_LEAST)
		count = BLOCKS_LEAST;
	if (count > INT32_MAX)
		return error_set(error, -EINVAL, "a ring of so many blocks cannot be made; --block-size sets larger ones");
	plan->block_count = (uint32_t)count;
	return 0;
}

static int set_ring(int fd, const struct afpacket_plan *plan)
{
	/* One "frame" a block: TPACKET_V3 packs packets itself and only wants the product to be right,
	 * and so rings of any size stay clear of the kernel's 32-bit frame count. */
	struct tpacket_req3 request = {
		.tp_block_size = plan->block_size,
		.tp_block_nr = plan->block_count,
		.tp_frame_size = plan->block_size,
		.tp_frame_nr = plan->block_count,
		.tp_retire_blk_tov = plan->timeout_ms,
	};

	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0 ? 0 : -errno;
}

int afpacket_ring_create(int fd, struct afpacket_plan *plan, struct afpacket_ring *ring, struct error *error)
{
	size_t size;
	void *memory;
	int result;

	while ((result = set_ring(fd, plan)) == -ENOMEM && plan->block_count / 2 >= BLOCKS_LEAST)
		plan->block_count /= 2;
	size = (size_t)plan->block_size * plan->block_count;
	if (result == -ENOMEM) {
		error_set(error, result, "the kernel has no memory for even a small packet ring");
		error_hint(error, "--ring-size and --block-size set smaller ones");
		return result;
	}
	if (result != 0)
		return error_set_errno(error, result, "cannot make a packet ring of %u blocks of %u bytes",
				       plan->block_count, plan->block_size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return error_set_errno(error, -errno, "cannot map a packet ring of %.0f MiB", (double)size * MIB);
	ring->memory = memory;
	ring->block_size = plan->block_size;
	ring->block_count = plan->block_count;
	return 0;
}

void afpacket_ring_close(struct afpacket_ring *ring)
{
	if (ring->memory != NULL)
		munmap(ring->memory, (size_t)ring->block_size * ring->block_count);
	*ring = (struct afpacket_ring){ 0 };
}
