/* status.c - names of outcomes, and texts of errors. */
#include "schema/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[STATUS_COUNT] = {
	[STATUS_OK] = "OK",
	[STATUS_BAD_REQUEST] = "BAD_REQUEST",
	[STATUS_NOT_FOUND] = "NOT_FOUND",
	[STATUS_EXISTS] = "EXISTS",
	[STATUS_CONFLICT] = "CONFLICT",
	[STATUS_NOT_SEALED] = "NOT_SEALED",
	[STATUS_SEALED] = "SEALED",
	[STATUS_TOO_LARGE] = "TOO_LARGE",
	[STATUS_BUSY] = "BUSY",
	[STATUS_GAP] = "GAP",
	[STATUS_DENIED] = "DENIED",
	[STATUS_CORRUPT] = "CORRUPT",
	[STATUS_DISK_FULL] = "DISK_FULL",
	[STATUS_READ_ONLY] = "READ_ONLY",
	[STATUS_NO_MEMORY] = "NO_MEMORY",
	[STATUS_IO] = "IO",
	[STATUS_UNSUPPORTED] = "UNSUPPORTED",
	[STATUS_PROTOCOL] = "PROTOCOL",
	[STATUS_TIMEOUT] = "TIMEOUT",
	[STATUS_CLOSED] = "CLOSED",
	[STATUS_INTERNAL] = "INTERNAL",
};

static bool is_printable(char byte)
{
	return byte >= ' ' && byte <= '~';
}

const char *status_name(enum status status)
{
	unsigned number = (unsigned)status;
	return number < STATUS_COUNT ? names[number] : names[STATUS_INTERNAL];
}

enum status status_of_name(const char *name, size_t len)
{
	for (unsigned i = 0; i < STATUS_COUNT; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
			return (enum status)i;
		}
	}
	return STATUS_INTERNAL;
}

enum status status_of_errno(int error_number)
{
	switch (error_number) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return STATUS_DISK_FULL;
	case ENOMEM:
	case EMFILE: /* nothing is wrong with a file that could not be opened for that */
	case ENFILE:
		return STATUS_NO_MEMORY;
	case ENOENT:
		return STATUS_NOT_FOUND;
	default:
		return STATUS_IO;
	}
}

enum status error_set(struct error *err, enum status status, const char *format, ...)
{
	if (err == NULL) {
		return status;
	}
	/* The text is not written into `err` at once, since the old one may be an argument. */
	char text[ERROR_TEXT_BYTES] = "";
	va_list arguments;
	va_start(arguments, format);
	if (vsnprintf(text, sizeof text, format, arguments) < 0) {
		text[0] = '\0';
	}
	va_end(arguments);
	for (char *byte = text; *byte != '\0'; byte++) {
		if (!is_printable(*byte)) {
			*byte = '?';
		}
	}
	err->status = status;
	memcpy(err->text, text, sizeof text);
	return status;
}

const char *error_quote(char out[ERROR_QUOTE_BYTES], const void *text, size_t len)
{
	static const char dots[] = "...";
	const char *bytes = text;
	size_t room = ERROR_QUOTE_BYTES - sizeof dots;
	size_t shown = len <= room ? len : room;
	for (size_t i = 0; i < shown; i++) {
		out[i] = is_printable(bytes[i]) ? bytes[i] : '?';
	}
	memcpy(out + shown, shown < len ? dots : "", shown < len ? sizeof dots : 1);
	return out;
}
