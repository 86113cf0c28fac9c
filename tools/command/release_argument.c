/* release_argument.c - finds out which release is meant. */
#include "tools/command/release_argument.h"

#include <string.h>

int release_argument_read(const struct session *session, const struct rest *rest,
	const char *option, const char **out)
{
	if (rest->count > 1) {
		return session_usage(session, "'%s': not expected", rest->values[1]);
	}
	const char *named = rest->count > 0 ? rest->values[0] : NULL;
	if (named != NULL && option != NULL && strcmp(named, option) != 0) {
		return session_usage(session, "'%s' is named, but --release says '%s'", named,
			option);
	}
	if (named != NULL && strchr(named, '/') != NULL) {
		return session_usage(session, "'%s': a RELEASE alone is expected, '%.*s'", named,
			(int)strcspn(named, "/"), named);
	}
	*out = named != NULL ? named : option;
	return EXIT_DONE;
}

void release_argument_write(struct wire_writer *params, const char *release, size_t fields)
{
	wire_write_map(params, fields + (release != NULL));
	if (release != NULL) {
		wire_write_str(params, "release");
		wire_write_str(params, release);
	}
}
