#include "engine/gen/xdp_program.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(struct xdp_state) == 256, "the templates follow at 256");

#define STATE(field) ((int16_t)offsetof(struct xdp_state, field))
#define TEMPLATE(field) ((int16_t)offsetof(struct shape_template, field))
#define EXITS_MAX 32

/* Registers that keep their meaning all the way; 0 to 5 are for passing use. */
enum { R0, R1, R2, R3, R4, R5, CONTEXT, STATE_PTR, TEMPLATE_PTR, DATA, STACK };

/* Register 3 keeps the checksum's sum and register 4 the packet's end from load_packet on. */
#define SUM R3
#define DATA_END R4

struct assembler {
	struct bpf_insn *program;
	uint32_t count;
	uint32_t drops[EXITS_MAX]; /* jumps to the drop at the end, to be filled in */
	uint32_t drop_count;
};

static uint32_t emit(struct assembler *a, uint8_t code, int dst, int src, int16_t off, int32_t imm)
{
	a->program[a->count] = (struct bpf_insn){ .code = code, .dst_reg = (uint8_t)dst & 0xf,
						  .src_reg = (uint8_t)src & 0xf, .off = off, .imm = imm };
	return a->count++;
}

static void mov(struct assembler *a, int dst, int src)
{
	emit(a, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void set(struct assembler *a, int dst, int32_t imm)
{
	emit(a, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}

static void alu(struct assembler *a, uint8_t op, int dst, int32_t imm)
{
	emit(a, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

static void alux(struct assembler *a, uint8_t op, int dst, int src)
{
	emit(a, BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

static void load(struct assembler *a, uint8_t size, int dst, int src, int16_t off)
{
	emit(a, BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}

static void store(struct assembler *a, uint8_t size, int dst, int16_t off, int src)
{
	emit(a, BPF_STX | BPF_MEM | size, dst, src, off, 0);
}

static void big_endian(struct assembler *a, int dst, int bits)
{
	emit(a, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, bits);
}

/* A jump whose target is set by land(). */
static uint32_t jump(struct assembler *a, uint8_t op, int dst, int32_t imm)
{
	return emit(a, BPF_JMP | op | BPF_K, dst, 0, 0, imm);
}

static uint32_t jumpx(struct assembler *a, uint8_t op, int dst, int src)
{
	return emit(a, BPF_JMP | op | BPF_X, dst, src, 0, 0);
}

static void land(struct assembler *a, uint32_t at)
{
	a->program[at].off = (int16_t)(a->count - at - 1);
}

static void drop_if(struct assembler *a, uint32_t at)
{
	a->drops[a->drop_count++] = at;
}

/* Adds the two halves of a 64-bit register to the sum; destroys it and R2. */
static void add_halves(struct assembler *a, int reg)
{
	mov(a, R2, reg);
	alu(a, BPF_RSH, R2, 32);
	alux(a, BPF_ADD, SUM, R2);
	alu(a, BPF_LSH, reg, 32);
	alu(a, BPF_RSH, reg, 32);
	alux(a, BPF_ADD, SUM, reg);
}

/* R5 = packet + the template's offset in `field`, with `bytes` there for the taking; destroys R0. */
static void point(struct assembler *a, int16_t field, int32_t bytes)
{
	load(a, BPF_W, R0, TEMPLATE_PTR, field);
	alu(a, BPF_AND, R0, SHAPE_HEADER - 1);
	mov(a, R5, DATA);
	alux(a, BPF_ADD, R5, R0);
	mov(a, R0, R5);
	alu(a, BPF_ADD, R0, bytes);
	drop_if(a, jumpx(a, BPF_JGT, R0, DATA_END));
}

static void increment(struct assembler *a, int16_t field, int32_t by)
{
	load(a, BPF_DW, R1, STATE_PTR, field);
	alu(a, BPF_ADD, R1, by);
	store(a, BPF_DW, STATE_PTR, field, R1);
}

/* Ends the run when the limit is reached, reads the clock (kept on the stack), and with a pace lets
 * only what is due go on. */
static void emit_pace(struct assembler *a, bool paced)
{
	uint32_t in_time, started;

	load(a, BPF_DW, R1, STATE_PTR, STATE(sent));
	load(a, BPF_DW, R2, STATE_PTR, STATE(limit));
	drop_if(a, jumpx(a, BPF_JGE, R1, R2));
	emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
	store(a, BPF_DW, STACK, -8, R0);
	load(a, BPF_DW, R1, STATE_PTR, STATE(start));
	started = jump(a, BPF_JNE, R1, 0);
	store(a, BPF_DW, STATE_PTR, STATE(start), R0);
	land(a, started);
	if (!paced)
		return;
	load(a, BPF_DW, R2, STATE_PTR, STATE(start));
	alux(a, BPF_SUB, R0, R2);
	alu(a, BPF_LSH, R0, 16);
	load(a, BPF_DW, R3, STATE_PTR, STATE(due));
	drop_if(a, jumpx(a, BPF_JLT, R0, R3));
	load(a, BPF_DW, R5, STATE_PTR, STATE(interval));
	mov(a, R2, R0);
	alux(a, BPF_SUB, R2, R3);
	load(a, BPF_DW, R4, STATE_PTR, STATE(debt));
	in_time = jumpx(a, BPF_JLE, R2, R4);
	alux(a, BPF_DIV, R2, R5);
	load(a, BPF_DW, R1, STATE_PTR, STATE(slipped));
	alux(a, BPF_ADD, R1, R2);
	store(a, BPF_DW, STATE_PTR, STATE(slipped), R1);
	increment(a, STATE(slips), 1);
	mov(a, R3, R0);
	land(a, in_time);
	alux(a, BPF_ADD, R3, R5);
	store(a, BPF_DW, STATE_PTR, STATE(due), R3);
}

/* TEMPLATE_PTR: the template of the current slot and size. */
static void emit_template(struct assembler *a, const struct shape *shape)
{
	load(a, BPF_W, R1, STATE_PTR, STATE(slot));
	alu(a, BPF_AND, R1, SHAPE_SLOTS - 1);
	alu(a, BPF_LSH, R1, 2);
	_Static_assert(SHAPE_SIZES == 4, "the shift above");
	if (shape->sizes > 1) {
		load(a, BPF_W, R2, STATE_PTR, STATE(step));
		alu(a, BPF_AND, R2, 15);
		mov(a, R3, STATE_PTR);
		alux(a, BPF_ADD, R3, R2);
		load(a, BPF_B, R2, R3, STATE(size_of_step));
		alu(a, BPF_AND, R2, SHAPE_SIZES - 1);
		alux(a, BPF_ADD, R1, R2);
	}
	alu(a, BPF_LSH, R1, 8);
	mov(a, TEMPLATE_PTR, STATE_PTR);
	alux(a, BPF_ADD, TEMPLATE_PTR, R1);
	alu(a, BPF_ADD, TEMPLATE_PTR, sizeof(struct xdp_state));
}

/* Cuts the frame to its length, and lays the template's header over it.
 * kernel: the frames are recycled as they were left, and receiving may move their bytes (a VLAN tag is taken
 * out), so that the header is written anew each time. */
static void emit_header(struct assembler *a, const struct shape *shape)
{
	uint32_t end = SHAPE_LENGTH_MIN, skips[SHAPE_HEADER / 4], skip_count = 0;
	bool lengths_differ = false;

	for (uint32_t i = 0; i < shape->slots * SHAPE_SIZES; i++) {
		const struct shape_template *template = &shape->templates[i];

		if (i % SHAPE_SIZES >= shape->sizes)
			continue;
		lengths_differ |= template->length != shape->longest;
		if (template->stamp_offset + STAMP_BYTES_FLOW > end)
			end = template->stamp_offset + STAMP_BYTES_FLOW;
	}
	if (lengths_differ) {
		load(a, BPF_W, R2, TEMPLATE_PTR, TEMPLATE(length));
		alu(a, BPF_SUB, R2, (int32_t)shape->longest);
		mov(a, R1, CONTEXT);
		emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_xdp_adjust_tail);
		drop_if(a, jump(a, BPF_JNE, R0, 0));
	}
	load(a, BPF_W, DATA, CONTEXT, offsetof(struct xdp_md, data));
	load(a, BPF_W, DATA_END, CONTEXT, offsetof(struct xdp_md, data_end));
	mov(a, R1, DATA);
	alu(a, BPF_ADD, R1, SHAPE_LENGTH_MIN);
	drop_if(a, jumpx(a, BPF_JGT, R1, DATA_END));
	for (int16_t offset = 0; offset + 8 <= SHAPE_LENGTH_MIN; offset += 8) {
		load(a, BPF_DW, R2, TEMPLATE_PTR, offset);
		store(a, BPF_DW, DATA, offset, R2);
	}
	for (int16_t offset = SHAPE_LENGTH_MIN - 4; offset < (int16_t)end && offset + 4 <= SHAPE_HEADER;
	     offset += 4) {
		if (offset >= SHAPE_LENGTH_MIN) {
			mov(a, R1, DATA);
			alu(a, BPF_ADD, R1, offset + 4);
			skips[skip_count++] = jumpx(a, BPF_JGT, R1, DATA_END);
		}
		load(a, BPF_W, R2, TEMPLATE_PTR, offset);
		store(a, BPF_W, DATA, offset, R2);
	}
	while (skip_count > 0)
		land(a, skips[--skip_count]);
}

static void emit_stamp(struct assembler *a)
{
	uint32_t no_flow;

	load(a, BPF_W, SUM, TEMPLATE_PTR, TEMPLATE(base_sum));
	point(a, TEMPLATE(stamp_offset), STAMP_BYTES);
	load(a, BPF_DW, R1, STATE_PTR, STATE(sequence));
	big_endian(a, R1, 64);
	store(a, BPF_DW, R5, 2, R1);
	add_halves(a, R1);
	load(a, BPF_DW, R1, STACK, -8);
	load(a, BPF_DW, R2, STATE_PTR, STATE(epoch_offset));
	alux(a, BPF_ADD, R1, R2);
	big_endian(a, R1, 64);
	store(a, BPF_DW, R5, 10, R1);
	add_halves(a, R1);
	load(a, BPF_W, R1, TEMPLATE_PTR, TEMPLATE(flow_in_stamp));
	no_flow = jump(a, BPF_JEQ, R1, 0);
	point(a, TEMPLATE(stamp_offset), STAMP_BYTES_FLOW);
	load(a, BPF_W, R1, STATE_PTR, STATE(flow));
	big_endian(a, R1, 32);
	store(a, BPF_W, R5, 18, R1);
	alux(a, BPF_ADD, SUM, R1);
	land(a, no_flow);
}

static void emit_ports(struct assembler *a, const struct shape *shape)
{
	point(a, TEMPLATE(ports_offset), 4);
	load(a, BPF_W, R1, STATE_PTR, STATE(port));
	if (shape->flows / shape->slots >= SHAPE_PORTS) {
		mov(a, R2, R1);
		alu(a, BPF_DIV, R2, SHAPE_PORTS);
		alu(a, BPF_ADD, R2, SHAPE_PORT_DISCARD);
		alu(a, BPF_MOD, R1, SHAPE_PORTS);
	} else {
		set(a, R2, SHAPE_PORT_DISCARD);
	}
	alu(a, BPF_ADD, R1, SHAPE_PORT_FIRST);
	big_endian(a, R1, 16);
	big_endian(a, R2, 16);
	store(a, BPF_H, R5, 0, R1);
	store(a, BPF_H, R5, 2, R2);
	alux(a, BPF_ADD, SUM, R1);
	alux(a, BPF_ADD, SUM, R2);
}

static void emit_checksum(struct assembler *a)
{
	uint32_t not_zero;

	mov(a, R1, SUM);
	alu(a, BPF_RSH, R1, 32);
	alu(a, BPF_LSH, SUM, 32);
	alu(a, BPF_RSH, SUM, 32);
	alux(a, BPF_ADD, SUM, R1);
	for (int fold = 0; fold < 3; fold++) {
		mov(a, R1, SUM);
		alu(a, BPF_RSH, R1, 16);
		alu(a, BPF_AND, SUM, 0xffff);
		alux(a, BPF_ADD, SUM, R1);
	}
	alu(a, BPF_XOR, SUM, 0xffff);
	not_zero = jump(a, BPF_JNE, SUM, 0);
	load(a, BPF_W, SUM, TEMPLATE_PTR, TEMPLATE(checksum_zero));
	land(a, not_zero);
	point(a, TEMPLATE(checksum_offset), 2);
	store(a, BPF_H, R5, 0, SUM);
}

/* As shape_next. */
static void emit_step(struct assembler *a, const struct shape *shape)
{
	uint32_t same_slot, same_steps, same_rounds, same_flows;

	load(a, BPF_DW, R1, STACK, -8);
	store(a, BPF_DW, STATE_PTR, STATE(last), R1);
	increment(a, STATE(sequence), 1);
	increment(a, STATE(sent), 1);
	load(a, BPF_DW, R1, STATE_PTR, STATE(bytes));
	load(a, BPF_W, R2, TEMPLATE_PTR, TEMPLATE(length));
	alux(a, BPF_ADD, R1, R2);
	store(a, BPF_DW, STATE_PTR, STATE(bytes), R1);
	if (shape->flows == 1 && shape->sizes == 1)
		return;
	load(a, BPF_W, R1, STATE_PTR, STATE(flow));
	load(a, BPF_W, R2, STATE_PTR, STATE(slot));
	load(a, BPF_W, R3, STATE_PTR, STATE(port));
	load(a, BPF_W, R4, STATE_PTR, STATE(step));
	alu(a, BPF_ADD, R1, 1);
	alu(a, BPF_ADD, R2, 1);
	alu(a, BPF_ADD, R4, 1);
	same_slot = jump(a, BPF_JNE, R2, (int32_t)shape->slots);
	set(a, R2, 0);
	alu(a, BPF_ADD, R3, 1);
	land(a, same_slot);
	same_steps = jump(a, BPF_JNE, R4, SHAPE_SIZE_STEPS);
	set(a, R4, 0);
	land(a, same_steps);
	same_flows = jump(a, BPF_JNE, R1, (int32_t)shape->flows);
	set(a, R1, 0);
	set(a, R2, 0);
	set(a, R3, 0);
	load(a, BPF_W, R4, STATE_PTR, STATE(rounds));
	alu(a, BPF_ADD, R4, 1);
	same_rounds = jump(a, BPF_JNE, R4, SHAPE_SIZE_STEPS);
	set(a, R4, 0);
	land(a, same_rounds);
	store(a, BPF_W, STATE_PTR, STATE(rounds), R4);
	land(a, same_flows);
	store(a, BPF_W, STATE_PTR, STATE(flow), R1);
	store(a, BPF_W, STATE_PTR, STATE(slot), R2);
	store(a, BPF_W, STATE_PTR, STATE(port), R3);
	store(a, BPF_W, STATE_PTR, STATE(step), R4);
}

uint32_t xdp_program_build(struct bpf_insn program[XDP_PROGRAM_MAX], const struct shape *shape, int map_fd,
			   bool paced, unsigned redirect)
{
	struct assembler a = { .program = program };

	mov(&a, CONTEXT, R1);
	emit(&a, BPF_LD | BPF_DW | BPF_IMM, STATE_PTR, BPF_PSEUDO_MAP_VALUE, 0, map_fd);
	emit(&a, 0, 0, 0, 0, 0); /* offset in the value */
	emit_pace(&a, paced);
	emit_template(&a, shape);
	emit_header(&a, shape);
	emit_stamp(&a);
	emit_ports(&a, shape);
	emit_checksum(&a);
	emit_step(&a, shape);
	if (redirect != 0) {
		set(&a, R1, (int32_t)redirect);
		set(&a, R2, 0);
		emit(&a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect);
	} else {
		set(&a, R0, XDP_PASS);
	}
	emit(&a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (uint32_t i = 0; i < a.drop_count; i++)
		land(&a, a.drops[i]);
	set(&a, R0, XDP_DROP);
	emit(&a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return a.count;
}
