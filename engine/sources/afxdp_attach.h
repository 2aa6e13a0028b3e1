/* An XDP program on an interface: a filter in front of it, and the link that holds it there.
 *
 * The filter and the program written in C meet by tail call: the translated filter
 * (engine/filter/translate.h) is the program that is attached, and jumps through a program array with two
 * slots, accept and reject. Splicing instructions into the C program would have to mend its BTF line and
 * function tables, and replacing a global function (freplace) would need BTF made at run time and a kernel
 * that attaches to a program already attached; a tail call with a constant slot is one direct jump in
 * the JIT's output and needs neither. Without a filter, the C program is attached itself.
 *
 * The link is unpinned: when its last descriptor is closed, also by SIGKILL, the kernel detaches the program.
 *
 * Shared by afxdp and xdp-records. Owner: the control thread. */
#ifndef WEIR_ENGINE_SOURCES_AFXDP_ATTACH_H
#define WEIR_ENGINE_SOURCES_AFXDP_ATTACH_H

#include <stdbool.h>

#include "engine/error.h"
#include "engine/filter/filter.h"
#include "engine/interfaces.h"

enum afxdp_mode {
	AFXDP_AUTO = 0,  /* the best that works: zero-copy, native copy, generic */
	AFXDP_ZEROCOPY,
	AFXDP_NATIVE,    /* the driver runs the program, packets are copied into the UMEM */
	AFXDP_GENERIC,   /* the stack runs the program, on socket buffers */
};

struct afxdp_attach {
	int array;       /* the program array; -1: no filter */
	int filter;      /* the translated program; -1: none */
	int link;        /* -1: not attached */
	bool generic;    /* what was got */
};

/* An attachment that holds nothing. */
#define AFXDP_ATTACH_NONE ((struct afxdp_attach){ .array = -1, .filter = -1, .link = -1 })

/* Translates and loads a filter in front of accept and reject (descriptors of XDP programs that the caller
 * keeps open). Errors: -EOPNOTSUPP when XDP cannot express it (its name in the message), -EPERM, others of
 * loading. */
int afxdp_attach_filter(struct afxdp_attach *attach, const struct filter_program *filter, bool fragments,
			int accept, int reject, struct error *error);

/* Attaches the filter, or without one accept, to the interface in the mode asked for (AUTO: native, else
 * generic; ZEROCOPY: native). Errors with a hint: -EBUSY (another program is there), -EOPNOTSUPP (the driver
 * has no XDP), -ERANGE (the MTU), -EPERM, -ENODEV. */
int afxdp_attach_link(struct afxdp_attach *attach, const struct interfaces_entry *interface,
		      enum afxdp_mode mode, int accept, struct error *error);

/* Detaches: the interface is as it was. The rest stays for counters. */
void afxdp_attach_detach(struct afxdp_attach *attach);

void afxdp_attach_close(struct afxdp_attach *attach);

/* Fills the error of a failed bpf() call by what a person can do about it; returns code. what: "load the XDP
 * program". */
int afxdp_attach_bpf_error(struct error *error, int code, const char *what);

#endif
