/* settings_value.h - one setting: its names, its bounds, and how its text is read.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_SETTINGS_VALUE_H
#define DAEMON_SETTINGS_VALUE_H

#include "daemon/settings.h"

#include <stdint.h>

struct setting {
	const char *section;
	const char *key;
	const char *option;   /* NULL: in the file only */
	const char *argument; /* what the help calls its value */
	const char *help;
	/* Reads `value` into `settings`. Errors: BAD_REQUEST, saying what was given and what
	 * is allowed; nothing has changed then. */
	enum status (*set)(const struct setting *setting, struct settings *settings,
		const char *value, struct error *err);
	size_t offset; /* of the field */
	uint64_t min;
	uint64_t max;
};

/* NULL when there is none. */
const struct setting *settings_find_key(const char *section, const char *key);

/* Into char[SETTINGS_TEXT_BYTES]; not empty. */
enum status setting_text(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Adds an address, after dropping those of the source before. It is parsed where it is used. */
enum status setting_listen(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Into unsigned, decimal. */
enum status setting_count(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Into unsigned, octal. */
enum status setting_mode(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Into size_t: bytes, or with K, M, G or T. */
enum status setting_bytes(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Into bool, whether it is periodic: "sync" or "periodic". */
enum status setting_durability(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Into unsigned milliseconds: seconds, or with ms, s, m or h. */
enum status setting_ms(const struct setting *setting, struct settings *settings, const char *value,
	struct error *err);

#endif
