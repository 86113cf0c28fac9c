/* text.c - aligns columns, and writes sizes and times for a person. */
#include "tools/format/text.h"

#include "tools/format/wrap.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	NAME_BYTES = 256,
	FOLD_INDENT = 4,
};

void text_cell(struct text_table *table, const char *format, ...)
{
	if (table->count == table->cap) {
		size_t cap = table->cap > 0 ? table->cap * 2 : 64;
		char **cells = realloc(table->cells, cap * sizeof *cells);
		if (cells == NULL) {
			return;
		}
		table->cells = cells;
		table->cap = cap;
	}
	assert(table->columns > 0);
	va_list arguments;
	va_start(arguments, format);
	char *text = NULL;
	int len = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (len >= 0) {
		table->cells[table->count++] = text;
	}
}

static bool is_number(const char *text)
{
	return text[0] == '\0' || strspn(text, "0123456789.,-%") == strlen(text);
}

static const char *cell_at(const struct text_table *table, size_t row, size_t column)
{
	size_t i = row * table->columns + column;
	return i < table->count ? table->cells[i] : "";
}

/* How many columns of a terminal the text takes: characters, not bytes. */
static int width_of(const char *text)
{
	int width = 0;
	for (; *text != '\0'; text++) {
		width += ((unsigned char)*text & 0xc0) != 0x80;
	}
	return width;
}

static void print_cell(const struct text_table *table, size_t row, size_t column, int width,
	bool right)
{
	const char *text = cell_at(table, row, column);
	int pad = width - width_of(text);
	bool last = column + 1 == table->columns;
	if (right) {
		printf("%*s%s", pad, "", text);
	} else if (last) {
		fputs(text, stdout);
	} else {
		printf("%s%*s", text, pad, "");
	}
	fputs(last ? "\n" : "  ", stdout);
}

/* How wide the columns from one on are. */
static int table_width(const int *width, size_t from, size_t columns)
{
	int all = (int)(columns - from - 1) * 2;
	for (size_t column = from; column < columns; column++) {
		all += width[column];
	}
	return all;
}

/* The longest word of the last column: so much room it needs. */
static int longest_word(const struct text_table *table, size_t rows)
{
	int longest = 0;
	for (size_t row = 0; row < rows; row++) {
		const char *text = cell_at(table, row, table->columns - 1);
		while (*text != '\0') {
			const int len = (int)strcspn(text, " ");
			longest = len > longest ? len : longest;
			text += len + (text[len] == ' ');
		}
	}
	return longest;
}

/* Prints the last cell of a row, in several lines if it does not fit behind what is printed. */
static void print_words(const char *text, int column)
{
	int at = column;
	while (*text != '\0') {
		const int len = (int)strcspn(text, " ");
		char word[NAME_BYTES];
		snprintf(word, sizeof word, "%.*s", len, text);
		if (at > column && at + 1 + width_of(word) > WRAP_COLUMNS) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%s", at > column ? " " : "", word);
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

/* Prints a row of a table that is too wide: its first `folded` cells have a line each. */
static void print_folded(const struct text_table *table, size_t row, size_t folded,
	const int *width, const bool *right)
{
	int at = folded > 0 ? FOLD_INDENT : 0;
	for (size_t column = 0; column < folded; column++) {
		printf("%*s%s\n", column > 0 ? FOLD_INDENT : 0, "", cell_at(table, row, column));
	}
	printf("%*s", at, "");
	for (size_t column = folded; column + 1 < table->columns; column++) {
		print_cell(table, row, column, width[column], right[column]);
		at += width[column] + 2;
	}
	print_words(cell_at(table, row, table->columns - 1), at);
}

void text_print(struct text_table *table)
{
	enum { COLUMNS_MAX = 16 };
	assert(table->columns > 0 && table->columns <= COLUMNS_MAX);
	int width[COLUMNS_MAX] = {0};
	bool right[COLUMNS_MAX] = {false};
	size_t rows = (table->count + table->columns - 1) / table->columns;
	for (size_t column = 0; column < table->columns && column < COLUMNS_MAX; column++) {
		right[column] = rows > 1;
		for (size_t row = 0; row < rows; row++) {
			const char *text = cell_at(table, row, column);
			int cell_width = width_of(text);
			width[column] = cell_width > width[column] ? cell_width : width[column];
			right[column] = right[column] && (row == 0 || is_number(text));
		}
	}
	size_t folded = 0;
	const bool fold = table->fold && table_width(width, 0, table->columns) > WRAP_COLUMNS;
	while (fold && folded + 2 < table->columns &&
		table_width(width, folded, table->columns - 1) + FOLD_INDENT + 2 +
				longest_word(table, rows) >
			WRAP_COLUMNS) {
		folded++;
	}
	for (size_t row = 0; row < rows; row++) {
		if (fold) {
			print_folded(table, row, folded, width, right);
			continue;
		}
		for (size_t column = 0; column < table->columns && column < COLUMNS_MAX; column++) {
			print_cell(table, row, column, width[column], right[column]);
		}
	}
	text_free(table);
}

void text_free(struct text_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->cells[i]);
	}
	free(table->cells);
	*table = (struct text_table){.columns = table->columns};
}

const char *text_size(uint64_t bytes, char *text)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1024;
		unit++;
	}
	snprintf(text, TEXT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return text;
}

const char *text_time(int64_t unix_ms, char *text)
{
	int64_t seconds = unix_ms / 1000;
	int64_t rest = unix_ms % 1000;
	if (rest < 0) {
		rest += 1000;
		seconds--;
	}
	time_t when = (time_t)seconds;
	struct tm parts;
	char date[TEXT_BYTES];
	if (gmtime_r(&when, &parts) == NULL ||
		strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
		snprintf(text, TEXT_BYTES, "%" PRId64, unix_ms);
	} else {
		snprintf(text, TEXT_BYTES, "%.*s.%03dZ", TEXT_BYTES - 8, date, (int)rest);
	}
	return text;
}

const char *text_duration(uint64_t milliseconds, char *text)
{
	uint64_t seconds = milliseconds / 1000;
	if (seconds < 60) {
		snprintf(text, TEXT_BYTES, "%.3g s", (double)milliseconds / 1000);
	} else if (seconds < 3600) {
		snprintf(text, TEXT_BYTES, "%" PRIu64 "m %" PRIu64 "s", seconds / 60, seconds % 60);
	} else if (seconds < 86400) {
		snprintf(text, TEXT_BYTES, "%" PRIu64 "h %" PRIu64 "m", seconds / 3600,
			seconds / 60 % 60);
	} else {
		snprintf(text, TEXT_BYTES, "%" PRIu64 "d %" PRIu64 "h", seconds / 86400,
			seconds / 3600 % 24);
	}
	return text;
}

uint64_t text_uint_of(struct wire_value map, const char *name)
{
	uint64_t value = 0;
	wire_uint(wire_get(map, name), &value);
	return value;
}

const char *text_rows(struct wire_value map, char *text)
{
	/* An older daemon does not say so: with deltas it counts rows that these hide. */
	bool exact = text_uint_of(map, "deltas") == 0;
	wire_bool(wire_get(map, "rows_exact"), &exact);
	snprintf(text, TEXT_BYTES, "%s%" PRIu64, exact ? "" : "at most ",
		text_uint_of(map, "rows"));
	return text;
}

/* Copies a string, and replaces control characters, which could move a terminal's cursor. */
static const char *copy_plain(struct wire_bytes bytes, char *text, size_t size)
{
	size_t len = bytes.len < size ? bytes.len : size - 1;
	for (size_t i = 0; i < len; i++) {
		bool control = bytes.data[i] < 0x20 || bytes.data[i] == 0x7f;
		text[i] = control ? '?' : (char)bytes.data[i];
	}
	text[len] = '\0';
	return text;
}

const char *text_str_of(struct wire_value map, const char *name, char *text, size_t size)
{
	struct wire_bytes bytes = {0};
	wire_str(wire_get(map, name), &bytes);
	return copy_plain(bytes, text, size);
}

/* ---- maps ---- */

static void add_value(struct text_table *table, const char *name, struct wire_value value)
{
	bool flag = false;
	uint64_t number = 0;
	int64_t negative = 0;
	double fraction = 0;
	struct wire_bytes bytes = {0};
	char text[NAME_BYTES];
	text_cell(table, "%s", name);
	if (wire_bool(value, &flag)) {
		text_cell(table, "%s", flag ? "yes" : "no");
	} else if (wire_uint(value, &number)) {
		text_cell(table, "%" PRIu64, number);
	} else if (wire_int(value, &negative)) {
		text_cell(table, "%" PRId64, negative);
	} else if (wire_float(value, &fraction)) {
		text_cell(table, "%g", fraction);
	} else if (wire_type(value) == WIRE_BIN && wire_bin(value, &bytes)) {
		text_cell(table, "%zu bytes", bytes.len);
	} else if (wire_str(value, &bytes)) {
		text_cell(table, "%s", copy_plain(bytes, text, sizeof text));
	} else {
		text_cell(table, "%s", "-");
	}
}

/* All but the entry `without`; NULL: all. */
/* NOLINTNEXTLINE(misc-no-recursion): a message is at most 16 levels deep */
static void add_map(struct text_table *table, const char *prefix, struct wire_value map,
	const char *without)
{
	for (size_t i = 0; i < wire_size(map); i++) {
		struct wire_value value =
			wire_type(map) == WIRE_MAP ? wire_map_value(map, i) : wire_item(map, i);
		struct wire_bytes key = {0};
		char name[NAME_BYTES];
		if (wire_str(wire_map_key(map, i), &key)) {
			snprintf(name, sizeof name, "%s%s%.*s", prefix,
				prefix[0] != '\0' ? "." : "", (int)key.len, (const char *)key.data);
		} else {
			snprintf(name, sizeof name, "%s%s%zu", prefix, prefix[0] != '\0' ? "." : "",
				i);
		}
		if (without != NULL && strcmp(name, without) == 0) {
			continue;
		}
		enum wire_type type = wire_type(value);
		if (type == WIRE_MAP || type == WIRE_ARRAY) {
			add_map(table, name, value, NULL);
		} else {
			add_value(table, name, value);
		}
	}
}

void text_map_but(struct wire_value map, const char *name)
{
	struct text_table table = {.columns = 2};
	add_map(&table, "", map, name);
	text_print(&table);
}

void text_map(struct wire_value map)
{
	text_map_but(map, NULL);
}
