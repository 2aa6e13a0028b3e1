#include "backend_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"

void command(const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (system(text) != 0)
		fail_msg("failed: %s", text);
}

bool backend_support_enter(unsigned queues)
{
	char text[256];

	if (unshare(CLONE_NEWNET) < 0) {
		printf("skipped: a network namespace of its own needs root (%s)\n", strerror(errno));
		return false;
	}
	snprintf(text, sizeof text,
		 "ip link set lo up && ip link add weir0 numrxqueues %u numtxqueues %u type veth "
		 "peer name weir1 numrxqueues %u numtxqueues %u",
		 queues, queues, queues, queues);
	if (system(text) != 0) {
		printf("skipped: no veth devices\n");
		return false;
	}
	/* No router solicitations among the counted packets. */
	return system("sysctl -qw net.ipv6.conf.weir0.disable_ipv6=1 net.ipv6.conf.weir1.disable_ipv6=1 && "
		      "ip link set weir0 up && ip link set weir1 up") == 0;
}

int sender_open(const char *device)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

void send_packet(int sender, const uint8_t *bytes, uint32_t length)
{
	ssize_t sent;

	do
		sent = send(sender, bytes, length, 0);
	while (sent < 0 && errno == ENOBUFS);
	assert_int_equal(sent, length);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t make_sequenced(uint8_t *bytes, uint32_t number, uint32_t length, uint16_t udp_port,
			       uint16_t vlan)
{
	static const uint8_t macs[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	uint8_t *ip = bytes + 14;

	memset(bytes, 0, length);
	memcpy(bytes, macs, sizeof macs);
	if (vlan != 0) {
		put16(bytes + 12, ETH_P_8021Q);
		put16(bytes + 14, vlan);
		ip += 4;
	}
	put16(ip - 2, ETH_P_IP);
	ip[0] = 0x45;
	put16(ip + 2, length - (uint32_t)(ip - bytes));
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	put16(ip + 20, 1000 + number % 64);
	put16(ip + 22, udp_port);
	put16(ip + 24, length - (uint32_t)(ip - bytes) - 20);
	memcpy(bytes + SEQUENCE_AT, &number, sizeof number);
	return length;
}

void send_sequence(int sender, uint32_t first, uint32_t count, uint32_t length, uint16_t udp_port,
		   uint16_t vlan)
{
	static uint8_t bytes[32][9216];
	struct mmsghdr messages[32] = { 0 };
	struct iovec vectors[32];

	for (uint32_t done = 0; done < count;) {
		unsigned batch = count - done < 32 ? count - done : 32, sent = 0;

		for (unsigned i = 0; i < batch; i++) {
			vectors[i].iov_base = bytes[i];
			vectors[i].iov_len = make_sequenced(bytes[i], first + done + i, length, udp_port, vlan);
			messages[i].msg_hdr.msg_iov = &vectors[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		while (sent < batch) {
			int result = sendmmsg(sender, messages + sent, batch - sent, 0);

			if (result < 0 && errno != ENOBUFS && errno != EAGAIN)
				fail_msg("cannot send: %s", strerror(errno));
			sent += result > 0 ? (unsigned)result : 0;
		}
		done += batch;
	}
}

static void hold_span(struct walk *walk, uint32_t span)
{
	if (walk->held_count == walk->held_room) {
		walk->held_room = walk->held_room ? 2 * walk->held_room : 64;
		walk->held = realloc(walk->held, walk->held_room * sizeof *walk->held);
		assert_non_null(walk->held);
	}
	walk->held[walk->held_count++] = span;
}

static int walk_once(struct walk *walk)
{
	struct frame frames[SOURCE_BURST];
	int count = walk->source->ops->rx_burst(walk->source, frames, SOURCE_BURST);

	for (int i = 0; i < count; i++) {
		assert_true(frames[i].span < walk->source->span_count);
		if (!(frames[i].flags & FRAME_NO_PACKET)) {
			walk->frames++;
			if (walk->frame != NULL)
				walk->frame(walk->context, &frames[i]);
		}
		if (frames[i].flags & FRAME_LAST_OF_SPAN) {
			if (walk->hold)
				hold_span(walk, frames[i].span);
			else
				walk->source->ops->release(walk->source, frames[i].span);
		}
	}
	return count;
}

uint64_t walk_until(struct walk *walk, uint64_t count, unsigned timeout_ms)
{
	uint64_t deadline = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
	const struct source_ops *ops = walk->source->ops;

	while (walk->frames < count && clock_monotonic_ns() < deadline) {
		int result = walk_once(walk);

		if (result < 0)
			break;
		if (result == 0 && (ops->arm == NULL || !ops->arm(walk->source))) {
			struct pollfd wait = { .fd = walk->source->fd, .events = POLLIN };

			poll(&wait, 1, 5);
		}
	}
	return walk->frames;
}

void walk_release_all(struct walk *walk)
{
	for (unsigned i = 0; i < walk->held_count; i++)
		walk->source->ops->release(walk->source, walk->held[i]);
	walk->held_count = 0;
}

void walk_drain(struct walk *walk, struct source_stats *stats)
{
	const struct source_ops *ops = walk->source->ops;
	uint64_t deadline = clock_monotonic_ns() + walk->source->drain_ms * NS_PER_MS;

	ops->stop(walk->source);
	do {
		while (walk_once(walk) > 0)
			;
		walk_release_all(walk);
	} while (clock_monotonic_ns() < deadline && !(ops->empty != NULL && ops->empty(walk->source)));
	while (walk_once(walk) > 0)
		walk_release_all(walk);
	walk_release_all(walk);
	free(walk->held);
	walk->held = NULL;
	memset(stats, 0, sizeof *stats);
	ops->stats(walk->source, stats);
}

uint64_t losses(const struct source_stats *stats)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < stats->loss_count; i++)
		sum += stats->losses[i].count;
	return sum;
}

static bool find(const struct source_counter *counters, unsigned count, const char *name, uint64_t *value)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(counters[i].name, name) == 0) {
			*value = counters[i].count;
			return true;
		}
	}
	return false;
}

uint64_t counter(const struct source_stats *stats, const char *name)
{
	uint64_t value = 0;

	if (!find(stats->losses, stats->loss_count, name, &value) &&
	    !find(stats->outside, stats->outside_count, name, &value) &&
	    !find(stats->events, stats->event_count, name, &value))
		fail_msg("no counter %s", name);
	return value;
}

struct source_options default_options(void)
{
	return (struct source_options){ .snap_length = 262144, .promiscuous = true, .block_timeout_ms = 10 };
}
