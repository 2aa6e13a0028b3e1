#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "afxdp_support.h"
#include "decoders/decode.h"

int try_open(struct run *run, const char *device, const struct afxdp_options *afxdp,
	     const struct source_options *options)
{
	memset(run, 0, sizeof *run);
	assert_int_equal(interface_table_create(&run->table, NULL), 0);
	return afxdp_open(device, afxdp, options, run->table, run->sources, &run->count, &run->report, &run->error);
}

void open_run(struct run *run, const struct afxdp_options *afxdp, const struct source_options *options)
{
	if (try_open(run, "weir0", afxdp, options) < 0)
		fail_msg("%s (%s)", run->error.message, run->error.hint);
	for (unsigned i = 0; i < run->count; i++)
		assert_int_equal(run->sources[i]->ops->start(run->sources[i], &run->error), 0);
}

uint32_t attached_program(const char *device)
{
	uint32_t id = 0;

	bpf_xdp_query_id((int)if_nametoindex(device), 0, &id);
	return id;
}

void close_run(struct run *run)
{
	for (unsigned i = 0; i < run->count; i++)
		run->sources[i]->ops->close(run->sources[i]);
	interface_table_close(run->table);
	assert_int_equal(attached_program("weir0"), 0);
}

void note(void *context, const struct frame *frame)
{
	struct seen *seen = context;
	uint32_t number;

	assert_int_equal(frame->link_type, LINK_ETHERNET);
	if (frame->captured_len >= SEQUENCE_AT + sizeof number && !seen->unordered_numbers) {
		memcpy(&number, frame->data + SEQUENCE_AT, sizeof number);
		assert_int_equal(number, seen->next);
	}
	seen->next++;
	if (seen->first_ns == 0)
		seen->first_ns = frame->timestamp_ns;
	assert_true(frame->timestamp_ns >= seen->last_ns || seen->unordered_numbers);
	seen->last_ns = frame->timestamp_ns;
	if (frame->captured_len > seen->longest)
		seen->longest = frame->captured_len;
	if (frame->data[12] == 0x81 && frame->data[13] == 0)
		seen->tci = (uint16_t)(frame->data[14] << 8 | frame->data[15]);
}

void balanced(const struct source_stats *stats, uint64_t frames)
{
	assert_int_equal(stats->handed_out, frames);
	assert_int_equal(stats->handed_out, stats->seen - losses(stats));
}

void offloads(const char *device, const char *feature, char *state, size_t size)
{
	char text[128];
	FILE *pipe;

	snprintf(text, sizeof text, "ethtool -k %s | sed -n 's/^%s: //p'", device, feature);
	pipe = popen(text, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(state, (int)size, pipe));
	pclose(pipe);
}

int load_pass(void)
{
	const struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
					 { .code = BPF_JMP | BPF_EXIT } };

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "MIT", code, 2, NULL);
}

bool afxdp_support_enter(void)
{
	int program;

	if (!backend_support_enter(1))
		return false;
	program = load_pass();
	if (program < 0) {
		printf("skipped: loading BPF programs is not permitted here\n");
		return false;
	}
	close(program);
	return true;
}
