#include "engine/filter/translate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine/filter/translate_internal.h"

#define EXPANSION_MOST 48 /* eBPF instructions of one classic one, at most */
#define FRAME_MOST 160    /* and of prologue and end */
#define JUMP_MOST INT16_MAX
#define TAG_SIZE 4
#define TAGGED_LEAST 18   /* bytes of a frame with a tag: the kernel reads it from such on */

/* --- before and after ------------------------------------------------------------------------- */

static void emit_data(struct emitter *out)
{
	emit_load(out, BPF_W, R_DATA, R_CONTEXT, offsetof(struct xdp_md, data));
}

/* Takes the outermost tag out as the stack will do (kernel: skb_vlan_untag, for 802.1Q and 802.1ad). */
static void emit_strip(struct emitter *out)
{
	unsigned brief, tagged, untagged;

	emit(out, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, STACK_PRESENT, 0);
	emit(out, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, STACK_TAG, 0);
	emit_load(out, BPF_W, R_END, R_CONTEXT, offsetof(struct xdp_md, data_end));
	emit_move(out, R_AT, R_DATA);
	emit(out, BPF_ALU64 | BPF_ADD | BPF_K, R_AT, 0, 0, TAGGED_LEAST);
	brief = emit_skip(out, BPF_JMP | BPF_JGT | BPF_X, R_AT, R_END, 0);
	emit_load(out, BPF_H, BPF_REG_3, R_DATA, 2 * ETH_ALEN);
	tagged = emit_skip(out, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_3, 0, htons(ETH_P_8021Q));
	untagged = emit_skip(out, BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_3, 0, htons(ETH_P_8021AD));
	land(out, tagged);
	emit_load(out, BPF_W, BPF_REG_3, R_DATA, 2 * ETH_ALEN);
	emit_store(out, BPF_W, BPF_REG_10, STACK_TAG, BPF_REG_3);
	emit(out, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, STACK_PRESENT, 1);
	emit_load(out, BPF_DW, BPF_REG_3, R_DATA, 0);
	emit_load(out, BPF_W, BPF_REG_4, R_DATA, 8);
	emit_store(out, BPF_DW, R_DATA, TAG_SIZE, BPF_REG_3);
	emit_store(out, BPF_W, R_DATA, TAG_SIZE + 8, BPF_REG_4);
	emit_move(out, BPF_REG_1, R_CONTEXT);
	emit_constant(out, BPF_REG_2, TAG_SIZE);
	emit_call(out, BPF_FUNC_xdp_adjust_head);
	emit_jump(out, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, TARGET_ABORT);
	emit_data(out);
	land(out, brief);
	land(out, untagged);
}

static void emit_restore(struct emitter *out)
{
	unsigned untagged;

	emit_load(out, BPF_W, BPF_REG_3, BPF_REG_10, STACK_PRESENT);
	untagged = emit_skip(out, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_3, 0, 0);
	emit_move(out, BPF_REG_1, R_CONTEXT);
	emit(out, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, (uint32_t)-TAG_SIZE);
	emit_call(out, BPF_FUNC_xdp_adjust_head);
	emit_jump(out, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, TARGET_ABORT);
	emit_data(out);
	emit_load(out, BPF_W, R_END, R_CONTEXT, offsetof(struct xdp_md, data_end));
	emit_move(out, R_AT, R_DATA);
	emit(out, BPF_ALU64 | BPF_ADD | BPF_K, R_AT, 0, 0, TAGGED_LEAST);
	emit_jump(out, BPF_JMP | BPF_JGT | BPF_X, R_AT, R_END, 0, TARGET_ABORT);
	emit_load(out, BPF_DW, BPF_REG_3, R_DATA, TAG_SIZE);
	emit_load(out, BPF_W, BPF_REG_4, R_DATA, TAG_SIZE + 8);
	emit_store(out, BPF_DW, R_DATA, 0, BPF_REG_3);
	emit_store(out, BPF_W, R_DATA, 8, BPF_REG_4);
	emit_load(out, BPF_W, BPF_REG_3, BPF_REG_10, STACK_TAG);
	emit_store(out, BPF_W, R_DATA, 2 * ETH_ALEN, BPF_REG_3);
	land(out, untagged);
}

static void emit_tail_call(struct emitter *out, enum translate_slot slot)
{
	emit_move(out, BPF_REG_1, R_CONTEXT);
	emit(out, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, (uint32_t)out->options->tail_calls);
	emit(out, 0, 0, 0, 0, 0);
	/* kernel: with a constant slot the JIT makes it a direct jump. */
	emit_constant(out, BPF_REG_3, slot);
	emit_call(out, BPF_FUNC_tail_call);
}

static void emit_end(struct emitter *out)
{
	if (out->zero_used) {
		out->starts[TARGET_ZERO] = (int)out->length;
		emit_constant(out, R_A, 0);
	}
	out->starts[TARGET_END] = (int)out->length;
	if (out->options->tags == TRANSLATE_STRIPPED)
		emit_restore(out);
	if (out->options->tail_calls < 0) {
		emit(out, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_0, R_A, 0, 0);
	} else {
		unsigned accepted = emit_skip(out, BPF_JMP32 | BPF_JNE | BPF_K, R_A, 0, 0), over;

		emit_tail_call(out, TRANSLATE_REJECT);
		over = emit_skip(out, BPF_JMP | BPF_JA, 0, 0, 0);
		land(out, accepted);
		emit_tail_call(out, TRANSLATE_ACCEPT);
		land(out, over);
		emit_constant(out, BPF_REG_0, XDP_PASS);
	}
	emit(out, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	if (out->abort_used) {
		/* The head gave room a moment ago, so this cannot be; the verifier wants it said. */
		out->starts[TARGET_ABORT] = (int)out->length;
		emit_constant(out, BPF_REG_0, XDP_ABORTED);
		emit(out, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
}

static void emit_begin(struct emitter *out)
{
	uint32_t words = 0;

	for (unsigned i = 0; i < out->filter->length; i++) {
		unsigned class = BPF_CLASS(out->filter->code[i].code), mode = BPF_MODE(out->filter->code[i].code);

		if (((class == BPF_LD || class == BPF_LDX) && mode == BPF_MEM) || class == BPF_ST || class == BPF_STX)
			words |= 1u << (out->filter->code[i].k & (BPF_MEMWORDS - 1));
	}
	emit_move(out, R_CONTEXT, BPF_REG_1);
	emit_constant(out, R_A, 0);
	emit_constant(out, R_X, 0);
	for (unsigned i = 0; i < BPF_MEMWORDS; i++) {
		if (words & (1u << i))
			emit(out, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, STACK_MEMORY + 4 * (int)i, 0);
	}
	emit_data(out);
	if (out->options->tags == TRANSLATE_STRIPPED)
		emit_strip(out);
}

/* --- checks ----------------------------------------------------------------------------------- */

static bool valid_opcode(const struct sock_filter *step)
{
	unsigned code = step->code, mode = BPF_MODE(code), size = BPF_SIZE(code), operation = BPF_OP(code);

	switch (BPF_CLASS(code)) {
	case BPF_LD:
		if (mode == BPF_IMM || mode == BPF_MEM || mode == BPF_LEN)
			return size == BPF_W && (mode != BPF_MEM || step->k < BPF_MEMWORDS);
		return (mode == BPF_ABS || mode == BPF_IND) && size != 0x18;
	case BPF_LDX:
		if (mode == BPF_MSH)
			return size == BPF_B;
		return (mode == BPF_IMM || mode == BPF_LEN || (mode == BPF_MEM && step->k < BPF_MEMWORDS)) &&
		       size == BPF_W;
	case BPF_ST:
	case BPF_STX:
		return (code == BPF_ST || code == BPF_STX) && step->k < BPF_MEMWORDS;
	case BPF_ALU:
		return operation <= BPF_XOR && code <= 0xff && (operation != BPF_NEG || code == (BPF_ALU | BPF_NEG));
	case BPF_JMP:
		return operation == BPF_JA ? code == (BPF_JMP | BPF_JA) : operation <= BPF_JSET && code <= 0xff;
	case BPF_RET:
		return code == (BPF_RET | BPF_K) || code == (BPF_RET | BPF_A);
	default:
		return code == (BPF_MISC | BPF_TAX) || code == (BPF_MISC | BPF_TXA);
	}
}

static int check_step(struct emitter *out, unsigned at)
{
	const struct sock_filter *step = &out->filter->code[at];
	unsigned operation = BPF_OP(step->code);
	bool constant = BPF_SRC(step->code) == BPF_K;

	if (!valid_opcode(step))
		return error_set(out->error, -EINVAL, "the filter's instruction %u (opcode 0x%02x) is not classic BPF", at,
				 step->code);
	if (BPF_CLASS(step->code) == BPF_ALU && constant) {
		if ((operation == BPF_DIV || operation == BPF_MOD) && step->k == 0)
			return error_set(out->error, -EINVAL, "the filter's instruction %u divides by the constant 0", at);
		if ((operation == BPF_LSH || operation == BPF_RSH) && step->k > 31)
			return error_set(out->error, -EINVAL, "the filter's instruction %u shifts by %u bits", at, step->k);
	}
	if (BPF_CLASS(step->code) == BPF_JMP) {
		if (operation == BPF_JA && step->k > INT32_MAX)
			return translate_refuse(out, "a loop (a backward jump)");
		if (operation == BPF_JA ? step->k >= out->filter->length - at - 1
					: at + 1 + step->jt >= out->filter->length ||
						  at + 1 + step->jf >= out->filter->length)
			return error_set(out->error, -EINVAL, "the filter's instruction %u jumps behind its end", at);
	}
	return 0;
}

/* kernel: the verifier refuses instructions that nothing leads to. All jumps go forward: one pass. */
static void mark_reached(struct emitter *out)
{
	out->reached[0] = true;
	for (unsigned i = 0; i < out->filter->length; i++) {
		const struct sock_filter *step = &out->filter->code[i];

		if (!out->reached[i] || BPF_CLASS(step->code) == BPF_RET)
			continue;
		if (BPF_CLASS(step->code) != BPF_JMP) {
			out->reached[i + 1] = true;
		} else if (BPF_OP(step->code) == BPF_JA) {
			out->reached[i + 1 + step->k] = true;
		} else {
			out->reached[i + 1 + step->jt] = true;
			out->reached[i + 1 + step->jf] = true;
		}
	}
}

static int check_program(struct emitter *out)
{
	const struct filter_program *filter = out->filter;
	int result = 0;

	if (filter->length > BPF_MAXINSNS)
		return error_set(out->error, -EINVAL, "the filter has %u instructions, more than %d", filter->length,
				 BPF_MAXINSNS);
	for (unsigned i = 0; i < filter->length && result == 0; i++)
		result = check_step(out, i);
	if (result == 0 && BPF_CLASS(filter->code[filter->length - 1].code) != BPF_RET)
		result = error_set(out->error, -EINVAL, "the filter does not end with a return");
	return result;
}

static int fix_jumps(struct emitter *out)
{
	for (unsigned i = 0; i < out->fixup_count; i++) {
		unsigned at = out->fixups[i].at;
		int distance = out->starts[out->fixups[i].target] - (int)at - 1;

		if (distance > JUMP_MOST || distance < 0)
			return error_set(out->error, -EOPNOTSUPP,
					 "the filter is too long for XDP: a jump spans %d instructions", distance);
		out->code[at].off = (int16_t)distance;
	}
	return 0;
}

static int translate(struct emitter *out)
{
	int result = check_program(out);

	if (result < 0)
		return result;
	mark_reached(out);
	emit_begin(out);
	for (unsigned i = 0; i < out->filter->length; i++) {
		if (!out->reached[i])
			continue;
		out->starts[i] = (int)out->length;
		result = translate_step(out, i);
		if (result < 0)
			return result;
	}
	emit_end(out);
	return fix_jumps(out);
}

int translate_filter(const struct filter_program *filter, const struct translate_options *options,
		     struct translate_program *program, struct error *error)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	const struct filter_program accept_all = { .code = &all, .length = 1 };
	const struct filter_program *given = filter != NULL && filter->length > 0 ? filter : &accept_all;
	unsigned length = given->length < BPF_MAXINSNS ? given->length : BPF_MAXINSNS;
	struct emitter *out = calloc(1, sizeof *out);
	int result;

	*program = (struct translate_program){ 0 };
	if (out == NULL)
		return error_set(error, -ENOMEM, "no memory to translate the filter");
	out->filter = given;
	out->options = options;
	out->error = error;
	memset(out->starts, 0xff, sizeof out->starts);
	out->code = calloc((size_t)length * EXPANSION_MOST + FRAME_MOST, sizeof *out->code);
	out->fixups = calloc((size_t)length * EXPANSION_MOST + FRAME_MOST, sizeof *out->fixups);
	if (out->code == NULL || out->fixups == NULL)
		result = error_set(error, -ENOMEM, "no memory to translate the filter");
	else
		result = translate(out);
	if (result == 0) {
		program->code = out->code;
		program->length = out->length;
	} else {
		free(out->code);
	}
	free(out->fixups);
	free(out);
	return result;
}

void translate_close(struct translate_program *program)
{
	free(program->code);
	*program = (struct translate_program){ 0 };
}
