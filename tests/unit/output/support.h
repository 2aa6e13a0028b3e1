/* What the output's tests share: bytes that tell their own place, and looking at what came to be. */
#ifndef WEIR_TESTS_OUTPUT_SUPPORT_H
#define WEIR_TESTS_OUTPUT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#include <cmocka.h>

#include "engine/output.h"

/* Byte at offset of every test file: a hash of the offset, so that a block in the wrong place is seen. */
uint8_t pattern_byte(uint64_t offset);
void pattern_fill(void *bytes, uint64_t offset, size_t length);

/* Appends length pattern bytes in one reservation (at most OUTPUT_RESERVE_MAX). 0 or the output's error. */
int pattern_append(struct output *output, size_t length);

/* Fails the test unless path holds exactly length pattern bytes. */
void pattern_check(const char *path, uint64_t length);
/* As above for a file of any length; returns it. */
uint64_t pattern_check_prefix(const char *path);

bool is_there(const char *path);

/* A new directory below parent. The caller frees; files in it are removed with remove_directory. */
char *make_directory(const char *parent);
void remove_directory(char *directory);

/* directory/name; valid until the next eight calls. */
const char *path_in(const char *directory, const char *name);

/* xorshift, so that a failure comes again. */
uint32_t random_below(uint64_t *state, uint32_t bound);

#endif
