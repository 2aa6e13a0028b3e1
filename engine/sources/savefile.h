/* Capture files as a source: pcap (µs and ns, either byte order, Kuznetzov's) and pcapng (several sections,
 * interfaces and link types), also packed by gzip; from a file, a pipe or standard input.
 *
 * Frames point into the buffer that the file was read into, a span of the source (savefile_input.h says why
 * it is not mapped). Nothing is copied after that. Every interface block becomes an entry of the run's
 * interface table, with the user's filter compiled for its link type. A file that was cut off or corrupted
 * gives what it holds up to there, and then source->warning: code -ENODATA for cut off, -EBADMSG for
 * corrupted (the message names the offset).
 *
 * Conventions. wire_len and captured_len are without the FCS: where the file says that packets carry one it
 * is taken off. Times beyond what 64 bits of nanoseconds hold are saturated (1970 to 2554). A simple packet
 * block has no time: 0. stats: seen is what was handed out; a file loses nothing.
 *
 * Owner: one worker thread. It decodes nothing and writes nothing.
 */
#ifndef WEIR_ENGINE_SOURCES_SAVEFILE_H
#define WEIR_ENGINE_SOURCES_SAVEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/interface.h"
#include "engine/source.h"

/* Bytes captured of one packet; more is taken for corruption. */
#define SAVEFILE_PACKET_MAX (UINT32_C(256) << 20)

struct input;

struct savefile_options {
	const char *filter; /* pcap-filter(7), NULL or empty: all; kept by the caller until close */
	size_t window;      /* bytes of a span's buffer, at least 64; 0: default. For tests */
};

/* Opens path ("-": standard input), reads up to the first interface and adds it to the table.
 * Errors: those of open(2); -ENODATA empty; -EBADMSG no capture file, with the format named in the hint
 * where it is known; -EINVAL a filter that does not parse or not fit the first interface's link type. */
int savefile_open(const char *path, const struct savefile_options *options,
		  struct interface_table *interfaces, struct source **source, struct error *error);

/* As savefile_open, over bytes in memory that the caller keeps until close. name: for messages. */
int savefile_open_memory(const void *bytes, size_t length, const char *name,
			 const struct savefile_options *options, struct interface_table *interfaces,
			 struct source **source, struct error *error);

/* As savefile_open, over an opened input, which it takes over (also on failure). */
int savefile_open_input(struct input *input, const struct savefile_options *options,
			struct interface_table *interfaces, struct source **source, struct error *error);

#endif
