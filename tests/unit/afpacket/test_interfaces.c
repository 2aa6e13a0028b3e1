/* Interfaces by netlink and namespaces by path. */
#include "fixture.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decoders/decode.h"
#include "engine/interfaces.h"
#include "engine/netns.h"

static const struct interfaces_entry *find(const struct interfaces_list *list, const char *name,
					   unsigned *place)
{
	for (unsigned i = 0; i < list->count; i++) {
		*place = i;
		if (strcmp(list->entries[i].name, name) == 0)
			return &list->entries[i];
	}
	return NULL;
}

static void one_by_name(void **state)
{
	struct interfaces_entry entry;
	struct error error = { 0 };

	assert_int_equal(interfaces_lookup("va", &entry, &error), 0);
	assert_int_equal(entry.index, if_nametoindex("va"));
	assert_string_equal(entry.name, "va");
	assert_int_equal(entry.mtu, 1400);
	assert_int_equal(entry.link_type, LINK_ETHERNET);
	assert_int_equal(entry.form, INTERFACES_WITH_LINK);
	assert_int_equal(entry.flags & (IFF_UP | IFF_RUNNING), IFF_UP | IFF_RUNNING);
	assert_memory_equal(entry.mac, "\x02\0\0\0\0\x0a", 6);
	assert_string_equal(entry.description, "the left one");
	assert_memory_equal(&entry.netmask, "\xff\xff\xff\0", 4);

	assert_int_equal(interfaces_lookup("lo", &entry, &error), 0);
	assert_int_equal(entry.hardware_type, ARPHRD_LOOPBACK);
	assert_int_equal(entry.index, 1);
	assert_int_equal(interfaces_lookup("any", &entry, &error), 0);
	assert_int_equal(entry.index, 0);
	assert_int_equal(entry.link_type, LINK_LINUX_SLL2);
	assert_int_equal(interfaces_lookup("nosuch", &entry, &error), -ENODEV);
	assert_int_equal(interfaces_lookup("", &entry, NULL), -EINVAL);
	assert_int_equal(interfaces_lookup("0123456789abcdef", &entry, NULL), -EINVAL);
	assert_int_equal(interfaces_lookup_index(if_nametoindex("vb"), &entry), 0);
	assert_string_equal(entry.name, "vb");
	assert_int_equal(interfaces_lookup_index(99999, &entry), -ENODEV);
	assert_int_equal(interfaces_lookup_index(0, &entry), -ENODEV);
}

/* More than one part of a dump: 300 interfaces are more than 32 KiB of answer. */
static void all_of_many(void **state)
{
	struct interfaces_list list;
	struct error error = { 0 };
	unsigned first = 0, any = 0, loopback = 0, down = 0;
	char name[IF_NAMESIZE];

	fixture_run("for i in $(seq 150); do echo link add m$i type veth peer name n$i; done | ip -batch -");
	assert_int_equal(interfaces_list(&list, &error), 0);
	assert_int_equal(list.count, 1 + 1 + 2 + 300);
	assert_non_null(find(&list, "va", &first));
	assert_int_equal(list.entries[first].address_count, 2);
	assert_string_equal(list.entries[first].addresses[0], "10.1.0.1");
	assert_non_null(find(&list, "any", &any));
	assert_non_null(find(&list, "lo", &loopback));
	assert_non_null(find(&list, "m150", &down));
	assert_true(first < any && any < loopback && loopback < down);
	assert_int_equal(interfaces_default(name, &error), 0);
	assert_string_equal(name, list.entries[0].name);
	assert_true(strcmp(name, "va") == 0 || strcmp(name, "vb") == 0);
	interfaces_list_close(&list);
	interfaces_list_close(&list);
}

static void link_types(void **state)
{
	static const struct {
		uint16_t hardware, link_type;
		enum interfaces_form form;
	} cases[] = {
		{ ARPHRD_ETHER, LINK_ETHERNET, INTERFACES_WITH_LINK },
		{ ARPHRD_LOOPBACK, LINK_ETHERNET, INTERFACES_WITH_LINK },
		{ ARPHRD_NONE, LINK_RAW, INTERFACES_RAW_IP },
		{ ARPHRD_TUNNEL, LINK_RAW, INTERFACES_RAW_IP },
		{ ARPHRD_SIT, LINK_RAW, INTERFACES_RAW_IP },
		{ ARPHRD_PPP, LINK_LINUX_SLL2, INTERFACES_COOKED },
		{ ARPHRD_IPGRE, LINK_LINUX_SLL2, INTERFACES_COOKED },
		{ ARPHRD_INFINIBAND, LINK_LINUX_SLL2, INTERFACES_COOKED },
		{ ARPHRD_IEEE80211_RADIOTAP, 127, INTERFACES_WITH_LINK },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum interfaces_form form;
		uint16_t link_type;

		interfaces_link_type(cases[i].hardware, &link_type, &form);
		assert_int_equal(link_type, cases[i].link_type);
		assert_int_equal(form, cases[i].form);
		assert_non_null(interfaces_link_name(link_type));
	}
}

static void counters(void **state)
{
	uint64_t dropped = 1, missed = 1;

	assert_int_equal(interfaces_counters("vb", &dropped, &missed), 0);
	assert_int_equal(missed, 0);
	assert_int_equal(interfaces_counters("nosuch", &dropped, &missed), -ENODEV);
}

/* The other namespace has lo alone, and the way back works too. */
static void namespaces(void **state)
{
	struct interfaces_entry entry;
	struct error error = { 0 };
	char path[64], home[64];
	int ready[2];
	char byte;
	pid_t child;

	snprintf(home, sizeof home, "/proc/%d/ns/net", getpid());
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		byte = unshare(CLONE_NEWNET) == 0;
		_exit(write(ready[1], &byte, 1) != 1 || pause());
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	snprintf(path, sizeof path, "/proc/%d/ns/net", child);
	assert_int_equal(netns_enter("no-such-namespace", &error), -ENOENT);
	assert_non_null(strstr(error.message, "no-such-namespace"));
	assert_int_equal(netns_enter("/dev/null", &error), -EINVAL);
	if (byte) {
		/* the child's, entered by a child: this process keeps its own */
		pid_t visitor = fork();
		int status;

		if (visitor == 0)
			_exit(netns_enter(path, &error) != 0 || interfaces_lookup("va", &entry, NULL) != -ENODEV ||
			      interfaces_lookup("lo", &entry, NULL) != 0);
		assert_int_equal(waitpid(visitor, &status, 0), visitor);
		assert_int_equal(status, 0);
	}
	assert_int_equal(interfaces_lookup("va", &entry, NULL), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_by_name),
		cmocka_unit_test(all_of_many),
		cmocka_unit_test(link_types),
		cmocka_unit_test(counters),
		cmocka_unit_test(namespaces),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	fixture_enter();
	fixture_run("ip link add va address 02:00:00:00:00:0a mtu 1400 type veth peer name vb");
	fixture_run("ip link set va up; ip link set vb up; ip link set va alias 'the left one'");
	fixture_run("ip addr add 10.1.0.1/24 dev va; ip addr add 10.2.0.1/16 dev va");
	return cmocka_run_group_tests_name("interfaces", tests, NULL, NULL);
}
