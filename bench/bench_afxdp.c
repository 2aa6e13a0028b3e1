/* What AF_XDP costs in user space, per packet, on plain memory: a model of the kernel fills the rx ring
 *while no clock runs, then each contestant empties it and gives the chunks back.
 *
 *	descs      the bare loop: counts descs and bytes, refills; touches no packet
 *	descs+line the same and the first word of each packet, asked for ahead
 *	frames     afxdp_pool_rx and afxdp_pool_release: stamps, directions, spans
 *	records    and decode_packet into a record of 128 bytes each
 *
 * 8192 chunks of 2048 bytes, as the backend's default, so that packets are not in the nearest cache. One
 *thread, alternated within each run. */
#include <sys/mman.h>

#include "bench_util.h"
#include "decoders/decode.h"
#include "engine/gen/shape.h"
#include "engine/sources/afxdp_pool.h"

#define CHUNKS 8192u
#define CHUNK 2048u
#define HEADROOM (256u + sizeof(struct afxdp_stamp)) /* as where frames are copied */
#define RX_SIZE 4096u
#define FILL_SIZE (2 * CHUNKS)
#define AHEAD 8

struct model {
	struct afxdp_pool pool;
	uint32_t rx_producer, rx_consumer, fill_producer, fill_consumer, fill_flags;
	struct xdp_desc rx[RX_SIZE];
	uint64_t fill[FILL_SIZE];
	uint32_t lengths[CHUNKS];
	uint64_t sum;
	struct record records[4096];
};

static void model_open(struct model *model)
{
	static struct shape shape;
	struct shape_cursor cursor = { 0 };
	struct shape_options options = { .mix = "udp:3,tcp:6,ipv6:1", .flows = 4096 };
	struct afxdp_pool *pool = &model->pool;
	static uint8_t frame[SHAPE_LENGTH_MAX];

	pool->area = mmap(NULL, (size_t)CHUNKS * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->area == MAP_FAILED || shape_build(&shape, &options, NULL) < 0)
		bench_die("no memory for the UMEM");
	madvise(pool->area, (size_t)CHUNKS * CHUNK, MADV_HUGEPAGE);
	pool->chunk_size = CHUNK;
	pool->chunk_count = CHUNKS;
	pool->share = CHUNKS / 2;
	pool->snap_length = 512;
	pool->headers_only = true;
	pool->clock.clock = CLOCK_MONOTONIC;
	pool->fill = (struct xsk_ring_prod){ .mask = FILL_SIZE - 1, .size = FILL_SIZE, .cached_cons = FILL_SIZE,
					     .producer = &model->fill_producer, .consumer = &model->fill_consumer,
					     .flags = &model->fill_flags, .ring = model->fill };
	pool->rx = (struct xsk_ring_cons){ .mask = RX_SIZE - 1, .size = RX_SIZE, .producer = &model->rx_producer,
					   .consumer = &model->rx_consumer, .ring = model->rx };
	if (afxdp_pool_init(pool) < 0)
		bench_die("no memory for the pool");
	for (uint32_t i = 0; i < sizeof frame; i++)
		frame[i] = shape_filler(i);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		model->lengths[i] = shape_fill(&shape, &cursor, 1, frame);
		memcpy(pool->area + (size_t)i * CHUNK + HEADROOM, frame, model->lengths[i]);
	}
	afxdp_clock_sample(&pool->clock);
	afxdp_pool_fill(pool);
}

/* The kernel's part, not timed: a full rx ring of stamped packets. */
static void deliver(struct model *model)
{
	uint64_t now = clock_monotonic_ns();

	for (uint32_t i = 0; i < RX_SIZE; i++) {
		uint64_t chunk = model->fill[model->fill_consumer++ % FILL_SIZE];
		struct afxdp_stamp stamp = { .time_ns = now + i };

		memcpy(model->pool.area + chunk + HEADROOM - sizeof stamp, &stamp, sizeof stamp);
		model->rx[model->rx_producer++ % RX_SIZE] = (struct xdp_desc){
			.addr = chunk + HEADROOM, .len = model->lengths[chunk / CHUNK],
		};
	}
}

static void empty_bare(struct model *model, bool line)
{
	struct afxdp_pool *pool = &model->pool;
	uint32_t at, to;
	unsigned count;

	while ((count = xsk_ring_cons__peek(&pool->rx, SOURCE_BURST, &at)) > 0) {
		if (xsk_ring_prod__reserve(&pool->fill, count, &to) != count)
			bench_die("the fill ring is full");
		for (unsigned i = 0; i < count; i++) {
			const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&pool->rx, at + i);

			if (line) {
				__builtin_prefetch(pool->area +
						   xsk_ring_cons__rx_desc(&pool->rx, at + i + AHEAD)->addr);
				model->sum += pool->area[desc->addr];
			}
			model->sum += desc->len;
			*xsk_ring_prod__fill_addr(&pool->fill, to + i) = desc->addr & ~(uint64_t)(CHUNK - 1);
		}
		xsk_ring_prod__submit(&pool->fill, count);
		xsk_ring_cons__release(&pool->rx, count);
	}
}

static void empty_pool(struct model *model, bool records)
{
	const struct decode_options options = { 0 };
	struct frame frames[SOURCE_BURST];
	uint64_t done = 0;
	unsigned count;

	while ((count = afxdp_pool_rx(&model->pool, frames, SOURCE_BURST)) > 0) {
		for (unsigned i = 0; i < count; i++) {
			const struct frame *frame = &frames[i];
			struct record *record = &model->records[(done + i) % 4096];

			if (records) {
				decode_packet(&options, frame->data, frame->captured_len, frame->wire_len,
					      frame->link_type, record, NULL);
				record->timestamp_ns = frame->timestamp_ns;
				record->status |= frame->flags & FRAME_DIRECTION_MASK;
			} else {
				model->sum += frame->wire_len;
			}
		}
		afxdp_pool_release(&model->pool, frames[0].span);
		done += count;
	}
}

static double measure(struct model *model, unsigned which, uint64_t packets)
{
	uint64_t spent = 0, done = 0;

	while (done < packets) {
		uint64_t start;

		deliver(model);
		start = bench_thread_ns();
		if (which < 2)
			empty_bare(model, which == 1);
		else
			empty_pool(model, which == 3);
		spent += bench_thread_ns() - start;
		done += RX_SIZE;
	}
	return (double)spent / (double)done;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "descs", "descs+line", "frames", "records" };
	static struct bench bench = { .name = "afxdp", .unit = "ns/packet", .base = "the bare loop over descs" };
	static struct model model;
	uint64_t packets = 4000000;

	bench.runs = 7;
	if (!bench_arguments(argc, argv, &bench.runs, &packets, "--packets"))
		return 2;
	model_open(&model);
	for (unsigned which = 0; which < 4; which++)
		measure(&model, which, packets / 8);
	for (unsigned run = 0; run < bench.runs; run++) {
		double bare = 0;

		for (unsigned which = 0; which < 4; which++) {
			double ns = measure(&model, which, packets);

			if (which == 0)
				bare = ns;
			bench_add(&bench, names[which], ns, ns / bare);
		}
	}
	bench_print(&bench);
	return model.pool.handed_out > 0 ? 0 : 1;
}
