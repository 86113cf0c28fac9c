/* given_missing.c - reads the word, and whether the table has a default row. */
#include "daemon/method/call/given_missing.h"

static const char name[] = "missing";

bool given_missing_is_default(struct params *params, const struct table_spec *spec,
	const char *otherwise)
{
	const struct wire_bytes text = params_str(params, name, PARAM_OPTIONAL);
	if (text.data == NULL || wire_bytes_are(text, otherwise)) {
		return false;
	}
	if (!wire_bytes_are(text, "default")) {
		char quote[ERROR_QUOTE_BYTES];
		params_fail(params, STATUS_BAD_REQUEST, name,
			"'%s' given, one of %s, default allowed",
			error_quote(quote, text.data, text.len), otherwise);
		return false;
	}
	if (spec->default_kind == DEFAULT_NONE) {
		params_fail(params, STATUS_BAD_REQUEST, name,
			"'default' given, but table '%s' was created without a default row",
			spec->name.text);
		return false;
	}
	return true;
}
