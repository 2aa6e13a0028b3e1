#include "engine/seal/conveyor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BUFFERS = 4 };

struct conveyor {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	pthread_t thread;
	int (*consume)(void *context, uint8_t *data, size_t length);
	void *context;
	size_t buffer_size;
	uint8_t *memory;
	size_t lengths[BUFFERS];
	uint64_t pushed, consumed; /* (mutex) buffers handed over, and given back */
	bool finished;             /* (mutex) no more will be pushed */
	int failure;               /* (mutex) what consume returned */
};

static void *consume_all(void *argument)
{
	struct conveyor *conveyor = argument;

	pthread_mutex_lock(&conveyor->mutex);
	for (;;) {
		unsigned slot;
		int ret;

		while (conveyor->consumed == conveyor->pushed && !conveyor->finished)
			pthread_cond_wait(&conveyor->changed, &conveyor->mutex);
		if (conveyor->consumed == conveyor->pushed)
			break;
		slot = conveyor->consumed % BUFFERS;
		pthread_mutex_unlock(&conveyor->mutex);
		ret = conveyor->consume(conveyor->context, conveyor->memory + slot * conveyor->buffer_size,
			conveyor->lengths[slot]);
		pthread_mutex_lock(&conveyor->mutex);
		conveyor->consumed++;
		conveyor->failure = ret;
		pthread_cond_signal(&conveyor->changed);
		if (ret != 0)
			break;
	}
	pthread_mutex_unlock(&conveyor->mutex);
	return NULL;
}

int conveyor_open(struct conveyor **out, size_t buffer_size,
	int (*consume)(void *context, uint8_t *data, size_t length), void *context)
{
	struct conveyor *conveyor = calloc(1, sizeof *conveyor);
	sigset_t all, before;
	int ret;

	*out = NULL;
	if (conveyor == NULL)
		return -ENOMEM;
	conveyor->consume = consume;
	conveyor->context = context;
	conveyor->buffer_size = buffer_size;
	conveyor->memory = mmap(NULL, BUFFERS * buffer_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	if (conveyor->memory == MAP_FAILED) {
		free(conveyor);
		return -ENOMEM;
	}
	(void)madvise(conveyor->memory, BUFFERS * buffer_size, MADV_DONTDUMP);
	pthread_mutex_init(&conveyor->mutex, NULL);
	pthread_cond_init(&conveyor->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&conveyor->thread, NULL, consume_all, conveyor);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret != 0) {
		munmap(conveyor->memory, BUFFERS * buffer_size);
		free(conveyor);
		return -ret;
	}
	*out = conveyor;
	return 0;
}

uint8_t *conveyor_next(struct conveyor *conveyor)
{
	uint8_t *buffer = NULL;

	pthread_mutex_lock(&conveyor->mutex);
	while (conveyor->pushed - conveyor->consumed == BUFFERS && conveyor->failure == 0)
		pthread_cond_wait(&conveyor->changed, &conveyor->mutex);
	if (conveyor->failure == 0)
		buffer = conveyor->memory + conveyor->pushed % BUFFERS * conveyor->buffer_size;
	pthread_mutex_unlock(&conveyor->mutex);
	return buffer;
}

void conveyor_push(struct conveyor *conveyor, size_t length)
{
	pthread_mutex_lock(&conveyor->mutex);
	conveyor->lengths[conveyor->pushed % BUFFERS] = length;
	conveyor->pushed++;
	pthread_cond_signal(&conveyor->changed);
	pthread_mutex_unlock(&conveyor->mutex);
}

int conveyor_close(struct conveyor *conveyor)
{
	int failure;

	if (conveyor == NULL)
		return 0;
	pthread_mutex_lock(&conveyor->mutex);
	conveyor->finished = true;
	pthread_cond_signal(&conveyor->changed);
	pthread_mutex_unlock(&conveyor->mutex);
	pthread_join(conveyor->thread, NULL);
	failure = conveyor->failure;
	explicit_bzero(conveyor->memory, BUFFERS * conveyor->buffer_size);
	munmap(conveyor->memory, BUFFERS * conveyor->buffer_size);
	pthread_mutex_destroy(&conveyor->mutex);
	pthread_cond_destroy(&conveyor->changed);
	free(conveyor);
	return failure;
}
