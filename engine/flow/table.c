#include "engine/flow/table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#define INDEX_FIRST 65536u
#define OLDEST_LOOKS 64u /* entries that are looked at for one that goes */

static uint64_t *index_create(uint32_t size)
{
	void *memory = mmap(NULL, (size_t)size * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	/* A look-up in 4 KiB pages misses the TLB as well as the cache. */
	madvise(memory, (size_t)size * sizeof(uint64_t), MADV_HUGEPAGE);
	return memory;
}

int flow_table_create(struct flow_table *table, size_t entry_size, uint32_t limit, struct error *error)
{
	size_t size = entry_size * limit;
	void *entries;

	*table = (struct flow_table){ .entry_size = entry_size, .limit = limit };
	if (getrandom(table->secret, sizeof table->secret, 0) != sizeof table->secret)
		return error_set_errno(error, -errno, "cannot read random bytes");
	/* Even multipliers would lose the low bits. */
	table->secret[0] |= 1;
	table->secret[1] |= 1;
	entries =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (entries == MAP_FAILED)
		return error_set_errno(error, -errno, "cannot reserve %zu bytes for %u flows", size, limit);
	table->entries = entries;
	madvise(entries, size, MADV_HUGEPAGE);
	table->index = index_create(INDEX_FIRST);
	if (!table->index) {
		flow_table_close(table);
		return error_set_errno(error, -ENOMEM, "flow table");
	}
	table->index_mask = INDEX_FIRST - 1;
	return 0;
}

void flow_table_close(struct flow_table *table)
{
	if (table->entries)
		munmap(table->entries, table->entry_size * table->limit);
	if (table->index)
		munmap(table->index, ((size_t)table->index_mask + 1) * sizeof *table->index);
	*table = (struct flow_table){ 0 };
}

static uint32_t slot_number(uint64_t slot)
{
	return (uint32_t)slot - 1;
}

void flow_table_prefetch_entry(const struct flow_table *table, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & table->index_mask;

	for (unsigned i = 0; i < 4 && table->index[at]; i++, at = (at + 1) & table->index_mask) {
		if (table->index[at] >> 32 == hash >> 32) {
			const char *entry =
				(const char *)flow_table_entry(table, slot_number(table->index[at]));

			for (size_t line = 0; line < table->entry_size; line += 64)
				__builtin_prefetch(entry + line, 1);
			return;
		}
	}
}

struct flow_entry *flow_table_find(const struct flow_table *table, const struct flow_key *key, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & table->index_mask;

	for (; table->index[at]; at = (at + 1) & table->index_mask) {
		struct flow_entry *entry;

		if (table->index[at] >> 32 != hash >> 32)
			continue;
		entry = flow_table_entry(table, slot_number(table->index[at]));
		if (flow_key_equal(&entry->key, key))
			return entry;
	}
	return NULL;
}

static void index_put(uint64_t *index, uint32_t mask, uint64_t hash, uint32_t number)
{
	uint32_t at = (uint32_t)hash & mask;

	while (index[at])
		at = (at + 1) & mask;
	index[at] = (hash & ~UINT64_C(0xffffffff)) | (number + 1);
}

static bool index_grow(struct flow_table *table)
{
	uint32_t size = (table->index_mask + 1) * 2;
	uint64_t *index = index_create(size);

	if (!index)
		return false;
	for (uint32_t i = 0; i < table->touched; i++) {
		struct flow_entry *entry = flow_table_entry(table, i);

		if (flow_entry_used(entry))
			index_put(index, size - 1, flow_table_hash(table, &entry->key), i);
	}
	munmap(table->index, ((size_t)table->index_mask + 1) * sizeof *index);
	table->index = index;
	table->index_mask = size - 1;
	return true;
}

struct flow_entry *flow_table_insert(struct flow_table *table, const struct flow_key *key, uint64_t hash)
{
	struct flow_entry *entry;
	uint32_t number;

	if (table->count > table->index_mask / 2 && !index_grow(table))
		return NULL;
	if (table->free_head) {
		number = table->free_head - 1;
		table->free_head = (uint32_t)flow_table_entry(table, number)->next_free;
	} else if (table->touched < table->limit) {
		number = table->touched++;
	} else {
		return NULL;
	}
	entry = flow_table_entry(table, number);
	memset(entry, 0, table->entry_size);
	entry->key = *key;
	index_put(table->index, table->index_mask, hash, number);
	if (++table->count > table->most)
		table->most = table->count;
	return entry;
}

/* Closes the hole at `at`: every later slot of the same run that may move up does, so that a probe never
 * meets an empty slot before its key. (Knuth, TAOCP 3, 6.4, algorithm R.) */
static void index_remove(struct flow_table *table, uint32_t at)
{
	uint32_t mask = table->index_mask, next = at;

	for (;;) {
		uint32_t home;

		table->index[at] = 0;
		do {
			next = (next + 1) & mask;
			if (!table->index[next])
				return;
			home = (uint32_t)flow_table_hash(
				       table,
				       &flow_table_entry(table, slot_number(table->index[next]))->key) &
			       mask;
		} while (((next - home) & mask) < ((next - at) & mask));
		table->index[at] = table->index[next];
		at = next;
	}
}

void flow_table_remove(struct flow_table *table, struct flow_entry *entry)
{
	uint32_t number = flow_table_number(table, entry);
	uint32_t at = (uint32_t)flow_table_hash(table, &entry->key) & table->index_mask;

	while (slot_number(table->index[at]) != number)
		at = (at + 1) & table->index_mask;
	index_remove(table, at);
	entry->key.version = 0;
	entry->next_free = table->free_head;
	table->free_head = number + 1;
	table->count--;
}

struct flow_entry *flow_table_oldest(struct flow_table *table)
{
	struct flow_entry *oldest = NULL;

	for (uint32_t looks = 0, steps = 0; looks < OLDEST_LOOKS && steps < table->touched; steps++) {
		struct flow_entry *entry = flow_table_entry(table, table->hand);

		table->hand = table->hand + 1 < table->touched ? table->hand + 1 : 0;
		if (!flow_entry_used(entry))
			continue;
		looks++;
		if (!oldest || entry->last_ns < oldest->last_ns)
			oldest = entry;
	}
	return oldest;
}

void flow_table_walk(struct flow_table *table, uint32_t count,
		     void (*visit)(void *context, struct flow_entry *entry), void *context)
{
	if (count > table->touched)
		count = table->touched;
	for (; count; count--) {
		struct flow_entry *entry = flow_table_entry(table, table->hand);

		table->hand = table->hand + 1 < table->touched ? table->hand + 1 : 0;
		if (flow_entry_used(entry))
			visit(context, entry);
	}
}

#define SWEEP_NS UINT64_C(1000000000)
#define SWEEP_STEP_NS (SWEEP_NS / 64)

void flow_table_sweep(struct flow_table *table, uint64_t *swept_ns, uint64_t now_ns,
		      void (*visit)(void *context, struct flow_entry *entry), void *context)
{
	uint64_t elapsed = now_ns - *swept_ns;

	if (*swept_ns == 0 || now_ns < *swept_ns) {
		/* The first packets, or a clock that was set back. */
		*swept_ns = now_ns;
		return;
	}
	if (elapsed < SWEEP_STEP_NS)
		return;
	*swept_ns = now_ns;
	if (elapsed > SWEEP_NS)
		elapsed = SWEEP_NS;
	flow_table_walk(table, (uint32_t)(table->touched * elapsed / SWEEP_NS) + 1, visit, context);
}

size_t flow_table_memory(const struct flow_table *table)
{
	return table->most * table->entry_size + ((size_t)table->index_mask + 1) * sizeof *table->index;
}
