#include "engine/interface.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct interface_table {
	pthread_mutex_t adding; /* one interface_table_add at a time */
	_Atomic uint32_t count; /* entries below it are complete */
	struct interface *entries[INTERFACE_TABLE_MAX];
};

int interface_table_create(struct interface_table **table, struct error *error)
{
	struct interface_table *made = calloc(1, sizeof *made);

	*table = NULL;
	if (made == NULL)
		return error_set_errno(error, -ENOMEM, "no memory for the table of interfaces");
	pthread_mutex_init(&made->adding, NULL);
	*table = made;
	return 0;
}

void interface_table_close(struct interface_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < interface_table_count(table); i++)
		free(table->entries[i]);
	pthread_mutex_destroy(&table->adding);
	free(table);
}

int interface_table_add(struct interface_table *table, const struct interface *interface, uint16_t *index)
{
	struct interface *entry = malloc(sizeof *entry);
	uint32_t count;

	if (entry == NULL)
		return -ENOMEM;
	*entry = *interface;
	pthread_mutex_lock(&table->adding);
	count = atomic_load_explicit(&table->count, memory_order_relaxed);
	if (count < INTERFACE_TABLE_MAX) {
		table->entries[count] = entry;
		/* pairs with: the acquire in interface_table_count, so that an entry below the count is whole. */
		atomic_store_explicit(&table->count, count + 1, memory_order_release);
	}
	pthread_mutex_unlock(&table->adding);
	if (count >= INTERFACE_TABLE_MAX) {
		free(entry);
		return -ENOSPC;
	}
	*index = (uint16_t)count;
	return 0;
}

const struct interface *interface_table_get(const struct interface_table *table, uint16_t index)
{
	return index < interface_table_count(table) ? table->entries[index] : NULL;
}

uint32_t interface_table_count(const struct interface_table *table)
{
	/* pairs with: the release in interface_table_add. */
	return atomic_load_explicit(&table->count, memory_order_acquire);
}
