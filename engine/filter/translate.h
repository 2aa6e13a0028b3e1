/* Classic BPF to eBPF, so that the filter of a packet socket also runs at XDP.
 *
 * libpcap compiles pcap-filter(7) to classic BPF for a socket buffer; XDP runs eBPF on the driver's
 * frame. The translation is one straight pass: A, X and the scratch words become two registers and a
 * stack area, every load gets its bounds check, and whatever classic BPF answers with "return 0" (a load
 * outside the packet, division by zero) jumps to a common end.
 *
 * VLAN tags. A packet socket sees a frame whose outermost tag the stack has taken out and laid beside
 * it; XDP sees it in the bytes. With TRANSLATE_STRIPPED the program takes the tag out before the filter
 * runs (the addresses move four bytes, bpf_xdp_adjust_head) and puts it back after, so that the same program
 * gives the same verdict on both paths and the frame leaves as it came. With TRANSLATE_RAW the filter sees
 * the bytes.
 *
 * What has no counterpart at XDP is refused by its name with -EOPNOTSUPP: the ancillaries PKTTYPE, MARK,
 * RXHASH, HATYPE, NLATTR, NLATTR_NEST and PAY_OFFSET, loads relative to NET_OFF and LL_OFF, backward jumps,
 * and programs whose jumps would be longer than 16 bits. The caller runs those in the worker.
 *
 * Pure but for the allocation of the result: any thread. It loads nothing into the kernel.
 */
#ifndef WEIR_ENGINE_FILTER_TRANSLATE_H
#define WEIR_ENGINE_FILTER_TRANSLATE_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "engine/error.h"
#include "engine/filter/filter.h"

enum translate_tags {
	TRANSLATE_RAW = 0,  /* loads see the frame's bytes; the VLAN ancillaries say "no tag" */
	TRANSLATE_STRIPPED, /* loads and VLAN ancillaries see what a packet socket would */
};

/* Slots of the program array that the translated program tail-calls into. */
enum translate_slot {
	TRANSLATE_ACCEPT = 0,
	TRANSLATE_REJECT = 1,
};

struct translate_options {
	enum translate_tags tags;
	bool fragments; /* loaded with BPF_F_XDP_HAS_FRAGS: a helper fetches bytes behind the first fragment */
	int tail_calls; /* descriptor of a program array with two slots; -1: the program returns the verdict */
};

struct translate_program {
	struct bpf_insn *code; /* owned */
	unsigned length;       /* instructions */
};

/* Translates a filter (an empty one accepts all, with the verdict UINT32_MAX). On a failed tail call the
 * packet passes. Loads outside the packet and divisions by zero give verdict 0, shifts of 32 and more by X
 * give 0 in A (pcap/bpf_filter.c); offsets beyond 65535 are outside every XDP frame.
 * Errors: -EOPNOTSUPP as above, -EINVAL for a program that the kernel would refuse, -ENOMEM. */
int translate_filter(const struct filter_program *filter, const struct translate_options *options,
		     struct translate_program *program, struct error *error);

/* Frees what the program owns; safe on all zero. */
void translate_close(struct translate_program *program);

#endif
