/* gzip, unpacked while it is read (RFC 1952, through zlib; several members one after the other are one file).
 * Owner: the thread that reads its savefile_input. */
#ifndef WEIR_ENGINE_SOURCES_SAVEFILE_GZIP_H
#define WEIR_ENGINE_SOURCES_SAVEFILE_GZIP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gzip_stream;

/* Returns NULL without memory. */
struct gzip_stream *gzip_open(void);
void gzip_close(struct gzip_stream *stream);

/* Where packed bytes go: space for *room of them; gzip_fed says how many came (0: the file ended). Only when
 * gzip_read had nothing to give. */
uint8_t *gzip_space(struct gzip_stream *stream, size_t *room);
void gzip_fed(struct gzip_stream *stream, size_t count);

/* Unpacks up to size bytes. Returns how many; 0: more packed bytes are needed, or the end; -EBADMSG: not
 * gzip or corrupted, -ENODATA: the file ended inside a member. */
ssize_t gzip_read(struct gzip_stream *stream, uint8_t *bytes, size_t size);

/* True when nothing more will come. */
int gzip_over(const struct gzip_stream *stream);

#endif
