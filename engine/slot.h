/* What travels in a worker's queue: records, and control slots between them.
 *
 * A slot is a struct record. While it is in the queue, packet_offset holds the address of the
 * packet's first byte when packets are held (RECORD_NO_OFFSET otherwise). A control slot has
 * STATUS_CONTROL set and never reaches a sink.
 */
#ifndef WEIR_ENGINE_SLOT_H
#define WEIR_ENGINE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/record.h"

enum slot_kind {
	SLOT_SPAN_END = 1, /* no later record of this queue points into the span */
	SLOT_TIME = 2,     /* no later record of this queue is older than timestamp_ns */
	SLOT_END = 3,      /* nothing follows */
};

static inline bool slot_is_control(const struct record *slot)
{
	return (slot->status & STATUS_CONTROL) != 0;
}

static inline enum slot_kind slot_kind(const struct record *slot)
{
	return (enum slot_kind)slot->layers;
}

static inline uint32_t slot_span(const struct record *slot)
{
	return slot->tunnel_id;
}

static inline void slot_set_control(struct record *slot, enum slot_kind kind, uint32_t span, uint64_t timestamp_ns)
{
	slot->status = STATUS_CONTROL;
	slot->layers = kind;
	slot->tunnel_id = span;
	slot->timestamp_ns = timestamp_ns;
}

#endif
