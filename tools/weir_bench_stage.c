#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/weir_bench.h"

#define CHANNEL_TRIES 50
#define CHANNEL_WAIT_MS 20

static int complain(const char *what, const char *hint)
{
	struct error error;

	error_set_errno(&error, -errno, "%s", what);
	error_hint(&error, "%s", hint);
	return cli_fail(&error);
}

static int run_quietly(char *const *argv)
{
	int status = -1, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, value, strlen(value)) < 0)
			errno = 0; /* a kernel without IPv6 has nothing to switch off */
		close(fd);
	}
}

/* Only the sender's packets may be on the pair: no IPv6 neighbour discovery. */
static int make_network(unsigned queues)
{
	char number[16];
	char *const commands[][20] = {
		{ "ip", "link", "set", "lo", "up", NULL },
		{ "ip", "link", "add", BENCH_SENDER, "numrxqueues", number, "numtxqueues", number, "type", "veth", "peer",
		  "name", BENCH_RECEIVER, "numrxqueues", number, "numtxqueues", number, NULL },
		{ "ip", "link", "set", BENCH_SENDER, "up", NULL },
		{ "ip", "link", "set", BENCH_RECEIVER, "up", NULL },
	};

	snprintf(number, sizeof number, "%u", queues);
	write_setting("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_setting("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		int status = run_quietly(commands[i]);

		if (status == 0)
			continue;
		errno = status == 127 ? ENOENT : EIO;
		return complain("cannot make the bench's interfaces", "the command ip and the kernel's veth are needed");
	}
	return 0;
}

static int set_channels(int fd, const char *interface, unsigned queues)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (void *)&channels };

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	if (ioctl(fd, SIOCETHTOOL, &request) != 0)
		return -errno;
	if (channels.rx_count == queues && channels.tx_count == queues)
		return 0;
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.rx_count = channels.tx_count = queues;
	return ioctl(fd, SIOCETHTOOL, &request) == 0 ? 0 : -errno;
}

int stage_queues(unsigned queues)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = fd < 0 ? -errno : -EINVAL;

	/* kernel: a queue with an AF_XDP socket cannot be taken away, and a closed socket leaves it by deferred work. */
	for (unsigned tries = 0; tries < CHANNEL_TRIES && result == -EINVAL; tries++) {
		if (tries > 0)
			poll(NULL, 0, CHANNEL_WAIT_MS);
		result = set_channels(fd, BENCH_RECEIVER, queues);
		if (result == 0)
			result = set_channels(fd, BENCH_SENDER, queues);
	}
	if (fd >= 0)
		close(fd);
	return result;
}

/* The first process of the new process namespace: when it ends, by whatever, the kernel ends all others. */
static int inside(int (*main_inside)(void *context), void *context, unsigned queues)
{
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0 ||
	    mount("weir-bench", BENCH_DIRECTORY, "tmpfs", 0, "mode=0700,size=60%") != 0)
		return complain("cannot make the bench's own file systems", "root is needed");
	status = queues > 0 ? make_network(queues) : 0;
	return status != 0 ? status : main_inside(context);
}

/* A directory and a lock on it; an earlier bench that was killed has left at most the empty directory. */
static int lock_directory(void)
{
	int fd;

	if (mkdir(BENCH_DIRECTORY, 0700) != 0 && errno != EEXIST) {
		complain("cannot make " BENCH_DIRECTORY, "root is needed");
		return -1;
	}
	fd = open(BENCH_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	complain("cannot take " BENCH_DIRECTORY, errno == EWOULDBLOCK ? "another weir bench runs, and they would "
									"disturb each other" : "root is needed");
	if (fd >= 0)
		close(fd);
	return -1;
}

int stage_run(int (*main_inside)(void *context), void *context, unsigned queues)
{
	int lock = lock_directory(), status = 0;
	pid_t pid;

	if (lock < 0)
		return EXIT_FAILED;
	if (unshare(CLONE_NEWPID | CLONE_NEWNS | (queues > 0 ? CLONE_NEWNET : 0)) != 0) {
		close(lock);
		return complain("cannot make namespaces for the bench", "root is needed");
	}
	pid = fork();
	if (pid == 0)
		_exit(inside(main_inside, context, queues));
	/* ^C is the inner one's to handle: it still reports what it has. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	umount2(BENCH_DIRECTORY, MNT_DETACH); /* we share the mount namespace with the one that ended */
	rmdir(BENCH_DIRECTORY);
	close(lock);
	if (pid < 0)
		return complain("cannot start the bench", "");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}
