/* engine/interface.h with a table of 256 entries: the real one clears half a megabyte for each of a fuzzer's
 * runs, which is most of what they would do. The linker takes this in its place. */
#include <errno.h>

#include "engine/interface.h"
#include "tests/fuzz/fuzz.h"

#define ENTRIES 256u

struct interface_table {
	uint32_t count;
	struct interface *entries[ENTRIES];
};

int interface_table_create(struct interface_table **table, struct error *error)
{
	(void)error;
	*table = calloc(1, sizeof **table);
	return *table != NULL ? 0 : -ENOMEM;
}

void interface_table_close(struct interface_table *table)
{
	for (uint32_t i = 0; i < table->count; i++)
		free(table->entries[i]);
	free(table);
}

int interface_table_add(struct interface_table *table, const struct interface *interface, uint16_t *index)
{
	if (table->count == ENTRIES)
		return -ENOSPC;
	table->entries[table->count] = malloc(sizeof *interface);
	if (table->entries[table->count] == NULL)
		return -ENOMEM;
	*table->entries[table->count] = *interface;
	*index = (uint16_t)table->count++;
	return 0;
}

const struct interface *interface_table_get(const struct interface_table *table, uint16_t index)
{
	return index < table->count ? table->entries[index] : NULL;
}

uint32_t interface_table_count(const struct interface_table *table)
{
	return table->count;
}
