/* One classic instruction: loads with their checks, ancillaries, arithmetic, jumps. */
#include "engine/filter/translate_internal.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stddef.h>

/* --- loads ------------------------------------------------------------------------------------ */

static unsigned size_of(unsigned code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* R_AT is behind the wanted bytes, R_OFFSET holds their offset (or it is the constant k): to destination,
 * in host order. */
static void emit_checked_load(struct emitter *out, unsigned code, bool constant, uint32_t k,
			      unsigned destination)
{
	unsigned size = size_of(code), join = 0;

	emit_load(out, BPF_W, R_END, R_CONTEXT, offsetof(struct xdp_md, data_end));
	if (!out->options->fragments) {
		emit_jump(out, BPF_JMP | BPF_JGT | BPF_X, R_AT, R_END, 0, TARGET_ZERO);
	} else {
		unsigned linear = emit_skip(out, BPF_JMP | BPF_JLE | BPF_X, R_AT, R_END, 0);

		if (constant)
			emit_constant(out, BPF_REG_2, k);
		else
			emit_move(out, BPF_REG_2, R_OFFSET);
		emit_move(out, BPF_REG_1, R_CONTEXT);
		emit_move(out, BPF_REG_3, BPF_REG_10);
		emit(out, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, (uint32_t)STACK_FETCH);
		emit_constant(out, BPF_REG_4, size);
		emit_call(out, BPF_FUNC_xdp_load_bytes);
		emit_jump(out, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, TARGET_ZERO);
		emit_load(out, BPF_SIZE(code), destination, BPF_REG_10, STACK_FETCH);
		join = emit_skip(out, BPF_JMP | BPF_JA, 0, 0, 0);
		land(out, linear);
	}
	emit_load(out, BPF_SIZE(code), destination, R_AT, -(int)size);
	if (out->options->fragments)
		land(out, join);
	if (size > 1)
		emit(out, BPF_ALU | BPF_END | BPF_TO_BE, destination, 0, 0, size * 8);
}

/* A load that no XDP frame reaches. kernel: the verifier refuses what no jump leads to, so this one, which is
 * always taken, looks as if it were not. */
static void emit_outside(struct emitter *out)
{
	emit_jump(out, BPF_JMP32 | BPF_JGE | BPF_K, R_A, 0, 0, TARGET_ZERO);
}

static void emit_absolute(struct emitter *out, unsigned code, uint32_t k, unsigned destination)
{
	unsigned size = size_of(code);

	if (k > OFFSET_MOST - size) {
		emit_outside(out);
		return;
	}
	emit_move(out, R_AT, R_DATA);
	emit(out, BPF_ALU64 | BPF_ADD | BPF_K, R_AT, 0, 0, k + size);
	emit_checked_load(out, code, true, k, destination);
}

static void emit_indirect(struct emitter *out, unsigned code, uint32_t k)
{
	unsigned size = size_of(code);

	if (k > OFFSET_MOST - size) {
		emit_outside(out);
		return;
	}
	/* The sum in 64 bits, as libpcap: X near 2^32 does not wrap into the packet. */
	emit(out, BPF_ALU | BPF_MOV | BPF_X, R_OFFSET, R_X, 0, 0);
	if (k != 0)
		emit(out, BPF_ALU64 | BPF_ADD | BPF_K, R_OFFSET, 0, 0, k);
	emit_jump(out, BPF_JMP | BPF_JGT | BPF_K, R_OFFSET, 0, OFFSET_MOST - size, TARGET_ZERO);
	emit_move(out, R_AT, R_DATA);
	emit(out, BPF_ALU64 | BPF_ADD | BPF_X, R_AT, R_OFFSET, 0, 0);
	emit(out, BPF_ALU64 | BPF_ADD | BPF_K, R_AT, 0, 0, size);
	emit_checked_load(out, code, false, 0, R_A);
}

/* kernel: data_end - data would need CAP_PERFMON (a pointer leaks), and leaves out further fragments. */
static void emit_length(struct emitter *out, unsigned destination)
{
	emit_move(out, BPF_REG_1, R_CONTEXT);
	emit_call(out, BPF_FUNC_xdp_get_buff_len);
	emit(out, BPF_ALU | BPF_MOV | BPF_X, destination, BPF_REG_0, 0, 0);
}

/* --- ancillaries ------------------------------------------------------------------------------ */

/* kernel: eth_type_trans. Lengths below 0x600 are not EtherTypes: raw 802.3 (IPX) or LLC. */
static void emit_protocol(struct emitter *out)
{
	unsigned ethertype, raw;

	emit_absolute(out, BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN, R_A);
	ethertype = emit_skip(out, BPF_JMP32 | BPF_JGE | BPF_K, R_A, 0, ETH_P_802_3_MIN);
	emit_absolute(out, BPF_LD | BPF_H | BPF_ABS, ETH_HLEN, R_A);
	raw = emit_skip(out, BPF_JMP32 | BPF_JEQ | BPF_K, R_A, 0, 0xffff);
	emit_constant(out, R_A, ETH_P_802_2);
	emit_skip(out, BPF_JMP | BPF_JA, 0, 0, 0);
	out->code[out->length - 1].off = 1; /* over the next */
	land(out, raw);
	emit_constant(out, R_A, ETH_P_802_3);
	land(out, ethertype);
}

static void emit_tag_field(struct emitter *out, uint32_t field)
{
	if (out->options->tags == TRANSLATE_RAW) {
		emit_constant(out, R_A, 0);
		return;
	}
	if (field == SKF_AD_VLAN_TAG_PRESENT) {
		emit_load(out, BPF_W, R_A, BPF_REG_10, STACK_PRESENT);
		return;
	}
	emit_load(out, BPF_H, R_A, BPF_REG_10, field == SKF_AD_VLAN_TPID ? STACK_TAG : STACK_TAG + 2);
	emit(out, BPF_ALU | BPF_END | BPF_TO_BE, R_A, 0, 0, 16);
}

int translate_refuse(struct emitter *out, const char *what)
{
	return error_set(out->error, -EOPNOTSUPP, "the filter uses %s, which does not exist at XDP", what);
}

static int emit_ancillary(struct emitter *out, uint32_t field)
{
	switch (field) {
	case SKF_AD_PROTOCOL:
		emit_protocol(out);
		return 0;
	case SKF_AD_IFINDEX:
		emit_load(out, BPF_W, R_A, R_CONTEXT, offsetof(struct xdp_md, ingress_ifindex));
		return 0;
	case SKF_AD_QUEUE:
		emit_load(out, BPF_W, R_A, R_CONTEXT, offsetof(struct xdp_md, rx_queue_index));
		return 0;
	case SKF_AD_CPU:
	case SKF_AD_RANDOM:
		emit_call(out, field == SKF_AD_CPU ? BPF_FUNC_get_smp_processor_id : BPF_FUNC_get_prandom_u32);
		emit(out, BPF_ALU | BPF_MOV | BPF_X, R_A, BPF_REG_0, 0, 0);
		return 0;
	case SKF_AD_ALU_XOR_X:
		emit(out, BPF_ALU | BPF_XOR | BPF_X, R_A, R_X, 0, 0);
		return 0;
	case SKF_AD_VLAN_TAG:
	case SKF_AD_VLAN_TAG_PRESENT:
	case SKF_AD_VLAN_TPID:
		emit_tag_field(out, field);
		return 0;
	case SKF_AD_PKTTYPE:
		return translate_refuse(out, "the packet type (PKTTYPE)");
	case SKF_AD_NLATTR:
	case SKF_AD_NLATTR_NEST:
		return translate_refuse(out, "netlink attributes (NLATTR)");
	case SKF_AD_MARK:
		return translate_refuse(out, "the firewall's mark (MARK)");
	case SKF_AD_HATYPE:
		return translate_refuse(out, "the hardware type (HATYPE)");
	case SKF_AD_RXHASH:
		return translate_refuse(out, "the receive hash (RXHASH)");
	case SKF_AD_PAY_OFFSET:
		return translate_refuse(out, "the payload's offset (PAY_OFFSET)");
	default:
		return translate_refuse(out, "an unknown ancillary load");
	}
}

/* --- classes ---------------------------------------------------------------------------------- */

static int emit_ld(struct emitter *out, const struct sock_filter *step)
{
	switch (BPF_MODE(step->code)) {
	case BPF_IMM:
		emit_constant(out, R_A, step->k);
		return 0;
	case BPF_MEM:
		emit_load(out, BPF_W, R_A, BPF_REG_10, STACK_MEMORY + 4 * (int)step->k);
		return 0;
	case BPF_LEN:
		emit_length(out, R_A);
		return 0;
	case BPF_IND:
		emit_indirect(out, step->code, step->k);
		return 0;
	default:
		if (step->k >= (uint32_t)SKF_AD_OFF)
			return emit_ancillary(out, step->k - (uint32_t)SKF_AD_OFF);
		if (step->k >= (uint32_t)SKF_NET_OFF)
			return translate_refuse(out, "loads from the network header (NET_OFF)");
		if (step->k >= (uint32_t)SKF_LL_OFF)
			return translate_refuse(out, "loads from the link header (LL_OFF)");
		emit_absolute(out, step->code, step->k, R_A);
		return 0;
	}
}

static void emit_ldx(struct emitter *out, const struct sock_filter *step)
{
	switch (BPF_MODE(step->code)) {
	case BPF_IMM:
		emit_constant(out, R_X, step->k);
		return;
	case BPF_MEM:
		emit_load(out, BPF_W, R_X, BPF_REG_10, STACK_MEMORY + 4 * (int)step->k);
		return;
	case BPF_LEN:
		emit_length(out, R_X);
		return;
	default: /* BPF_MSH: four times the low half of a byte, an IPv4 header's length */
		emit_absolute(out, BPF_LD | BPF_B | BPF_ABS, step->k, R_X);
		emit(out, BPF_ALU | BPF_AND | BPF_K, R_X, 0, 0, 15);
		emit(out, BPF_ALU | BPF_LSH | BPF_K, R_X, 0, 0, 2);
		return;
	}
}

static void emit_alu(struct emitter *out, const struct sock_filter *step)
{
	unsigned operation = BPF_OP(step->code);
	bool shift = operation == BPF_LSH || operation == BPF_RSH;
	bool divide = operation == BPF_DIV || operation == BPF_MOD;

	if (operation == BPF_NEG) {
		emit(out, BPF_ALU | BPF_NEG, R_A, 0, 0, 0);
	} else if (BPF_SRC(step->code) == BPF_K) {
		emit(out, step->code, R_A, 0, 0, step->k);
	} else if (shift) {
		unsigned far = emit_skip(out, BPF_JMP32 | BPF_JGT | BPF_K, R_X, 0, 31);

		emit(out, step->code, R_A, R_X, 0, 0);
		emit(out, BPF_JMP | BPF_JA, 0, 0, 1, 0);
		land(out, far);
		emit_constant(out, R_A, 0);
	} else {
		if (divide)
			emit_jump(out, BPF_JMP32 | BPF_JEQ | BPF_K, R_X, 0, 0, TARGET_ZERO);
		emit(out, step->code, R_A, R_X, 0, 0);
	}
}

static unsigned opposite(unsigned operation)
{
	return operation == BPF_JEQ ? BPF_JNE : operation == BPF_JGT ? BPF_JLE : BPF_JLT;
}

static void emit_jmp(struct emitter *out, unsigned at, const struct sock_filter *step)
{
	unsigned operation = BPF_OP(step->code), source = BPF_SRC(step->code);
	unsigned x = source == BPF_X ? R_X : 0;
	uint32_t k = source == BPF_X ? 0 : step->k;
	unsigned yes = at + 1 + step->jt, no = at + 1 + step->jf;

	if (operation == BPF_JA) {
		emit_jump(out, BPF_JMP | BPF_JA, 0, 0, 0, at + 1 + step->k);
	} else if (step->jt == 0 && operation != BPF_JSET) {
		if (step->jf != 0)
			emit_jump(out, BPF_JMP32 | opposite(operation) | source, R_A, x, k, no);
	} else {
		emit_jump(out, BPF_JMP32 | operation | source, R_A, x, k, yes);
		if (step->jf != 0)
			emit_jump(out, BPF_JMP | BPF_JA, 0, 0, 0, no);
	}
}

int translate_step(struct emitter *out, unsigned at)
{
	const struct sock_filter *step = &out->filter->code[at];

	switch (BPF_CLASS(step->code)) {
	case BPF_LD:
		return emit_ld(out, step);
	case BPF_LDX:
		emit_ldx(out, step);
		return 0;
	case BPF_ST:
	case BPF_STX:
		emit_store(out, BPF_W, BPF_REG_10, STACK_MEMORY + 4 * (int)step->k,
			   BPF_CLASS(step->code) == BPF_ST ? R_A : R_X);
		return 0;
	case BPF_ALU:
		emit_alu(out, step);
		return 0;
	case BPF_JMP:
		emit_jmp(out, at, step);
		return 0;
	case BPF_RET:
		if (BPF_RVAL(step->code) == BPF_K)
			emit_constant(out, R_A, step->k);
		emit_jump(out, BPF_JMP | BPF_JA, 0, 0, 0, TARGET_END);
		return 0;
	default: /* BPF_MISC */
		if (BPF_MISCOP(step->code) == BPF_TAX)
			emit(out, BPF_ALU | BPF_MOV | BPF_X, R_X, R_A, 0, 0);
		else
			emit(out, BPF_ALU | BPF_MOV | BPF_X, R_A, R_X, 0, 0);
		return 0;
	}
}
