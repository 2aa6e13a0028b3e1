#include "engine/sources/xdprecords.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/sources/afxdp_host.h"
#include "engine/sources/xdprecords_internal.h"

#define RING_DEFAULT (4u << 20)
#define RING_LEAST (64u << 10)
#define RING_MOST (1u << 30)
#define DRAIN_MS 1000
#define LOOK_MS 500
#define COALESCE_US 1000 /* of latency: a wake-up costs as much as a hundred records, and 4 MiB hold 30,000 */
#define CLOCK_PERIOD_NS UINT64_C(100000000)

/* --- running ---------------------------------------------------------------------------------- */

static int xdprecords_start(struct source *source, struct error *error)
{
	struct xdprecords *records = xdprecords_from(source);
	int result;

	xdprecords_program_set_clock(records->group->program);
	result = xdprecords_program_bind(records->group->program, records->cpu, source->fd);
	if (result < 0)
		return error_set_errno(error, result, "cannot give CPU %u its ring", records->cpu);
	return 0;
}

static int xdprecords_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct xdprecords *records = xdprecords_from(source);
	unsigned count = xdprecords_ring_rx(&records->ring, frames, max);

	if (records->ring.last_ns - records->clock_at_ns > CLOCK_PERIOD_NS) {
		records->clock_at_ns = records->ring.last_ns;
		xdprecords_program_set_clock(records->group->program);
	}
	if (count == 0 && records->down && !xdprecords_ring_waiting(&records->ring))
		return -ENETDOWN;
	return (int)count;
}

static void xdprecords_release(struct source *source, uint32_t span)
{
	xdprecords_ring_release(&xdprecords_from(source)->ring, span);
}

static const struct xdprecords_counters *read_counters(struct xdprecords *records)
{
	xdprecords_program_counters(records->group->program, records->counters);
	return &records->counters[records->cpu];
}

/* As afxdp: after stop, everything that was ever counted is here or lost. */
static bool xdprecords_empty(struct source *source)
{
	struct xdprecords *records = xdprecords_from(source);
	const struct xdprecords_counters *counters;

	if (xdprecords_ring_waiting(&records->ring))
		return false;
	if (!records->stopping)
		return true;
	counters = read_counters(records);
	return records->ring.handed_out + counters->lost >= counters->seen;
}

/* A ring buffer outlives the interface and says nothing of it. */
static void look_for_interface(struct xdprecords *records)
{
	uint64_t now = clock_monotonic_ns();
	struct interfaces_entry entry;
	int result;

	if (now - records->looked_ns < LOOK_MS * NS_PER_MS / 2)
		return;
	records->looked_ns = now;
	result = interfaces_lookup_index(records->bound, &entry);
	if (result != -ENODEV && (result < 0 || entry.flags & IFF_UP))
		return;
	records->losses_of_interface += !records->down;
	records->down = true;
}

static bool xdprecords_arm(struct source *source)
{
	struct xdprecords *records = xdprecords_from(source);
	struct xdprecords_ring *ring = &records->ring;

	look_for_interface(records);
	return records->down || (xdprecords_ring_waiting(ring) && ring->newest - ring->oldest < XDPRECORDS_SPANS);
}

static void xdprecords_stop(struct source *source)
{
	struct xdprecords *records = xdprecords_from(source);

	records->stopping = true;
	xdprecords_program_unbind(records->group->program, records->cpu);
}

static void xdprecords_stats(struct source *source, struct source_stats *stats)
{
	struct xdprecords *records = xdprecords_from(source);
	struct xdprecords_group *group = records->group;
	const struct xdprecords_counters *mine = read_counters(records);
	uint64_t unread = 0;

	stats->handed_out = records->ring.handed_out;
	stats->seen = mine->seen;
	source_stats_add(stats->losses, &stats->loss_count, "ring_full", mine->lost);
	source_stats_add(stats->outside, &stats->outside_count, "xdp_passed", mine->passed);
	source_stats_add(stats->outside, &stats->outside_count, "xdp_unread", mine->unread);
	for (uint32_t cpu = 0; records->first && cpu < xdprecords_program_cpus(group->program); cpu++) {
		if (cpu >= XDPRECORDS_CPUS_MOST || !group->read_cpus[cpu])
			unread += records->counters[cpu].unread + records->counters[cpu].passed;
	}
	if (records->first)
		source_stats_add(stats->outside, &stats->outside_count, "xdp_other_cpus", unread);
	source_stats_add(stats->events, &stats->event_count, "decoded_in_kernel", mine->plain);
	source_stats_add(stats->events, &stats->event_count, "decoded_here", records->ring.finished_here);
	source_stats_add(stats->events, &stats->event_count, "interface_losses", records->losses_of_interface);
	stats->spans_total = XDPRECORDS_SPANS;
	stats->spans_held_most = records->ring.out_most;
	snprintf(stats->mode, sizeof stats->mode, "records at XDP, %s",
		 group->mode == AFXDP_GENERIC ? "generic" : "native");
}

static void close_group(struct xdprecords_group *group)
{
	xdprecords_program_close(group->program);
	afxdp_tags_restore(&group->guard);
	if (group->promiscuous >= 0)
		close(group->promiscuous);
	filter_live_close(&group->filter);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

static void xdprecords_close(struct source *source)
{
	struct xdprecords *records = xdprecords_from(source);
	struct xdprecords_group *group = records->group;

	if (group->program != NULL)
		xdprecords_program_detach(group->program);
	if (records->consumer_page != NULL)
		munmap(records->consumer_page, (size_t)sysconf(_SC_PAGESIZE));
	if (records->producer_pages != NULL)
		munmap(records->producer_pages, records->producer_size);
	if (source->fd >= 0)
		close(source->fd);
	free(records->counters);
	free(records);
	if (--group->references == 0)
		close_group(group);
}

static const struct source_ops xdprecords_ops = {
	.name = "xdp-records",
	.start = xdprecords_start,
	.rx_burst = xdprecords_rx_burst,
	.release = xdprecords_release,
	.empty = xdprecords_empty,
	.arm = xdprecords_arm,
	.reopen = xdprecords_reopen,
	.stop = xdprecords_stop,
	.stats = xdprecords_stats,
	.close = xdprecords_close,
};

/* --- opening ---------------------------------------------------------------------------------- */

static int map_ring(struct xdprecords *records, struct error *error)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t size = records->group->ring_size;
	struct xdprecords_ring *ring = &records->ring;

	records->source.fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "weir_records", 0, 0, size, NULL);
	if (records->source.fd < 0)
		return afxdp_attach_bpf_error(error, -errno, "make a BPF ring buffer");
	records->producer_size = page + 2 * (size_t)size;
	records->consumer_page = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, records->source.fd, 0);
	if (records->consumer_page == MAP_FAILED)
		records->consumer_page = NULL;
	records->producer_pages = mmap(NULL, records->producer_size, PROT_READ, MAP_SHARED, records->source.fd,
				       (off_t)page);
	if (records->producer_pages == MAP_FAILED)
		records->producer_pages = NULL;
	if (records->consumer_page == NULL || records->producer_pages == NULL)
		return error_set_errno(error, -errno, "cannot map a BPF ring buffer");
	ring->consumer = records->consumer_page;
	ring->producer = records->producer_pages;
	ring->data = (const uint8_t *)records->producer_pages + page;
	ring->mask = size - 1;
	return 0;
}

static int add_source(struct xdprecords_group *group, uint32_t cpu, struct source **out, struct error *error)
{
	struct xdprecords *records = calloc(1, sizeof *records);

	if (records == NULL)
		return error_set(error, -ENOMEM, "no memory for xdp-records");
	records->group = group;
	records->cpu = cpu;
	records->bound = group->device.index;
	records->first = group->references++ == 0;
	records->source = (struct source){ .ops = &xdprecords_ops, .fd = -1, .live = true, .drain_ms = DRAIN_MS,
					   .look_ms = LOOK_MS, .coalesce_us = COALESCE_US, .span_count = XDPRECORDS_SPANS };
	group->read_cpus[cpu] = true;
	*out = &records->source;
	records->counters = calloc(xdprecords_program_cpus(group->program), sizeof *records->counters);
	if (records->counters == NULL)
		return error_set(error, -ENOMEM, "no memory for xdp-records");
	return map_ring(records, error);
}

/* kernel: CPU 0 often has no "online" file; it is. */
static bool is_online(uint32_t cpu)
{
	char path[64], state = '1';
	FILE *file;

	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u", cpu);
	if (access(path, F_OK) < 0)
		return false;
	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/online", cpu);
	file = fopen(path, "re");
	if (file != NULL) {
		if (fread(&state, 1, 1, file) != 1)
			state = '1';
		fclose(file);
	}
	return state == '1';
}

static int add_sources(struct xdprecords_group *group, struct source **sources, unsigned max, unsigned *count,
		       struct error *error)
{
	uint32_t cpus = xdprecords_program_cpus(group->program);
	int result = 0;

	for (uint32_t cpu = 0; cpu < cpus && cpu < XDPRECORDS_CPUS_MOST && result == 0; cpu++) {
		if (!is_online(cpu))
			continue;
		if (*count == max)
			return error_set(error, -E2BIG, "more CPUs than %u workers", max);
		sources[*count] = NULL;
		result = add_source(group, cpu, &sources[*count], error);
		*count += sources[*count] != NULL;
	}
	return result;
}

static int check_options(const struct xdprecords_group *group, const struct xdprecords_options *records,
			 struct error *error)
{
	const struct interfaces_entry *device = &group->device;

	if (device->index == 0 || device->link_type != LINK_ETHERNET)
		return error_set(error, -EINVAL, "xdp-records works on Ethernet devices only, not on %s", device->name);
	if (!(device->flags & IFF_UP)) {
		error_set(error, -ENETDOWN, "%s is down", device->name);
		return error_hint(error, "ip link set %s up", device->name);
	}
	if (!group->options.headers_only) {
		error_set(error, -EINVAL, "xdp-records makes records only: there are no packets to save");
		return error_hint(error, "--backend afpacket saves packets");
	}
	if (group->options.direction == SOURCE_OUT) {
		error_set(error, -EINVAL, "XDP sees received packets only");
		return error_hint(error, "-Q in, or --backend afpacket");
	}
	if (group->options.time_hardware || records->mode == AFXDP_ZEROCOPY)
		return error_set(error, -EINVAL, "xdp-records has neither hardware timestamps nor zero-copy");
	return 0;
}

/* With fragments first: without, a large MTU keeps the program away from the driver. */
static int load(struct xdprecords_group *group, const struct xdprecords_options *records, struct error *error)
{
	bool wanted = group->options.filter != NULL && group->options.filter[0] != 0;
	const struct filter_program *filter = wanted ? group->filter.kernel : NULL;
	int result;

	if (group->filter.user != NULL) {
		error_set(error, -EOPNOTSUPP, "the filter cannot run at XDP: %s", group->filter.why);
		return error_hint(error, "--backend afpacket runs it in user space");
	}
	result = xdprecords_program_load(&group->device, &records->ports, filter, true, &group->program, error);
	if (result < 0 && result != -EPERM)
		result = xdprecords_program_load(&group->device, &records->ports, filter, false, &group->program,
						 error);
	if (result == -EOPNOTSUPP)
		error_hint(error, "--backend afpacket runs it in user space");
	return result;
}

static int add_to_table(struct xdprecords_group *group, struct interface_table *table, struct source **sources,
			unsigned count, struct error *error)
{
	const struct interfaces_entry *device = &group->device;
	struct interface entry = { .kernel_index = device->index, .link_type = device->link_type };
	int result;

	snprintf(entry.name, sizeof entry.name, "%s", device->name);
	snprintf(entry.description, sizeof entry.description, "%s", device->description);
	snprintf(entry.filter, sizeof entry.filter, "%s", group->options.filter ? group->options.filter : "");
	memcpy(entry.mac, device->mac, sizeof entry.mac);
	result = interface_table_add(table, &entry, &sources[0]->interface);
	if (result < 0)
		return error_set_errno(error, result, "cannot note %s", entry.name);
	for (unsigned i = 0; i < count; i++)
		xdprecords_from(sources[i])->ring.interface = sources[i]->interface = sources[0]->interface;
	return 0;
}

static uint32_t ring_size_of(uint64_t wanted)
{
	uint32_t size = RING_LEAST;

	if (wanted == 0)
		wanted = RING_DEFAULT;
	while (size < wanted && size < RING_MOST)
		size *= 2;
	return size;
}

static int prepare(struct xdprecords_group *group, const struct xdprecords_options *records,
		   struct source_report *report, struct error *error)
{
	struct interfaces_entry plain = group->device;
	int result = check_options(group, records, error);

	plain.hardware_type = ARPHRD_ETHER; /* as afxdp: no direction to enforce */
	if (result == 0)
		result = filter_live_compile(group->options.filter, &plain, group->options.snap_length,
					     SOURCE_IN_OUT, &group->filter, error);
	if (result == 0)
		result = load(group, records, error);
	if (result == 0)
		result = afxdp_tags_keep(&group->device, &group->guard, report, error);
	if (result == 0 && group->options.promiscuous)
		result = afxdp_host_promiscuous(&group->device, &group->promiscuous, error);
	if (result == 0)
		result = xdprecords_program_attach(group->program, &group->device, records->mode, error);
	if (result == 0)
		group->mode = xdprecords_program_generic(group->program) ? AFXDP_GENERIC : AFXDP_NATIVE;
	return result;
}

int xdprecords_open(const char *interface, const struct xdprecords_options *records,
		    const struct source_options *options, struct interface_table *table, struct source **sources,
		    unsigned max, unsigned *count, struct source_report *report, struct error *error)
{
	struct xdprecords_group *group = calloc(1, sizeof *group);
	struct error unseen;
	int result;

	*count = 0;
	error = error != NULL ? error : &unseen;
	if (group == NULL)
		return error_set(error, -ENOMEM, "no memory for xdp-records");
	group->promiscuous = group->guard.pipe = -1;
	group->options = *options;
	pthread_mutex_init(&group->lock, NULL);
	group->ring_size = ring_size_of(options->ring_size);
	result = interfaces_lookup(interface, &group->device, error);
	if (result == 0)
		result = prepare(group, records, report, error);
	if (result == 0)
		result = add_sources(group, sources, max, count, error);
	if (result == 0)
		result = add_to_table(group, table, sources, *count, error);
	if (result == 0) {
		if (report != NULL)
			snprintf(report->summary, sizeof report->summary,
				 "Ethernet, records at XDP, %s, %u CPUs, %u KiB ring each",
				 xdprecords_program_generic(group->program) ? "generic" : "native", *count,
				 group->ring_size >> 10);
		return 0;
	}
	if (*count == 0)
		close_group(group);
	for (unsigned i = 0; i < *count; i++)
		sources[i]->ops->close(sources[i]);
	*count = 0;
	return result;
}
