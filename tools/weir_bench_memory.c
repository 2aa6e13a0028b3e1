/* The memory that contestants' files are written into.
 *
 * A virtual machine's host may take back what the guest has free, within seconds, and a page that is used again is then
 * some microseconds late (measured: tmpfs took 2.9 GB/s in memory that had just been freed, 0.5 in what had lain free for
 * three seconds). Who writes a file while the bench looks would be charged for that, more the less memory the machine has
 * used before. So the bench holds as much memory as a run's file will take, touched, and gives it free little by
 * little, as the file grows: whoever writes gets pages that the machine has. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "tools/weir_bench.h"

#define PAGE 4096u
#define AREA_MOST (UINT64_C(1) << 40) /* bytes of address space; nothing is behind them until they are touched */
#define AVAILABLE_SHARE 2             /* of the memory that is available at most one in so many bytes is held */

static uint64_t written(const struct bench *bench)
{
	struct statvfs space;

	if (statvfs(bench->directory, &space) != 0)
		return 0;
	return (uint64_t)(space.f_blocks - space.f_bfree) * space.f_frsize;
}

static uint64_t available(void)
{
	static char text[16384];

	return read_text("/proc/meminfo", text, sizeof text) == 0 ? parse_status_bytes(text, "MemAvailable:") : 0;
}

static void hold(struct bench_stock *stock, uint64_t bytes)
{
	bytes &= ~(uint64_t)(PAGE - 1);
	for (uint64_t at = stock->held; at < bytes; at += PAGE)
		*(volatile uint8_t *)(stock->area + at) = 1;
	if (bytes < stock->held)
		madvise(stock->area + bytes, stock->held - bytes, MADV_DONTNEED);
	stock->held = bytes;
}

void stock_fill(struct bench *bench, double bytes, double a_second)
{
	struct bench_stock *stock = &bench->stock;
	uint64_t most = (available() + stock->held) / AVAILABLE_SHARE, wanted = bytes < (double)most ? (uint64_t)bytes : most;

	stock->ahead = (uint64_t)(a_second * STOCK_AHEAD_SECONDS);
	if (bytes <= 0)
		return;
	if (stock->area == NULL) {
		void *area = mmap(NULL, AREA_MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (area == MAP_FAILED)
			return; /* an address space that is limited: measured as the machine is */
		stock->area = area;
		madvise(stock->area, AREA_MOST, MADV_HUGEPAGE);
	}
	stock->wanted = wanted > stock->wanted ? wanted : stock->wanted;
	stock_refill(bench);
	stock_yield(bench);
}

void stock_yield(struct bench *bench)
{
	struct bench_stock *stock = &bench->stock;
	uint64_t gone;

	if (!stock_needed(bench))
		return;
	gone = written(bench) + stock->ahead;
	if (gone + stock->held > stock->wanted)
		hold(stock, gone < stock->wanted ? stock->wanted - gone : 0);
}

void stock_refill(struct bench *bench)
{
	hold(&bench->stock, bench->stock.wanted);
}
