#include "engine/seal/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/seal/partfile.h"
#include "engine/seal/seal.h"

struct task {
	struct task *next;
	uint64_t packets, first_ns, last_ns;
	char name[];
};

struct archive {
	struct archive_options options;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct task *first, **last; /* (mutex) */
	bool finished;              /* (mutex) */
	struct error error;         /* (mutex) the first failure */
};

int seal_file_at(int dirfd, const char *name, const struct seal_key *key, enum crypto_provider provider,
	struct error *error)
{
	struct partfile file = { 0 };
	struct seal_job job = { .in_name = name, .provider = provider };
	char sealed[PATH_MAX];
	int ret;

	if (snprintf(sealed, sizeof sealed, "%s" SEAL_SUFFIX, name) >= (int)sizeof sealed)
		return error_set_errno(error, -ENAMETOOLONG, "cannot seal %s", name);
	job.in = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	if (job.in < 0)
		return error_set_errno(error, -errno, "cannot open %s", name);
	ret = partfile_open(&file, dirfd, sealed, false, error);
	if (ret == 0) {
		job.out = file.fd;
		job.out_name = file.part;
		ret = seal_write(&job, key, error);
	}
	if (ret == 0)
		ret = partfile_commit(&file, error);
	partfile_close(&file);
	close(job.in);
	if (ret == 0 && unlinkat(dirfd, name, 0) != 0)
		ret = error_set_errno(error, -errno, "sealed, but cannot remove %s", name);
	return ret;
}

static int do_task(struct archive *archive, const struct task *task, struct error *error)
{
	const struct archive_options *options = &archive->options;
	char sealed[PATH_MAX];
	const char *name = task->name;
	int ret = 0;

	if (options->key != NULL) {
		ret = seal_file_at(options->dirfd, name, options->key, options->provider, error);
		if (ret != 0)
			return ret;
		snprintf(sealed, sizeof sealed, "%s" SEAL_SUFFIX, name);
		name = sealed;
	}
	if (options->manifest != NULL)
		ret = manifest_append(options->manifest, options->dirfd, name, task->packets, task->first_ns,
			task->last_ns, options->provider, error);
	return ret;
}

static void *work(void *argument)
{
	struct archive *archive = argument;

	pthread_mutex_lock(&archive->mutex);
	for (;;) {
		struct error error = { 0 };
		struct task *task;
		int ret;

		while (archive->first == NULL && !archive->finished)
			pthread_cond_wait(&archive->changed, &archive->mutex);
		task = archive->first;
		if (task == NULL)
			break;
		archive->first = task->next;
		if (archive->first == NULL)
			archive->last = &archive->first;
		pthread_mutex_unlock(&archive->mutex);
		ret = do_task(archive, task, &error);
		free(task);
		pthread_mutex_lock(&archive->mutex);
		if (ret != 0 && archive->error.code == 0)
			archive->error = error;
	}
	pthread_mutex_unlock(&archive->mutex);
	return NULL;
}

int archive_open(struct archive **out, const struct archive_options *options, struct error *error)
{
	struct archive *archive = calloc(1, sizeof *archive);
	sigset_t all, before;
	int ret;

	*out = NULL;
	if (archive == NULL)
		return error_set_errno(error, -ENOMEM, "no memory for the archive");
	archive->options = *options;
	archive->last = &archive->first;
	pthread_mutex_init(&archive->mutex, NULL);
	pthread_cond_init(&archive->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&archive->thread, NULL, work, archive);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret != 0) {
		free(archive);
		return error_set_errno(error, -ret, "cannot start a thread");
	}
	*out = archive;
	return 0;
}

int archive_submit(struct archive *archive, const char *name, uint64_t packets, uint64_t first_ns,
	uint64_t last_ns)
{
	size_t size = strlen(name) + 1;
	struct task *task = malloc(sizeof *task + size);

	if (task == NULL)
		return -ENOMEM;
	task->next = NULL;
	task->packets = packets;
	task->first_ns = first_ns;
	task->last_ns = last_ns;
	memcpy(task->name, name, size);
	pthread_mutex_lock(&archive->mutex);
	*archive->last = task;
	archive->last = &task->next;
	pthread_cond_signal(&archive->changed);
	pthread_mutex_unlock(&archive->mutex);
	return 0;
}

bool archive_failed(struct archive *archive)
{
	bool failed;

	pthread_mutex_lock(&archive->mutex);
	failed = archive->error.code != 0;
	pthread_mutex_unlock(&archive->mutex);
	return failed;
}

int archive_close(struct archive *archive, struct error *error)
{
	int ret;

	if (archive == NULL)
		return 0;
	pthread_mutex_lock(&archive->mutex);
	archive->finished = true;
	pthread_cond_signal(&archive->changed);
	pthread_mutex_unlock(&archive->mutex);
	pthread_join(archive->thread, NULL);
	ret = archive->error.code;
	if (ret != 0 && error != NULL)
		*error = archive->error;
	pthread_mutex_destroy(&archive->mutex);
	pthread_cond_destroy(&archive->changed);
	free(archive);
	return ret;
}
