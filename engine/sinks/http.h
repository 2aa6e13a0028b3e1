/* One HTTP connection that waits without blocking its thread's other duties: libcurl's multi interface driven
 * in small steps.
 *
 * Thread owner: the network sink's thread (and the writer, in open, before that thread exists).
 */
#ifndef WEIR_ENGINE_SINKS_HTTP_H
#define WEIR_ENGINE_SINKS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/error.h"

#define HTTP_REPLY 4096 /* bytes of an answer that are kept */

struct http;

/* user, password: NULL: none. 0 or -errno. */
int http_open(const char *user, const char *password, struct http **http, struct error *error);

/* POSTs body. wait is called every 50 ms at most; when it returns false the request is given up. Returns the
 * HTTP status (200, 404, ...), with the answer, NUL-ended, in reply; or -errno with *error when there is
 * none: -EAGAIN given up, -ECONNREFUSED, -ETIMEDOUT, ... *sent: whether the server may have acted on it. */
int http_post(struct http *http, const char *url, const void *body, size_t size, bool (*wait)(void *context),
	      void *context, char reply[HTTP_REPLY], bool *sent, struct error *error);

/* Percent-encodes text for a query into to; false when it does not fit. */
bool http_escape(const char *text, char *to, size_t size);

void http_close(struct http *http);

#endif
