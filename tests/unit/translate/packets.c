#include "packets.h"

#include <string.h>

uint64_t packet_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

struct maker {
	uint8_t *bytes;
	uint32_t at;
	uint64_t state;
};

static uint32_t pick(struct maker *maker, uint32_t below)
{
	return (uint32_t)(packet_random(&maker->state) >> 33) % below;
}

static void put(struct maker *maker, unsigned size, uint32_t value)
{
	for (unsigned i = size; i-- > 0;)
		maker->bytes[maker->at++] = (uint8_t)(value >> (8 * i));
}

static void noise(struct maker *maker, uint32_t size)
{
	while (size-- > 0 && maker->at < PACKET_MOST)
		maker->bytes[maker->at++] = (uint8_t)pick(maker, 256);
}

static uint16_t port(struct maker *maker)
{
	static const uint16_t ports[] = { 22, 53, 80, 85, 123, 443, 1000, 1024, 2000, 8080, 6081, 4789, 65535, 0 };

	return pick(maker, 8) ? ports[pick(maker, sizeof ports / sizeof ports[0])] : (uint16_t)pick(maker, 65536);
}

static void tcp(struct maker *maker)
{
	uint32_t words = pick(maker, 3) ? 5 : 5 + pick(maker, 11);

	put(maker, 2, port(maker));
	put(maker, 2, port(maker));
	put(maker, 4, pick(maker, 4) ? pick(maker, 1u << 31) : 0);
	put(maker, 4, pick(maker, 3) ? pick(maker, 1u << 31) : 0);
	put(maker, 1, words << 4);
	put(maker, 1, pick(maker, 2) ? 0x10 : pick(maker, 256));
	put(maker, 2, pick(maker, 65536));
	put(maker, 4, pick(maker, 65536) << 16);
	if (words > 5 && pick(maker, 2)) {
		put(maker, 4, 0x020405b4);
		words--;
	}
	noise(maker, 4 * (words - 5));
	if (pick(maker, 4) == 0)
		put(maker, 4, 0x47455420); /* "GET " */
}

static void transport(struct maker *maker, uint8_t protocol)
{
	switch (protocol) {
	case 6:
		tcp(maker);
		break;
	case 17:
		put(maker, 2, port(maker));
		put(maker, 2, port(maker));
		put(maker, 2, pick(maker, 1400));
		put(maker, 2, pick(maker, 65536));
		break;
	case 1:
	case 58:
		put(maker, 1, pick(maker, 2) ? (protocol == 1 ? 8 : 128) : pick(maker, 256));
		put(maker, 1, 0);
		put(maker, 2, pick(maker, 65536));
		put(maker, 4, pick(maker, 4) ? pick(maker, 1u << 31) : 0x00010001);
		break;
	default:
		put(maker, 4, (uint32_t)port(maker) << 16 | port(maker));
		noise(maker, 8);
	}
	noise(maker, pick(maker, 3) ? pick(maker, 64) : pick(maker, 1400));
}

static uint8_t protocol_of(struct maker *maker)
{
	static const uint8_t protocols[] = { 6, 6, 6, 17, 17, 17, 1, 58, 132, 2, 47, 50, 51, 4, 41, 112, 103 };

	return pick(maker, 20) ? protocols[pick(maker, sizeof protocols)] : (uint8_t)pick(maker, 256);
}

static void ipv4_address(struct maker *maker)
{
	static const uint32_t nets[] = { 0x0a000000, 0x0a000000, 0xc0a80100, 0xac100000, 0xe0000000, 0xffffff00 };

	put(maker, 4, pick(maker, 8) ? nets[pick(maker, 6)] + pick(maker, 5) : pick(maker, 1u << 31) * 2);
}

static void ipv4(struct maker *maker)
{
	uint32_t start = maker->at, words = pick(maker, 4) ? 5 : 5 + pick(maker, 11);
	uint8_t protocol = protocol_of(maker);

	put(maker, 1, 0x40 | words);
	put(maker, 1, pick(maker, 3) ? 0 : pick(maker, 256));
	put(maker, 2, 0);
	put(maker, 2, pick(maker, 3) ? pick(maker, 65536) : 0x1234);
	put(maker, 2, pick(maker, 4) ? 0x4000 : pick(maker, 65536));
	put(maker, 1, pick(maker, 2) ? 64 : pick(maker, 40));
	put(maker, 1, protocol);
	put(maker, 2, pick(maker, 65536));
	ipv4_address(maker);
	ipv4_address(maker);
	noise(maker, 4 * (words - 5));
	transport(maker, protocol);
	maker->bytes[start + 2] = (uint8_t)((maker->at - start) >> 8);
	maker->bytes[start + 3] = (uint8_t)(maker->at - start);
}

static void ipv6_address(struct maker *maker)
{
	put(maker, 4, pick(maker, 4) ? 0x20010db8 : pick(maker, 2) ? 0xfe800000 : 0xff020000);
	put(maker, 4, 0);
	put(maker, 4, 0);
	put(maker, 4, pick(maker, 4));
}

static void ipv6(struct maker *maker)
{
	uint32_t start = maker->at;
	uint8_t protocol = protocol_of(maker);

	put(maker, 4, 0x60000000);
	put(maker, 2, 0);
	put(maker, 1, protocol);
	put(maker, 1, pick(maker, 2) ? 64 : pick(maker, 256));
	ipv6_address(maker);
	ipv6_address(maker);
	transport(maker, protocol);
	maker->bytes[start + 4] = (uint8_t)((maker->at - start - 40) >> 8);
	maker->bytes[start + 5] = (uint8_t)(maker->at - start - 40);
}

static void network(struct maker *maker)
{
	uint32_t kind = pick(maker, 16);

	if (kind < 8) {
		put(maker, 2, 0x0800);
		ipv4(maker);
	} else if (kind < 12) {
		put(maker, 2, 0x86dd);
		ipv6(maker);
	} else if (kind == 12) {
		put(maker, 4, 0x08060001);
		put(maker, 4, 0x08000604);
		put(maker, 2, 1 + pick(maker, 2));
		noise(maker, 6);
		ipv4_address(maker);
		noise(maker, 6);
		ipv4_address(maker);
		noise(maker, 18);
	} else {
		static const uint16_t types[] = { 0x8847, 0x8863, 0x8864, 0x88cc, 0x809b, 0x80f3, 46, 100, 1500, 0x8035 };

		put(maker, 2, types[pick(maker, sizeof types / sizeof types[0])]);
		if (pick(maker, 2))
			put(maker, 4, 0xaaaa0300);
		noise(maker, 46 + pick(maker, 40));
	}
}

static void address(struct maker *maker)
{
	put(maker, 4, pick(maker, 4) ? 0x02000000 : pick(maker, 2) ? 0xffffffff : 0x01005e00);
	put(maker, 2, maker->bytes[maker->at - 1] == 0xff ? 0xffff : pick(maker, 3));
}

uint32_t packet_make(uint64_t seed, unsigned i, uint8_t bytes[PACKET_MOST])
{
	uint8_t room[PACKET_MOST + 512];
	struct maker maker = { .bytes = room, .state = seed * 1000003 + i + 1 };
	uint32_t tags, change;

	for (int warm = 0; warm < 4; warm++)
		packet_random(&maker.state);
	address(&maker);
	address(&maker);
	tags = pick(&maker, 4) ? 0 : 1 + pick(&maker, 3);
	for (uint32_t tag = 0; tag < tags; tag++) {
		put(&maker, 2, pick(&maker, 3) ? 0x8100 : pick(&maker, 3) ? 0x88a8 : 0x9100);
		put(&maker, 2, pick(&maker, 2) ? 100 + 100 * pick(&maker, 2) : pick(&maker, 65536));
	}
	network(&maker);
	change = pick(&maker, 8);
	if (change == 0)
		maker.at = PACKET_LEAST + pick(&maker, maker.at - PACKET_LEAST + 1);
	else if (change == 1)
		for (unsigned turned = 0; turned < 4; turned++)
			room[pick(&maker, maker.at)] ^= (uint8_t)(1u << pick(&maker, 8));
	else if (change == 2 && pick(&maker, 4) == 0) {
		maker.at = 0;
		noise(&maker, PACKET_LEAST + pick(&maker, 200));
	}
	if (maker.at > PACKET_MOST)
		maker.at = PACKET_MOST;
	memcpy(bytes, room, maker.at);
	return maker.at;
}
