/* scheme://[user[:password]@]host[:port][,host[:port]...][/path][?key=value&...] as -w takes it.
 *
 * Pure: any thread. Percent-encoding is undone in user, password, path and values.
 */
#ifndef WEIR_ENGINE_SINKS_URL_H
#define WEIR_ENGINE_SINKS_URL_H

#include <stdint.h>

#include "engine/error.h"

#define URL_OPTIONS 8

struct url {
	char text[2048]; /* what the pointers below point into */
	const char *user, *password;  /* NULL: none */
	const char *authority;        /* host[:port][,...] */
	char host[256];               /* of the first, without the brackets of an IPv6 address */
	uint16_t port;                /* of the first, or what url_parse was told */
	const char *path;             /* behind the slash; "" when there is none */
	struct {
		const char *key, *value;
	} options[URL_OPTIONS];
	unsigned option_count;
};

/* target: what stands behind "scheme://". 0 or -EINVAL with *error. */
int url_parse(const char *target, uint16_t default_port, struct url *url, struct error *error);

/* The value of an option, NULL: not given. */
const char *url_option(const struct url *url, const char *key);

/* -EINVAL with *error for an option that is not among keys (ends with NULL). */
int url_check_options(const struct url *url, const char *const *keys, struct error *error);

#endif
