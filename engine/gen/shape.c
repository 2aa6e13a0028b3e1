#include "engine/gen/shape.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gen/checksum.h"

_Static_assert(sizeof(struct shape_template) == 256, "the BPF program shifts by 8");

static const struct {
	const char *name;
	uint8_t headers; /* bytes before the payload */
	uint8_t l3, l4;  /* offsets of the headers whose checksum covers the stamp */
	uint8_t protocol;
} kinds[SHAPE_KINDS] = {
	[SHAPE_UDP] = { "udp", 42, 14, 34, 17 },
	[SHAPE_TCP] = { "tcp", 54, 14, 34, 6 },
	[SHAPE_UDP6] = { "ipv6", 62, 14, 54, 17 },
	[SHAPE_TCP6] = { "tcp6", 74, 14, 54, 6 },
	[SHAPE_ICMP] = { "icmp", 42, 14, 34, 1 },
	[SHAPE_VLAN] = { "vlan", 46, 18, 38, 17 },
	[SHAPE_QINQ] = { "qinq", 50, 22, 42, 17 },
	[SHAPE_VXLAN] = { "vxlan", 92, 64, 84, 17 },
};

static void put16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static bool is_ipv6(enum shape_kind kind)
{
	return kind == SHAPE_UDP6 || kind == SHAPE_TCP6;
}

/* IPv4 header at l3 with everything behind it counted in its total length. */
static void put_ipv4(uint8_t *frame, uint32_t l3, uint32_t length, uint8_t protocol, uint32_t slot)
{
	uint8_t *ip = frame + l3;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, length - l3);
	put16(ip + 6, 0x4000); /* don't fragment: an id of 0 is right then (RFC 6864) */
	ip[8] = 64;
	ip[9] = protocol;
	ip[12] = 198;
	ip[13] = 18;
	ip[15] = (uint8_t)(slot + 1);
	ip[16] = 198;
	ip[17] = 19;
	ip[19] = 1;
	checksum_store(ip + 10, checksum_finish(checksum_add(0, ip, 20), 0));
}

static void put_ipv6(uint8_t *frame, uint32_t l3, uint32_t length, uint8_t protocol, uint32_t slot)
{
	static const uint8_t prefix[6] = { 0x20, 0x01, 0x00, 0x02, 0x00, 0x00 };
	uint8_t *ip = frame + l3;

	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, length - l3 - 40);
	ip[6] = protocol;
	ip[7] = 64;
	memcpy(ip + 8, prefix, sizeof prefix);
	ip[23] = (uint8_t)(slot + 1);
	memcpy(ip + 24, prefix, sizeof prefix);
	ip[30] = 1;
	ip[39] = 1;
}

/* The Ethernet and tag part, and for VXLAN everything down to the inner Ethernet header. */
static void put_link(uint8_t *frame, enum shape_kind kind, uint32_t length, uint32_t slot,
		     const struct shape_options *options)
{
	memcpy(frame, options->dst_mac, 6);
	memcpy(frame + 6, options->src_mac, 6);
	switch (kind) {
	case SHAPE_VLAN:
		put16(frame + 12, 0x8100);
		put16(frame + 14, 3u << 13 | (100 + slot));
		break;
	case SHAPE_QINQ:
		put16(frame + 12, 0x88a8);
		put16(frame + 14, 200 + slot);
		put16(frame + 16, 0x8100);
		put16(frame + 18, 100 + slot);
		break;
	case SHAPE_VXLAN:
		put16(frame + 12, 0x0800);
		put_ipv4(frame, 14, length, 17, slot);
		put16(frame + 34, 49152 + slot);
		put16(frame + 36, 4789);
		put16(frame + 38, length - 34);
		put16(frame + 40, 0);
		memset(frame + 42, 0, 8);
		frame[42] = 0x08;
		frame[48] = (uint8_t)(slot + 1); /* VNI: 24 bits at 46 */
		memcpy(frame + 50, options->dst_mac, 6);
		memcpy(frame + 56, options->src_mac, 6);
		break;
	default:
		break;
	}
	put16(frame + kinds[kind].l3 - 2, is_ipv6(kind) ? 0x86dd : 0x0800);
}

/* The L4 header with ports, checksum and stamp zero. */
static void put_l4(uint8_t *frame, enum shape_kind kind, uint32_t length)
{
	uint8_t *l4 = frame + kinds[kind].l4;

	memset(l4, 0, kinds[kind].headers - kinds[kind].l4);
	switch (kinds[kind].protocol) {
	case 17:
		put16(l4 + 4, length - kinds[kind].l4);
		break;
	case 6:
		put16(l4 + 4, 0x5752); /* any sequence number will do */
		l4[12] = 5 << 4;
		l4[13] = 0x10; /* ACK */
		put16(l4 + 14, 0xffff);
		break;
	default:
		l4[0] = 8; /* echo request */
		break;
	}
}

/* Sum over the pseudo header, the L4 header and the payload, RFC 1071, RFC 8200 section 8.1. */
static uint32_t l4_sum(const uint8_t *frame, enum shape_kind kind, uint32_t length)
{
	uint32_t l4 = kinds[kind].l4, l3 = kinds[kind].l3;
	uint8_t pseudo[4] = { 0, kinds[kind].protocol };
	uint64_t sum = checksum_add(0, frame + l4, length - l4);

	if (kinds[kind].protocol == 1)
		return checksum_fold32(sum);
	put16(pseudo + 2, length - l4);
	sum = checksum_add(sum, pseudo, 4);
	sum = is_ipv6(kind) ? checksum_add(sum, frame + l3 + 8, 32) : checksum_add(sum, frame + l3 + 12, 8);
	return checksum_fold32(sum);
}

static void build_template(struct shape_template *template, enum shape_kind kind, uint32_t length,
			   uint32_t slot, const struct shape_options *options)
{
	uint8_t frame[SHAPE_LENGTH_MAX];
	uint32_t stamp = kinds[kind].headers;

	for (uint32_t i = 0; i < length; i++)
		frame[i] = shape_filler(i);
	put_link(frame, kind, length, slot, options);
	if (is_ipv6(kind))
		put_ipv6(frame, kinds[kind].l3, length, kinds[kind].protocol, slot);
	else
		put_ipv4(frame, kinds[kind].l3, length, kinds[kind].protocol, slot);
	put_l4(frame, kind, length);
	template->length = length;
	template->stamp_offset = stamp;
	template->ports_offset = kinds[kind].protocol == 1 ? kinds[kind].l4 + 4u : kinds[kind].l4;
	template->checksum_offset = kinds[kind].l4 + (kinds[kind].protocol == 17 ? 6u :
						       kinds[kind].protocol == 6 ? 16u : 2u);
	template->checksum_zero = kinds[kind].protocol == 17 ? 0xffff : 0;
	template->flow_in_stamp = length >= stamp + STAMP_BYTES_FLOW;
	memset(frame + stamp, 0, template->flow_in_stamp ? STAMP_BYTES_FLOW : STAMP_BYTES);
	put16(frame + stamp, STAMP_MAGIC);
	template->base_sum = l4_sum(frame, kind, length);
	for (uint32_t i = 0; i < SHAPE_HEADER; i++)
		template->header[i] = i < length ? frame[i] : 0;
}

static int parse_kind(const char *name, size_t length)
{
	for (int kind = 0; kind < SHAPE_KINDS; kind++) {
		if (strlen(kinds[kind].name) == length && strncmp(kinds[kind].name, name, length) == 0)
			return kind;
	}
	return -1;
}

/* "udp:3,vlan" to entries {udp udp udp vlan}. Returns how many. */
static int parse_mix(const char *mix, uint8_t entries[SHAPE_SLOTS], struct error *error)
{
	unsigned count = 0;

	while (*mix != '\0') {
		size_t word = strcspn(mix, ",");
		size_t name = strcspn(mix, ":,");
		int kind = parse_kind(mix, name);
		unsigned long weight = 1;

		if (kind < 0) {
			error_set(error, -EINVAL, "no kind of packet '%.*s' for --mix", (int)name, mix);
			return error_hint(error, "udp, tcp, ipv6, tcp6, icmp, vlan, qinq, vxlan, each with :WEIGHT if wanted");
		}
		if (name < word) {
			char *end;

			weight = strtoul(mix + name + 1, &end, 10);
			if (end != mix + word || weight == 0 || weight > SHAPE_SLOTS)
				return error_set(error, -EINVAL, "no weight in '%.*s' for --mix", (int)word, mix);
		}
		if (count + weight > SHAPE_SLOTS)
			return error_set(error, -EINVAL, "the weights of --mix add up to more than %d", SHAPE_SLOTS);
		for (unsigned long i = 0; i < weight; i++)
			entries[count++] = (uint8_t)kind;
		mix += word + (mix[word] == ',');
	}
	if (count == 0)
		return error_set(error, -EINVAL, "--mix is empty");
	return (int)count;
}

/* Sizes without FCS. Simple IMIX: IP packets of 40, 576 and 1500 bytes as 7:4:1, which on Ethernet are frames
 * of 60 (padded), 590 and 1514. */
static int parse_size(struct shape *shape, const char *text, uint32_t sizes[SHAPE_SIZES], struct error *error)
{
	static const uint8_t imix[SHAPE_SIZE_STEPS] = { 0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0 };
	unsigned long size;
	char *end;

	if (strcmp(text, "imix") == 0) {
		memcpy(shape->size_of_step, imix, sizeof imix);
		sizes[0] = 60;
		sizes[1] = 590;
		sizes[2] = 1514;
		shape->sizes = 3;
		return 0;
	}
	size = strtoul(text, &end, 10);
	if (end == text || *end != '\0' || size < SHAPE_LENGTH_MIN || size > SHAPE_LENGTH_MAX) {
		error_set(error, -EINVAL, "no frame size '%s'", text);
		return error_hint(error, "%d to %d bytes without FCS, or imix", SHAPE_LENGTH_MIN, SHAPE_LENGTH_MAX);
	}
	memset(shape->size_of_step, 0, sizeof shape->size_of_step);
	sizes[0] = (uint32_t)size;
	shape->sizes = 1;
	return 0;
}

int shape_build(struct shape *shape, const struct shape_options *options, struct error *error)
{
	uint8_t entries[SHAPE_SLOTS];
	uint32_t sizes[SHAPE_SIZES] = { 0 };
	int entry_count = parse_mix(options->mix != NULL ? options->mix : "udp", entries, error);
	int status;

	if (entry_count < 0)
		return entry_count;
	memset(shape, 0, sizeof *shape);
	status = parse_size(shape, options->size != NULL ? options->size : "60", sizes, error);
	if (status != 0)
		return status;
	if (options->flows == 0 || options->flows > SHAPE_FLOWS_MAX)
		return error_set(error, -EINVAL, "flows must be 1 to %u", SHAPE_FLOWS_MAX);
	shape->flows = options->flows < (uint32_t)entry_count ? (uint32_t)entry_count : options->flows;
	shape->slots = (uint32_t)entry_count;
	while (shape->slots + (uint32_t)entry_count <= SHAPE_SLOTS &&
	       shape->slots + (uint32_t)entry_count <= shape->flows)
		shape->slots += (uint32_t)entry_count;
	for (uint32_t slot = 0; slot < shape->slots; slot++) {
		enum shape_kind kind = entries[slot % (uint32_t)entry_count];

		for (uint32_t size = 0; size < shape->sizes; size++) {
			uint32_t least = kinds[kind].headers + STAMP_BYTES;
			uint32_t length = sizes[size] < least ? least : sizes[size];

			shape->raised += length != sizes[size];
			if (length > shape->longest)
				shape->longest = length;
			build_template(&shape->templates[slot * SHAPE_SIZES + size], kind, length, slot, options);
		}
	}
	return 0;
}

const struct shape_template *shape_next(const struct shape *shape, struct shape_cursor *cursor,
					uint32_t *flow, uint32_t *port)
{
	const struct shape_template *template =
		&shape->templates[cursor->slot * SHAPE_SIZES + shape->size_of_step[cursor->step]];

	*flow = cursor->flow;
	*port = cursor->port;
	cursor->sequence++;
	cursor->flow++;
	if (++cursor->slot == shape->slots) {
		cursor->slot = 0;
		cursor->port++;
	}
	if (++cursor->step == SHAPE_SIZE_STEPS)
		cursor->step = 0;
	if (cursor->flow == shape->flows) {
		cursor->flow = cursor->slot = cursor->port = 0;
		/* Each flow meets every size: 12 rounds start at 12 different steps. */
		if (++cursor->rounds == SHAPE_SIZE_STEPS)
			cursor->rounds = 0;
		cursor->step = cursor->rounds;
	}
	return template;
}

uint32_t shape_fill(const struct shape *shape, struct shape_cursor *cursor, uint64_t timestamp_ns,
		    uint8_t *frame)
{
	uint64_t sequence = __builtin_bswap64(cursor->sequence), timestamp = __builtin_bswap64(timestamp_ns);
	uint32_t flow, port;
	const struct shape_template *template = shape_next(shape, cursor, &flow, &port);
	uint8_t *stamp = frame + template->stamp_offset;
	uint16_t words[2] = { htons((uint16_t)(SHAPE_PORT_FIRST + port % SHAPE_PORTS)),
			      htons((uint16_t)(SHAPE_PORT_DISCARD + port / SHAPE_PORTS)) };
	uint64_t sum = template->base_sum;
	uint32_t flow_word = htonl(flow);

	memcpy(frame, template->header, template->length < SHAPE_HEADER ? template->length : SHAPE_HEADER);
	memcpy(frame + template->ports_offset, words, 4);
	memcpy(stamp + 2, &sequence, 8);
	memcpy(stamp + 10, &timestamp, 8);
	sum += words[0] + words[1];
	sum += (sequence >> 32) + (sequence & 0xffffffff) + (timestamp >> 32) + (timestamp & 0xffffffff);
	if (template->flow_in_stamp) {
		memcpy(stamp + 18, &flow_word, 4);
		sum += flow_word;
	}
	checksum_store(frame + template->checksum_offset, checksum_finish(sum, template->checksum_zero));
	return template->length;
}
