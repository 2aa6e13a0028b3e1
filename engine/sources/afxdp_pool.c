#include "engine/sources/afxdp_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/decode.h"
#include "engine/clock.h"
#include "engine/uapi.h"

#define FIRST_LINE_PACKET 60u /* bytes: the least that Ethernet has; headers end before its padding */
#define AHEAD 8       /* descs: how far packets are asked for before they are read */
#define STAMP_AGE_NS UINT64_C(3600000000000) /* packets of a process that was stopped may have waited long */
#define AHEAD_DESC 32 /* descs: the same for the descs, which lie in the cache of the CPU that received */

/* What one call of afxdp_pool_rx has gathered. */
struct burst {
	struct frame *frames;
	unsigned count;
	uint32_t first, last;          /* the span's chain */
	uint64_t now_ns;               /* wall clock, read when the first frame needs it; 0: not yet */
	unsigned back_count;
	uint64_t *back;                /* chunks that go straight back: SOURCE_BURST of them, not cleared for each call */
};

void afxdp_clock_sample(struct afxdp_clock *clock)
{
	uint64_t before = clock_read_ns(clock->clock), wall = clock_wall_ns(), after = clock_read_ns(clock->clock);

	clock->sampled_ns = before + (after - before) / 2;
	clock->offset_ns = (int64_t)(wall - clock->sampled_ns);
	/* The clock may be that of the time since boot, and boot less than STAMP_AGE_NS ago. */
	clock->oldest_ns = clock->sampled_ns > STAMP_AGE_NS ? clock->sampled_ns - STAMP_AGE_NS : 1;
	clock->window_ns = clock->sampled_ns + AFXDP_CLOCK_PERIOD_NS - clock->oldest_ns;
}

int afxdp_pool_init(struct afxdp_pool *pool)
{
	pool->next = calloc((size_t)pool->chunk_count + pool->side_count, sizeof *pool->next);
	pool->side_free = calloc(pool->side_count + 1, sizeof *pool->side_free);
	if (pool->next == NULL || pool->side_free == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < pool->side_count; i++)
		pool->side_free[i] = pool->side_count - 1 - i;
	pool->side_free_count = pool->side_count;
	if ((pool->chunk_size & (pool->chunk_size - 1)) == 0)
		pool->chunk_shift = (unsigned)__builtin_ctz(pool->chunk_size);
	return 0;
}

void afxdp_pool_close(struct afxdp_pool *pool)
{
	free(pool->next);
	free(pool->side_free);
	pool->next = pool->side_free = NULL;
	/* libxdp sets all of a new ring but how far its owner got in the old one. */
	memset(&pool->rx, 0, sizeof pool->rx);
	memset(&pool->fill, 0, sizeof pool->fill);
}

/* --- the fill ring ---------------------------------------------------------------------------- */

static void give_back(struct afxdp_pool *pool, const uint64_t *chunks, unsigned count)
{
	uint32_t at;

	/* The ring holds twice the chunks that exist: a refusal means that one was given back twice. */
	if (count == 0)
		return;
	if (xsk_ring_prod__reserve(&pool->fill, count, &at) != count)
		abort();
	for (unsigned i = 0; i < count; i++)
		*xsk_ring_prod__fill_addr(&pool->fill, at + i) = chunks[i];
	xsk_ring_prod__submit(&pool->fill, count);
}

void afxdp_pool_fill(struct afxdp_pool *pool)
{
	for (uint32_t i = 0; i < pool->chunk_count; i++) {
		uint64_t chunk = (uint64_t)i * pool->chunk_size;

		give_back(pool, &chunk, 1);
	}
}

void afxdp_pool_release(struct afxdp_pool *pool, uint32_t span)
{
	uint64_t chunks[SOURCE_BURST];
	unsigned count = 0;

	for (uint32_t id = span; id != AFXDP_POOL_NONE; id = pool->next[id]) {
		if (id >= pool->chunk_count) {
			pool->side_free[pool->side_free_count++] = id - pool->chunk_count;
			continue;
		}
		chunks[count++] = (uint64_t)id * pool->chunk_size;
	}
	pool->held -= count;
	give_back(pool, chunks, count);
}

bool afxdp_pool_waiting(struct afxdp_pool *pool)
{
	return xsk_cons_nb_avail(&pool->rx, 1) > 0;
}

/* --- frames ----------------------------------------------------------------------------------- */

/* A stamp is believed when it is not far from when the clock was sampled last: 0, which says that there is none, is
 * not, nor are other bytes that a driver may have left there. */
static inline bool is_current(const struct afxdp_clock *clock, uint64_t stamp_ns)
{
	return stamp_ns - clock->oldest_ns < clock->window_ns;
}

/* No stamp, or the first for a while, which calls for a sample. */
static __attribute__((noinline)) uint64_t odd_time(struct afxdp_pool *pool, struct burst *burst, uint64_t stamp_ns)
{
	if (stamp_ns != 0) {
		afxdp_clock_sample(&pool->clock);
		if (is_current(&pool->clock, stamp_ns))
			return stamp_ns + (uint64_t)pool->clock.offset_ns;
	}
	pool->unstamped++;
	if (burst->now_ns == 0)
		burst->now_ns = clock_wall_ns();
	return burst->now_ns;
}

/* Takes the stamp in front of the packet, so that the chunk's next packet cannot show it again. */
static inline uint64_t take_time(struct afxdp_pool *pool, struct burst *burst, uint8_t *data)
{
	struct afxdp_stamp stamp;

	memcpy(&stamp, data - sizeof stamp, sizeof stamp);
	memset(data - sizeof stamp, 0, sizeof stamp);
	if (__builtin_expect(!is_current(&pool->clock, stamp.time_ns), false))
		return odd_time(pool, burst, stamp.time_ns);
	return stamp.time_ns + (uint64_t)pool->clock.offset_ns;
}

/* As the stack will see it (kernel: eth_type_trans): for us, for all or some, or for another host. */
static inline uint32_t direction(const struct afxdp_pool *pool, const uint8_t *data, uint32_t length)
{
	if (length < sizeof pool->mac || (data[0] & 1) || memcmp(data, pool->mac, sizeof pool->mac) == 0)
		return DIRECTION_IN;
	return DIRECTION_OTHER;
}

static void chain(struct afxdp_pool *pool, struct burst *burst, uint32_t id)
{
	pool->next[id] = AFXDP_POOL_NONE;
	if (burst->last == AFXDP_POOL_NONE)
		burst->first = id;
	else
		pool->next[burst->last] = id;
	burst->last = id;
}

/* So many chunks more are ours. */
static void hold(struct afxdp_pool *pool, uint32_t chunks)
{
	pool->held += chunks;
	if (pool->held > pool->held_most)
		pool->held_most = pool->held;
}

/* Where a desc's bytes are. kernel: with unaligned chunks the upper 16 bits are the offset to add. */
static uint64_t address_of(const struct xdp_desc *desc)
{
	return xsk_umem__add_offset_to_addr(desc->addr);
}

static uint32_t chunk_of(const struct afxdp_pool *pool, const struct xdp_desc *desc)
{
	uint64_t address = xsk_umem__extract_addr(desc->addr);

	/* A division costs more than all else here. */
	return (uint32_t)(pool->chunk_shift != 0 ? address >> pool->chunk_shift : address / pool->chunk_size);
}

/* The frame's bytes into a side slot, all its chunks straight back. Returns where they are now. */
static const uint8_t *copy_aside(struct afxdp_pool *pool, struct burst *burst, uint32_t at, unsigned descs,
				 uint32_t length)
{
	uint32_t slot = pool->side_free[--pool->side_free_count], copied = 0;
	uint8_t *to = pool->side + (size_t)slot * pool->side_stride;

	for (unsigned i = 0; i < descs; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&pool->rx, at + i);
		uint32_t part = desc->len < length - copied ? desc->len : length - copied;

		memcpy(to + copied, pool->area + address_of(desc), part);
		copied += part;
		burst->back[burst->back_count++] = (uint64_t)chunk_of(pool, desc) * pool->chunk_size;
	}
	chain(pool, burst, pool->chunk_count + slot);
	return to;
}

/* How many descs the frame at `at` has, of `available`; 0: its end is not among them. */
static unsigned descs_of(struct afxdp_pool *pool, uint32_t at, unsigned available, uint32_t *length)
{
	*length = 0;
	for (unsigned i = 0; i < available; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&pool->rx, at + i);

		*length += desc->len;
		if (!(desc->options & XDP_PKT_CONTD))
			return i + 1;
	}
	return 0;
}

/* A frame by its first desc and the whole packet's length. */
static inline void fill_frame(struct afxdp_pool *pool, struct burst *burst, struct frame *frame,
			      const struct xdp_desc *head, uint32_t length)
{
	uint8_t *data = pool->area + address_of(head);

	*frame = (struct frame){
		.data = data,
		.timestamp_ns = take_time(pool, burst, data),
		.captured_len = length < pool->snap_length ? length : pool->snap_length,
		.wire_len = length,
		.flags = direction(pool, data, head->len),
		.link_type = LINK_ETHERNET,
		.interface = pool->interface,
	};
}

/* Asks for what lies some descs ahead; all of it was written by another CPU. Beyond the ring's end an old desc is
 * asked for, which does no harm. */
static inline void ask_ahead(struct afxdp_pool *pool, uint32_t at)
{
	const struct xdp_desc *ahead = xsk_ring_cons__rx_desc(&pool->rx, at + AHEAD);
	const uint8_t *data = pool->area + address_of(ahead);

	__builtin_prefetch(xsk_ring_cons__rx_desc(&pool->rx, at + AHEAD_DESC));
	__builtin_prefetch(data - sizeof(struct afxdp_stamp));
	/* The stamp's line has 56 bytes of the packet. Of a longer one some header may lie behind them. */
	if (ahead->len > FIRST_LINE_PACKET)
		__builtin_prefetch(data + 64 - sizeof(struct afxdp_stamp));
}

/* The frames of one desc each at the front of `count` descs: nearly all there are. Returns how many. */
static unsigned take_plain(struct afxdp_pool *pool, struct burst *burst, uint32_t at, unsigned count)
{
	unsigned taken;

	for (taken = 0; taken < count; taken++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&pool->rx, at + taken);

		if (desc->options & XDP_PKT_CONTD)
			break;
		ask_ahead(pool, at + taken);
		fill_frame(pool, burst, &burst->frames[burst->count + taken], desc, desc->len);
		chain(pool, burst, chunk_of(pool, desc));
	}
	burst->count += taken;
	hold(pool, taken);
	return taken;
}

/* A frame of several descs, or one for which no chunk may be held. False: no room for it. */
static bool take_unusual(struct afxdp_pool *pool, struct burst *burst, uint32_t at, unsigned descs,
			 uint32_t length)
{
	const struct xdp_desc *head = xsk_ring_cons__rx_desc(&pool->rx, at);
	uint32_t kept = length < pool->snap_length ? length : pool->snap_length;
	bool spent = pool->held >= pool->share, join = kept > head->len && !pool->headers_only;
	struct frame *frame;

	if ((spent || join) && pool->side_free_count == 0)
		return false;
	frame = &burst->frames[burst->count++];
	fill_frame(pool, burst, frame, head, length);
	if (spent || join) {
		if (kept > pool->side_stride)
			frame->captured_len = kept = (uint32_t)pool->side_stride;
		frame->data = copy_aside(pool, burst, at, descs, kept);
		pool->joined += join;
		pool->side_copies += !join;
		return true;
	}
	if (kept > head->len) {
		frame->flags |= FRAME_MORE_FRAGMENTS;
		frame->fragment_len = head->len;
	}
	chain(pool, burst, chunk_of(pool, head));
	hold(pool, 1);
	for (unsigned i = 1; i < descs; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&pool->rx, at + i);

		burst->back[burst->back_count++] = (uint64_t)chunk_of(pool, desc) * pool->chunk_size;
	}
	return true;
}

static void end_span(struct afxdp_pool *pool, struct burst *burst)
{
	for (unsigned i = 0; i < burst->count; i++)
		burst->frames[i].span = burst->first;
	burst->frames[burst->count - 1].flags |= FRAME_LAST_OF_SPAN;
	pool->handed_out += burst->count;
}

/* Whether more descs than the available ones have come. xsk_ring_cons__peek looks again only when it knows of
 * none at all. Returns how many are peeked now. */
static unsigned look_again(struct afxdp_pool *pool, uint32_t start, unsigned available)
{
	uint32_t known;

	/* pairs with: the kernel's xskq_prod_submit. */
	pool->rx.cached_prod = __atomic_load_n(pool->rx.producer, __ATOMIC_ACQUIRE);
	known = pool->rx.cached_prod - start;
	if (known > SOURCE_BURST)
		known = SOURCE_BURST;
	pool->rx.cached_cons = start + known;
	return known;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned afxdp_pool_rx(struct afxdp_pool *pool, struct frame *frames, unsigned max)
{
	uint64_t back[SOURCE_BURST];
	struct burst burst = { .frames = frames, .back = back, .first = AFXDP_POOL_NONE, .last = AFXDP_POOL_NONE };
	uint32_t start, taken = 0;
	unsigned available = xsk_ring_cons__peek(&pool->rx, SOURCE_BURST, &start);

	while (taken < available && burst.count < max) {
		unsigned most = least(available - taken, max - burst.count), descs;
		unsigned room = pool->share > pool->held ? pool->share - pool->held : 0;
		uint32_t length;

		taken += take_plain(pool, &burst, start + taken, least(most, room));
		if (taken == available || burst.count == max)
			break;
		descs = descs_of(pool, start + taken, available - taken, &length);
		if (descs == 0) {
			unsigned more = look_again(pool, start, available);

			if (more == available)
				break; /* the frame's last desc comes with a later call */
			available = more;
			continue;
		}
		if (!take_unusual(pool, &burst, start + taken, descs, length)) {
			pool->blocked++;
			break;
		}
		taken += descs;
	}
	xsk_ring_cons__cancel(&pool->rx, available - taken);
	if (taken > 0)
		xsk_ring_cons__release(&pool->rx, taken);
	give_back(pool, burst.back, burst.back_count);
	if (burst.count > 0)
		end_span(pool, &burst);
	return burst.count;
}
