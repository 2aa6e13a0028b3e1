/* The translated filter against libpcap's interpreter: what the kernel answers under BPF_PROG_TEST_RUN must
 * be what bpf_filter answers, for every filter and packet. Needs to load BPF programs: skipped without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/filter/filter_live.h"
#include "engine/filter/translate.h"
#include "filters.h"
#include "packets.h"
#include "reference.h"

#define PACKETS 400
#define RANDOM_FILTERS 120
#define SEED 20240229
#define STEPS_MOST 64

static char verifier_log[1 << 20];

/* A loaded program, or -errno; *error says what translate_filter thought. */
static int load(const struct sock_filter *code, unsigned length, enum translate_tags tags, bool fragments,
		struct error *error)
{
	struct filter_program filter = { .code = (struct sock_filter *)code, .length = length };
	struct translate_options options = { .tags = tags, .fragments = fragments, .tail_calls = -1 };
	struct translate_program program;
	LIBBPF_OPTS(bpf_prog_load_opts, load_options, .prog_flags = fragments ? BPF_F_XDP_HAS_FRAGS : 0);
	int result = translate_filter(&filter, &options, &program, error);

	if (result < 0)
		return result;
	result = bpf_prog_load(BPF_PROG_TYPE_XDP, "translated", "Dual MIT/GPL", program.code, program.length,
			       &load_options);
	if (result < 0) {
		result = -errno;
		load_options.log_buf = verifier_log;
		load_options.log_size = sizeof verifier_log;
		load_options.log_level = 1;
		bpf_prog_load(BPF_PROG_TYPE_XDP, "translated", "Dual MIT/GPL", program.code, program.length,
			      &load_options);
		fprintf(stderr, "verifier: %.2000s\n", verifier_log);
	}
	translate_close(&program);
	return result;
}

static uint32_t run(int fd, const uint8_t *bytes, uint32_t length)
{
	static uint8_t after[16384];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = length, .data_out = after,
		    .data_size_out = sizeof after, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(fd, &options), 0);
	/* The frame leaves as it came. */
	assert_int_equal(options.data_size_out, length);
	assert_memory_equal(after, bytes, length);
	return options.retval;
}

static uint32_t run_program(const struct sock_filter *code, unsigned length, enum translate_tags tags,
			    const uint8_t *bytes, uint32_t size)
{
	int fd = load(code, length, tags, false, NULL);
	uint32_t verdict;

	assert_true(fd >= 0);
	verdict = run(fd, bytes, size);
	close(fd);
	return verdict;
}

/* --- the differential test -------------------------------------------------------------------- */

/* A valid program of any opcodes; jumps lead forward and the last step returns. */
static unsigned random_program(uint64_t *state, struct sock_filter *code)
{
	static const uint16_t opcodes[] = {
		BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_W | BPF_IND,
		BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_B | BPF_IND, BPF_LD | BPF_W | BPF_LEN, BPF_LD | BPF_IMM,
		BPF_LD | BPF_MEM, BPF_LDX | BPF_B | BPF_MSH, BPF_LDX | BPF_W | BPF_LEN, BPF_LDX | BPF_IMM,
		BPF_LDX | BPF_MEM, BPF_ST, BPF_STX, BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA, BPF_ALU | BPF_NEG,
		BPF_ALU | BPF_ADD | BPF_K, BPF_ALU | BPF_SUB | BPF_X, BPF_ALU | BPF_MUL | BPF_K, BPF_ALU | BPF_MUL | BPF_X,
		BPF_ALU | BPF_DIV | BPF_K, BPF_ALU | BPF_DIV | BPF_X, BPF_ALU | BPF_MOD | BPF_K, BPF_ALU | BPF_MOD | BPF_X,
		BPF_ALU | BPF_AND | BPF_K, BPF_ALU | BPF_AND | BPF_X, BPF_ALU | BPF_OR | BPF_X, BPF_ALU | BPF_OR | BPF_K,
		BPF_ALU | BPF_XOR | BPF_K, BPF_ALU | BPF_XOR | BPF_X, BPF_ALU | BPF_LSH | BPF_K, BPF_ALU | BPF_LSH | BPF_X,
		BPF_ALU | BPF_RSH | BPF_K, BPF_ALU | BPF_RSH | BPF_X, BPF_ALU | BPF_ADD | BPF_X, BPF_ALU | BPF_SUB | BPF_K,
		BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JGT | BPF_K, BPF_JMP | BPF_JGE | BPF_K,
		BPF_JMP | BPF_JSET | BPF_K, BPF_JMP | BPF_JEQ | BPF_X, BPF_JMP | BPF_JGT | BPF_X, BPF_JMP | BPF_JGE | BPF_X,
		BPF_JMP | BPF_JSET | BPF_X, BPF_RET | BPF_K, BPF_RET | BPF_A,
	};
	unsigned length = 6 + (unsigned)(packet_random(state) >> 40) % (STEPS_MOST - 16), at = 0;

	for (; at < 4; at++) /* libpcap's scratch memory starts with what lay on its stack */
		code[at] = (struct sock_filter)BPF_STMT(BPF_ST, at);
	for (; at < length - 1; at++) {
		uint64_t dice = packet_random(state);
		uint16_t code_of = opcodes[(dice >> 8) % (sizeof opcodes / sizeof opcodes[0])];
		uint32_t k = (uint32_t)(dice >> 32), left = length - 2 - at;

		code[at] = (struct sock_filter){ .code = code_of };
		switch (BPF_CLASS(code_of)) {
		case BPF_LD:
		case BPF_LDX:
			/* Near the start, near the end of a packet, or anywhere below the ancillaries. */
			code[at].k = BPF_MODE(code_of) == BPF_MEM   ? k % 4
				     : BPF_MODE(code_of) == BPF_IMM ? (dice & 1 ? k : k % 64)
				     : dice & 7			    ? k % 96
								    : k & 0x7fffffff;
			break;
		case BPF_ST:
		case BPF_STX:
			code[at].k = k % 4;
			break;
		case BPF_ALU:
			code[at].k = BPF_OP(code_of) == BPF_LSH || BPF_OP(code_of) == BPF_RSH ? k % 32 : k | 1;
			break;
		case BPF_JMP:
			code[at].jt = (uint8_t)(left ? dice % (left + 1) % 20 : 0);
			code[at].jf = (uint8_t)(left ? (dice >> 16) % (left + 1) % 20 : 0);
			code[at].k = BPF_OP(code_of) == BPF_JA ? code[at].jt : dice & 1 ? k : k % 256;
			break;
		default:
			code[at].k = k;
		}
	}
	code[at] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return length;
}

static unsigned filters_run, pairs_run, accepted_run;

static void compare(const struct sock_filter *code, unsigned length, const char *name)
{
	uint8_t bytes[PACKET_MOST];
	struct error error = { 0 };
	int fd = load(code, length, TRANSLATE_RAW, filters_run % 2, &error);

	if (fd < 0)
		fail_msg("%s: %s (%s)", name, error.message, strerror(-fd));
	for (unsigned i = 0; i < PACKETS; i++) {
		uint32_t size = packet_make(SEED, i, bytes);
		uint32_t expected = reference_run(code, bytes, size), got = run(fd, bytes, size);

		if (got != expected)
			fail_msg("%s, packet %u of %u bytes: libpcap says %u, XDP says %u", name, i, size, expected, got);
		accepted_run += expected != 0;
	}
	pairs_run += PACKETS;
	filters_run++;
	close(fd);
}

static void agrees_with_libpcap(void **state)
{
	static struct sock_filter code[BPF_MAXINSNS];
	uint64_t dice = SEED;

	for (unsigned i = 0; i < filter_text_count; i++) {
		unsigned length = reference_compile(filter_texts[i], i % 4 != 3, code);

		assert_true(length > 0);
		compare(code, length, filter_texts[i]);
	}
	for (unsigned i = 0; i < RANDOM_FILTERS; i++) {
		char name[32];

		snprintf(name, sizeof name, "random program %u", i);
		compare(code, random_program(&dice, code), name);
	}
	printf("%u filters, %u pairs, %u accepted\n", filters_run, pairs_run, accepted_run);
	assert_true(filters_run >= 300);
	assert_true(pairs_run >= 100000);
	assert_in_range(accepted_run, pairs_run / 20, pairs_run - pairs_run / 20);
}

/* --- tags ------------------------------------------------------------------------------------- */

/* Packet with a tag in front of its EtherType. */
static uint32_t tag(const uint8_t *bytes, uint32_t size, uint16_t tpid, uint16_t tci, uint8_t *tagged)
{
	const uint8_t field[4] = { (uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(tci >> 8), (uint8_t)tci };

	memcpy(tagged, bytes, 12);
	memcpy(tagged + 12, field, sizeof field);
	memcpy(tagged + 16, bytes + 12, size - 12);
	return size + 4;
}

/* A stripped program on a tagged frame says what the plain program says of the frame without its tag. */
static void stripped_sees_no_tag(void **state)
{
	static struct sock_filter code[BPF_MAXINSNS];
	uint8_t bytes[PACKET_MOST], tagged[PACKET_MOST + 4];
	unsigned pairs = 0;

	for (unsigned i = 0; i < filter_text_count; i += 3) {
		unsigned length = reference_compile(filter_texts[i], true, code);
		int fd = load(code, length, TRANSLATE_STRIPPED, i % 2, NULL);

		assert_true(fd >= 0);
		for (unsigned packet = 0; packet < PACKETS; packet += 4) {
			uint32_t size = packet_make(SEED, packet, bytes), expected = reference_run(code, bytes, size);
			uint32_t with = tag(bytes, size, packet % 8 ? 0x8100 : 0x88a8, (uint16_t)(packet * 7), tagged);

			if (run(fd, tagged, with) != expected)
				fail_msg("%s, tagged packet %u: not %u", filter_texts[i], packet, expected);
			/* Without a tag that the stack would take, nothing moves. */
			if (size < 18 || (memcmp(bytes + 12, "\x81\x00", 2) && memcmp(bytes + 12, "\x88\xa8", 2)))
				assert_int_equal(run(fd, bytes, size), expected);
			pairs++;
		}
		close(fd);
	}
	printf("%u stripped pairs\n", pairs);
}

/* The program for a packet socket (compiled on an activated handle: VLAN by ancillaries) says at XDP what
 * the text means on the bytes. */
static void live_vlan_filters(void **state)
{
	static const char *const texts[] = { "vlan", "vlan 100", "vlan 200", "vlan 100 and ip", "vlan and tcp",
					     "vlan 100 and udp", "vlan 100 and vlan 200", "vlan and vlan and ip" };
	static struct sock_filter plain[BPF_MAXINSNS];
	struct interfaces_entry lo;
	uint8_t bytes[PACKET_MOST];
	unsigned accepted = 0;

	if (interfaces_lookup("lo", &lo, NULL) < 0)
		skip();
	lo.hardware_type = 1; /* no direction prologue */
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct filter_live live;
		struct error error = { 0 };
		int fd;

		assert_true(reference_compile(texts[i], true, plain) > 0);
		if (filter_live_compile(texts[i], &lo, 262144, SOURCE_IN_OUT, &live, &error) < 0)
			fail_msg("%s: %s", texts[i], error.message);
		assert_null(live.user);
		fd = load(live.kernel->code, live.kernel->length, TRANSLATE_STRIPPED, false, &error);
		if (fd < 0)
			fail_msg("%s: %s", texts[i], error.message);
		for (unsigned packet = 0; packet < 4 * PACKETS; packet++) {
			uint32_t size = packet_make(SEED + 1, packet, bytes), expected;

			/* libpcap's live code also takes 0x9100, and looks into frames that end in the tag. */
			if (size < 22)
				continue;
			expected = reference_run(plain, bytes, size);
			if ((run(fd, bytes, size) != 0) != (expected != 0))
				fail_msg("%s, packet %u: libpcap says %u", texts[i], packet, expected);
			accepted += expected != 0;
		}
		close(fd);
		filter_live_close(&live);
	}
	assert_true(accepted > 100);
}

static void vlan_ancillaries(void **state)
{
	uint8_t bytes[PACKET_MOST] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45 }, tagged[PACKET_MOST];
	const struct sock_filter present[] = { BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
							SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT),
					       BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter tci[] = { BPF_STMT(BPF_LD | BPF_H | BPF_ABS, SKF_AD_OFF + SKF_AD_VLAN_TAG),
					   BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter tpid[] = { BPF_STMT(BPF_LD | BPF_H | BPF_ABS, SKF_AD_OFF + SKF_AD_VLAN_TPID),
					    BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter protocol[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PROTOCOL),
						BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter length[] = { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0) };
	uint32_t with;

	/* Priority 5, DEI, VID 0xabc: every bit of the TCI. */
	with = tag(bytes, 60, 0x88a8, 0xbabc, tagged);
	assert_int_equal(run_program(present, 2, TRANSLATE_STRIPPED, tagged, with), 1);
	assert_int_equal(run_program(tci, 2, TRANSLATE_STRIPPED, tagged, with), 0xbabc);
	assert_int_equal(run_program(tpid, 2, TRANSLATE_STRIPPED, tagged, with), 0x88a8);
	assert_int_equal(run_program(protocol, 2, TRANSLATE_STRIPPED, tagged, with), 0x0800);
	assert_int_equal(run_program(length, 2, TRANSLATE_STRIPPED, tagged, with), 60);
	assert_int_equal(run_program(protocol, 2, TRANSLATE_RAW, tagged, with), 0x88a8);
	assert_int_equal(run_program(length, 2, TRANSLATE_RAW, tagged, with), 64);
	assert_int_equal(run_program(present, 2, TRANSLATE_RAW, tagged, with), 0);
	/* VID 0 is a tag too. */
	with = tag(bytes, 60, 0x8100, 0, tagged);
	assert_int_equal(run_program(present, 2, TRANSLATE_STRIPPED, tagged, with), 1);
	/* 0x9100 is none for the kernel. */
	with = tag(bytes, 60, 0x9100, 7, tagged);
	assert_int_equal(run_program(present, 2, TRANSLATE_STRIPPED, tagged, with), 0);
	assert_int_equal(run_program(protocol, 2, TRANSLATE_STRIPPED, tagged, with), 0x9100);
	/* Two tags: only the outer one goes. */
	with = tag(bytes, 60, 0x8100, 200, tagged);
	memcpy(bytes, tagged, with);
	with = tag(bytes, with, 0x88a8, 100, tagged);
	assert_int_equal(run_program(tci, 2, TRANSLATE_STRIPPED, tagged, with), 100);
	assert_int_equal(run_program(protocol, 2, TRANSLATE_STRIPPED, tagged, with), 0x8100);
	/* Lengths in the EtherType's place: 802.2, and raw 802.3 (kernel: eth_type_trans). */
	memcpy(bytes + 12, "\x00\x2e\xaa\xaa\x03", 5);
	assert_int_equal(run_program(protocol, 2, TRANSLATE_STRIPPED, bytes, 60), 4);
	memcpy(bytes + 14, "\xff\xff", 2);
	assert_int_equal(run_program(protocol, 2, TRANSLATE_RAW, bytes, 60), 1);
}

/* --- vectors ---------------------------------------------------------------------------------- */

static uint32_t simple(const struct sock_filter *code, unsigned length)
{
	uint8_t bytes[100];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i + 1);
	return run_program(code, length, TRANSLATE_RAW, bytes, sizeof bytes);
}

static uint32_t alu(uint16_t operation, uint32_t a, uint32_t x)
{
	const struct sock_filter code[] = { BPF_STMT(BPF_LDX | BPF_IMM, x), BPF_STMT(BPF_LD | BPF_IMM, a),
					    BPF_STMT(BPF_ALU | operation | BPF_X, 0), BPF_STMT(BPF_RET | BPF_A, 0) };

	return simple(code, 4);
}

static void arithmetic(void **state)
{
	assert_int_equal(alu(BPF_DIV, 7, 0), 0);
	assert_int_equal(alu(BPF_MOD, 7, 0), 0);
	assert_int_equal(alu(BPF_DIV, 0xffffffff, 2), 0x7fffffff);
	assert_int_equal(alu(BPF_MOD, 0xffffffff, 10), 5);
	assert_int_equal(alu(BPF_LSH, 1, 31), 0x80000000);
	assert_int_equal(alu(BPF_LSH, 1, 32), 0);
	assert_int_equal(alu(BPF_LSH, 1, 33), 0);
	assert_int_equal(alu(BPF_LSH, 1, 0xffffffff), 0);
	assert_int_equal(alu(BPF_RSH, 0x80000000, 31), 1);
	assert_int_equal(alu(BPF_RSH, 0x80000000, 32), 0);
	assert_int_equal(alu(BPF_RSH, 0x80000000, 0x100), 0);
	assert_int_equal(alu(BPF_ADD, 0xffffffff, 2), 1);
	assert_int_equal(alu(BPF_SUB, 0, 1), 0xffffffff);
	assert_int_equal(alu(BPF_MUL, 0x10001, 0x10001), 0x20001);
}

static uint32_t load_at(uint16_t code_of, uint32_t x, uint32_t k)
{
	const struct sock_filter code[] = { BPF_STMT(BPF_LDX | BPF_IMM, x), BPF_STMT(BPF_LD | code_of, k),
					    BPF_STMT(BPF_RET | BPF_A, 0) };

	return simple(code, 3);
}

static void offsets_at_both_ends(void **state)
{
	assert_int_equal(load_at(BPF_B | BPF_ABS, 0, 0), 1);
	assert_int_equal(load_at(BPF_W | BPF_ABS, 0, 0), 0x01020304);
	assert_int_equal(load_at(BPF_B | BPF_ABS, 0, 99), 100);
	assert_int_equal(load_at(BPF_B | BPF_ABS, 0, 100), 0);
	assert_int_equal(load_at(BPF_H | BPF_ABS, 0, 98), 0x6364);
	assert_int_equal(load_at(BPF_H | BPF_ABS, 0, 99), 0);
	assert_int_equal(load_at(BPF_W | BPF_ABS, 0, 96), 0x61626364);
	assert_int_equal(load_at(BPF_W | BPF_ABS, 0, 97), 0);
	assert_int_equal(load_at(BPF_B | BPF_ABS, 0, 0xfffe), 0);
	assert_int_equal(load_at(BPF_B | BPF_ABS, 0, 0xffff), 0);
	assert_int_equal(load_at(BPF_W | BPF_ABS, 0, 0x10000), 0);
	assert_int_equal(load_at(BPF_W | BPF_ABS, 0, 0x7fffffff), 0);
	assert_int_equal(load_at(BPF_B | BPF_ABS, 0, 0x80000000), 0);
	assert_int_equal(load_at(BPF_W | BPF_IND, 96, 0), 0x61626364);
	assert_int_equal(load_at(BPF_W | BPF_IND, 90, 6), 0x61626364);
	assert_int_equal(load_at(BPF_W | BPF_IND, 90, 7), 0);
	assert_int_equal(load_at(BPF_B | BPF_IND, 0xffff, 0), 0);
	/* No wrap into the packet: 2^32 - 4 + 8 is not 4. */
	assert_int_equal(load_at(BPF_B | BPF_IND, 0xfffffffc, 8), 0);
	assert_int_equal(load_at(BPF_B | BPF_IND, 8, 0xfffffffc), 0);
}

static void ancillaries(void **state)
{
	const uint32_t supported[] = { SKF_AD_IFINDEX, SKF_AD_QUEUE, SKF_AD_CPU, SKF_AD_RANDOM };
	struct sock_filter code[] = { BPF_STMT(BPF_LDX | BPF_IMM, 0xff), BPF_STMT(BPF_LD | BPF_IMM, 0xf0f0),
				      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_ALU_XOR_X),
				      BPF_STMT(BPF_RET | BPF_A, 0) };
	uint32_t first, differing = 0;

	assert_int_equal(simple(code, 4), 0xf00f);
	for (unsigned i = 0; i < sizeof supported / sizeof supported[0]; i++) {
		code[2].k = (uint32_t)SKF_AD_OFF + supported[i];
		first = simple(code, 4);
		/* kernel: the test's receive queue belongs to the loopback device, index 1, queue 0. */
		if (supported[i] == SKF_AD_IFINDEX)
			assert_int_equal(first, 1);
		if (supported[i] == SKF_AD_QUEUE)
			assert_int_equal(first, 0);
		if (supported[i] == SKF_AD_CPU)
			assert_true(first < (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
		for (unsigned again = 0; supported[i] == SKF_AD_RANDOM && again < 4; again++)
			differing += simple(code, 4) != first;
	}
	assert_true(differing > 0);
}

static void refused(uint32_t field, const char *name)
{
	const struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field),
					    BPF_STMT(BPF_RET | BPF_A, 0) };
	struct error error = { 0 };

	assert_int_equal(load(code, 2, TRANSLATE_STRIPPED, false, &error), -EOPNOTSUPP);
	assert_non_null(strstr(error.message, name));
}

static void refusals_by_name(void **state)
{
	static struct sock_filter longest[BPF_MAXINSNS];
	const struct sock_filter loop[] = { BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)-2),
					    BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter by_zero[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
					       BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter far_shift[] = { BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32),
						 BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter outside[] = { BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
					       BPF_STMT(BPF_RET | BPF_A, 0) };
	const struct sock_filter endless[] = { BPF_STMT(BPF_LD | BPF_IMM, 1) };
	const struct sock_filter memory[] = { BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_A, 0) };
	struct error error = { 0 };

	refused(SKF_AD_OFF + SKF_AD_PKTTYPE, "PKTTYPE");
	refused(SKF_AD_OFF + SKF_AD_MARK, "MARK");
	refused(SKF_AD_OFF + SKF_AD_RXHASH, "RXHASH");
	refused(SKF_AD_OFF + SKF_AD_HATYPE, "HATYPE");
	refused(SKF_AD_OFF + SKF_AD_NLATTR, "NLATTR");
	refused(SKF_AD_OFF + SKF_AD_NLATTR_NEST, "NLATTR");
	refused(SKF_AD_OFF + SKF_AD_PAY_OFFSET, "PAY_OFFSET");
	refused(SKF_NET_OFF, "NET_OFF");
	refused(SKF_LL_OFF, "LL_OFF");
	assert_int_equal(load(loop, 3, TRANSLATE_RAW, false, &error), -EOPNOTSUPP);
	assert_non_null(strstr(error.message, "backward"));
	assert_int_equal(load(by_zero, 2, TRANSLATE_RAW, false, &error), -EINVAL);
	assert_int_equal(load(far_shift, 2, TRANSLATE_RAW, false, &error), -EINVAL);
	assert_int_equal(load(outside, 2, TRANSLATE_RAW, false, &error), -EINVAL);
	assert_int_equal(load(endless, 1, TRANSLATE_RAW, false, &error), -EINVAL);
	assert_int_equal(load(memory, 2, TRANSLATE_RAW, false, &error), -EINVAL);
	/* 4096 loads with fragments: the jumps to the common end are longer than 16 bits. */
	for (unsigned i = 0; i < BPF_MAXINSNS - 1; i++)
		longest[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, i % 60);
	longest[BPF_MAXINSNS - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	assert_int_equal(load(longest, BPF_MAXINSNS, TRANSLATE_RAW, true, &error), -EOPNOTSUPP);
	assert_non_null(strstr(error.message, "too long"));
}

/* --- fragments -------------------------------------------------------------------------------- */

/* A jumbo frame's bytes behind the first fragment are read like the others. */
static void behind_the_first_fragment(void **state)
{
	static uint8_t bytes[9000];
	const struct sock_filter length[] = { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0) };
	int fd;

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	for (uint32_t at = 0; at < sizeof bytes + 8; at += at > 3000 && at < 4200 ? 1 : 61) {
		const struct sock_filter direct[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
						      BPF_STMT(BPF_RET | BPF_A, 0) };
		const struct sock_filter indirect[] = { BPF_STMT(BPF_LDX | BPF_IMM, at),
							BPF_STMT(BPF_LD | BPF_H | BPF_IND, 3),
							BPF_STMT(BPF_RET | BPF_A, 0) };

		fd = load(direct, 2, TRANSLATE_RAW, true, NULL);
		assert_true(fd >= 0);
		assert_int_equal(run(fd, bytes, sizeof bytes), reference_run(direct, bytes, sizeof bytes));
		close(fd);
		fd = load(indirect, 3, TRANSLATE_RAW, true, NULL);
		assert_true(fd >= 0);
		assert_int_equal(run(fd, bytes, sizeof bytes), reference_run(indirect, bytes, sizeof bytes));
		close(fd);
	}
	fd = load(length, 2, TRANSLATE_RAW, true, NULL);
	assert_int_equal(run(fd, bytes, sizeof bytes), sizeof bytes);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_libpcap),	cmocka_unit_test(stripped_sees_no_tag),
		cmocka_unit_test(live_vlan_filters),	cmocka_unit_test(vlan_ancillaries),
		cmocka_unit_test(arithmetic),		cmocka_unit_test(offsets_at_both_ends),
		cmocka_unit_test(ancillaries),		cmocka_unit_test(refusals_by_name),
		cmocka_unit_test(behind_the_first_fragment),
	};
	const struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 1);
	int fd = load(&all, 1, TRANSLATE_RAW, false, NULL);

	if (fd == -EPERM) {
		printf("skipped: loading BPF programs is not permitted here\n");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
