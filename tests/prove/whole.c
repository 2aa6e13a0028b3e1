/* The whole: decode_packet(), real, over every length, with the headers' decoders replaced by their
 * contract. Each of them first demands that the state it is called with holds to the contract
 * (state.h), which is all that entries.c assumes; then leaves any state that holds to it, and names any
 * header. So decode_packet() establishes the contract for the first header, its loop for all others,
 * and what it does around and after them is not undefined. The plain way (decode_fast.h) is in it.
 */
#include <stdlib.h>

#include "decoders/checksum.h"
#include "tests/prove/state.h"

static struct record out;
static struct decode_trace trace;
static struct decode_options options;
static const uint8_t *frame;
static uint32_t frame_length;

static enum decode_next any_next(void)
{
	return ANY_UP_TO(NEXT_MPLS_UDP);
}

static enum decode_next any_header(struct decode *d)
{
	struct decode pointers = {
		.cursor.start = frame, .options = &options, .described = &out, .scratch = d->scratch,
		.trace = &trace,
	};

	still_holds(d, &pointers, frame_length, NEXT_END);
	any_state(d, &pointers, frame_length);
	return any_next();
}

#define HEADER(file, name, most)                                                               \
	enum decode_next decode_##name(struct decode *d)                                       \
	{                                                                                      \
		return any_header(d);                                                          \
	}
#define HEADER_WITH(file, name, argument, most)                                                \
	enum decode_next decode_##name(struct decode *d, bool with)                            \
	{                                                                                      \
		seen = with;                                                                   \
		return any_header(d);                                                          \
	}
#include "tests/prove/headers.h"

uint32_t decode_tcp_options(struct cursor span)
{
	//@ assert same_start: span.start == frame;
	//@ assert end_within_frame: span.end <= frame_length;
	seen = span.at;
	return any32;
}

enum decode_next decode_udp_ports(const struct decode_options *given, uint16_t src_port, uint16_t dst_port)
{
	//@ assert same_options: given == &options;
	seen = src_port + dst_port;
	return any_next();
}

static void once(uint32_t length)
{
	uint8_t *packet = malloc(length);
	struct decode_trace *traced = ANY_BOOL() ? &trace : NULL;

	Frama_C_make_unknown((char *)packet, length);
	options = any_options;
	frame = packet;
	frame_length = length;
	decode_packet(&options, packet, length, any32, (uint16_t)any32, &out, traced);
	//@ assert record_filled: \initialized((char *)&out + (0 .. sizeof(struct record) - 1));
	//@ assert trace_bound: traced == \null || traced->count <= DECODE_TRACE_LAYERS;
	free(packet);
}

static const uint32_t long_frames[] = {
	256, 576, 1514, 2048, 9018, 65535, 65550, 262144, DECODE_FRAME_BOUND, DECODE_FRAME_BOUND + 1,
};

void prove_packet(void)
{
	unknown();
	for (uint32_t length = 0; length <= FRAME; length++) {
		once(length);
		Frama_C_show_each_proven(length);
	}
	for (uint32_t i = 0; i < sizeof long_frames / sizeof long_frames[0]; i++) {
		once(long_frames[i]);
		Frama_C_show_each_proven(long_frames[i]);
	}
}
