/* table_print.c - prints a list of tables, and a table with its levels. */
#include "tools/command/table_print.h"

#include "schema/wire.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DECAY_BYTES = 80 };

/* The half-life, exactly, in the form that --decay takes. */
static void half_life_text(uint64_t milliseconds, char *text, size_t size)
{
	static const struct {
		uint64_t milliseconds;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t i = 0;
	while (milliseconds % units[i].milliseconds != 0) {
		i++;
	}
	snprintf(text, size, "half_life=%" PRIu64 "%s", milliseconds / units[i].milliseconds,
		units[i].name);
}

/* The decay of a table of kind cr, in the form that --decay takes: "events=0.99,half_life=7d". */
static const char *decay_text(struct wire_value table, char text[DECAY_BYTES])
{
	double events = 1;
	char half_life[DECAY_BYTES / 2] = "";
	const uint64_t half_life_ms = text_uint_of(table, "half_life_ms");
	if (!wire_float(wire_get(table, "decay_events"), &events)) {
		return "-";
	}
	if (half_life_ms > 0) {
		half_life_text(half_life_ms, half_life, sizeof half_life);
	}
	if (events < 1 || half_life_ms == 0) {
		snprintf(text, DECAY_BYTES, "events=%.12g%s%s", events, half_life_ms > 0 ? "," : "",
			half_life);
	} else {
		snprintf(text, DECAY_BYTES, "%s", half_life);
	}
	return text;
}

static const char *or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

/* What a table has beside the usual: one line each, below the list. */
static void add_options(struct text_table *table, struct wire_value each)
{
	char text[160];
	char amount[TEXT_BYTES];
	char decay[DECAY_BYTES];
	bool tags = false;
	const uint64_t ttl_ms = text_uint_of(each, "ttl_ms");
	wire_bool(wire_get(each, "tags"), &tags);
	const bool bytes = strcmp(text_str_of(each, "key", text, sizeof text), "bytes") == 0;
	const char *fade = decay_text(each, decay);
	const bool defaults = wire_type(wire_get(each, "default")) != WIRE_ABSENT;
	const uint64_t history = text_uint_of(each, "history");
	if (!bytes && !tags && ttl_ms == 0 && fade[0] == '-' && !defaults && history == 0) {
		return;
	}
	text_cell(table, "%s", text_str_of(each, "table", text, sizeof text));
	text_cell(table, "%s", bytes ? "bytes" : "u64");
	text_cell(table, "%s", ttl_ms > 0 ? text_duration(ttl_ms, amount) : "-");
	text_cell(table, "%s", tags ? "yes" : "no");
	text_cell(table, "%s", fade);
	if (history > 0) {
		text_cell(table, "last %" PRIu64, history);
	} else {
		text_cell(table, "%s", or_dash(text_str_of(each, "read", text, sizeof text)));
	}
	text_cell(table, "%s", or_dash(text_str_of(each, "state", text, sizeof text)));
	text_cell(table, "%s", or_dash(text_str_of(each, "default", text, sizeof text)));
}

/* The size of the index; or why there is none. */
static const char *index_text(struct wire_value table, char text[TEXT_BYTES])
{
	char name[TEXT_BYTES];
	text_str_of(table, "index_state", name, sizeof name);
	if (strcmp(name, "ready") == 0) {
		return text_size(text_uint_of(table, "index_bytes"), text);
	}
	return strcmp(name, "building") == 0   ? "building"
	       : strcmp(name, "waiting") == 0  ? "none yet"
	       : strcmp(name, "few_rows") == 0 ? "few rows"
					       : "-";
}

static void add_table(struct text_table *table, struct wire_value each)
{
	char text[160];
	char kind[TEXT_BYTES];
	char amount[TEXT_BYTES];
	const uint64_t views = text_uint_of(each, "views");
	text_cell(table, "%s", text_str_of(each, "table", text, sizeof text));
	text_cell(table, "%s %s", text_str_of(each, "entity", text, sizeof text),
		text_str_of(each, "kind", kind, sizeof kind));
	if (views > 1) {
		text_cell(table, "%" PRIu64 " x %" PRIu64, views, text_uint_of(each, "dim"));
	} else {
		text_cell(table, "%" PRIu64, text_uint_of(each, "dim"));
	}
	text_cell(table, "%s", text_str_of(each, "dtype", text, sizeof text));
	text_cell(table, "%s", text_rows(each, amount));
	text_cell(table, "%" PRIu64, text_uint_of(each, "pending"));
	text_cell(table, "%s", text_size(text_uint_of(each, "bytes"), amount));
	text_cell(table, "%s", index_text(each, amount));
}

void table_print_list(struct wire_value result)
{
	static const char *const heads[] = {"TABLE", "KIND", "DIM", "DTYPE", "ROWS", "PENDING",
		"BYTES", "INDEX"};
	static const char *const option_heads[] = {"TABLE", "KEY", "TTL", "TAGS", "DECAY", "READ",
		"STATE", "DEFAULT"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0], .fold = true};
	struct text_table options = {.columns = sizeof option_heads / sizeof option_heads[0],
		.fold = true};
	const struct wire_value list = wire_get(result, "tables");
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < options.columns; i++) {
		text_cell(&options, "%s", option_heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		add_table(&table, wire_item(list, i));
		add_options(&options, wire_item(list, i));
	}
	const bool has_options = options.count > options.columns;
	text_print(&table);
	if (has_options) {
		putchar('\n');
		text_print(&options);
	}
	text_free(&options);
}

/* ---- one table ---- */

/* So much of a level is in memory. */
static const char *share_text(uint64_t part, uint64_t whole, char text[TEXT_BYTES])
{
	snprintf(text, TEXT_BYTES, "%.0f %%",
		whole == 0 ? 100 : 100 * (double)part / (double)whole);
	return text;
}

static void add_level(struct text_table *table, struct wire_value each)
{
	char amount[TEXT_BYTES];
	const uint64_t number = text_uint_of(each, "number");
	const uint64_t image_bytes = text_uint_of(each, "index_bytes");
	uint64_t hides = 0;
	if (number == 0) {
		text_cell(table, "base");
	} else {
		text_cell(table, "delta %" PRIu64, number);
	}
	text_cell(table, "%" PRIu64, text_uint_of(each, "files"));
	text_cell(table, "%" PRIu64, text_uint_of(each, "rows"));
	text_cell(table, "%" PRIu64, text_uint_of(each, "deleted"));
	if (wire_uint(wire_get(each, "hides"), &hides)) {
		text_cell(table, "%" PRIu64, hides);
	} else {
		text_cell(table, "-");
	}
	text_cell(table, "%s", text_size(text_uint_of(each, "bytes"), amount));
	text_cell(table, "%s",
		share_text(text_uint_of(each, "resident_bytes"),
			text_uint_of(each, "segment_bytes"), amount));
	text_cell(table, "%s",
		share_text(text_uint_of(each, "checked_bytes"), text_uint_of(each, "segment_bytes"),
			amount));
	text_cell(table, "%" PRIu64, text_uint_of(each, "damaged"));
	text_cell(table, "%s", image_bytes > 0 ? text_size(image_bytes, amount) : "-");
}

void table_print(struct wire_value result)
{
	static const char *const heads[] = {"LEVEL", "FILES", "ROWS", "DELETED", "HIDES", "BYTES",
		"MEMORY", "CHECKED", "DAMAGED", "INDEX"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0]};
	const struct wire_value levels = wire_get(result, "levels");
	text_map_but(result, "levels");
	if (wire_size(levels) == 0) {
		return;
	}
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < wire_size(levels); i++) {
		add_level(&table, wire_item(levels, i));
	}
	putchar('\n');
	text_print(&table);
}
