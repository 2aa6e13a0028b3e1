/* What is left after privilege_drop. Each case runs in a child, for there is no way back. Needs root. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/privilege.h"

#define BIT(capability) (1ull << (capability))

static char directory[] = "/tmp/weir-privilege-XXXXXX";

static uint64_t status_value(const char *key)
{
	FILE *file = fopen("/proc/thread-self/status", "re");
	unsigned long long value = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ": %llx", &value);
	}
	if (file != NULL)
		fclose(file);
	return value;
}

/* In a child: 0 when all is as expected, else the line of what is not. */
#define EXPECT(condition) \
	do { \
		if (!(condition)) \
			return __LINE__; \
	} while (0)

static void in_child(int (*body)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		int line = body();

		if (line != 0)
			fprintf(stderr, "line %d is not so (CapEff %llx)\n", line,
				(unsigned long long)status_value("CapEff"));
		_exit(line != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool all_sets_are(uint64_t capabilities)
{
	return status_value("CapEff") == capabilities && status_value("CapPrm") == capabilities &&
	       status_value("CapInh") == 0 && status_value("CapAmb") == 0 && status_value("CapBnd") == 0 &&
	       status_value("NoNewPrivs") == 1;
}

static int nothing_stays_body(void)
{
	struct privilege_needs needs = { 0 };
	struct error error = { 0 };

	EXPECT(privilege_drop(&needs, &error) == 0);
	EXPECT(all_sets_are(0));
	EXPECT(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	/* a second time is no error: there is nothing to give up */
	EXPECT(privilege_drop(&needs, &error) == 0);
	return 0;
}

static int sockets_stay_body(void)
{
	static const int also[] = { CAP_NET_ADMIN };
	struct privilege_needs needs = { .packet_sockets = true, .capabilities = also, .capability_count = 1 };

	EXPECT(privilege_drop(&needs, NULL) == 0);
	EXPECT(all_sets_are(BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN)));
	EXPECT(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
	return 0;
}

static int other_user_body(void)
{
	char open_output[256], closed_output[256], finished[256];
	const char *outputs[] = { open_output, closed_output };
	struct privilege_needs needs = { .packet_sockets = true, .outputs = outputs, .user = "nobody" };
	struct passwd *nobody = getpwnam("nobody");
	struct stat state;
	int status;

	EXPECT(nobody != NULL);
	snprintf(open_output, sizeof open_output, "%s/open/a.part", directory);
	snprintf(closed_output, sizeof closed_output, "%s/closed/b.part", directory);
	EXPECT(close(open(open_output, O_CREAT | O_WRONLY, 0600)) == 0);
	EXPECT(close(open(closed_output, O_CREAT | O_WRONLY, 0600)) == 0);

	/* First with the open directory alone, in a child that gives its powers up for good; then with both. */
	needs.output_count = fork() == 0 ? 1 : 2;
	if (needs.output_count == 2) {
		/* the child's rename takes away what this one gives away */
		EXPECT(wait(&status) > 0 && status == 0);
		EXPECT(close(open(open_output, O_CREAT | O_WRONLY, 0600)) == 0);
	}
	EXPECT(privilege_drop(&needs, NULL) == 0);
	EXPECT(getuid() == nobody->pw_uid && geteuid() == nobody->pw_uid && getegid() == nobody->pw_gid);
	EXPECT(setuid(0) < 0);
	EXPECT(stat(open_output, &state) == 0 && state.st_uid == nobody->pw_uid);
	if (needs.output_count == 1) {
		/* the directory is its own: no power over files is needed */
		EXPECT(all_sets_are(BIT(CAP_NET_RAW)));
		snprintf(finished, sizeof finished, "%s/open/a", directory);
		_exit(rename(open_output, finished) != 0);
	}
	EXPECT(all_sets_are(BIT(CAP_NET_RAW) | BIT(CAP_DAC_OVERRIDE)));
	snprintf(finished, sizeof finished, "%s/closed/b", directory);
	EXPECT(rename(closed_output, finished) == 0);
	return 0;
}

static int root_in_a_users_directory_body(void)
{
	char output[256];
	const char *outputs[] = { output };
	struct privilege_needs needs = { .outputs = outputs, .output_count = 1 };

	snprintf(output, sizeof output, "%s/open/c.part", directory);
	EXPECT(close(open(output, O_CREAT | O_WRONLY, 0600)) == 0);
	EXPECT(privilege_drop(&needs, NULL) == 0);
	EXPECT(all_sets_are(BIT(CAP_DAC_OVERRIDE)));
	return 0;
}

static int unknown_user_body(void)
{
	struct privilege_needs needs = { .user = "no-such-user" };
	struct error error = { 0 };

	EXPECT(privilege_drop(&needs, &error) == -ENOENT);
	EXPECT(strstr(error.message, "no-such-user") != NULL);
	EXPECT(status_value("NoNewPrivs") == 0);
	return 0;
}

static int without_powers_body(void)
{
	struct privilege_needs needs = { .packet_sockets = true };
	struct privilege_needs other = { .user = "daemon" };
	struct error error = { 0 };

	EXPECT(setgid(65534) == 0 && setuid(65534) == 0);
	EXPECT(privilege_drop(&other, &error) == -EPERM);
	EXPECT(strstr(error.hint, "root") != NULL);
	EXPECT(privilege_drop(&needs, &error) == 0);
	EXPECT(status_value("CapEff") == 0 && status_value("NoNewPrivs") == 1);
	return 0;
}

static void nothing_stays(void **state)
{
	in_child(nothing_stays_body);
}

static void sockets_stay(void **state)
{
	in_child(sockets_stay_body);
}

static void other_user(void **state)
{
	in_child(other_user_body);
}

static void root_in_a_users_directory(void **state)
{
	in_child(root_in_a_users_directory_body);
}

static void unknown_user(void **state)
{
	in_child(unknown_user_body);
}

static void without_powers(void **state)
{
	in_child(without_powers_body);
}

static int make_directories(void **state)
{
	char path[256];
	struct passwd *nobody = getpwnam("nobody");

	if (mkdtemp(directory) == NULL || chmod(directory, 0755) < 0 || nobody == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/open", directory);
	if (mkdir(path, 0755) < 0 || chown(path, nobody->pw_uid, nobody->pw_gid) < 0)
		return -1;
	snprintf(path, sizeof path, "%s/closed", directory);
	return mkdir(path, 0755);
}

static int remove_directories(void **state)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_stays),
		cmocka_unit_test(sockets_stay),
		cmocka_unit_test(other_user),
		cmocka_unit_test(root_in_a_users_directory),
		cmocka_unit_test(unknown_user),
		cmocka_unit_test(without_powers),
	};

	if (getuid() != 0 || !(status_value("CapEff") & BIT(CAP_NET_RAW))) {
		printf("SKIP: giving up root's powers takes root\n");
		return 77;
	}
	return cmocka_run_group_tests_name("privilege", tests, make_directories, remove_directories);
}
