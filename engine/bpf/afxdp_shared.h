/* What the AF_XDP program and engine/sources/afxdp_program.c agree on. Plain types of the UAPI: read by
 * clang -target bpf and by the host's compiler. */
#ifndef WEIR_ENGINE_BPF_AFXDP_SHARED_H
#define WEIR_ENGINE_BPF_AFXDP_SHARED_H

#include <linux/types.h>

/* In the metadata area, directly in front of the packet: nanoseconds of the clock that the program was loaded for. The
 * reader clears it, so that no stamp is read twice. No longer than this, so that it shares a cache line with the
 * headers of most packets: 8 bytes, and 54 of Ethernet, IPv4 and TCP. */
struct afxdp_stamp {
	__u64 time_ns;
};

/* One per queue and CPU. Packets. */
struct afxdp_counters {
	__u64 redirected; /* to the queue's socket */
	__u64 passed;     /* to the stack: the filter did not match */
	__u64 unbound;    /* to the stack: no socket on this queue */
	__u64 unstamped;  /* of the redirected: the driver has no metadata area */
};

#endif
