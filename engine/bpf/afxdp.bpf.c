/* The XDP program of the afxdp backend: stamps a packet and redirects it to its queue's socket.
 *
 * With a filter, the translated program (engine/filter/translate.h) is the one that is attached, and
 * tail-calls into accept or reject here; without, accept is attached itself. A queue without a socket
 * passes its packets to the stack untouched, so that an attached program with an empty map does nothing. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "engine/bpf/afxdp_shared.h"

/* Set before loading. */
const volatile _Bool use_tai; /* the kernel has bpf_ktime_get_tai_ns (6.1) */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the number of queues, set before loading */
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* as above */
	__type(key, __u32);
	__type(value, struct afxdp_counters);
} counters SEC(".maps");

static __always_inline void stamp(struct xdp_md *context, struct afxdp_counters *count)
{
	struct afxdp_stamp *area;

	if (bpf_xdp_adjust_meta(context, -(int)sizeof *area) != 0) {
		count->unstamped++;
		return;
	}
	area = (void *)(long)context->data_meta;
	if ((void *)(area + 1) > (void *)(long)context->data)
		return;
	area->time_ns = use_tai ? bpf_ktime_get_tai_ns() : bpf_ktime_get_ns();
}

SEC("xdp")
int accept(struct xdp_md *context)
{
	__u32 queue = context->rx_queue_index;
	struct afxdp_counters *count = bpf_map_lookup_elem(&counters, &queue);
	int verdict;

	if (!count)
		return XDP_PASS; /* more queues than there were at the start */
	if (!bpf_map_lookup_elem(&sockets, &queue)) {
		count->unbound++;
		return XDP_PASS;
	}
	stamp(context, count);
	verdict = (int)bpf_redirect_map(&sockets, queue, XDP_PASS);
	if (verdict == XDP_REDIRECT)
		count->redirected++;
	else
		count->unbound++;
	return verdict;
}

SEC("xdp")
int reject(struct xdp_md *context)
{
	__u32 queue = context->rx_queue_index;
	struct afxdp_counters *count = bpf_map_lookup_elem(&counters, &queue);

	if (count)
		count->passed++;
	return XDP_PASS;
}

const char license_of[] SEC("license") = "Dual MIT/GPL";
