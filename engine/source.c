#include "engine/source.h"

#include <stdarg.h>
#include <stdio.h>

void source_report_note(struct source_report *report, const char *format, ...)
{
	va_list arguments;

	if (report == NULL || report->note_count == SOURCE_NOTES)
		return;
	va_start(arguments, format);
	vsnprintf(report->notes[report->note_count++], sizeof report->notes[0], format, arguments);
	va_end(arguments);
}
