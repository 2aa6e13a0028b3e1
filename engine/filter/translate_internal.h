/* What translate.c (a whole program) and translate_step.c (one instruction) share; nobody else
 * includes it. */
#ifndef WEIR_ENGINE_FILTER_TRANSLATE_INTERNAL_H
#define WEIR_ENGINE_FILTER_TRANSLATE_INTERNAL_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/filter/translate.h"

#define OFFSET_MOST 0xffff   /* kernel: MAX_PACKET_OFF of the verifier, and of bpf_xdp_load_bytes */

/* The registers. R6 to R9 survive helper calls. */
enum {
	R_CONTEXT = BPF_REG_6,
	R_A = BPF_REG_7,
	R_X = BPF_REG_8,
	R_DATA = BPF_REG_9, /* start of the packet as the filter sees it */
	R_END = BPF_REG_1,  /* scratch: end of the linear part */
	R_AT = BPF_REG_2,   /* scratch: behind the bytes to load */
	R_OFFSET = BPF_REG_5,
};

/* The stack, from the frame pointer down. */
enum {
	STACK_MEMORY = -64,   /* 16 words of scratch memory */
	STACK_FETCH = -72,    /* 8 bytes: what bpf_xdp_load_bytes fetched */
	STACK_TAG = -76,      /* the tag's four bytes as they lay in the frame */
	STACK_PRESENT = -80,  /* 1: a tag was taken out */
};

/* Where a jump of the emitted code leads: classic instructions by their number, and the ends. */
enum {
	TARGET_ZERO = BPF_MAXINSNS + 1, /* verdict 0 */
	TARGET_END,                     /* verdict in A */
	TARGET_ABORT,                   /* the frame could not be put together again */
	TARGET_COUNT,
};

struct fixup {
	unsigned at;     /* eBPF instruction */
	unsigned target; /* classic instruction or TARGET_ */
};

struct emitter {
	const struct filter_program *filter;
	const struct translate_options *options;
	struct error *error;
	struct bpf_insn *code;
	unsigned length;
	struct fixup *fixups;
	unsigned fixup_count;
	int starts[TARGET_COUNT]; /* where each target begins; -1: not emitted */
	bool reached[BPF_MAXINSNS];
	bool zero_used, abort_used;
};

/* --- one instruction -------------------------------------------------------------------------- */

static inline void emit(struct emitter *out, unsigned code, unsigned destination, unsigned source, int offset,
			uint32_t value)
{
	out->code[out->length++] = (struct bpf_insn){
		.code = (uint8_t)code,
		.dst_reg = destination & 15,
		.src_reg = source & 15,
		.off = (int16_t)offset,
		.imm = (int32_t)value,
	};
}

static inline void emit_move(struct emitter *out, unsigned destination, unsigned source)
{
	emit(out, BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0);
}

static inline void emit_constant(struct emitter *out, unsigned destination, uint32_t value)
{
	emit(out, BPF_ALU | BPF_MOV | BPF_K, destination, 0, 0, value);
}

static inline void emit_load(struct emitter *out, unsigned size, unsigned destination, unsigned base,
			     int offset)
{
	emit(out, BPF_LDX | BPF_MEM | size, destination, base, offset, 0);
}

static inline void emit_store(struct emitter *out, unsigned size, unsigned base, int offset, unsigned source)
{
	emit(out, BPF_STX | BPF_MEM | size, base, source, offset, 0);
}

static inline void emit_call(struct emitter *out, int helper)
{
	emit(out, BPF_JMP | BPF_CALL, 0, 0, 0, (uint32_t)helper);
}

/* A jump whose distance is filled in when all targets are known. */
static inline void emit_jump(struct emitter *out, unsigned code, unsigned destination, unsigned source,
			     uint32_t value, unsigned target)
{
	out->zero_used |= target == TARGET_ZERO;
	out->abort_used |= target == TARGET_ABORT;
	out->fixups[out->fixup_count++] = (struct fixup){ .at = out->length, .target = target };
	emit(out, code, destination, source, 0, value);
}

/* A forward jump within one classic instruction: returns its place, land() says where it leads. */
static inline unsigned emit_skip(struct emitter *out, unsigned code, unsigned destination, unsigned source,
				 uint32_t value)
{
	emit(out, code, destination, source, 0, value);
	return out->length - 1;
}

static inline void land(struct emitter *out, unsigned at)
{
	out->code[at].off = (int16_t)(out->length - at - 1);
}

/* Emits classic instruction number at. Returns 0, or -EOPNOTSUPP with the error set. */
int translate_step(struct emitter *out, unsigned at);

/* Sets "the filter uses WHAT, which does not exist at XDP" and returns -EOPNOTSUPP. */
int translate_refuse(struct emitter *out, const char *what);

#endif
