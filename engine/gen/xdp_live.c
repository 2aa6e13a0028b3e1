#include "engine/gen/xdp_live.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/gen/pace.h"
#include "engine/gen/xdp_program.h"

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif

struct xdp_live {
	int map_fd, program_fd;
	struct xdp_state *state; /* mapped; the kernel writes it only while we are inside the call */
	size_t map_size;
	unsigned ifindex;
	bool out;
	uint32_t batch;
	uint32_t length;
	uint8_t frame[SHAPE_LENGTH_MAX];
};

static int bpf(int command, union bpf_attr *attr)
{
	long result = syscall(SYS_bpf, command, attr, sizeof *attr);

	return result < 0 ? -errno : (int)result;
}

static int privilege_error(struct error *error, int status, const char *what)
{
	error_set_errno(error, status, "%s", what);
	if (status == -EPERM)
		error_hint(error, "root or CAP_BPF and CAP_NET_ADMIN are needed; --method txring needs less");
	else if (status == -EINVAL)
		error_hint(error, "live frames need kernel 5.18; --method txring works everywhere");
	return status;
}

static int make_map(struct xdp_live *live, const struct shape *shape, struct error *error)
{
	size_t value = sizeof(struct xdp_state) + sizeof shape->templates;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = (uint32_t)value,
		.max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};

	live->map_fd = bpf(BPF_MAP_CREATE, &attr);
	if (live->map_fd < 0)
		return privilege_error(error, live->map_fd, "cannot make the generator's map");
	live->map_size = (value + page - 1) / page * page;
	live->state = mmap(NULL, live->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, live->map_fd, 0);
	if (live->state == MAP_FAILED) {
		live->state = NULL;
		return error_set_errno(error, -errno, "cannot map the generator's map");
	}
	memcpy(live->state + 1, shape->templates, sizeof shape->templates);
	memcpy(live->state->size_of_step, shape->size_of_step, sizeof shape->size_of_step);
	return 0;
}

static int load_program(struct xdp_live *live, const struct shape *shape, bool paced, struct error *error)
{
	struct bpf_insn program[XDP_PROGRAM_MAX];
	static const char license[] = "GPL"; /* bpf_ktime_get_ns is for such programs only */
	char log[4096] = "";
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uint64_t)(uintptr_t)program,
		.license = (uint64_t)(uintptr_t)license,
		.log_level = 1,
		.log_buf = (uint64_t)(uintptr_t)log,
		.log_size = sizeof log,
		.prog_name = "weir_gen",
	};
	size_t end;
	int status;

	attr.insn_cnt = xdp_program_build(program, shape, live->map_fd, paced, live->out ? live->ifindex : 0);
	live->program_fd = bpf(BPF_PROG_LOAD, &attr);
	if (live->program_fd == -ENOSPC) {
		/* kernel: the verifier's text did not fit; it is wanted only when it says no. */
		attr.log_level = 0;
		attr.log_buf = 0;
		attr.log_size = 0;
		live->program_fd = bpf(BPF_PROG_LOAD, &attr);
	}
	if (live->program_fd >= 0)
		return 0;
	status = privilege_error(error, live->program_fd, "the kernel refused the generator's program");
	end = strlen(log);
	if (status != -EPERM && end > 0) {
		char *line;

		log[end - 1] = '\0';
		line = strrchr(log, '\n');
		error_hint(error, "verifier: %s", line != NULL ? line + 1 : log);
	}
	return status;
}

static int test_run(struct xdp_live *live, uint32_t repeat)
{
	struct xdp_md context = { .data_end = live->length };
	union bpf_attr attr = { 0 };

	/* kernel: a frame that is redirected has no receiving interface to name; loopback stands in. */
	context.ingress_ifindex = live->out ? 0 : live->ifindex;
	attr.test.prog_fd = (uint32_t)live->program_fd;
	attr.test.data_in = (uint64_t)(uintptr_t)live->frame;
	attr.test.data_size_in = live->length;
	attr.test.ctx_in = (uint64_t)(uintptr_t)&context;
	attr.test.ctx_size_in = sizeof context;
	attr.test.repeat = repeat;
	attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	attr.test.batch_size = live->batch;
	return bpf(BPF_PROG_TEST_RUN, &attr);
}

int xdp_live_open(unsigned ifindex, bool out, const struct shape *shape, double rate_pps,
		  struct xdp_live **result, struct error *error)
{
	struct xdp_live *live = calloc(1, sizeof *live);
	int status;

	if (live == NULL)
		return error_set_errno(error, -ENOMEM, "cannot make live frames");
	live->map_fd = live->program_fd = -1;
	live->ifindex = ifindex;
	live->out = out;
	live->length = shape->longest;
	/* What a batch passes goes up together at its end: a small one keeps slow rates even. */
	live->batch = rate_pps == 0 || rate_pps >= 1e6 ? 64 : 16;
	for (uint32_t i = 0; i < live->length; i++)
		live->frame[i] = shape_filler(i);
	status = make_map(live, shape, error);
	if (status == 0) {
		live->state->interval = rate_pps > 0 ? (uint64_t)(1e9 / rate_pps * 65536) : 0;
		live->state->debt = rate_pps > 0 && 1e9 / rate_pps * PACE_DEBT_LEAST > PACE_DEBT_NS
			? live->state->interval * PACE_DEBT_LEAST : (uint64_t)PACE_DEBT_NS << 16;
		status = load_program(live, shape, rate_pps > 0, error);
	}
	if (status != 0) {
		xdp_live_close(live);
		return status;
	}
	*result = live;
	return 0;
}

static void on_timer(int number)
{
	(void)number; /* it has interrupted the call, which is all it is for */
}

/* A timer that signals this thread until it is deleted: a signal that came before the call began must
 * not be the only one. */
static int arm_timer(timer_t *timer, uint64_t span_ns)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = XDP_LIVE_SIGNAL };
	struct itimerspec when = { .it_interval = { .tv_nsec = 50000000 } };

	event._sigev_un._tid = gettid();
	when.it_value.tv_sec = (time_t)(span_ns / 1000000000u);
	when.it_value.tv_nsec = (long)(span_ns % 1000000000u) + (span_ns == 0);
	if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0)
		return -errno;
	return timer_settime(*timer, 0, &when, NULL) != 0 ? -errno : 0;
}

int xdp_live_push(struct xdp_live *live, uint64_t limit, uint64_t span_ns, struct error *error)
{
	struct xdp_state *state = live->state;
	uint64_t left = limit == 0 ? UINT32_MAX : limit - state->sent;
	struct sigaction action = { .sa_handler = on_timer }, before;
	timer_t timer;
	int status;

	state->limit = limit == 0 ? UINT64_MAX : limit;
	state->epoch_offset = clock_wall_ns() - clock_monotonic_ns();
	sigaction(XDP_LIVE_SIGNAL, &action, &before);
	status = arm_timer(&timer, span_ns);
	if (status != 0)
		return error_set_errno(error, status, "cannot make a timer");
	status = test_run(live, state->interval == 0 && left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
	timer_delete(timer);
	sigaction(XDP_LIVE_SIGNAL, &before, NULL);
	if (status == 0 || status == -EINTR)
		return status;
	privilege_error(error, status, "the kernel refused the live frames");
	if (status == -EINVAL && live->length > 3000)
		error_hint(error, "live frames hold some 3,400 bytes at most; --method txring");
	return status;
}

void xdp_live_counts(const struct xdp_live *live, struct xdp_live_counts *counts)
{
	const struct xdp_state *state = live->state;

	*counts = (struct xdp_live_counts){
		.sent = state->sent,
		.bytes = state->bytes,
		.slips = state->slips,
		.slipped = state->slipped,
		.elapsed_ns = state->last - state->start,
	};
}

void xdp_live_first(struct xdp_live *live, uint64_t sequence)
{
	live->state->sequence = sequence;
}

void xdp_live_close(struct xdp_live *live)
{
	if (live == NULL)
		return;
	if (live->state != NULL)
		munmap(live->state, live->map_size);
	if (live->program_fd >= 0)
		close(live->program_fd);
	if (live->map_fd >= 0)
		close(live->map_fd);
	free(live);
}
