/* What the xdp-records program and engine/sources/xdprecords.c agree on. Read by clang -target bpf and by the
 * host's compiler. */
#ifndef WEIR_ENGINE_BPF_XDPRECORDS_SHARED_H
#define WEIR_ENGINE_BPF_XDPRECORDS_SHARED_H

#include <linux/types.h>

#define XDPRECORDS_PORTS 24   /* extra tunnel ports: decode_ports' fields, one behind the other */
#define XDPRECORDS_BYTES 512  /* of a packet that is finished in user space: as if by this snap length */
#define XDPRECORDS_LONG 2048  /* of one that is not TCP, UDP or ICMP over IP: its headers may be many */

/* A ring sample is a struct record (128 bytes), or this with XDPRECORDS_BYTES or XDPRECORDS_LONG bytes
 * behind it, told by its length. */
struct xdprecords_headers {
	__u64 timestamp_ns;
	__u32 wire_length;
	__u32 length;         /* valid bytes */
	__u32 direction;      /* enum record_direction */
	__u32 reserved;
	__u8 bytes[];
};

/* One per CPU. Packets. */
struct xdprecords_counters {
	__u64 seen;    /* accepted while the CPU had a ring */
	__u64 lost;    /* of these: the ring was full */
	__u64 plain;   /* of these: finished in the kernel */
	__u64 passed;  /* the filter did not match */
	__u64 unread;  /* accepted on a CPU without a ring */
};

#endif
