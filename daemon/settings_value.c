/* settings_value.c - reads the numbers, sizes, times and texts of settings. */
#include "daemon/settings_value.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* The field of the setting, which has `size` bytes. */
static void *field_of(const struct setting *setting, struct settings *settings, size_t size)
{
	assert(setting->offset <= sizeof *settings - size);
	return (char *)settings + setting->offset;
}

/* Reads digits of `base` from *text on, and moves *text behind them. */
static bool take_number(const char **text, unsigned base, uint64_t *out)
{
	uint64_t number = 0;
	const char *at = *text;
	for (; isdigit((unsigned char)*at) && (unsigned)(*at - '0') < base; at++) {
		unsigned digit = (unsigned)(*at - '0');
		if (number > (UINT64_MAX - digit) / base) {
			return false;
		}
		number = number * base + digit;
	}
	if (at == *text) {
		return false;
	}
	*text = at;
	*out = number;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* Reads a number and one of `units`. The last unit has the name NULL. */
static bool read_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t number;
	if (!take_number(&text, 10, &number)) {
		return false;
	}
	for (; units->name != NULL; units++) {
		if (strcmp(text, units->name) != 0) {
			continue;
		}
		if (number > UINT64_MAX / units->factor) {
			return false;
		}
		*out = number * units->factor;
		return true;
	}
	return false;
}

/* Shows a number of bytes or milliseconds in the largest unit that divides it. */
static void show(char *text, size_t size, uint64_t number, const struct unit *units)
{
	const struct unit *best = NULL;
	for (; units->name != NULL; units++) {
		bool divides = number % units->factor == 0;
		if (divides && (best == NULL || units->factor >= best->factor)) {
			best = units;
		}
	}
	if (best == NULL || number == 0) {
		(void)snprintf(text, size, "%" PRIu64, number);
	} else {
		(void)snprintf(text, size, "%" PRIu64 "%s", number / best->factor, best->name);
	}
}

static enum status out_of_range(const struct setting *setting, const char *value, const char *what,
	const struct unit *units, struct error *err)
{
	char min[32];
	char max[32];
	show(min, sizeof min, setting->min, units);
	show(max, sizeof max, setting->max, units);
	return error_set(err, STATUS_BAD_REQUEST, "'%s' is no %s from %s to %s", value, what, min,
		max);
}

static const struct unit no_units[] = {{NULL, 0}};

enum status setting_text(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	size_t len = strlen(value);
	if (len == 0) {
		return error_set(err, STATUS_BAD_REQUEST, "the value is empty");
	}
	if (len >= SETTINGS_TEXT_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST, "%zu bytes are given, %d are allowed",
			len, SETTINGS_TEXT_BYTES - 1);
	}
	memcpy(field_of(setting, settings, SETTINGS_TEXT_BYTES), value, len + 1);
	return STATUS_OK;
}

enum status setting_listen(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	unsigned count = settings->listen_is_default ? 0 : settings->listen_count;
	assert(count <= SETTINGS_LISTEN_MAX);
	if (count == SETTINGS_LISTEN_MAX) {
		return error_set(err, STATUS_BAD_REQUEST, "more than %d addresses",
			SETTINGS_LISTEN_MAX);
	}
	struct setting one = *setting;
	one.offset = offsetof(struct settings, listen) + (size_t)count * SETTINGS_TEXT_BYTES;
	enum status status = setting_text(&one, settings, value, err);
	if (status != STATUS_OK) {
		return status;
	}
	settings->listen_count = count + 1;
	settings->listen_is_default = false;
	return STATUS_OK;
}

enum status setting_access(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	const enum role role = (enum role)setting->min;
	struct access_rules rules = settings->access;
	if ((settings->access_is_default & (unsigned)role) != 0) {
		access_rules_forget(&rules, role);
	}
	enum status status = access_rules_add(&rules, role, value, err);
	if (status != STATUS_OK) {
		return status;
	}
	settings->access = rules;
	settings->access_is_default &= ~(unsigned)role;
	return STATUS_OK;
}

static enum status set_unsigned(const struct setting *setting, struct settings *settings,
	const char *value, unsigned base, struct error *err)
{
	const char *at = value;
	uint64_t number;
	assert(setting->max <= UINT_MAX);
	if (!take_number(&at, base, &number) || *at != '\0' || number < setting->min ||
		number > setting->max) {
		return out_of_range(setting, value, "number", no_units, err);
	}
	*(unsigned *)field_of(setting, settings, sizeof(unsigned)) = (unsigned)number;
	return STATUS_OK;
}

enum status setting_count(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	return set_unsigned(setting, settings, value, 10, err);
}

/* Reads one of two words into bool. */
static enum status set_word(const struct setting *setting, struct settings *settings,
	const char *value, const char *const words[2], struct error *err)
{
	const bool is_second = strcmp(value, words[1]) == 0;
	if (!is_second && strcmp(value, words[0]) != 0) {
		return error_set(err, STATUS_BAD_REQUEST, "'%s' given, %s or %s allowed", value,
			words[0], words[1]);
	}
	memcpy(field_of(setting, settings, sizeof is_second), &is_second, sizeof is_second);
	return STATUS_OK;
}

enum status setting_durability(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	static const char *const words[2] = {"sync", "periodic"};
	return set_word(setting, settings, value, words, err);
}

enum status setting_expose(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	static const char *const words[2] = {"none", "metrics"};
	return set_word(setting, settings, value, words, err);
}

enum status setting_page(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	static const char *const words[2] = {"on", "off"};
	return set_word(setting, settings, value, words, err);
}

enum status setting_rows(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	static const char *const words[2] = {"off", "on"};
	return set_word(setting, settings, value, words, err);
}

enum status setting_share(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	enum { ONE = 1000000, DIGITS = 6 };
	const char *at = value;
	uint64_t whole = 0;
	uint64_t part = 0;
	bool is_share = take_number(&at, 10, &whole) && whole <= 1;
	if (is_share && *at == '.') {
		const char *digits = ++at;
		is_share = take_number(&at, 10, &part) && at - digits <= DIGITS;
		for (size_t i = (size_t)(at - digits); is_share && i < DIGITS; i++) {
			part *= 10;
		}
	}
	if (!is_share || *at != '\0' || whole * ONE + part > ONE) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' is no share from 0 to 1 with six decimals at most", value);
	}
	*(unsigned *)field_of(setting, settings, sizeof(unsigned)) = (unsigned)(whole * ONE + part);
	return STATUS_OK;
}

enum status setting_mode(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	enum status status = set_unsigned(setting, settings, value, 8, err);
	if (status != STATUS_OK) {
		return error_set(err, status, "'%s' is no octal mode from 0 to 0777", value);
	}
	return STATUS_OK;
}

enum status setting_bytes(const struct setting *setting, struct settings *settings,
	const char *value, struct error *err)
{
	static const struct unit units[] = {
		{"", 1},
		{"K", UINT64_C(1) << 10},
		{"M", UINT64_C(1) << 20},
		{"G", UINT64_C(1) << 30},
		{"T", UINT64_C(1) << 40},
		{NULL, 0},
	};
	uint64_t bytes;
	if (!read_with_unit(value, units, &bytes) || bytes < setting->min || bytes > setting->max) {
		return out_of_range(setting, value, "size", units, err);
	}
	*(size_t *)field_of(setting, settings, sizeof(size_t)) = (size_t)bytes;
	return STATUS_OK;
}

enum status setting_ms(const struct setting *setting, struct settings *settings, const char *value,
	struct error *err)
{
	static const struct unit units[] = {
		{"", 1000},
		{"ms", 1},
		{"s", 1000},
		{"m", UINT64_C(60) * 1000},
		{"h", UINT64_C(3600) * 1000},
		{NULL, 0},
	};
	uint64_t ms;
	assert(setting->max <= UINT_MAX);
	if (!read_with_unit(value, units, &ms) || ms < setting->min || ms > setting->max) {
		return out_of_range(setting, value, "time", units, err);
	}
	*(unsigned *)field_of(setting, settings, sizeof(unsigned)) = (unsigned)ms;
	return STATUS_OK;
}

/* How many bytes of struct settings hold the value. */
static size_t size_of(const struct setting *setting)
{
	if (setting->set == setting_text) {
		return SETTINGS_TEXT_BYTES;
	}
	if (setting->set == setting_bytes) {
		return sizeof(size_t);
	}
	const bool is_bool = setting->set == setting_durability || setting->set == setting_expose ||
			     setting->set == setting_page || setting->set == setting_rows;
	return is_bool ? sizeof(bool) : sizeof(unsigned);
}

static bool is_same_list(const struct settings *one, const struct settings *other)
{
	bool is_same = one->listen_count == other->listen_count;
	for (unsigned i = 0; i < one->listen_count && is_same; i++) {
		is_same = strcmp(one->listen[i], other->listen[i]) == 0;
	}
	return is_same;
}

bool setting_is_same(const struct setting *setting, const struct settings *one,
	const struct settings *other)
{
	if (setting->set == setting_listen) {
		return is_same_list(one, other);
	}
	if (setting->set == setting_access) {
		return access_rules_are_same(&one->access, &other->access, (enum role)setting->min);
	}
	const char *a = (const char *)one + setting->offset;
	const char *b = (const char *)other + setting->offset;
	return setting->set == setting_text ? strcmp(a, b) == 0
					    : memcmp(a, b, size_of(setting)) == 0;
}

void setting_copy(const struct setting *setting, struct settings *to, const struct settings *from)
{
	assert(setting->set != setting_listen); /* it is fixed */
	if (setting->set == setting_access) {
		to->access = from->access; /* of all roles: each of them is live */
		return;
	}
	memcpy((char *)to + setting->offset, (const char *)from + setting->offset,
		size_of(setting));
}
