/* The run's table of interfaces: what record.interface points into.
 *
 * Live captures fill it before anything starts; file readers add to it as they meet interface
 * blocks. It only grows, entries never change once added, and an index is published with the
 * first record that carries it (the queue's commit), so that readers need no lock.
 */
#ifndef WEIR_ENGINE_INTERFACE_H
#define WEIR_ENGINE_INTERFACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/error.h"

#define INTERFACE_NAME_MAX 64
#define INTERFACE_TABLE_MAX 65535

struct filter_program;

struct interface {
	char name[INTERFACE_NAME_MAX];         /* "eth0"; for a file without names, the file's base name */
	char description[128];                 /* may be empty */
	char filter[1024];                     /* the filter's text, cut if longer; may be empty */
	uint32_t kernel_index;                 /* ifindex, 0: none */
	uint16_t link_type;                    /* enum link_type, any LINKTYPE_ value */
	uint32_t snap_length;                  /* bytes, 0: no limit */
	uint8_t mac[6];                        /* all zero: none */
	const struct filter_program *user_filter; /* runs in the worker; NULL: accept all. Owned by who opened the source */
};

struct interface_table;

int interface_table_create(struct interface_table **table, struct error *error);
void interface_table_close(struct interface_table *table);

/* Copies *interface into the table. Any thread. Returns 0 and its index, or -ENOSPC when the
 * table is full, -ENOMEM. */
int interface_table_add(struct interface_table *table, const struct interface *interface, uint16_t *index);

/* The entry of an index that a record carried or interface_table_add returned; NULL for another. */
const struct interface *interface_table_get(const struct interface_table *table, uint16_t index);

/* Entries so far. Any thread; entries below the count are readable. */
uint32_t interface_table_count(const struct interface_table *table);

#endif
