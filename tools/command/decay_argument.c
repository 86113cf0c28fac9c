/* decay_argument.c - reads and checks decay and reading. */
#include "tools/command/decay_argument.h"

#include "schema/limits.h"
#include "tools/command/argument.h"

#include <string.h>

static int read_decay(const struct session *session, const char *text, struct table_spec *out)
{
	struct decay_argument decay = {0};
	if (text != NULL && !argument_decay(text, &decay)) {
		return session_usage(session,
			"--decay: '%s', events=D, half_life=TIME or both with a comma between",
			text);
	}
	out->half_life_ms = decay.half_life_ms;
	out->decay_events =
		decay.has_events ? decay.events : spec_decay_default(decay.half_life_ms);
	if (!(out->decay_events > 0 && out->decay_events <= 1) ||
		out->half_life_ms > LIMIT_TTL_MS) {
		return session_usage(session,
			"--decay: '%s', events above 0 and at most 1, a half-life of ten years at "
			"most allowed",
			text);
	}
	return EXIT_DONE;
}

int decay_argument_read(const struct session *session, const char *decay, const char *reading,
	struct table_spec *out)
{
	static const enum reading readings[] = {READING_SUM, READING_MEAN, READING_LAYER_NORM};
	for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
		if (strcmp(reading, reading_name(readings[i])) == 0) {
			out->reading = readings[i];
		}
	}
	if (out->reading == READING_NONE) {
		return session_usage(session, "--read: '%s', sum, mean or layer_norm allowed",
			reading);
	}
	return read_decay(session, decay, out);
}
