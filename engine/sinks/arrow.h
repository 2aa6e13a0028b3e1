/* Records as Arrow IPC: a file (x.arrow, footer at the end) or a stream (x.arrows, "arrows:-").
 *
 * Thread owner: the writer. A batch leaves when it has ARROW_ROWS rows or is old: a stream's after
 * 100 to 200 ms, so that a reader can follow it, a file's after 5 s. `arrow+text:`, `arrows+text:` write
 * addresses as text instead of FixedSizeBinary.
 */
#ifndef WEIR_ENGINE_SINKS_ARROW_H
#define WEIR_ENGINE_SINKS_ARROW_H

#include "engine/sinks/sinks.h"

#define ARROW_ROWS 16384u

sink_opener arrow_open, arrows_open, arrow_text_open, arrows_text_open;

#endif
