#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/clock.h"
#include "tools/weir_bench.h"

int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got = 1;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	while (used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(fd);
	return got < 0 ? -EIO : 0;
}

/* In the child: everything that the parent must not leave behind, then the program. */
static void become(char **argv, const int *cpus, unsigned cpu_count, int out, int log)
{
	cpu_set_t set;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0); /* a ^C at the terminal is the bench's to handle */
	CPU_ZERO(&set);
	for (unsigned i = 0; i < cpu_count; i++)
		CPU_SET(cpus[i], &set);
	sched_setaffinity(0, sizeof set, &set);
	dup2(out, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int process_start(struct bench_process *process, const struct bench *bench, char **argv, const int *cpus,
		  unsigned cpu_count, bool want_stdout, struct error *error)
{
	static unsigned number;
	int pipe_fds[2] = { -1, -1 }, log, null, saved;

	process->pid = -1;
	process->out_fd = -1;
	snprintf(process->log_path, sizeof process->log_path, "%s/log.%u", bench->directory,
		 number++ % (2 * BENCH_WORKERS_MAX));
	log = open(process->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log >= 0 && null >= 0 && (!want_stdout || pipe2(pipe_fds, O_CLOEXEC) == 0)) {
		if (want_stdout)
			fcntl(pipe_fds[0], F_SETPIPE_SZ, 1 << 20);
		/* Not fork: copying this process's tables, and the faults after, would be most of what the bench itself uses
		 * in a run. The child touches nothing but its stack and its own attributes. */
		process->pid = vfork();
		if (process->pid == 0)
			become(argv, cpus, cpu_count, want_stdout ? pipe_fds[1] : null, log);
	}
	saved = errno;
	if (log >= 0)
		close(log);
	if (null >= 0)
		close(null);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	process->out_fd = pipe_fds[0];
	return process->pid < 0 ? error_set_errno(error, -saved, "cannot start %s", argv[0]) : 0;
}

/* The last line that is not empty. */
static void last_line(char *text, char *line, size_t size)
{
	size_t length = strlen(text);
	char *start;

	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
		text[--length] = '\0';
	start = strrchr(text, '\n');
	snprintf(line, size, "%s", start != NULL ? start + 1 : text);
}

/* kernel: /proc/PID/net/packet has a line for each packet socket of its namespace, behind a heading. */
static bool has_packet_socket(pid_t pid)
{
	char path[64], text[4096], *line;

	snprintf(path, sizeof path, "/proc/%d/net/packet", (int)pid);
	if (read_text(path, text, sizeof text) != 0 || (line = strchr(text, '\n')) == NULL || line[1] == '\0')
		return false;
	poll(NULL, 0, 500); /* the socket is there, its ring comes next */
	return true;
}

int process_ready(struct bench_process *process, const char *ready, unsigned timeout_ms, struct error *error)
{
	static char text[16384];
	char line[192];

	for (unsigned waited = 0; waited < timeout_ms; waited += 10) {
		siginfo_t info = { 0 };

		read_text(process->log_path, text, sizeof text);
		if (ready != NULL ? strstr(text, ready) != NULL : has_packet_socket(process->pid))
			return 0;
		if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
			read_text(process->log_path, text, sizeof text);
			last_line(text, line, sizeof line);
			return error_set(error, -ECHILD, "%s", line[0] != '\0' ? line : "it ended at once");
		}
		poll(NULL, 0, 10);
	}
	return error_set(error, -ETIMEDOUT, "it was not ready within %u s", timeout_ms / 1000);
}

uint64_t process_cpu_ns(pid_t pid)
{
	char path[64], text[128];
	uint64_t total = 0;
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		char task[512];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(task, sizeof task, "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
		if (read_text(task, text, sizeof text) == 0)
			total += strtoull(text, NULL, 10);
	}
	if (tasks != NULL)
		closedir(tasks);
	return total;
}

void process_times(pid_t pid, double *user, double *system)
{
	char path[64], text[1024], *at;
	unsigned long long ticks[2] = { 0, 0 };

	*user = *system = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_text(path, text, sizeof text) != 0 || (at = strrchr(text, ')')) == NULL)
		return;
	/* proc(5): behind the name come state and ten numbers, then utime and stime. */
	if (sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &ticks[0], &ticks[1]) != 2)
		return;
	*user = (double)ticks[0] / (double)sysconf(_SC_CLK_TCK);
	*system = (double)ticks[1] / (double)sysconf(_SC_CLK_TCK);
}

int process_stop(struct bench_process *process)
{
	uint64_t until = clock_monotonic_ns() + 10 * NS_PER_SECOND;
	int status = 0;
	pid_t got;

	kill(process->pid, SIGINT);
	while ((got = waitpid(process->pid, &status, WNOHANG)) == 0) {
		if (clock_monotonic_ns() > until)
			kill(process->pid, SIGKILL);
		poll(NULL, 0, 2);
	}
	process->pid = -1;
	return got < 0 ? -1 : status;
}

void process_close(struct bench_process *process)
{
	if (process->pid > 0) {
		kill(process->pid, SIGKILL);
		waitpid(process->pid, NULL, 0);
		process->pid = -1;
	}
	if (process->out_fd >= 0)
		close(process->out_fd);
	process->out_fd = -1;
}
