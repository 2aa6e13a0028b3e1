#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct sock_filter;
unsigned reference_compile(const char *text, bool optimize, struct sock_filter *code);
uint32_t reference_run(const struct sock_filter *code, const uint8_t *bytes, uint32_t length);

unsigned reference_compile(const char *text, bool optimize, struct sock_filter *code)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, 262144);
	struct bpf_program program;
	unsigned length = 0;

	if (pcap_compile(handle, &program, text, optimize, 0) == 0) {
		length = program.bf_len;
		memcpy((void *)code, program.bf_insns, length * sizeof *program.bf_insns);
		pcap_freecode(&program);
	} else {
		printf("does not compile: %s: %s\n", text, pcap_geterr(handle));
	}
	pcap_close(handle);
	return length;
}

uint32_t reference_run(const struct sock_filter *code, const uint8_t *bytes, uint32_t length)
{
	return bpf_filter((const struct bpf_insn *)(const void *)code, bytes, length, length);
}
