/* The AF_XDP backend when something is in its way: what it refuses, interfaces that go and come, SIGKILL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "afxdp_support.h"

static void refusals(void **state)
{
	struct source_options options = default_options();
	struct run run, second;
	const uint16_t none[] = { 7 };

	assert_int_equal(try_open(&run, "weir9", &(struct afxdp_options){ 0 }, &options), -ENODEV);
	close_run(&run);
	assert_int_equal(try_open(&run, "weir0",
				  &(struct afxdp_options){ .queues = none, .queue_count = 1 }, &options),
			 -EINVAL);
	close_run(&run);
	options.direction = SOURCE_OUT;
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -EINVAL);
	close_run(&run);
	options.direction = SOURCE_IN_OUT;
	options.filter = "no such filter";
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -EINVAL);
	close_run(&run);
	options.filter = NULL;

	/* The queue, and with it the interface, is taken. */
	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	assert_int_equal(try_open(&second, "weir0", &(struct afxdp_options){ 0 }, &options), -EBUSY);
	assert_non_null(strstr(second.error.message, "taken"));
	interface_table_close(second.table);
	close_run(&run);

	command("ip link set weir0 down");
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -ENETDOWN);
	close_run(&run);
	command("ip link set weir0 up");
}

static void another_program(void **state)
{
	struct source_options options = default_options();
	struct run run;
	int other = load_pass(), link;

	link = bpf_link_create(other, (int)if_nametoindex("weir0"), BPF_XDP, NULL);
	assert_true(link >= 0);
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -EBUSY);
	assert_non_null(strstr(run.error.message, "another XDP program"));
	interface_table_close(run.table);
	/* The other one is still there. */
	assert_true(attached_program("weir0") != 0);
	close(link);
	close(other);
}

static void does_not_steal(void **state)
{
	struct source_options options = default_options();
	struct run run;

	command("ip addr add 10.9.8.1/24 dev weir0");
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -EPERM);
	assert_non_null(strstr(run.error.message, "address"));
	close_run(&run);
	command("ip route add default via 10.9.8.2 dev weir0");
	assert_int_equal(try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options), -EPERM);
	assert_non_null(strstr(run.error.message, "default route"));
	assert_non_null(strstr(run.error.hint, "--steal"));
	close_run(&run);
	open_run(&run, &(struct afxdp_options){ .steal = true }, &options);
	close_run(&run);
	command("ip addr del 10.9.8.1/24 dev weir0");
	/* A second interface's address is none of ours. */
	command("ip addr add 10.9.8.1/24 dev weir1");
	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	close_run(&run);
	command("ip addr del 10.9.8.1/24 dev weir1");
}

static void interface_goes_away(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct walk walk = { 0 };
	struct source_stats stats = { 0 };
	struct frame frames[SOURCE_BURST];
	int sender;

	command("ip link add weir2 type veth peer name weir3 && "
		"sysctl -qw net.ipv6.conf.weir2.disable_ipv6=1 net.ipv6.conf.weir3.disable_ipv6=1 && "
		"ip link set weir2 up && ip link set weir3 up");
	assert_int_equal(try_open(&run, "weir2", &(struct afxdp_options){ 0 }, &options), 0);
	walk.source = run.sources[0];
	assert_int_equal(run.sources[0]->ops->start(run.sources[0], NULL), 0);
	sender = sender_open("weir3");
	send_sequence(sender, 0, 10, 60, 53, 0);
	command("ip link set weir2 down && ip link set weir2 up");
	usleep(100000);
	send_sequence(sender, 10, 10, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 20, 1000), 20);
	send_sequence(sender, 20, 10, 60, 53, 0);
	command("ip link del weir2");
	assert_int_equal(run.sources[0]->ops->check(run.sources[0]), 0);
	assert_int_equal(walk_until(&walk, 31, 1000), 30);
	assert_int_equal(run.sources[0]->ops->rx_burst(run.sources[0], frames, SOURCE_BURST), -ENETDOWN);
	run.sources[0]->ops->stats(run.sources[0], &stats);
	balanced(&stats, 30);
	close(sender);
	close_run(&run);
}

/* --- it comes back ---------------------------------------------------------------------------- */

static void make_pair(const char *more)
{
	command("ip link add weir2 numrxqueues 2 numtxqueues 2 type veth peer name weir3 numrxqueues 2 numtxqueues 2 && "
		"sysctl -qw net.ipv6.conf.weir2.disable_ipv6=1 net.ipv6.conf.weir3.disable_ipv6=1 && "
		"%s ip link set weir2 up && ip link set weir3 up", more);
}

/* As the worker: walks until the source says that its interface is away. */
static void walk_away(struct walk *walk)
{
	struct frame frames[SOURCE_BURST];
	int result = 0;

	for (unsigned tries = 0; tries < 3000 && result >= 0; tries++) {
		walk_until(walk, UINT64_MAX, 1);
		if (!walk->source->ops->arm(walk->source))
			usleep(1000);
		result = walk->source->ops->rx_burst(walk->source, frames, SOURCE_BURST);
		for (int i = 0; i < result; i++) {
			walk->frames++;
			if (frames[i].flags & FRAME_LAST_OF_SPAN)
				walk->source->ops->release(walk->source, frames[i].span);
		}
	}
	assert_int_equal(result, -ENETDOWN);
}

static int reopen(struct run *run)
{
	int result = 0;

	for (unsigned i = 0; i < run->count && result == 0; i++)
		result = run->sources[i]->ops->reopen(run->sources[i]);
	return result;
}

static uint64_t walk_all(struct run *run, struct walk *walks, uint64_t count)
{
	uint64_t frames = 0;

	for (unsigned tries = 0; tries < 50 && frames < count; tries++) {
		frames = 0;
		for (unsigned i = 0; i < run->count; i++)
			frames += walk_until(&walks[i], UINT64_MAX, 10);
	}
	return frames;
}

/* Deleted and made again, with other addresses: both queues go on, in the same mode, filter, and ledger. */
static void comes_back(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct walk walks[2] = { 0 };
	struct source_stats stats;
	char text[64];
	uint64_t frames = 0;
	int sender;

	make_pair("");
	options.filter = "udp port 53";
	assert_int_equal(try_open(&run, "weir2", &(struct afxdp_options){ .mode = AFXDP_NATIVE }, &options), 0);
	assert_int_equal(run.count, 2);
	for (unsigned i = 0; i < 2; i++) {
		walks[i].source = run.sources[i];
		assert_int_equal(run.sources[i]->ops->start(run.sources[i], NULL), 0);
	}
	for (unsigned round = 0; round < 3; round++) {
		sender = sender_open("weir3");
		send_sequence(sender, 0, 100, 60, 53, 0);
		send_sequence(sender, 0, 10, 60, 54, 0);
		send_sequence(sender, 100, 100, 64, 53, 0xb123);
		close(sender);
		assert_int_equal(walk_all(&run, walks, 200 * (round + 1)), 200 * (round + 1));
		command("ip link del weir2");
		for (unsigned i = 0; i < 2; i++)
			walk_away(&walks[i]);
		assert_int_equal(reopen(&run), -EAGAIN);
		make_pair(round == 1 ? "ip link set weir2 address 02:00:00:00:77:01 &&" : "");
		assert_int_equal(reopen(&run), 0);
		assert_true(attached_program("weir2") != 0);
		offloads("weir3", "tx-vlan-offload", text, sizeof text);
		assert_memory_equal(text, "off", 3);
	}
	sender = sender_open("weir3");
	send_sequence(sender, 0, 50, 60, 53, 0);
	walk_all(&run, walks, UINT64_MAX);
	for (unsigned i = 0; i < 2; i++) {
		walk_drain(&walks[i], &stats);
		balanced(&stats, walks[i].frames);
		assert_int_equal(counter(&stats, "interface_losses"), 3);
		assert_int_equal(losses(&stats), 0);
		frames += walks[i].frames;
	}
	assert_int_equal(frames, 3 * 200 + 50);
	close(sender);
	close_run(&run);
	command("ip link del weir2");
}

static void *send_until_gone(void *context)
{
	const uint8_t bytes[60] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };

	while (send(*(int *)context, bytes, sizeof bytes, 0) > 0 || errno == ENOBUFS || errno == ENETDOWN) {
		if (errno == ENETDOWN)
			break;
		errno = 0;
	}
	return NULL;
}

/* Deleted in the middle of traffic: whatever the program had redirected is handed out or counted as lost. */
static void comes_back_under_load(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct walk walks[2] = { 0 };
	struct source_stats stats;
	const enum afxdp_mode modes[] = { AFXDP_NATIVE, AFXDP_GENERIC };

	for (unsigned round = 0; round < 4; round++) {
		pthread_t thread;
		int sender;

		make_pair("");
		assert_int_equal(try_open(&run, "weir2", &(struct afxdp_options){ .mode = modes[round % 2] }, &options), 0);
		for (unsigned i = 0; i < 2; i++) {
			walks[i] = (struct walk){ .source = run.sources[i] };
			assert_int_equal(run.sources[i]->ops->start(run.sources[i], NULL), 0);
		}
		sender = sender_open("weir3");
		assert_int_equal(pthread_create(&thread, NULL, send_until_gone, &sender), 0);
		walk_all(&run, walks, 1000);
		command("ip link del weir2");
		for (unsigned i = 0; i < 2; i++)
			walk_away(&walks[i]);
		pthread_join(thread, NULL);
		close(sender);
		make_pair("");
		assert_int_equal(reopen(&run), 0);
		for (unsigned i = 0; i < 2; i++) {
			walk_drain(&walks[i], &stats);
			balanced(&stats, walks[i].frames);
		}
		close_run(&run);
		command("ip link del weir2");
	}
}

/* Down is away too, and up is back: the socket is the same. */
static void goes_down(void **state)
{
	struct source_options options = default_options();
	struct run run;
	struct walk walk = { 0 };
	struct source_stats stats;
	int sender = sender_open("weir1"), fd;

	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	walk.source = run.sources[0];
	fd = walk.source->fd;
	send_sequence(sender, 0, 100, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 100, 1000), 100);
	command("ip link set weir0 down");
	walk_away(&walk);
	assert_int_equal(reopen(&run), -EAGAIN);
	command("ip link set weir0 up");
	usleep(100000);
	assert_int_equal(reopen(&run), 0);
	assert_int_equal(walk.source->fd, fd);
	send_sequence(sender, 100, 100, 60, 53, 0);
	assert_int_equal(walk_until(&walk, 200, 1000), 200);
	walk_drain(&walk, &stats);
	balanced(&stats, 200);
	assert_int_equal(counter(&stats, "interface_losses"), 1);
	close(sender);
	close_run(&run);
}

/* Killed in mid-capture: the program is gone, the queue is free, the offloads are as they were. */
static void killed(void **state)
{
	struct source_options options = default_options();
	struct run run;
	char text[64];
	int ready[2], status;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (try_open(&run, "weir0", &(struct afxdp_options){ 0 }, &options) == 0 &&
		    run.sources[0]->ops->start(run.sources[0], NULL) == 0)
			write(ready[1], "1", 1);
		else
			write(ready[1], "0", 1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], text, 1), 1);
	assert_int_equal(text[0], '1');
	assert_true(attached_program("weir0") != 0);
	offloads("weir1", "tx-vlan-offload", text, sizeof text);
	assert_memory_equal(text, "off", 3);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	for (unsigned wait = 0; wait < 200 && (attached_program("weir0") != 0 || memcmp(text, "on", 2)); wait++) {
		usleep(10000);
		offloads("weir1", "tx-vlan-offload", text, sizeof text);
	}
	assert_int_equal(attached_program("weir0"), 0);
	assert_memory_equal(text, "on", 2);
	open_run(&run, &(struct afxdp_options){ 0 }, &options);
	close_run(&run);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(another_program),
		cmocka_unit_test(does_not_steal),
		cmocka_unit_test(interface_goes_away),
		cmocka_unit_test(comes_back),
		cmocka_unit_test(comes_back_under_load),
		cmocka_unit_test(goes_down),
		cmocka_unit_test(killed),
	};

	return afxdp_support_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
