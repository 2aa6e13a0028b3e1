#include "engine/sources/xdprecords_ring.h"

#include <linux/bpf.h>
#include <string.h>

#include "decoders/decode.h"
#include "engine/bpf/xdprecords_shared.h"

#define HEADER_SIZE 8u
#define FLAGS (BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)

static uint32_t header_at(const struct xdprecords_ring *ring, uint64_t position)
{
	const uint32_t *header = (const uint32_t *)(ring->data + (position & ring->mask));

	/* pairs with: the kernel's xchg in bpf_ringbuf_commit. The sample is whole when BUSY is gone. */
	return __atomic_load_n(header, __ATOMIC_ACQUIRE);
}

static void give_back(struct xdprecords_ring *ring, uint64_t position)
{
	/* pairs with: the kernel's smp_load_acquire in __bpf_ringbuf_reserve. Our reads are over. */
	__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
}

static void fill_frame(struct xdprecords_ring *ring, const uint8_t *sample, uint32_t length,
		       struct frame *frame)
{
	*frame = (struct frame){
		.link_type = LINK_ETHERNET,
		.interface = ring->interface,
		.span = ring->newest % XDPRECORDS_SPANS,
	};
	if (length == sizeof(struct record)) {
		const struct record *record = (const struct record *)sample;

		frame->data = sample;
		frame->flags = FRAME_IS_RECORD;
		frame->timestamp_ns = record->timestamp_ns;
		frame->wire_len = frame->captured_len = record->wire_length;
	} else {
		const struct xdprecords_headers *headers = (const struct xdprecords_headers *)sample;

		frame->data = headers->bytes;
		frame->flags = headers->direction & FRAME_DIRECTION_MASK;
		frame->timestamp_ns = headers->timestamp_ns;
		frame->wire_len = frame->captured_len = headers->wire_length;
		if (headers->length < headers->wire_length) {
			frame->flags |= FRAME_MORE_FRAGMENTS;
			frame->fragment_len = headers->length;
		}
		ring->finished_here++;
	}
	if (frame->timestamp_ns > ring->last_ns)
		ring->last_ns = frame->timestamp_ns;
}

static void end_span(struct xdprecords_ring *ring, struct frame *last)
{
	uint32_t span = ring->newest % XDPRECORDS_SPANS;

	last->flags |= FRAME_LAST_OF_SPAN;
	ring->ends[span] = ring->position;
	ring->returned[span] = false;
	ring->newest++;
	if (ring->newest - ring->oldest > ring->out_most)
		ring->out_most = ring->newest - ring->oldest;
}

unsigned xdprecords_ring_rx(struct xdprecords_ring *ring, struct frame *frames, unsigned max)
{
	uint64_t start = ring->position, end;
	unsigned count = 0;

	if (ring->newest - ring->oldest == XDPRECORDS_SPANS)
		return 0;
	/* pairs with: the kernel's smp_store_release of producer_pos: headers below it are BUSY or whole. */
	end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	while (ring->position < end && count < max) {
		uint32_t header = header_at(ring, ring->position), length = header & ~FLAGS;
		const uint8_t *sample = ring->data + ((ring->position + HEADER_SIZE) & ring->mask);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (header & BPF_RINGBUF_DISCARD_BIT)
			ring->discarded++;
		else
			fill_frame(ring, sample, length, &frames[count++]);
		ring->position += (length + HEADER_SIZE + 7) & ~UINT64_C(7);
	}
	ring->handed_out += count;
	if (count > 0)
		end_span(ring, &frames[count - 1]);
	else if (ring->position != start && ring->oldest == ring->newest)
		give_back(ring, ring->position);
	return count;
}

void xdprecords_ring_release(struct xdprecords_ring *ring, uint32_t span)
{
	uint64_t position = 0;
	bool moved = false;

	ring->returned[span] = true;
	while (ring->oldest != ring->newest && ring->returned[ring->oldest % XDPRECORDS_SPANS]) {
		position = ring->ends[ring->oldest % XDPRECORDS_SPANS];
		ring->oldest++;
		moved = true;
	}
	if (!moved)
		return;
	/* Discarded samples behind the last span go with it. */
	give_back(ring, ring->oldest == ring->newest ? ring->position : position);
}

bool xdprecords_ring_waiting(struct xdprecords_ring *ring)
{
	/* pairs with: the kernel's xchg in bpf_ringbuf_commit, which comes before its look at consumer_pos. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring->position < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) &&
	       !(header_at(ring, ring->position) & BPF_RINGBUF_BUSY_BIT);
}
