/* Record files (.weir) as a source: what the `records` sink wrote, read back without packets.
 *
 * Layout: "WEIRREC1", u32 header size, u32 record size (128), JSON up to the header's size, records. Of the
 * JSON, "version" and "interfaces" are used; the rest is for other readers.
 *
 * Each record is a frame with FRAME_IS_RECORD whose data is the record, in a buffer of the source. A file
 * is somebody else's: the control bit and packet_offset (no packets come with it) are
 * cleared, interface becomes an index into the run's table. A record whose interface the header does not
 * describe (a file that was cut off, or written to a pipe, has the header of its beginning) is given one
 * named "unknown". A file that ends inside a record gives the whole ones and a warning.
 *
 * Owner: one worker thread.
 */
#ifndef WEIR_ENGINE_SOURCES_RECORDFILE_H
#define WEIR_ENGINE_SOURCES_RECORDFILE_H

#include <stddef.h>

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"
#include "engine/sources/savefile.h"

#define RECORDFILE_MAGIC "WEIRREC1"
#define RECORDFILE_MAGIC_SIZE 8
#define RECORDFILE_HEADER_MAX (16u << 20) /* bytes; a larger header is taken for corruption */

/* Over an opened input, which it takes over (also on failure). Errors: -EBADMSG not such a file, or of
 * another version; -ENODATA cut off inside its header; -EINVAL with a filter, for there are no packets to run
 * it on. */
int recordfile_open_input(struct input *input, const struct savefile_options *options,
			  struct interface_table *interfaces, struct source **source, struct error *error);

#endif
