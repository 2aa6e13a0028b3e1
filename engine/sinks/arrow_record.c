#include "engine/sinks/arrow_record.h"

#include <string.h>

#include "engine/format.h"

/* Records of one run: their 8 KiB stay in the first-level cache while all columns pass over them. */
#define RUN 64u

void arrow_record_columns(struct arrow_column columns[ARROW_RECORD_COLUMNS], bool text_addresses)
{
	static const enum arrow_type types[] = {
		[SCHEMA_U8] = ARROW_UINT8,   [SCHEMA_U16] = ARROW_UINT16,        [SCHEMA_U32] = ARROW_UINT32,
		[SCHEMA_U64] = ARROW_UINT64, [SCHEMA_TIME_NS] = ARROW_TIMESTAMP, [SCHEMA_IP] = ARROW_FIXED,
		[SCHEMA_MAC] = ARROW_FIXED,
	};

	for (unsigned i = 0; i < ARROW_RECORD_COLUMNS; i++) {
		const struct schema_column *from = &schema_columns[i];
		bool address = from->type == SCHEMA_IP || from->type == SCHEMA_MAC;

		columns[i] = (struct arrow_column){
			.name = from->name,
			.type = address && text_addresses ? ARROW_TEXT : types[from->type],
			.width = from->size,
			.nullable = from->valid != VALID_ALWAYS,
		};
		if (columns[i].type == ARROW_TEXT)
			columns[i].width = FORMAT_IP_MAX;
	}
}

/* A run of records, side by side in memory. */
struct run {
	const struct record *records;
	unsigned count;
	uint64_t full;       /* a bit for each of count */
	uint64_t planes[32]; /* of each layers bit: in which records it is set */
};

/* Transposes a 32 by 32 bit matrix in place, so that bit j of word i becomes bit i of word j.
 * Source: H. S. Warren, Hacker's Delight, 2nd ed., 7-3: swap halves, then quarters, ... */
static void transpose(uint32_t words[32])
{
	uint32_t mask = 0x0000ffff;

	for (unsigned j = 16; j != 0; j >>= 1, mask ^= mask << j) {
		for (unsigned k = 0; k < 32; k = (k + j + 1) & ~j) {
			uint32_t t = ((words[k] >> j) ^ words[k + j]) & mask;

			words[k] ^= t << j;
			words[k + j] ^= t;
		}
	}
}

static void run_planes(struct run *run)
{
	for (unsigned half = 0; half < 2; half++) {
		uint32_t words[32] = { 0 };

		for (unsigned i = 0; i < 32 && half * 32 + i < run->count; i++)
			words[i] = run->records[half * 32 + i].layers;
		transpose(words);
		for (unsigned bit = 0; bit < 32; bit++)
			run->planes[bit] |= (uint64_t)words[bit] << (32 * half);
	}
}

/* One bit for each record that has a value in the column. */
static uint64_t valid_mask(const struct run *run, const struct schema_column *column)
{
	uint64_t mask = 0;

	switch ((enum schema_validity)column->valid) {
	case VALID_ALWAYS:
		return run->full;
	case VALID_OFFSET:
		return 0;
	case VALID_LAYERS:
		for (uint32_t left = column->layers; left; left &= left - 1)
			mask |= run->planes[__builtin_ctz(left)];
		return mask;
	case VALID_ICMP_ID:
	case VALID_DIRECTION:
		break;
	}
	if (column->valid == VALID_ICMP_ID &&
	    !(run->planes[__builtin_ctz(LAYER_ICMP)] | run->planes[__builtin_ctz(LAYER_ICMPV6)]))
		return 0;
	for (unsigned i = 0; i < run->count; i++)
		mask |= (uint64_t)schema_valid(column, &run->records[i]) << i;
	return mask;
}

/* Sixteen values a round: else the loop's own counting is more than the load and the store. */
#define GATHER(size)                                                                                  \
	static void gather_##size(uint8_t *to, const struct record *records, unsigned count, unsigned at) \
	{                                                                                             \
		const uint8_t *from = (const uint8_t *)records + at;                                  \
		unsigned i = 0;                                                                       \
                                                                                                      \
		for (; i + 16 <= count; i += 16) {                                                    \
			_Pragma("GCC unroll 16") for (unsigned j = i; j < i + 16; j++) memcpy(        \
				to + (size_t)j * (size), from + (size_t)j * RECORD_SIZE, (size));     \
		}                                                                                     \
		for (; i < count; i++)                                                                \
			memcpy(to + (size_t)i * (size), from + (size_t)i * RECORD_SIZE, (size));      \
	}
GATHER(1)
GATHER(2)
GATHER(4)
GATHER(6)
GATHER(8)
GATHER(16)

/* Below a null stands what the record has there: zero, or the bytes of the union's other member. */
static void gather(uint8_t *to, const struct run *run, const struct schema_column *column)
{
	switch (column->size) {
	case 1:
		gather_1(to, run->records, run->count, column->offset);
		break;
	case 2:
		gather_2(to, run->records, run->count, column->offset);
		break;
	case 4:
		gather_4(to, run->records, run->count, column->offset);
		break;
	case 6:
		gather_6(to, run->records, run->count, column->offset);
		break;
	case 8:
		gather_8(to, run->records, run->count, column->offset);
		break;
	case 16:
		gather_16(to, run->records, run->count, column->offset);
		break;
	}
}

static void fill_text(struct arrow_store *store, uint32_t row, const struct run *run,
		      const struct schema_column *column, uint64_t mask)
{
	uint32_t *offsets = (uint32_t *)(void *)store->values;

	for (unsigned i = 0; i < run->count; i++) {
		const uint8_t *address = (const uint8_t *)&run->records[i] + column->offset;
		char *at = (char *)store->text + store->text_size, *end = at;

		if (!(mask >> i & 1))
			;
		else if (column->type == SCHEMA_MAC)
			end = format_mac(at, address);
		else if (run->records[i].layers & LAYER_IPV6)
			end = format_ipv6(at, address);
		else
			end = format_ipv4(at, address + 12);
		store->text_size += (uint32_t)(end - at);
		offsets[row + i + 1] = store->text_size;
	}
}

static void fill_run(struct arrow_batch *batch, struct run *run)
{
	uint32_t row = batch->rows;

	run_planes(run);
	for (unsigned c = 0; c < ARROW_RECORD_COLUMNS; c++) {
		const struct schema_column *column = &schema_columns[c];
		struct arrow_store *store = &batch->stores[c];
		uint64_t mask = valid_mask(run, column);
		uint8_t *to = store->values + (size_t)row * column->size;

		if (store->validity)
			arrow_validity(batch, c, row, run->count, mask);
		if (store->text)
			fill_text(store, row, run, column, mask);
		else if (mask)
			gather(to, run, column);
		else
			memset(to, 0, (size_t)run->count * column->size);
	}
	batch->rows += run->count;
}

uint32_t arrow_record_fill(struct arrow_batch *batch, const struct record *const *records, uint32_t count)
{
	uint32_t done = 0;

	if (count > batch->capacity - batch->rows)
		count = batch->capacity - batch->rows;
	while (done < count) {
		struct record copies[RUN];
		unsigned n = count - done < RUN ? count - done : RUN, side_by_side = 1;
		struct run run = { .records = records[done], .count = n };

		/* A queue's slots lie side by side; where two queues were merged they do not. */
		while (side_by_side < n && records[done + side_by_side] == records[done] + side_by_side)
			side_by_side++;
		if (side_by_side < n) {
			for (unsigned i = 0; i < n; i++)
				copies[i] = *records[done + i];
			run.records = copies;
		}
		run.full = n == RUN ? UINT64_MAX : (UINT64_C(1) << n) - 1;
		fill_run(batch, &run);
		done += n;
	}
	return done;
}
