/* libpcap's side: its struct bpf_insn is the classic one and cannot meet linux/bpf.h in one file. */
#ifndef WEIR_TESTS_UNIT_TRANSLATE_REFERENCE_H
#define WEIR_TESTS_UNIT_TRANSLATE_REFERENCE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/* Compiles for Ethernet on a dead handle. Returns the instructions written (at most BPF_MAXINSNS), 0 when
 * the text does not compile. */
unsigned reference_compile(const char *text, bool optimize, struct sock_filter *code);

/* libpcap's bpf_filter: the verdict. */
uint32_t reference_run(const struct sock_filter *code, const uint8_t *bytes, uint32_t length);

#endif
