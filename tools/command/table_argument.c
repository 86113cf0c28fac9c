/* table_argument.c - finds out which table of which release is meant. */
#include "tools/command/table_argument.h"

#include <stdio.h>
#include <string.h>

int table_argument_read(const struct session *session, const char *text, const char *release,
	struct place *out)
{
	struct place place;
	char whole[sizeof place.release + sizeof place.table];
	const bool named = strchr(text, '/') != NULL;
	const int len = named ? snprintf(whole, sizeof whole, "%s", text)
			      : snprintf(whole, sizeof whole, "%s/%s",
					release != NULL ? release : "live", text);
	if (len >= (int)sizeof whole || !argument_place(whole, &place)) {
		return session_usage(session,
			"'%s': not a table: RELEASE/TABLE, or TABLE of --release RELEASE or of the live release",
			text);
	}
	if (named && release != NULL && strcmp(release, place.release) != 0) {
		return session_usage(session, "'%s' is of release '%s', but --release says '%s'",
			text, place.release, release);
	}
	*out = place;
	return EXIT_DONE;
}
