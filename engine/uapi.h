/* Kernel constants newer than the headers of Debian 12 (linux-libc-dev 6.1).
 *
 * Each with the kernel version that brought it. A kernel without it ignores the bit or refuses the
 * option with EINVAL or ENOPROTOOPT; whoever uses one says what happens then. Nothing else belongs here.
 */
#ifndef WEIR_ENGINE_UAPI_H
#define WEIR_ENGINE_UAPI_H

#include <stdint.h>

#include <linux/if_packet.h>
#include <linux/if_xdp.h>

/* ---- AF_PACKET (include/uapi/linux/if_packet.h) ---- */

/* tp_status: the frame is a TCP super-packet (GRO on the way in, TSO on the way out). 6.3. */
#ifndef TP_STATUS_GSO_TCP
#define TP_STATUS_GSO_TCP (1u << 8)
#endif

/* ---- AF_XDP (include/uapi/linux/if_xdp.h) ---- */

/* bind: frames may take several descs. 6.6; before, bind says EINVAL. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1u << 4)
#endif

/* xdp_desc.options: the frame goes on in the next desc. 6.6; never set without XDP_USE_SG. */
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1u << 0)
#endif

/* linux/sched/types.h (3.14): it cannot be included beside glibc's <sched.h>, and glibc has it from 2.41 on. */
struct uapi_sched_attr {
	uint32_t size;
	uint32_t sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime; /* ns; SCHED_OTHER: from 6.12 on, the length of a turn */
	uint64_t sched_deadline;
	uint64_t sched_period;
	uint32_t sched_util_min;
	uint32_t sched_util_max;
};

#endif
