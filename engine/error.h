/* The one error convention.
 *
 * Functions return 0 or -errno. Functions that set something up also take a struct error and
 * fill it where the failure is seen, with what a person needs: the cause and a hint. The engine
 * never prints; tools/ does, as one line "weir: MESSAGE (HINT)", and exits with status 1.
 */
#ifndef WEIR_ENGINE_ERROR_H
#define WEIR_ENGINE_ERROR_H

#include <stdarg.h>

struct error {
	int code;          /* -errno, 0 when nothing failed */
	char message[256]; /* the cause, without newline */
	char hint[256];    /* what to do about it; may be empty */
};

/* Fills *error (which may be NULL) and returns code, so that a failing function ends with
 * `return error_set(...)`. code: -errno. The message is printf-like. Clears the hint. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, and appends ": " and the system's text for code. */
int error_set_errno(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the hint of an error that was set before; returns error->code (or 0 for NULL). */
int error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
