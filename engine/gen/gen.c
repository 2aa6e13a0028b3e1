#include "engine/gen/gen.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/gen/device.h"
#include "engine/gen/interface_counters.h"
#include "engine/gen/pace.h"
#include "engine/gen/replay.h"
#include "engine/gen/xdp_live.h"

#define SPIN_NS 100000 /* the last stretch before a packet is due is spun, not slept */

struct gen {
	struct gen_options options;
	struct shape *shape;
	struct gen_device *device; /* or */
	struct xdp_live *live;
	struct replay *replay;
	unsigned ifindex;
	uint32_t frame_limit; /* bytes, MTU and link header */
	const char *method;
	atomic_bool halt;
};

static int check_interface(struct gen *gen, struct error *error)
{
	const char *name = gen->options.interface;
	struct ifreq request = { 0 };
	int fd, status = 0;

	gen->ifindex = if_nametoindex(name);
	if (gen->ifindex == 0) {
		error_set(error, -ENODEV, "no interface '%s'", name);
		return error_hint(error, "weir capture -D lists them; --netns NAME looks elsewhere");
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &request) != 0)
		status = error_set_errno(error, -errno, "cannot ask for the MTU of %s", name);
	gen->frame_limit = (uint32_t)request.ifr_mtu + 14 + 4; /* a tag does not count (packet_snd, tpacket_snd) */
	if (status == 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
		status = error_set(error, -ENETDOWN, "%s is down", name);
		error_hint(error, "ip link set %s up", name);
	}
	if (fd >= 0)
		close(fd);
	return status;
}

static int open_method(struct gen *gen, struct error *error)
{
	const struct gen_options *options = &gen->options;
	uint32_t longest = gen->replay != NULL ? gen->frame_limit : gen->shape->longest;
	enum gen_method method = options->method == GEN_AUTO ? GEN_TXRING : options->method;

	switch (method) {
	case GEN_XDP_LIVE:
	case GEN_XDP_OUT:
		if (gen->replay != NULL) {
			error_set(error, -EINVAL, "live frames cannot replay a file");
			return error_hint(error, "--method txring or afxdp");
		}
		gen->method = method == GEN_XDP_LIVE ? "xdp-live" : "xdp-out";
		return xdp_live_open(gen->ifindex, method == GEN_XDP_OUT, gen->shape, options->rate_pps,
				     &gen->live, error);
	case GEN_AFXDP:
		gen->method = "afxdp";
		return afxdp_tx_open(options->interface, longest, &gen->device, error);
	default:
		gen->method = "txring";
		return txring_open(gen->ifindex, longest, &gen->device, error);
	}
}

int gen_open(const struct gen_options *options, struct gen **result, struct error *error)
{
	struct gen *gen = calloc(1, sizeof *gen);
	int status;

	if (gen == NULL || (gen->shape = calloc(1, sizeof *gen->shape)) == NULL) {
		free(gen);
		return error_set_errno(error, -ENOMEM, "cannot make a generator");
	}
	gen->options = *options;
	status = check_interface(gen, error);
	if (status == 0)
		status = shape_build(gen->shape, &options->shape, error);
	if (status == 0 && options->replay == NULL && gen->shape->longest > gen->frame_limit) {
		status = error_set(error, -EMSGSIZE, "frames of %u bytes do not fit %s", gen->shape->longest,
				   options->interface);
		error_hint(error, "its MTU allows %u", gen->frame_limit);
	}
	if (status == 0 && options->replay != NULL)
		status = replay_open(options->replay, &gen->replay, error);
	if (status == 0)
		status = open_method(gen, error);
	if (status != 0) {
		gen_close(gen);
		return status;
	}
	*result = gen;
	return 0;
}

static bool done(const struct gen *gen, const struct gen_result *result, uint64_t elapsed)
{
	return atomic_load_explicit(&gen->halt, memory_order_relaxed) ||
	       (gen->options.count != 0 && result->sent >= gen->options.count) ||
	       (gen->options.duration_ns != 0 && elapsed >= gen->options.duration_ns);
}

/* Sleeps while the next packet is far, so that slow rates cost no CPU; the caller spins the rest. */
static void wait_until(uint64_t due_ns, uint64_t now_ns)
{
	struct timespec at;

	if (due_ns <= now_ns + SPIN_NS)
		return;
	due_ns -= SPIN_NS;
	if (due_ns > now_ns + 100000000u)
		due_ns = now_ns + 100000000u; /* look at halt now and then */
	at.tv_sec = (time_t)(due_ns / 1000000000u);
	at.tv_nsec = (long)(due_ns % 1000000000u);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Made packets through a ring. */
static int run_device(struct gen *gen, struct gen_result *result, uint64_t start, struct error *error)
{
	struct shape_cursor cursor = { .sequence = gen->options.first_sequence };
	struct gen_device *device = gen->device;
	uint64_t epoch = clock_wall_ns() - clock_monotonic_ns(), now = start;
	struct pace pace;
	int status = 0;

	pace_start(&pace, gen->options.rate_pps, start);
	while (status == 0 && !done(gen, result, now - start)) {
		unsigned due = pace_due(&pace, now), sent = 0;

		if (gen->options.count != 0 && due > gen->options.count - result->sent)
			due = (unsigned)(gen->options.count - result->sent);
		for (uint8_t *place; sent < due && (place = device->ops->next(device)) != NULL; sent++) {
			uint32_t length = shape_fill(gen->shape, &cursor, epoch + clock_monotonic_ns(), place);

			device->ops->commit(device, length);
			result->bytes += length;
		}
		pace_sent(&pace, sent);
		result->sent += sent;
		if (due > 0)
			status = device->ops->kick(device);
		else
			wait_until(pace_next_ns(&pace), now);
		now = clock_monotonic_ns();
	}
	if (status != 0) {
		if (error != NULL)
			*error = device->error;
		return status;
	}
	result->slips = pace.slips;
	result->slipped = pace.slipped;
	return 0;
}

/* Waits for the packet's own time at the speed asked for. False: told to halt meanwhile. */
static bool replay_wait(const struct gen *gen, uint64_t start, uint64_t after_ns)
{
	uint64_t due, now;

	if (gen->options.speed == 0)
		return true;
	due = start + (uint64_t)((double)after_ns / gen->options.speed);
	while ((now = clock_monotonic_ns()) < due) {
		if (atomic_load_explicit(&gen->halt, memory_order_relaxed))
			return false;
		wait_until(due, now);
	}
	return true;
}

static int run_replay(struct gen *gen, struct gen_result *result, uint64_t start, struct error *error)
{
	struct gen_device *device = gen->device;
	struct replay_packet packet;
	unsigned waiting = 0;
	uint8_t *place;
	int status = 0;

	while (!done(gen, result, clock_monotonic_ns() - start)) {
		status = replay_next(gen->replay, &packet, error);
		if (status <= 0)
			break;
		status = 0;
		if (packet.length > gen->frame_limit || packet.length < 14) {
			result->skipped++;
			continue;
		}
		if (gen->options.speed != 0 && waiting > 0) {
			status = device->ops->kick(device);
			waiting = 0;
		}
		if (status != 0 || !replay_wait(gen, start, packet.after_ns))
			break;
		while ((place = device->ops->next(device)) == NULL && status == 0 &&
		       !atomic_load_explicit(&gen->halt, memory_order_relaxed))
			status = device->ops->kick(device);
		if (place == NULL)
			break;
		memcpy(place, packet.data, packet.length);
		device->ops->commit(device, packet.length);
		result->sent++;
		result->bytes += packet.length;
		result->cut += packet.cut;
		if (++waiting >= PACE_BURST) {
			status = device->ops->kick(device);
			waiting = 0;
			if (status != 0)
				break;
		}
	}
	if (status == 0 && waiting > 0)
		status = device->ops->kick(device);
	if (status != 0 && device->error.code != 0 && error != NULL)
		*error = device->error;
	return status;
}

/* How long the next call is to last: to the end of the run, or of the count at its rate. */
static uint64_t live_span(const struct gen *gen, const struct gen_result *result, uint64_t elapsed)
{
	const struct gen_options *options = &gen->options;
	uint64_t span = UINT64_C(3600000000000);

	if (options->count != 0 && options->rate_pps > 0)
		span = (uint64_t)((double)(options->count - result->sent) / options->rate_pps * 1e9) + 50000000;
	if (options->duration_ns != 0 && options->duration_ns - elapsed < span)
		span = options->duration_ns - elapsed;
	return span;
}

static int run_live(struct gen *gen, struct gen_result *result, uint64_t start, struct error *error)
{
	struct xdp_live_counts counts;
	uint64_t elapsed;
	int status = 0;

	xdp_live_first(gen->live, gen->options.first_sequence);
	while (status == 0 && (elapsed = clock_monotonic_ns() - start, !done(gen, result, elapsed))) {
		status = xdp_live_push(gen->live, gen->options.count, live_span(gen, result, elapsed), error);
		xdp_live_counts(gen->live, &counts);
		result->sent = counts.sent;
		result->bytes = counts.bytes;
		result->slips = counts.slips;
		result->slipped = counts.slipped;
		result->elapsed_ns = counts.elapsed_ns;
		result->kicks++;
		if (status == -EINTR)
			status = 0;
	}
	return status;
}

int gen_run(struct gen *gen, struct gen_result *result, struct error *error)
{
	struct interface_counters before, after;
	double wanted = gen->options.rate_pps;
	uint64_t start, cpu;
	int status;

	memset(result, 0, sizeof *result);
	result->method = gen->method;
	result->first_sequence = gen->options.first_sequence;
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	interface_counters_read(gen->ifindex, &before);
	result->start_ns = clock_wall_ns();
	cpu = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	start = clock_monotonic_ns();
	if (gen->live != NULL)
		status = run_live(gen, result, start, error);
	else if (gen->replay != NULL)
		status = run_replay(gen, result, start, error);
	else
		status = run_device(gen, result, start, error);
	if (gen->device != NULL) {
		int drained = gen->device->ops->drain(gen->device);

		if (status == 0 && drained != 0)
			status = error_set_errno(error, drained, "the interface did not send all in a second");
		result->refused = gen->device->malformed;
		result->kicks = gen->device->kicks;
		result->sent -= result->refused;
	}
	if (gen->live == NULL) /* there the program measured, without the call's own start and end */
		result->elapsed_ns = clock_monotonic_ns() - start;
	result->cpu_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	interface_counters_read(gen->ifindex, &after);
	result->device_dropped = after.tx_dropped - before.tx_dropped;
	result->device_sent = after.tx_packets - before.tx_packets;
	result->held = wanted == 0 || gen->replay != NULL ||
		       (double)result->slipped <= 0.001 * (double)(result->sent + result->slipped);
	return status;
}

void gen_halt(struct gen *gen)
{
	atomic_store_explicit(&gen->halt, true, memory_order_relaxed);
}

void gen_close(struct gen *gen)
{
	if (gen == NULL)
		return;
	if (gen->device != NULL)
		gen->device->ops->close(gen->device);
	xdp_live_close(gen->live);
	replay_close(gen->replay);
	free(gen->shape);
	free(gen);
}

const struct shape *gen_shape(const struct gen *gen)
{
	return gen->shape;
}

void gen_write_json(const struct gen_options *options, const struct gen_result *result, FILE *out)
{
	double seconds = (double)result->elapsed_ns / 1e9;

	fprintf(out, "{\"method\":\"%s\",\"interface\":\"%s\",\"sent\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"seconds\":%.6f,\"rate_pps\":%.1f,\"asked_pps\":", result->method, options->interface,
		result->sent, result->bytes, seconds, seconds > 0 ? (double)result->sent / seconds : 0);
	if (options->rate_pps > 0)
		fprintf(out, "%.1f", options->rate_pps);
	else
		fputs("null", out);
	fprintf(out, ",\"held\":%s,\"slips\":%" PRIu64 ",\"slipped\":%" PRIu64 ",\"first_sequence\":%" PRIu64
		",\"start_ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"skipped\":%" PRIu64
		",\"cut\":%" PRIu64 ",\"kicks\":%" PRIu64 ",\"interface_tx_packets\":%" PRIu64
		",\"interface_tx_dropped\":%" PRIu64 "}\n",
		result->held ? "true" : "false", result->slips, result->slipped, result->first_sequence,
		result->start_ns, result->cpu_ns, result->refused, result->skipped, result->cut, result->kicks,
		result->device_sent, result->device_dropped);
}
