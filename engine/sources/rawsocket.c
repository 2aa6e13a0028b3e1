#include "engine/sources/rawsocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/clock.h"
#include "engine/filter/filter_live.h"
#include "engine/interfaces.h"
#include "engine/sources/block_walk.h"

#define BUFFER_DEFAULT (8u << 20)
#define SPANS_BATCHED 64  /* times 64 packets: 4096 can wait for the writer */
#define SPANS_SINGLE 4096
#define DRAIN_MS 2000     /* an upper bound: empty() knows better */
#define CONTROL_SIZE (CMSG_SPACE(sizeof(struct tpacket_auxdata)) + CMSG_SPACE(sizeof(struct timespec)) + 64)

struct rawsocket {
	struct source source;
	struct source_options options;
	struct interfaces_entry device;
	struct filter_live filter;
	unsigned batch;

	uint8_t *memory; /* span_count * batch buffers of stride bytes */
	size_t memory_size;
	size_t stride;
	uint32_t *free_spans; /* a stack: the last returned is still in the cache */
	uint32_t free_count;

	struct mmsghdr messages[SOURCE_BURST];
	struct iovec vectors[SOURCE_BURST];
	struct sockaddr_ll addresses[SOURCE_BURST];
	_Alignas(struct cmsghdr) uint8_t controls[SOURCE_BURST][CONTROL_SIZE];

	uint64_t seen;
	uint64_t dropped;
	uint64_t handed_out;
	uint64_t calls;
	uint32_t held_most;
	bool down; /* the interface went; what it had delivered is still to be read */
	bool dry;  /* the last call found nothing: no other one before arm or empty has looked */
};

static struct rawsocket *self(struct source *source)
{
	return (struct rawsocket *)source;
}

/* --- memory ----------------------------------------------------------------------------------- */

static int make_buffers(struct rawsocket *raw, struct error *error)
{
	/* The tag's four bytes go in front. The odd stride spreads the packets' first lines over the cache's
	 * sets; pages that no packet reaches are never touched. */
	size_t kept = (size_t)raw->options.snap_length + BLOCK_TAG_SIZE;

	raw->stride = ((kept + 4095) & ~(size_t)4095) + 4096 + 192;
	raw->source.span_count = raw->batch == 1 ? SPANS_SINGLE : SPANS_BATCHED;
	raw->memory_size = raw->stride * raw->batch * raw->source.span_count;
	raw->memory = mmap(NULL, raw->memory_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw->memory == MAP_FAILED) {
		raw->memory = NULL;
		error_set_errno(error, -errno, "cannot reserve %zu MB for packets", raw->memory_size >> 20);
		return error_hint(error, "a smaller snap length (-s) needs less");
	}
	raw->free_spans = calloc(raw->source.span_count, sizeof *raw->free_spans);
	if (raw->free_spans == NULL)
		return error_set(error, -ENOMEM, "no memory for a raw socket");
	for (uint32_t i = 0; i < raw->source.span_count; i++)
		raw->free_spans[i] = raw->source.span_count - 1 - i;
	raw->free_count = raw->source.span_count;
	return 0;
}

static uint8_t *buffer_of(const struct rawsocket *raw, uint32_t span, unsigned i)
{
	return raw->memory + ((size_t)span * raw->batch + i) * raw->stride + BLOCK_TAG_SIZE;
}

static void make_messages(struct rawsocket *raw)
{
	for (unsigned i = 0; i < raw->batch; i++) {
		struct msghdr *message = &raw->messages[i].msg_hdr;

		raw->vectors[i].iov_len = raw->options.snap_length;
		message->msg_iov = &raw->vectors[i];
		message->msg_iovlen = 1;
		message->msg_name = &raw->addresses[i];
		message->msg_control = raw->controls[i];
	}
}

/* --- the socket ------------------------------------------------------------------------------- */

static int set_option(int fd, int level, int option, const void *value, socklen_t length, const char *what,
		      struct error *error)
{
	if (setsockopt(fd, level, option, value, length) < 0)
		return error_set_errno(error, -errno, "cannot set %s", what);
	return 0;
}

static int set_buffer(struct rawsocket *raw, int fd, struct error *error)
{
	uint64_t wanted = raw->options.ring_size != 0 ? raw->options.ring_size : BUFFER_DEFAULT;
	int size = wanted / 2 > INT32_MAX / 2 ? INT32_MAX / 2 : (int)(wanted / 2); /* kernel: doubles it */

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0)
		return 0;
	return set_option(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size, "the socket's receive buffer", error);
}

/* Everything that must be in place before the first packet may come: protocol 0 keeps them out. */
static int make_socket(struct rawsocket *raw, int *out, struct error *error)
{
	const int on = 1;
	int fd, result;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		result = error_set_errno(error, -errno, "cannot open a packet socket");
		if (result == -EPERM)
			error_hint(error, "capturing needs CAP_NET_RAW: run as root");
		return result;
	}
	result = set_option(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on, "PACKET_AUXDATA", error);
	if (result == 0)
		result = set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on, "SO_TIMESTAMPNS", error);
	if (result == 0)
		result = set_buffer(raw, fd, error);
	if (result == 0 && raw->options.promiscuous) {
		struct packet_mreq request = { .mr_ifindex = (int)raw->device.index, .mr_type = PACKET_MR_PROMISC };

		result = set_option(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request,
				    "promiscuous mode", error);
	}
	if (result < 0) {
		close(fd);
		return result;
	}
	*out = fd;
	return 0;
}

/* Filter first, then bind: nothing that the filter rejects ever comes in. */
static int let_in(struct rawsocket *raw, struct error *error)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)raw->device.index,
	};
	int result = filter_attach(raw->source.fd, raw->filter.kernel);

	if (result < 0)
		return error_set_errno(error, result, "cannot set the filter on %s", raw->device.name);
	if (bind(raw->source.fd, (struct sockaddr *)&address, sizeof address) < 0)
		return error_set_errno(error, -errno, "cannot capture on %s", raw->device.name);
	return 0;
}

static int rawsocket_start(struct source *source, struct error *error)
{
	return let_in(self(source), error);
}

/* --- packets ---------------------------------------------------------------------------------- */

static void restore_tag(struct rawsocket *raw, const struct tpacket_auxdata *auxdata, uint8_t *data,
			struct frame *frame)
{
	const uint32_t addresses = 2 * ETH_ALEN;
	bool known = auxdata->tp_status & TP_STATUS_VLAN_TPID_VALID;

	frame->wire_len += BLOCK_TAG_SIZE;
	if (frame->captured_len < addresses)
		return; /* cut inside its addresses: no place for it */
	memmove(data - BLOCK_TAG_SIZE, data, addresses);
	block_walk_put_be16(data + addresses - BLOCK_TAG_SIZE, known ? auxdata->tp_vlan_tpid : ETH_P_8021Q);
	block_walk_put_be16(data + addresses - 2, auxdata->tp_vlan_tci);
	frame->data = data - BLOCK_TAG_SIZE;
	frame->captured_len += BLOCK_TAG_SIZE;
	if (frame->captured_len > raw->options.snap_length)
		frame->captured_len = raw->options.snap_length;
	frame->flags |= FRAME_TAG_RESTORED;
}

static void read_auxdata(struct rawsocket *raw, const struct tpacket_auxdata *auxdata, uint8_t *data,
			 struct frame *frame)
{
	frame->wire_len = auxdata->tp_len;
	frame->flags |= auxdata->tp_status & TP_STATUS_CSUMNOTREADY ? FRAME_CSUM_NOT_READY : 0;
	frame->flags |= auxdata->tp_status & TP_STATUS_GSO_TCP ? FRAME_AGGREGATED : 0;
	if (auxdata->tp_status & TP_STATUS_VLAN_VALID && frame->link_type == LINK_ETHERNET)
		restore_tag(raw, auxdata, data, frame);
}

static void fill_frame(struct rawsocket *raw, unsigned i, uint32_t span, struct frame *frame)
{
	struct msghdr *message = &raw->messages[i].msg_hdr;
	uint32_t length = raw->messages[i].msg_len;
	uint8_t *data = raw->vectors[i].iov_base;

	*frame = (struct frame){
		.data = data,
		.captured_len = length,
		.wire_len = length,
		.span = span,
		.flags = block_walk_direction(raw->addresses[i].sll_pkttype),
		.link_type = raw->device.link_type,
		.interface = raw->source.interface,
	};
	for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level == SOL_PACKET && control->cmsg_type == PACKET_AUXDATA) {
			struct tpacket_auxdata auxdata;

			memcpy(&auxdata, CMSG_DATA(control), sizeof auxdata);
			read_auxdata(raw, &auxdata, data, frame);
		} else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec time;

			memcpy(&time, CMSG_DATA(control), sizeof time);
			frame->timestamp_ns = (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
		}
	}
}

/* One system call into the buffers of a span. Returns how many packets, or -errno. */
static int receive(struct rawsocket *raw, uint32_t span, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct msghdr *message = &raw->messages[i].msg_hdr;

		raw->vectors[i].iov_base = buffer_of(raw, span, i);
		message->msg_namelen = sizeof raw->addresses[i];
		message->msg_controllen = CONTROL_SIZE;
		message->msg_flags = 0;
	}
	raw->calls++;
	if (raw->batch == 1) {
		ssize_t length = recvmsg(raw->source.fd, &raw->messages[0].msg_hdr, MSG_DONTWAIT);

		raw->messages[0].msg_len = length > 0 ? (unsigned)length : 0;
		return length < 0 ? -errno : 1;
	}
	count = (unsigned)recvmmsg(raw->source.fd, raw->messages, count, MSG_DONTWAIT, NULL);
	return (int)count < 0 ? -errno : (int)count;
}

static int rawsocket_rx_burst(struct source *source, struct frame *frames, unsigned max)
{
	struct rawsocket *raw = self(source);
	uint32_t span, held;
	int count;

	if (raw->dry)
		return 0; /* the worker spins a little before it sleeps: not with system calls */
	if (raw->free_count == 0)
		return 0; /* the writer has them all: the socket's buffer absorbs, and counts what it cannot */
	span = raw->free_spans[raw->free_count - 1];
	count = receive(raw, span, max < raw->batch ? max : raw->batch);
	if (count == -ENETDOWN) {
		/* kernel: recvmmsg reports the socket's error once, before what still lies in the queue. */
		raw->down = true;
		return 0;
	}
	if (count == -EAGAIN && raw->down)
		return -ENETDOWN;
	raw->dry = count == -EAGAIN;
	if (count == -EAGAIN || count == -EINTR || count == 0)
		return 0;
	if (count < 0)
		return error_set_errno(&source->error, count, "cannot read from %s", raw->device.name);
	raw->free_count--;
	held = source->span_count - raw->free_count;
	if (held > raw->held_most)
		raw->held_most = held;
	for (unsigned i = 0; i < (unsigned)count; i++)
		fill_frame(raw, i, span, &frames[i]);
	frames[count - 1].flags |= FRAME_LAST_OF_SPAN;
	raw->handed_out += (unsigned)count;
	return count;
}

static void rawsocket_release(struct source *source, uint32_t span)
{
	struct rawsocket *raw = self(source);

	raw->free_spans[raw->free_count++] = span;
}

static bool rawsocket_empty(struct source *source)
{
	uint8_t byte;

	self(source)->dry = false;
	if (recv(source->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		return false;
	if (errno == ENETDOWN)
		self(source)->down = true; /* the look took the error away */
	return errno == EAGAIN;
}

static bool rawsocket_arm(struct source *source)
{
	/* Edge-triggered: what came between the last read and epoll_wait rang already. */
	struct rawsocket *raw = self(source);

	return (!rawsocket_empty(source) || raw->down) && raw->free_count > 0;
}

/* --- troubles --------------------------------------------------------------------------------- */

static int rawsocket_check(struct source *source)
{
	int pending = 0;
	socklen_t length = sizeof pending;

	if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &pending, &length) < 0)
		return -errno;
	if (pending == ENETDOWN)
		self(source)->down = true; /* rx_burst says so when the queue is empty */
	if (pending == 0 || pending == ENETDOWN)
		return 0;
	return error_set_errno(&source->error, -pending, "%s failed", self(source)->device.name);
}

static void read_counters(struct rawsocket *raw)
{
	struct tpacket_stats stats;
	socklen_t length = sizeof stats;

	/* kernel: reading resets both, and tp_packets includes tp_drops. */
	if (raw->source.fd < 0 || getsockopt(raw->source.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) < 0)
		return;
	raw->seen += stats.tp_packets;
	raw->dropped += stats.tp_drops;
}

static int rawsocket_reopen(struct source *source)
{
	struct rawsocket *raw = self(source);
	struct interfaces_entry device;
	int fd, result;

	if (interfaces_lookup(raw->device.name, &device, NULL) < 0 || !(device.flags & IFF_UP))
		return -EAGAIN;
	raw->device.index = device.index;
	result = make_socket(raw, &fd, &source->error);
	if (result < 0)
		return result == -ENODEV ? -EAGAIN : result;
	read_counters(raw);
	close(source->fd);
	source->fd = fd;
	raw->down = false;
	result = let_in(raw, &source->error);
	return result == -ENODEV || result == -ENETDOWN ? -EAGAIN : result;
}

static void rawsocket_stop(struct source *source)
{
	filter_attach_reject(source->fd);
}

static void rawsocket_stats(struct source *source, struct source_stats *stats)
{
	struct rawsocket *raw = self(source);

	read_counters(raw);
	stats->seen = raw->seen;
	stats->handed_out = raw->handed_out;
	source_stats_add(stats->losses, &stats->loss_count, "socket_full", raw->dropped);
	source_stats_add(stats->events, &stats->event_count, "receive_calls", raw->calls);
	stats->spans_total = source->span_count;
	stats->spans_held_most = raw->held_most;
	snprintf(stats->mode, sizeof stats->mode, raw->batch == 1 ? "recvmsg" : "recvmmsg by %u", raw->batch);
}

static void rawsocket_close(struct source *source)
{
	struct rawsocket *raw = self(source);

	if (source->fd >= 0)
		close(source->fd);
	if (raw->memory != NULL)
		munmap(raw->memory, raw->memory_size);
	free(raw->free_spans);
	filter_live_close(&raw->filter);
	free(raw);
}

static const struct source_ops rawsocket_ops = {
	.name = "rawsocket",
	.start = rawsocket_start,
	.rx_burst = rawsocket_rx_burst,
	.release = rawsocket_release,
	.empty = rawsocket_empty,
	.arm = rawsocket_arm,
	.check = rawsocket_check,
	.reopen = rawsocket_reopen,
	.stop = rawsocket_stop,
	.stats = rawsocket_stats,
	.close = rawsocket_close,
};

/* --- opening ---------------------------------------------------------------------------------- */

static int check_options(const struct rawsocket_options *rawsocket, const struct source_options *options,
			 const struct interfaces_entry *device, struct error *error)
{
	if (rawsocket->batch > SOURCE_BURST)
		return error_set(error, -EINVAL, "a batch holds 1 to %d packets, not %u", SOURCE_BURST,
				 rawsocket->batch);
	if (options->time_hardware) {
		error_set(error, -EINVAL, "the rawsocket backend has no hardware timestamps");
		return error_hint(error, "--backend afpacket has");
	}
	if (device->index == 0 || device->form == INTERFACES_COOKED) {
		error_set(error, -EINVAL, "the rawsocket backend cannot capture on %s: it has no common link header",
			  device->name);
		return error_hint(error, "--backend afpacket can");
	}
	if (!(device->flags & IFF_UP)) {
		error_set(error, -ENETDOWN, "%s is down", device->name);
		return error_hint(error, "ip link set %s up", device->name);
	}
	return 0;
}

static int add_to_table(struct rawsocket *raw, struct interface_table *table, struct error *error)
{
	struct interface entry = {
		.kernel_index = raw->device.index,
		.link_type = raw->device.link_type,
		.snap_length = raw->options.snap_length,
		.user_filter = raw->filter.user,
	};
	int result;

	snprintf(entry.name, sizeof entry.name, "%s", raw->device.name);
	snprintf(entry.description, sizeof entry.description, "%s", raw->device.description);
	snprintf(entry.filter, sizeof entry.filter, "%s", raw->options.filter ? raw->options.filter : "");
	memcpy(entry.mac, raw->device.mac, sizeof entry.mac);
	result = interface_table_add(table, &entry, &raw->source.interface);
	return result < 0 ? error_set_errno(error, result, "cannot note %s", entry.name) : 0;
}

static void fill_report(const struct rawsocket *raw, struct source_report *report)
{
	int size = 0;
	socklen_t length = sizeof size;

	if (report == NULL)
		return;
	getsockopt(raw->source.fd, SOL_SOCKET, SO_RCVBUF, &size, &length);
	snprintf(report->summary, sizeof report->summary, "%s, raw socket, %s by %u, %d KiB buffer",
		 interfaces_link_name(raw->device.link_type) ? interfaces_link_name(raw->device.link_type) : "raw",
		 raw->batch == 1 ? "recvmsg" : "recvmmsg", raw->batch, size / 1024);
	if (raw->filter.user != NULL)
		source_report_note(report, "the filter runs in user space: %s", raw->filter.why);
}

int rawsocket_open(const char *interface, const struct rawsocket_options *rawsocket,
		   const struct source_options *options, struct interface_table *table, struct source **source,
		   struct source_report *report, struct error *error)
{
	struct rawsocket *raw = calloc(1, sizeof *raw);
	int result;

	*source = NULL;
	if (raw == NULL)
		return error_set(error, -ENOMEM, "no memory for a raw socket");
	raw->source = (struct source){ .ops = &rawsocket_ops, .fd = -1, .live = true, .costly_look = true,
				       .drain_ms = DRAIN_MS };
	raw->options = *options;
	raw->batch = rawsocket->batch != 0 ? rawsocket->batch : SOURCE_BURST;
	result = interfaces_lookup(interface, &raw->device, error);
	if (result == 0)
		result = check_options(rawsocket, options, &raw->device, error);
	if (result == 0)
		result = filter_live_compile(options->filter, &raw->device, options->snap_length,
					     options->direction, &raw->filter, error);
	if (result == 0)
		result = make_buffers(raw, error);
	if (result == 0)
		result = make_socket(raw, &raw->source.fd, error);
	if (result == 0)
		result = add_to_table(raw, table, error);
	if (result < 0) {
		rawsocket_close(&raw->source);
		return result;
	}
	make_messages(raw);
	fill_report(raw, report);
	*source = &raw->source;
	return 0;
}
