/* name.c - what a name may look like. */
#include "schema/name.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define NAME_RULE "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

/* isalnum() is not used, since it asks the locale. */
static bool is_alphanumeric(char byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= '0' && byte <= '9');
}

static bool is_name(const char *text, size_t len)
{
	if (len == 0 || len > LIMIT_NAME_BYTES || !is_alphanumeric(text[0])) {
		return false;
	}
	for (size_t i = 1; i < len; i++) {
		char byte = text[i];
		if (!is_alphanumeric(byte) && byte != '.' && byte != '_' && byte != '-') {
			return false;
		}
	}
	return true;
}

enum status name_check(const char *text, size_t len, const char *what, struct name *out,
	struct error *err)
{
	if (!is_name(text, len)) {
		char quote[ERROR_QUOTE_BYTES];
		return error_set(err, STATUS_BAD_REQUEST, "%s: '%s' given, %s allowed", what,
			error_quote(quote, text, len), NAME_RULE);
	}
	assert(len < sizeof out->text);
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	return STATUS_OK;
}

static bool is_table_name(const char *text, size_t len)
{
	const char *at = len > 0 ? memchr(text, '@', len) : NULL;
	if (at == NULL) {
		return is_name(text, len);
	}
	size_t name_len = (size_t)(at - text);
	return is_name(text, name_len) && is_name(at + 1, len - name_len - 1);
}

enum status table_name_check(const char *text, size_t len, const char *what, struct table_name *out,
	struct error *err)
{
	if (!is_table_name(text, len)) {
		char quote[ERROR_QUOTE_BYTES];
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: '%s' given, NAME or NAME@LAYER allowed, each %s", what,
			error_quote(quote, text, len), NAME_RULE);
	}
	assert(len < sizeof out->text);
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	return STATUS_OK;
}

enum status fed_name_check(const char *text, size_t len, const char *what, struct name *out,
	struct error *err)
{
	struct table_name name;
	if (len > LIMIT_NAME_BYTES) {
		char quote[ERROR_QUOTE_BYTES];
		return error_set(err, STATUS_BAD_REQUEST,
			"%s: '%s' given, up to %u bytes allowed, since positions are kept of it",
			what, error_quote(quote, text, len), LIMIT_NAME_BYTES);
	}
	const enum status status = table_name_check(text, len, what, &name, err);
	if (status == STATUS_OK) {
		memcpy(out->text, name.text, len + 1);
	}
	return status;
}

const char *table_name_layer(const struct table_name *name)
{
	const char *at = strchr(name->text, '@');
	return at == NULL ? NULL : at + 1;
}

enum status release_name_check(const char *text, size_t len, struct name *out, struct error *err)
{
	if (len == strlen("live") && memcmp(text, "live", len) == 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"release: 'live' given, that names the live release; another name is "
			"allowed");
	}
	return name_check(text, len, "release", out, err);
}
