#include "engine/sinks/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *decode(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		if (*from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
			*to++ = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return text;
}

static int parse_options(char *query, struct url *url, struct error *error)
{
	char *save = NULL;

	for (char *option = strtok_r(query, "&", &save); option; option = strtok_r(NULL, "&", &save)) {
		char *value = strchr(option, '=');

		if (!value || url->option_count == URL_OPTIONS)
			return error_set(error, -EINVAL, "cannot understand '%s' behind the '?'", option);
		*value++ = '\0';
		url->options[url->option_count].key = option;
		url->options[url->option_count++].value = decode(value);
	}
	return 0;
}

/* host, host:port, [v6], [v6]:port; up to a comma. */
static int parse_host(struct url *url, uint16_t default_port, struct error *error)
{
	const char *start = url->authority, *end = start + strcspn(start, ","), *colon = NULL;
	size_t length;

	url->port = default_port;
	if (*start == '[') {
		const char *close = memchr(start, ']', (size_t)(end - start));

		if (!close)
			return error_set(error, -EINVAL, "'%s' has no ]", start);
		start++;
		length = (size_t)(close - start);
		colon = close[1] == ':' ? close + 1 : NULL;
	} else {
		colon = memchr(start, ':', (size_t)(end - start));
		length = (size_t)((colon ? colon : end) - start);
	}
	if (length == 0 || length >= sizeof url->host)
		return error_set(error, -EINVAL, "'%s' names no host", url->authority);
	memcpy(url->host, start, length);
	url->host[length] = '\0';
	if (colon) {
		char *rest;
		unsigned long port = strtoul(colon + 1, &rest, 10);

		if (rest == colon + 1 || rest != end || port < 1 || port > 65535)
			return error_set(error, -EINVAL, "'%s' has no valid port", url->authority);
		url->port = (uint16_t)port;
	}
	return 0;
}

int url_parse(const char *target, uint16_t default_port, struct url *url, struct error *error)
{
	char *at, *slash, *query;
	int rc = 0;

	memset(url, 0, sizeof *url);
	if (strlen(target) >= sizeof url->text)
		return error_set(error, -EINVAL, "the address is too long");
	strcpy(url->text, target);
	query = strchr(url->text, '?');
	if (query) {
		*query++ = '\0';
		rc = parse_options(query, url, error);
		if (rc)
			return rc;
	}
	url->path = "";
	slash = strchr(url->text, '/');
	if (slash) {
		*slash = '\0';
		url->path = decode(slash + 1);
	}
	url->authority = url->text;
	at = strrchr(url->text, '@');
	if (at) {
		char *colon;

		*at = '\0';
		url->authority = at + 1;
		url->user = url->text;
		colon = strchr(url->text, ':');
		if (colon) {
			*colon = '\0';
			url->password = decode(colon + 1);
		}
		decode(url->text);
	}
	return parse_host(url, default_port, error);
}

const char *url_option(const struct url *url, const char *key)
{
	for (unsigned i = 0; i < url->option_count; i++) {
		if (strcmp(url->options[i].key, key) == 0)
			return url->options[i].value;
	}
	return NULL;
}

int url_check_options(const struct url *url, const char *const *keys, struct error *error)
{
	for (unsigned i = 0; i < url->option_count; i++) {
		unsigned k = 0;

		while (keys[k] && strcmp(keys[k], url->options[i].key) != 0)
			k++;
		if (!keys[k]) {
			char known[sizeof error->hint] = "";
			size_t length = 0;

			for (k = 0; keys[k] && length < sizeof known; k++)
				length += (size_t)snprintf(known + length, sizeof known - length, " %s",
							   keys[k]);
			error_set(error, -EINVAL, "no option '%s' behind the '?'", url->options[i].key);
			return error_hint(error, "known are%s", known);
		}
	}
	return 0;
}
