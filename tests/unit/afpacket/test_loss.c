/* Interfaces that go down, or are deleted and made again, while a capture runs. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static bool all_reopened(struct fixture_capture *capture, unsigned *done)
{
	unsigned back = 0;

	for (unsigned i = 0; i < capture->workers; i++) {
		if (!(*done & 1u << i) && capture->sources[i]->ops->reopen(capture->sources[i]) == 0)
			*done |= 1u << i;
		back += (*done >> i) & 1;
	}
	return back == capture->workers;
}

/* Hands out the rest and says that it is away, on every worker. */
static void await_away(struct fixture_capture *capture)
{
	for (unsigned i = 0; i < capture->workers; i++) {
		struct source *source = capture->sources[i];
		struct pollfd ready = { .fd = source->fd, .events = POLLIN };
		struct frame frames[SOURCE_BURST];
		int count;

		assert_int_equal(poll(&ready, 1, 1000), 1);
		while (!(ready.revents & POLLERR))
			assert_int_equal(poll(&ready, 1, 1000), 1);
		assert_int_equal(source->ops->check(source), 0);
		for (int tries = 0; tries < 1000; tries++) {
			count = source->ops->rx_burst(source, frames, SOURCE_BURST);
			if (count < 0)
				break;
			for (int n = 0; n < count; n++) {
				if (frames[n].flags & FRAME_LAST_OF_SPAN)
					source->ops->release(source, frames[n].span);
				capture->count++; /* their bytes do not matter here */
			}
			usleep(1000);
		}
		assert_int_equal(count, -ENETDOWN);
	}
}

static void comes_back(unsigned workers, bool deleted)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	uint8_t frame[FIXTURE_FRAME_MOST];
	unsigned done = 0;
	int sender = fixture_sender();
	struct source_stats stats;
	uint64_t seen = 0;

	options.filter = "udp port 53";
	fixture_veth("wa", "wb");
	fixture_open(&capture, "wa", workers, &options);
	for (unsigned i = 0; i < 100; i++)
		fixture_send(sender, "wb", frame, fixture_udp(frame, 64, i, (uint16_t)i, 53));
	fixture_run(deleted ? "ip link del wa" : "ip link set wa down");
	await_away(&capture);
	assert_int_equal(capture.count, 100);
	capture.count = 0;
	assert_false(all_reopened(&capture, &done));
	assert_int_equal(done, 0);
	if (deleted) {
		/* and once more before it is really back: a new one that goes at once */
		fixture_veth("wa", "wb");
		if (workers > 1)
			assert_int_equal(capture.sources[0]->ops->reopen(capture.sources[0]), -EAGAIN);
		fixture_run("ip link del wa");
		assert_false(all_reopened(&capture, &done));
		fixture_veth("wa", "wb");
	} else {
		fixture_run("ip link set wa up");
		fixture_await_up("wa");
		fixture_await_up("wb");
	}
	while (!all_reopened(&capture, &done))
		usleep(1000);
	for (unsigned i = 0; i < 200; i++)
		fixture_send(sender, "wb", frame, fixture_udp(frame, 64, i, (uint16_t)i, i % 2 ? 53 : 54));
	fixture_collect_all(&capture, 100);
	assert_int_equal(capture.count, 100);
	assert_int_equal(fixture_check_once(&capture, 200, 0), 100);
	assert_int_equal(fixture_stop(&capture), 0);
	for (unsigned i = 0; i < workers; i++) {
		capture.sources[i]->ops->stats(capture.sources[i], &stats);
		seen += stats.seen;
	}
	assert_int_equal(seen, 200);
	assert_int_equal(fixture_counter(capture.sources[0], "interface_losses"), 1);
	fixture_close(&capture);
	fixture_run("ip link del wa");
	close(sender);
}

static void down_and_up(void **state)
{
	comes_back(1, false);
	comes_back(3, false);
}

static void deleted_and_made_again(void **state)
{
	comes_back(1, true);
	comes_back(3, true);
}

/* Deleted while it is down: the socket has nothing more to say, reopen finds out all the same. */
static void deleted_while_down(void **state)
{
	struct source_options options = fixture_options();
	struct fixture_capture capture;
	unsigned done = 0;
	uint8_t frame[FIXTURE_FRAME_MOST];
	int sender = fixture_sender();

	fixture_veth("wa", "wb");
	fixture_open(&capture, "wa", 2, &options);
	fixture_run("ip link set wa down");
	await_away(&capture);
	assert_false(all_reopened(&capture, &done));
	fixture_run("ip link del wa");
	assert_false(all_reopened(&capture, &done));
	fixture_veth("wa", "wb");
	while (!all_reopened(&capture, &done))
		usleep(1000);
	fixture_send(sender, "wb", frame, fixture_udp(frame, 64, 7, 1, 2));
	fixture_collect_all(&capture, 1);
	assert_int_equal(capture.count, 1);
	fixture_stop(&capture);
	fixture_close(&capture);
	fixture_run("ip link del wa");
	close(sender);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down_and_up),
		cmocka_unit_test(deleted_and_made_again),
		cmocka_unit_test(deleted_while_down),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	fixture_enter();
	return cmocka_run_group_tests_name("afpacket loss", tests, NULL, NULL);
}
