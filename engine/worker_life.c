#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/uapi.h"
#include "engine/worker_internal.h"

#define SLICE_NS 100000 /* the least that the kernel takes */

static uint32_t power_of_two(uint32_t least)
{
	uint32_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

static int make_queue(struct spsc *queue, void **memory, uint32_t slot_size, uint32_t capacity)
{
	size_t size = (size_t)slot_size * capacity;

	*memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
	if (*memory == NULL)
		return -ENOMEM;
	/* Touched now, so that no page fault comes with the first packets. */
	memset(*memory, 0, size);
	return spsc_init(queue, *memory, slot_size, capacity, 0) ? 0 : -EINVAL;
}

static int make_epoll(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 1 };

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0 || epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->bell.fd, &event) < 0)
		return -errno;
	return 0;
}

int worker_create(const struct worker_config *config, struct source *source, struct worker **out,
		  struct error *error)
{
	struct worker *worker = aligned_alloc(RINGBUF_ISOLATION, sizeof *worker);
	int result;

	*out = NULL;
	if (worker == NULL)
		return error_set(error, -ENOMEM, "no memory for a worker");
	memset(worker, 0, sizeof *worker);
	worker->config = *config;
	worker->source = source;
	worker->decode_unready = config->decode;
	worker->decode_unready.checksum_not_ready = true;
	worker->epoll_fd = worker->bell.fd = -1;
	pthread_mutex_init(&worker->stats_lock, NULL);

	result = make_queue(&worker->queue, &worker->queue_memory, sizeof(struct record), config->queue_capacity);
	if (result == 0)
		result = make_queue(&worker->returns, &worker->returns_memory, sizeof(uint32_t),
				    power_of_two(source->span_count + 1));
	if (result == 0)
		result = doorbell_open(&worker->bell);
	if (result == 0)
		result = make_epoll(worker);
	if (result < 0) {
		worker_close(worker);
		return error_set_errno(error, result, "cannot make a worker's queue");
	}
	*out = worker;
	return 0;
}

void worker_shorten_slice(void)
{
	struct uapi_sched_attr attributes;

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0 ||
	    attributes.sched_policy != SCHED_OTHER)
		return;
	/* kernel: from 6.12 on who asks for a shorter turn than the one that runs need not wait until that one's is over
	 * (a tick, 4 ms where HZ is 250); a thread of the writer's on the same CPU cost AF_XDP packets. Before, ignored. */
	attributes.sched_runtime = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int worker_start(struct worker *worker, struct error *error)
{
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int result;

	pthread_attr_init(&attributes);
	if (worker->config.cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(worker->config.cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
	}
	result = pthread_create(&worker->thread, &attributes, worker_main, worker);
	pthread_attr_destroy(&attributes);
	if (result != 0) {
		error_set_errno(error, -result, "cannot start a worker on CPU %d", worker->config.cpu);
		return error_hint(error, "--pin names the CPUs to use");
	}
	worker->started = true;
	return 0;
}

void worker_cancel(struct worker *worker)
{
	if (worker->started)
		return;
	worker_send_control(worker, SLOT_END, 0, 0);
	worker_commit(worker);
}

void worker_stop(struct worker *worker)
{
	atomic_store_explicit(&worker->stop_asked, true, memory_order_relaxed);
	doorbell_ring(&worker->bell, DOORBELL_CALL);
}

void worker_abort(struct worker *worker)
{
	atomic_store_explicit(&worker->abort_asked, true, memory_order_relaxed);
	doorbell_ring(&worker->bell, DOORBELL_CALL);
}

void worker_join(struct worker *worker)
{
	if (!worker->started || worker->joined)
		return;
	pthread_join(worker->thread, NULL);
	worker->joined = true;
}

void worker_close(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	doorbell_close(&worker->bell);
	free(worker->returns_memory);
	free(worker->queue_memory);
	pthread_mutex_destroy(&worker->stats_lock);
	free(worker);
}

struct spsc *worker_queue(struct worker *worker)
{
	return &worker->queue;
}

void worker_return_span(struct worker *worker, uint32_t span)
{
	void *slot;

	/* Sized for all spans: there is always room. */
	if (spsc_reserve(&worker->returns, 1, &slot) == 0)
		abort();
	*(uint32_t *)slot = span;
	spsc_commit(&worker->returns, 1);
	doorbell_ring(&worker->bell, spsc_used(&worker->returns) > worker->source->spans_lazy ?
					     WORKER_BELL_SPAN | WORKER_BELL_SPANS :
					     WORKER_BELL_SPAN);
}

void worker_slots_released(struct worker *worker)
{
	doorbell_ring(&worker->bell, WORKER_BELL_SLOTS);
}

void worker_want_time(struct worker *worker)
{
	atomic_store_explicit(&worker->time_asked, true, memory_order_relaxed);
	doorbell_ring(&worker->bell, DOORBELL_CALL);
}

void worker_report(struct worker *worker, struct ledger_ring *ring)
{
	const struct worker_counters *counters = &worker->counters;

	memset(ring, 0, sizeof *ring);
	ring->backend = worker->source->ops->name;
	snprintf(ring->interface, sizeof ring->interface, "%s", worker_interface_name(worker));
	ring->interface_index = worker->source->interface;
	ring->worker = worker->config.index;
	ring->walked = atomic_load_statistic(&counters->walked);
	ring->records = atomic_load_statistic(&counters->records);
	ring->filtered = atomic_load_statistic(&counters->filtered);
	ring->cut = atomic_load_statistic(&counters->cut);
	ring->wire_bytes = atomic_load_statistic(&counters->wire_bytes);
	ring->sleeps = atomic_load_statistic(&counters->sleeps);
	ring->full_waits = atomic_load_statistic(&counters->full_waits);
	ring->queue_used_most = atomic_load_statistic(&counters->queue_used_most);
	ring->queue_capacity = worker->config.queue_capacity;
	pthread_mutex_lock(&worker->stats_lock);
	ring->stats = worker->stats;
	pthread_mutex_unlock(&worker->stats_lock);
}
