/* settings_value.h - one setting: its names, its bounds, and the function that reads its value.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_SETTINGS_VALUE_H
#define DAEMON_SETTINGS_VALUE_H

#include "daemon/settings.h"

#include <stdint.h>

/* What a reload of the file does to a setting that has changed. */
enum setting_life {
	SETTING_FIXED, /* nothing: it was used at the start */
	SETTING_LIVE,  /* it takes it over */
};

struct setting {
	const char *section;
	const char *key;
	const char *option;   /* NULL: the setting is in the file only */
	const char *argument; /* what the help calls its value */
	const char *help;
	/* Reads `value` into `settings`. Errors: BAD_REQUEST  err says what was given and what is
	 * allowed, and nothing has changed. */
	enum status (*set)(const struct setting *setting, struct settings *settings,
		const char *value, struct error *err);
	size_t offset; /* of the field in struct settings */
	uint64_t min;
	uint64_t max;
	enum setting_life life;
};

/* Says what is allowed in place of an unknown name: "its keys are ..." of the section or, if there is none such, "the sections are ...". */
void settings_list(char *out, size_t size, const char *section);

/* Do both say the same of it? */
bool setting_is_same(const struct setting *setting, const struct settings *one,
	const struct settings *other);
/* Gives the one the value of the other. */
void setting_copy(const struct setting *setting, struct settings *to, const struct settings *from);

/* NULL: there is no such setting. */
const struct setting *settings_find_key(const char *section, const char *key);

/* Reads a text that is not empty into char[SETTINGS_TEXT_BYTES]. */
enum status setting_text(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Adds an address. The first address of the file, or of the command line, removes those that were
 * there. Addresses are not checked here; the process does that. */
enum status setting_listen(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Adds who has the role `min`. The first of the file, or of the command line, removes those that were there. */
enum status setting_access(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads a decimal number into unsigned. */
enum status setting_count(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads an octal number into unsigned. */
enum status setting_mode(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads a size into size_t: a number of bytes, or a number with K, M, G or T. */
enum status setting_bytes(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads "sync" or "periodic" into bool: true is periodic. */
enum status setting_durability(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads "none" or "metrics" into bool: true is metrics. */
enum status setting_expose(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads "on" or "off" into bool: true is off. */
enum status setting_page(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads "off" or "on" into bool: true is on. */
enum status setting_rows(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads a share from 0 to 1, "0.01", into unsigned millionths. */
enum status setting_share(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err);
/* Reads a time into unsigned milliseconds: a number of seconds, or a number with ms, s, m or h. */
enum status setting_ms(const struct setting *setting, struct settings *settings, const char *value,
	struct error *err);

#endif
