/* One proof per header: from any state within the contract (state.h), over any bytes, its decoder does
 * nothing undefined and comes back to the contract. For every frame length in turn, in a block of
 * exactly that size: a read outside of the frame, by one byte, is an alarm.
 */
#include <stdlib.h>

#include "tests/prove/state.h"

/* Which lengths matter ends soon behind the longest fixed header; these stand for the frames that one
 * meets, and for the longest that is decoded. */
static const uint32_t long_frames[] = { 256, 576, 1514, 2048, 9018, 65535, 65550, 262144, DECODE_FRAME_BOUND };

#define LONG_FRAMES (sizeof long_frames / sizeof long_frames[0])

static struct decode_trace trace;

static uint8_t *any_packet(uint32_t length)
{
	uint8_t *packet = malloc(length);

	Frama_C_make_unknown((char *)packet, length);
	return packet;
}

/* Calls once(length) for the lengths 0..most and the long ones. */
#define EVERY_LENGTH(name, most)								\
	void prove_##name(void)								\
	{											\
		unknown();									\
		for (uint32_t length = 0; length <= most; length++) {				\
			once_##name(length);							\
			Frama_C_show_each_proven(length);					\
		}										\
		for (uint32_t i = 0; i < LONG_FRAMES; i++) {					\
			once_##name(long_frames[i]);						\
			Frama_C_show_each_proven(long_frames[i]);				\
		}										\
	}

#define DECODER(name, most, ...)								\
	static void once_##name(uint32_t length)						\
	{											\
		struct record out, scratch;							\
		uint8_t *packet = any_packet(length);						\
		struct decode_options options = any_options;					\
		struct decode d, pointers = {							\
			.cursor.start = packet, .options = &options, .described = &out, .scratch = &scratch, \
			.trace = &trace,							\
		};										\
		enum decode_next next;								\
												\
		any_state(&d, &pointers, length);						\
		next = decode_##name(__VA_ARGS__);						\
		still_holds(&d, &pointers, length, next);					\
		free(packet);									\
	}											\
												\
	EVERY_LENGTH(name, most)

#define HEADER(file, name, most) DECODER(name, most, &d)
#define HEADER_WITH(file, name, argument, most) DECODER(name, most, &d, argument)
#include "tests/prove/headers.h"

/* What decode_fast() calls besides: over any part of the frame, any ports. */
static void once_tcp_options(uint32_t length)
{
	uint8_t *packet = any_packet(length);
	struct cursor options = { .start = packet, .at = any32, .end = ANY_UP_TO(length) };

	seen = decode_tcp_options(options);
	free(packet);
}

EVERY_LENGTH(tcp_options, FRAME)

static void once_udp_ports(uint32_t length)
{
	struct decode_options options = any_options;
	enum decode_next next = decode_udp_ports(&options, (uint16_t)any32, (uint16_t)any32);

	//@ assert names_a_header: NEXT_END <= next <= NEXT_MPLS_UDP;
	seen = length;
}

EVERY_LENGTH(udp_ports, 0)
