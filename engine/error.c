#include "engine/error.h"

#include <stdio.h>
#include <string.h>

static void set_message(struct error *error, int code, const char *format, va_list arguments)
{
	error->code = code;
	error->hint[0] = '\0';
	vsnprintf(error->message, sizeof error->message, format, arguments);
}

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return code;
	va_start(arguments, format);
	set_message(error, code, format, arguments);
	va_end(arguments);
	return code;
}

int error_set_errno(struct error *error, int code, const char *format, ...)
{
	va_list arguments;
	size_t length;

	if (error == NULL)
		return code;
	va_start(arguments, format);
	set_message(error, code, format, arguments);
	va_end(arguments);
	length = strlen(error->message);
	snprintf(error->message + length, sizeof error->message - length, ": %s", strerrordesc_np(-code));
	return code;
}

int error_hint(struct error *error, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return 0;
	va_start(arguments, format);
	vsnprintf(error->hint, sizeof error->hint, format, arguments);
	va_end(arguments);
	return error->code;
}
