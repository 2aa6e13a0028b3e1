/* Reads JSON (RFC 8259), strictly, one value after the other, from memory; builds nothing.
 *
 * For the header of a .weir file, which is somebody else's by the time that it is read. Our own because one
 * array of one format is wanted: a library would bring allocation and an object tree for that. After the
 * first mistake in the text every call fails, so that callers may look once, at the end. Any thread, its own
 * reader.
 */
#ifndef WEIR_ENGINE_SOURCES_JSON_READER_H
#define WEIR_ENGINE_SOURCES_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 32 /* arrays and objects within each other */

struct json_reader {
	const char *at;
	const char *end;
	unsigned depth;
	bool bad;
};

static inline struct json_reader json_over(const char *text, size_t length)
{
	return (struct json_reader){ .at = text, .end = text + length };
}

/* Enters an object. Then json_member gives one member's name after the other (cut to size; NUL-terminated)
 * and stands before its value, which must be read or skipped; false at the end of the object, or bad. */
bool json_object(struct json_reader *reader);
bool json_member(struct json_reader *reader, char *name, size_t size);

/* Enters an array. Then json_element stands before one element after the other; false at the end, or bad. */
bool json_array(struct json_reader *reader);
bool json_element(struct json_reader *reader);

/* A string, cut to size at a character's edge, escapes resolved to UTF-8. */
bool json_string(struct json_reader *reader, char *text, size_t size);

/* A whole number of 0 to 2^64 - 1. */
bool json_unsigned(struct json_reader *reader, uint64_t *value);

/* Passes over any one value. */
bool json_skip(struct json_reader *reader);

/* True when nothing but white space is left and no mistake was met. */
bool json_over_now(struct json_reader *reader);

#endif
