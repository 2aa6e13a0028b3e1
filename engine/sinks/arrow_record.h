/* Records into an Arrow batch, column by column.
 *
 * Thread owner: whoever owns the batch. Columns are schema.h's, in its order; addresses are 16 bytes and
 * MACs 6 (FixedSizeBinary), or text when asked for. packet_offset is always null here: it points
 * into a store segment, and an Arrow file has none beside it.
 */
#ifndef WEIR_ENGINE_SINKS_ARROW_RECORD_H
#define WEIR_ENGINE_SINKS_ARROW_RECORD_H

#include <stdbool.h>

#include "engine/schema.h"
#include "engine/sinks/arrow_batch.h"

#define ARROW_RECORD_COLUMNS SCHEMA_RECORD_COLUMNS

/* The Arrow schema of the record. */
void arrow_record_columns(struct arrow_column columns[ARROW_RECORD_COLUMNS], bool text_addresses);

/* Appends up to count records, as many as there is room for in the batch; returns how many. */
uint32_t arrow_record_fill(struct arrow_batch *batch, const struct record *const *records, uint32_t count);

#endif
