#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"

static bool was_root;

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

void fixture_enter(void)
{
	unsigned uid = getuid();
	char map[64];

	was_root = uid == 0;
	if (!was_root || unshare(CLONE_NEWNET) < 0) {
		was_root = false;
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
			printf("SKIP: no network namespace can be made here: %s\n", strerror(errno));
			exit(77);
		}
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof map, "0 %u 1", uid);
		write_text("/proc/self/uid_map", map);
	}
	write_text("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	write_text("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	fixture_run("ip link set lo up");
}

void fixture_need_root(const char *what)
{
	if (was_root)
		return;
	printf("skipped without root: %s\n", what);
	skip();
}

void fixture_run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	if (system(command) != 0) {
		printf("failed: %s\n", command);
		exit(1);
	}
}

void fixture_await_up(const char *interface)
{
	/* kernel: linkwatch puts a device's queue in place some time after `ip link set up`; what is sent before is
	 * dropped in silence. It sets the state first and the queue right after. */
	fixture_run("for try in $(seq 500); do ip link show %s | grep -q 'state UP' && break; sleep 0.01; done; sleep 0.05",
		    interface);
}

void fixture_veth(const char *left, const char *right)
{
	fixture_run("ip link add %s type veth peer name %s", left, right);
	fixture_run("ip link set %s up && ip link set %s up", left, right);
	fixture_await_up(left);
	fixture_await_up(right);
}

int fixture_sender(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

void fixture_send(int fd, const char *interface, const void *frame, size_t length)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface) };

	memcpy(&to.sll_protocol, (const uint8_t *)frame + 12, 2);
	while (sendto(fd, frame, length, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)length) {
		if (errno != ENOBUFS) {
			perror("sendto");
			exit(1);
		}
	}
}

size_t fixture_udp(uint8_t *frame, size_t length, uint32_t sequence, uint16_t source_port,
		   uint16_t destination_port)
{
	static const uint8_t start[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0 };
	uint32_t sum = 0;

	if (length < 60)
		length = 60;
	memset(frame, 0, length);
	memcpy(frame, start, sizeof start);
	frame[16] = (uint8_t)((length - 14) >> 8);
	frame[17] = (uint8_t)(length - 14);
	frame[22] = 64;
	frame[23] = 17;
	memcpy(frame + 26, "\x0a\x01\x00\x01\x0a\x01\x00\x02", 8);
	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)(frame[i] << 8 | frame[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	frame[34] = (uint8_t)(source_port >> 8);
	frame[35] = (uint8_t)source_port;
	frame[36] = (uint8_t)(destination_port >> 8);
	frame[37] = (uint8_t)destination_port;
	frame[38] = (uint8_t)((length - 34) >> 8);
	frame[39] = (uint8_t)(length - 34);
	memcpy(frame + FIXTURE_SEQUENCE_AT, &sequence, sizeof sequence);
	return length;
}

struct source_options fixture_options(void)
{
	return (struct source_options){ .snap_length = 262144, .promiscuous = true, .ring_size = 4 << 20,
					.block_size = 1 << 18, .block_timeout_ms = 5 };
}

int fixture_try_open(struct fixture_capture *capture, const char *interface, unsigned workers,
		     const struct source_options *options, struct error *error)
{
	int result;

	*capture = (struct fixture_capture){ .workers = workers };
	assert_int_equal(interface_table_create(&capture->table, error), 0);
	result = afpacket_open(interface, workers, options, capture->table, capture->sources, &capture->report,
			       error);
	if (result != 0) {
		interface_table_close(capture->table);
		*capture = (struct fixture_capture){ 0 };
	}
	return result;
}

void fixture_start(struct fixture_capture *capture)
{
	struct error error = { 0 };

	for (unsigned i = 0; i < capture->workers; i++) {
		if (capture->sources[i]->ops->start(capture->sources[i], &error) != 0)
			fail_msg("start: %s", error.message);
	}
}

void fixture_open(struct fixture_capture *capture, const char *interface, unsigned workers,
		  const struct source_options *options)
{
	struct error error = { 0 };

	if (fixture_try_open(capture, interface, workers, options, &error) != 0)
		fail_msg("open %s: %s (%s)", interface, error.message, error.hint);
	fixture_start(capture);
}

static void keep(struct fixture_capture *capture, const struct frame *frame, unsigned worker)
{
	struct fixture_frame *kept;

	if (capture->count == capture->capacity) {
		capture->capacity = capture->capacity == 0 ? 256 : capture->capacity * 2;
		capture->frames = realloc(capture->frames, capture->capacity * sizeof *capture->frames);
		capture->worker_of = realloc(capture->worker_of, capture->capacity * sizeof *capture->worker_of);
		assert_non_null(capture->frames);
		assert_non_null(capture->worker_of);
	}
	kept = &capture->frames[capture->count];
	kept->frame = *frame;
	memcpy(kept->bytes, frame->data,
	       frame->captured_len < FIXTURE_FRAME_MOST ? frame->captured_len : FIXTURE_FRAME_MOST);
	capture->worker_of[capture->count++] = worker;
}

static unsigned collect_once(struct fixture_capture *capture)
{
	struct frame frames[SOURCE_BURST];
	unsigned total = 0;

	for (unsigned worker = 0; worker < capture->workers; worker++) {
		struct source *source = capture->sources[worker];
		int count = source->ops->rx_burst(source, frames, SOURCE_BURST);

		for (int i = 0; i < count; i++) {
			if (!(frames[i].flags & FRAME_NO_PACKET))
				keep(capture, &frames[i], worker);
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				source->ops->release(source, frames[i].span);
		}
		total += count > 0 ? (unsigned)count : 0;
	}
	return total;
}

void fixture_collect(struct fixture_capture *capture, size_t wanted, unsigned timeout_ms)
{
	uint64_t end = clock_monotonic_ns() + timeout_ms * NS_PER_MS;

	while (capture->count < wanted && clock_monotonic_ns() < end) {
		struct pollfd ready[8];

		if (collect_once(capture) > 0)
			continue;
		for (unsigned i = 0; i < capture->workers; i++)
			ready[i] = (struct pollfd){ .fd = capture->sources[i]->fd, .events = POLLIN };
		poll(ready, capture->workers, 2);
	}
}

static bool all_empty(struct fixture_capture *capture)
{
	for (unsigned i = 0; i < capture->workers; i++) {
		if (!capture->sources[i]->ops->empty(capture->sources[i]))
			return false;
	}
	return true;
}

void fixture_collect_all(struct fixture_capture *capture, size_t expected)
{
	uint64_t quiet_since;
	size_t before;

	fixture_collect(capture, expected, 5000);
	do {
		before = capture->count;
		quiet_since = clock_monotonic_ns();
		fixture_collect(capture, SIZE_MAX, 20);
	} while (capture->count > before ||
		 (!all_empty(capture) && clock_monotonic_ns() - quiet_since < NS_PER_SECOND));
}

uint64_t fixture_stop(struct fixture_capture *capture)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < capture->workers; i++)
		capture->sources[i]->ops->stop(capture->sources[i]);
	for (unsigned waited = 0; waited < capture->sources[0]->drain_ms && !all_empty(capture); waited++)
		fixture_collect(capture, SIZE_MAX, 1);
	for (unsigned i = 0; i < capture->workers; i++) {
		struct source_stats stats;
		uint64_t losses = 0;

		capture->sources[i]->ops->stats(capture->sources[i], &stats);
		for (unsigned loss = 0; loss < stats.loss_count; loss++)
			losses += stats.losses[loss].count;
		assert_int_equal(stats.seen - losses, stats.handed_out);
		lost += losses;
	}
	return lost;
}

void fixture_close(struct fixture_capture *capture)
{
	for (unsigned i = 0; i < capture->workers; i++)
		capture->sources[i]->ops->close(capture->sources[i]);
	interface_table_close(capture->table);
	free(capture->frames);
	free(capture->worker_of);
	*capture = (struct fixture_capture){ 0 };
}

uint64_t fixture_counter(struct source *source, const char *name)
{
	struct source_stats stats;
	const struct source_counter *lists[] = { stats.losses, stats.outside, stats.events };
	unsigned counts[3];

	source->ops->stats(source, &stats);
	counts[0] = stats.loss_count;
	counts[1] = stats.outside_count;
	counts[2] = stats.event_count;
	for (int list = 0; list < 3; list++) {
		for (unsigned i = 0; i < counts[list]; i++) {
			if (strcmp(lists[list][i].name, name) == 0)
				return lists[list][i].count;
		}
	}
	fail_msg("no counter %s", name);
	return 0;
}

uint32_t fixture_sequence(const struct fixture_frame *frame)
{
	uint32_t sequence;

	memcpy(&sequence, frame->bytes + FIXTURE_SEQUENCE_AT, sizeof sequence);
	return sequence;
}

uint64_t fixture_check_once(const struct fixture_capture *capture, uint32_t sent, uint32_t first)
{
	uint8_t *times = calloc(sent, 1);
	uint64_t there = 0;

	assert_non_null(times);
	for (size_t i = 0; i < capture->count; i++) {
		uint32_t sequence = fixture_sequence(&capture->frames[i]);

		assert_true(sequence < sent);
		if (++times[sequence] > 1)
			fail_msg("packet %u is there twice", sequence);
		there += sequence >= first;
	}
	free(times);
	return there;
}
