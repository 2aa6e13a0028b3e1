#include "engine/sources/savefile_gzip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_PACKED (256u * 1024)

struct gzip_stream {
	z_stream zlib;
	bool file_over; /* no packed bytes come behind those in `packed` */
	bool members;   /* a whole member was read */
	bool in_member; /* a member was begun and its end not met */
	uint8_t packed[GZIP_PACKED];
};

struct gzip_stream *gzip_open(void)
{
	struct gzip_stream *stream = calloc(1, sizeof *stream);

	if (stream == NULL)
		return NULL;
	/* 16: a gzip wrapper and no other. */
	if (inflateInit2(&stream->zlib, 16 + MAX_WBITS) != Z_OK) {
		free(stream);
		return NULL;
	}
	return stream;
}

void gzip_close(struct gzip_stream *stream)
{
	if (stream == NULL)
		return;
	inflateEnd(&stream->zlib);
	free(stream);
}

uint8_t *gzip_space(struct gzip_stream *stream, size_t *room)
{
	*room = sizeof stream->packed;
	return stream->packed;
}

void gzip_fed(struct gzip_stream *stream, size_t count)
{
	stream->zlib.next_in = stream->packed;
	stream->zlib.avail_in = (uInt)count;
	stream->file_over = count == 0;
}

int gzip_over(const struct gzip_stream *stream)
{
	return stream->file_over && stream->zlib.avail_in == 0;
}

ssize_t gzip_read(struct gzip_stream *stream, uint8_t *bytes, size_t size)
{
	z_stream *zlib = &stream->zlib;

	if (gzip_over(stream))
		return stream->in_member ? -ENODATA : 0;
	zlib->next_out = bytes;
	zlib->avail_out = size > 1u << 30 ? 1u << 30 : (uInt)size;
	while (zlib->avail_in > 0 && zlib->avail_out > 0) {
		int result;

		stream->in_member = true;
		result = inflate(zlib, Z_NO_FLUSH);
		if (result == Z_STREAM_END) {
			stream->in_member = false;
			inflateReset(zlib);
			stream->members = true;
		} else if (result != Z_OK) {
			/* Padding behind the last member is no member: gzip(1) passes over it as well. */
			if (stream->members && zlib->total_out == 0) {
				stream->in_member = false;
				stream->file_over = true;
				zlib->avail_in = 0;
				break;
			}
			/* What came before the damage is handed out first. */
			return zlib->next_out > bytes ? zlib->next_out - bytes : -EBADMSG;
		}
	}
	return zlib->next_out - bytes;
}
