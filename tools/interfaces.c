#include "tools/interfaces.h"

#include <net/if.h>
#include <stdio.h>

#include "engine/interfaces.h"
#include "tools/cli.h"

static void print_flags(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{ IFF_UP, "up" }, { IFF_RUNNING, "running" }, { IFF_LOOPBACK, "loopback" },
	};
	const char *between;

	fputs(flags & IFF_UP ? " [" : " [down", stdout);
	between = flags & IFF_UP ? "" : ", ";
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!(flags & names[i].flag))
			continue;
		printf("%s%s", between, names[i].name);
		between = ", ";
	}
	putchar(']');
}

static void print_entry(unsigned number, const struct interfaces_entry *entry)
{
	printf("%u.%s", number, entry->name);
	print_flags(entry->flags);
	printf(" %s", interfaces_link_name(entry->link_type));
	if (entry->index != 0)
		printf(", index %u", entry->index);
	if (entry->description[0] != '\0')
		printf(", %s", entry->description);
	for (unsigned i = 0; i < entry->address_count; i++)
		printf("%s%s", i == 0 ? ": " : " ", entry->addresses[i]);
	putchar('\n');
}

int cli_list_interfaces(void)
{
	struct interfaces_list list;
	struct error error = { 0 };

	if (interfaces_list(&list, &error) != 0)
		return cli_fail(&error);
	for (unsigned i = 0; i < list.count; i++)
		print_entry(i + 1, &list.entries[i]);
	interfaces_list_close(&list);
	return 0;
}
