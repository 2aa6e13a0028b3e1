#include "engine/sources/json_reader.h"

#include <string.h>

static bool fail(struct json_reader *reader)
{
	reader->bad = true;
	return false;
}

static void skip_space(struct json_reader *reader)
{
	while (reader->at < reader->end &&
	       (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

/* The next character that is no white space; '\0' at the end, or when bad. */
static char peek(struct json_reader *reader)
{
	skip_space(reader);
	return reader->bad || reader->at == reader->end ? '\0' : *reader->at;
}

static bool take(struct json_reader *reader, char wanted)
{
	if (peek(reader) != wanted)
		return fail(reader);
	reader->at++;
	return true;
}

static bool enter(struct json_reader *reader, char opening)
{
	if (reader->depth == JSON_DEPTH || !take(reader, opening))
		return fail(reader);
	reader->depth++;
	return true;
}

/* Before a member or element: its separator, or the end. first: nothing of it was read yet, which the opening
 * bracket right before tells. */
static bool next(struct json_reader *reader, char opening, char closing)
{
	const char *before = reader->at;
	bool first = !reader->bad && before[-1] == opening;

	if (peek(reader) == closing) {
		reader->at++;
		reader->depth--;
		return false;
	}
	return first ? !reader->bad : take(reader, ',');
}

bool json_object(struct json_reader *reader)
{
	return enter(reader, '{');
}

bool json_array(struct json_reader *reader)
{
	return enter(reader, '[');
}

bool json_member(struct json_reader *reader, char *name, size_t size)
{
	return next(reader, '{', '}') && json_string(reader, name, size) && take(reader, ':');
}

bool json_element(struct json_reader *reader)
{
	return next(reader, '[', ']');
}

/* Four hexadecimal digits. */
static bool hex4(struct json_reader *reader, uint32_t *value)
{
	*value = 0;
	if (reader->end - reader->at < 4)
		return fail(reader);
	for (int i = 0; i < 4; i++) {
		char c = *reader->at++;
		uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
				 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
							: 16;

		if (digit == 16)
			return fail(reader);
		*value = *value << 4 | digit;
	}
	return true;
}

/* What follows a backslash, as a code point. */
static bool escape(struct json_reader *reader, uint32_t *code)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *found;
	uint32_t low;

	if (reader->at == reader->end)
		return fail(reader);
	if (*reader->at != 'u') {
		found = memchr(names, *reader->at++, sizeof names - 1);
		if (found == NULL)
			return fail(reader);
		*code = (uint8_t)values[found - names];
		return true;
	}
	reader->at++;
	if (!hex4(reader, code))
		return false;
	if (*code < 0xd800 || *code > 0xdfff)
		return true;
	if (*code > 0xdbff || reader->end - reader->at < 2 || reader->at[0] != '\\' || reader->at[1] != 'u')
		return fail(reader);
	reader->at += 2;
	if (!hex4(reader, &low) || low < 0xdc00 || low > 0xdfff)
		return fail(reader);
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static size_t put_utf8(char bytes[4], uint32_t code)
{
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | code >> 18);
	bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

bool json_string(struct json_reader *reader, char *text, size_t size)
{
	size_t used = 0;
	bool full = false;

	if (!take(reader, '"'))
		return false;
	while (reader->at < reader->end && *reader->at != '"') {
		char bytes[4] = { *reader->at };
		size_t length = 1;
		uint32_t code;

		if ((uint8_t)*reader->at < 0x20)
			return fail(reader);
		reader->at++;
		if (bytes[0] == '\\') {
			if (!escape(reader, &code))
				return false;
			length = put_utf8(bytes, code);
		}
		full = full || used + length >= size;
		if (!full) {
			memcpy(text + used, bytes, length);
			used += length;
		}
	}
	if (reader->at == reader->end)
		return fail(reader);
	reader->at++;
	/* Cut in the middle of a character: its beginning goes as well. */
	while (full && used > 0 && ((uint8_t)text[used - 1] & 0xc0) == 0x80)
		used--;
	if (full && used > 0 && ((uint8_t)text[used - 1] & 0xc0) == 0xc0)
		used--;
	text[used] = '\0';
	return true;
}

bool json_unsigned(struct json_reader *reader, uint64_t *value)
{
	char c = peek(reader);
	bool zero = c == '0';
	uint64_t number = 0;

	if (c < '0' || c > '9')
		return fail(reader);
	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
		uint64_t digit = (uint64_t)(*reader->at++ - '0');

		if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return fail(reader);
		if (zero && number != 0)
			return fail(reader);
	}
	if (reader->at < reader->end && (*reader->at == '.' || *reader->at == 'e' || *reader->at == 'E'))
		return fail(reader);
	*value = number;
	return true;
}

static bool skip_digits(struct json_reader *reader)
{
	const char *start = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return reader->at > start ? true : fail(reader);
}

static bool skip_number(struct json_reader *reader)
{
	const char *digits;

	if (*reader->at == '-')
		reader->at++;
	digits = reader->at;
	if (!skip_digits(reader) || (*digits == '0' && reader->at - digits > 1))
		return fail(reader);
	if (reader->at < reader->end && *reader->at == '.') {
		reader->at++;
		if (!skip_digits(reader))
			return false;
	}
	if (reader->at < reader->end && (*reader->at == 'e' || *reader->at == 'E')) {
		reader->at++;
		if (reader->at < reader->end && (*reader->at == '+' || *reader->at == '-'))
			reader->at++;
		return skip_digits(reader);
	}
	return true;
}

static bool skip_word(struct json_reader *reader, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
		return fail(reader);
	reader->at += length;
	return true;
}

bool json_skip(struct json_reader *reader)
{
	char name[2];

	switch (peek(reader)) {
	case '{':
		for (json_object(reader); json_member(reader, name, sizeof name);)
			json_skip(reader);
		return !reader->bad;
	case '[':
		for (json_array(reader); json_element(reader);)
			json_skip(reader);
		return !reader->bad;
	case '"':
		return json_string(reader, name, sizeof name);
	case 't':
		return skip_word(reader, "true");
	case 'f':
		return skip_word(reader, "false");
	case 'n':
		return skip_word(reader, "null");
	case '\0':
		return fail(reader);
	default:
		return skip_number(reader);
	}
}

bool json_over_now(struct json_reader *reader)
{
	skip_space(reader);
	return !reader->bad && reader->at == reader->end;
}
