/* A hash table of flows or connections: one pool of fixed-size entries, one index, bounded.
 *
 * Thread owner: the writer. Entries are kept in one mapping that is reserved for the bound and touched
 * as it grows; the index holds a tag and the entry's number for each, by linear probing, at
 * most half full. So a look-up costs one miss in the index and one for the entry, and both can be asked for
 * ahead: flow_table_prefetch_index and flow_table_prefetch_entry over a run of packets, then the look-ups.
 * Time is the packets' own. A hand walks the entries once a period and shows those that were idle to
 * the owner; the owner also checks a found entry itself, so that what it says of a flow does not depend on
 * when the hand comes by. When the table is full, the longest idle of a few entries under the hand goes.
 */
#ifndef WEIR_ENGINE_FLOW_TABLE_H
#define WEIR_ENGINE_FLOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/flow/key.h"

/* The head of every entry. */
struct flow_entry {
	struct flow_key key; /* version 0: the entry is free */
	union {
		uint64_t last_ns;   /* the owner keeps it: the last packet's time */
		uint64_t next_free; /* of a free entry: number + 1 of the next, 0: none */
	};
};
_Static_assert(sizeof(struct flow_entry) == 56, "leaves a word of the first cache line to the owner");

static inline bool flow_entry_used(const struct flow_entry *entry)
{
	return entry->key.version != 0;
}

struct flow_table {
	uint64_t secret[2];
	uint64_t *index; /* tag in the upper half, entry's number + 1 in the lower; 0: empty */
	uint32_t index_mask;
	uint8_t *entries;
	size_t entry_size;  /* bytes, a multiple of 64 */
	uint32_t limit;     /* entries at most */
	uint32_t touched;   /* entries ever used: the hand walks these */
	uint32_t count;     /* entries in use */
	uint32_t most;      /* the highest count so far */
	uint32_t free_head; /* number + 1 */
	uint32_t hand;
};

/* entry_size: with struct flow_entry at its head. limit: 64 to 2^28 entries. 0 or -errno with *error. */
int flow_table_create(struct flow_table *table, size_t entry_size, uint32_t limit, struct error *error);
void flow_table_close(struct flow_table *table);

static inline uint64_t flow_table_hash(const struct flow_table *table, const struct flow_key *key)
{
	return flow_key_hash(key, table->secret);
}

static inline struct flow_entry *flow_table_entry(const struct flow_table *table, uint32_t number)
{
	return (struct flow_entry *)(void *)(table->entries + (size_t)number * table->entry_size);
}

/* The entry's number: stays its own as long as it is in use. */
static inline uint32_t flow_table_number(const struct flow_table *table, const struct flow_entry *entry)
{
	return (uint32_t)((size_t)((const uint8_t *)entry - table->entries) / table->entry_size);
}

static inline void flow_table_prefetch_index(const struct flow_table *table, uint64_t hash)
{
	__builtin_prefetch(&table->index[(uint32_t)hash & table->index_mask]);
}

/* Asks for the entry that the hash most likely means. */
void flow_table_prefetch_entry(const struct flow_table *table, uint64_t hash);

/* The entry of the key, or NULL. */
struct flow_entry *flow_table_find(const struct flow_table *table, const struct flow_key *key, uint64_t hash);

/* A new entry: zeroed but for its key. The key must not be there. NULL: the table is full (see
 * flow_table_oldest), or there was no memory for the index. */
struct flow_entry *flow_table_insert(struct flow_table *table, const struct flow_key *key, uint64_t hash);

/* Takes the entry out; its memory may be given to the next one. */
void flow_table_remove(struct flow_table *table, struct flow_entry *entry);

/* The longest idle of the next few entries under the hand: what goes when the table is full. NULL: empty. */
struct flow_entry *flow_table_oldest(struct flow_table *table);

/* Moves the hand over up to count entries and calls visit for each in use, which may remove it. */
void flow_table_walk(struct flow_table *table, uint32_t count,
		     void (*visit)(void *context, struct flow_entry *entry), void *context);

/* Moves the hand so far that it passes all entries once in a second of packet time: *swept_ns is where it
 * stood, now_ns the latest packet's time. */
void flow_table_sweep(struct flow_table *table, uint64_t *swept_ns, uint64_t now_ns,
		      void (*visit)(void *context, struct flow_entry *entry), void *context);

/* Bytes of memory that the entries and the index take for the highest count so far. */
size_t flow_table_memory(const struct flow_table *table);

#endif
