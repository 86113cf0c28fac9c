/* table.c - repstore table: creates tables, and shows those of a release. */
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/default_argument.h"
#include "tools/command/options.h"
#include "tools/command/release_argument.h"
#include "tools/command/table_argument.h"
#include "tools/command/table_stats.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- create ---- */

/* Stands for "no dim given"; it is above every dim. 0 is sent, and the daemon refuses it. */
static const uint64_t dim_not_given = UINT64_MAX;

/* A table's spec as the arguments give it. */
struct wanted {
	const char *entity;
	const char *kind;
	const char *dtype;
	const char *key;
	const char *layer;
	uint64_t dim;
	uint64_t views;
	const char *decay_text;
	struct decay_argument decay; /* read from it */
	const char *reading;
	const char *state;
	uint64_t ttl_ms;
	uint64_t history; /* 0: none */
	bool tags;
	const char *index;
	const char *default_text;
	struct default_argument missing; /* read from it */
};

static void write_text(struct wire_writer *writer, const char *name, const char *text)
{
	if (text != NULL) {
		wire_write_str(writer, name);
		wire_write_str(writer, text);
	}
}

static void print_created(struct wire_value result)
{
	char release[80];
	char table[160];
	printf("table %s/%s made\n", text_str_of(result, "release", release, sizeof release),
		text_str_of(result, "table", table, sizeof table));
}

static int call_create(struct session *session, const struct place *place,
	const struct wanted *wanted)
{
	char name[200];
	snprintf(name, sizeof name, "%s%s%s", place->table, wanted->layer != NULL ? "@" : "",
		wanted->layer != NULL ? wanted->layer : "");
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params,
		6 + (size_t)(wanted->dtype != NULL) + (size_t)(wanted->key != NULL) +
			(wanted->ttl_ms != 0) + (wanted->history != 0) + wanted->tags +
			(size_t)(wanted->index != NULL) + wanted->decay.has_events +
			(wanted->decay.half_life_ms != 0) + (size_t)(wanted->reading != NULL) +
			(size_t)(wanted->state != NULL) + (wanted->default_text != NULL) +
			(wanted->missing.kind == DEFAULT_ROW ? DEFAULT_ROW_FIELDS : 0));
	write_text(&params, "release", place->release);
	write_text(&params, "table", name);
	write_text(&params, "entity", wanted->entity);
	write_text(&params, "kind", wanted->kind);
	wire_write_str(&params, "dim");
	wire_write_uint(&params, wanted->dim);
	wire_write_str(&params, "views");
	wire_write_uint(&params, wanted->views);
	write_text(&params, "dtype", wanted->dtype);
	write_text(&params, "key", wanted->key);
	write_text(&params, "index", wanted->index);
	if (wanted->ttl_ms != 0) {
		wire_write_str(&params, "ttl_ms");
		wire_write_uint(&params, wanted->ttl_ms);
	}
	if (wanted->history != 0) {
		wire_write_str(&params, "history");
		wire_write_uint(&params, wanted->history);
	}
	write_text(&params, "read", wanted->reading);
	write_text(&params, "state", wanted->state);
	if (wanted->decay.has_events) {
		wire_write_str(&params, "decay_events");
		wire_write_float(&params, wanted->decay.events);
	}
	if (wanted->decay.half_life_ms != 0) {
		wire_write_str(&params, "half_life_ms");
		wire_write_uint(&params, wanted->decay.half_life_ms);
	}
	if (wanted->tags) {
		wire_write_str(&params, "tags");
		wire_write_bool(&params, true);
	}
	if (wanted->default_text != NULL) {
		write_text(&params, "default", default_kind_name(wanted->missing.kind));
	}
	if (wanted->missing.kind == DEFAULT_ROW) {
		default_row_write(&params, &wanted->missing.row);
	}
	struct answer answer = {0};
	if (!session_call(session, "table.create", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_created);
}

/* A table may be named with its layer, NAME@LAYER, and --layer may say it, too. */
static int read_layer(const struct session *session, const struct place *place,
	struct wanted *wanted)
{
	const char *at = strchr(place->table, '@');
	if (at == NULL || wanted->layer == NULL) {
		return EXIT_DONE;
	}
	if (strcmp(at + 1, wanted->layer) != 0) {
		return session_usage(session, "'%s' is of layer '%s', but --layer says '%s'",
			place->table, at + 1, wanted->layer);
	}
	wanted->layer = NULL;
	return EXIT_DONE;
}

static uint32_t within_u32(uint64_t number)
{
	return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static int read_default(const struct session *session, struct wanted *wanted)
{
	if (wanted->default_text == NULL) {
		return EXIT_DONE;
	}
	const char *dtype = wanted->dtype != NULL ? wanted->dtype : dtype_name(DTYPE_F32);
	const struct table_spec spec = {.dtype = dtype_of_name(dtype, strlen(dtype)),
		.dim = within_u32(wanted->dim),
		.views = within_u32(wanted->views)};
	return default_argument_read(session, wanted->default_text, &spec, &wanted->missing);
}

static int run_create(struct session *session, int argc, char **argv)
{
	const char *release = NULL;
	struct wanted wanted = {.dim = dim_not_given, .views = 1};
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &release},
		{"entity", OPTION_TEXT, &wanted.entity},
		{"kind", OPTION_TEXT, &wanted.kind},
		{"dim", OPTION_COUNT, &wanted.dim},
		{"views", OPTION_COUNT, &wanted.views},
		{"dtype", OPTION_TEXT, &wanted.dtype},
		{"layer", OPTION_TEXT, &wanted.layer},
		{"key", OPTION_TEXT, &wanted.key},
		{"ttl", OPTION_DURATION, &wanted.ttl_ms},
		{"history", OPTION_COUNT, &wanted.history},
		{"tags", OPTION_FLAG, &wanted.tags},
		{"index", OPTION_TEXT, &wanted.index},
		{"decay", OPTION_TEXT, &wanted.decay_text},
		{"read", OPTION_TEXT, &wanted.reading},
		{"state", OPTION_TEXT, &wanted.state},
		{"default", OPTION_TEXT, &wanted.default_text},
	};
	struct rest rest;
	struct place place;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1 || (strchr(rest.values[0], '/') == NULL && release == NULL)) {
		return session_usage(session,
			"table create: a table of an open release is needed: RELEASE/TABLE");
	}
	status = table_argument_read(session, rest.values[0], release, &place);
	if (status != EXIT_DONE) {
		return status;
	}
	status = read_layer(session, &place, &wanted);
	if (status != EXIT_DONE) {
		return status;
	}
	if (wanted.entity == NULL || wanted.kind == NULL || wanted.dim == dim_not_given) {
		return session_usage(session,
			"table create: --entity, --kind and --dim are needed");
	}
	if (wanted.decay_text != NULL && !argument_decay(wanted.decay_text, &wanted.decay)) {
		return session_usage(session,
			"--decay: '%s', events=D, half_life=TIME or both with a comma between",
			wanted.decay_text);
	}
	status = read_default(session, &wanted);
	if (status == EXIT_DONE) {
		status = call_create(session, &place, &wanted);
	}
	default_argument_fini(&wanted.missing);
	return status;
}

/* ---- list, show ---- */

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
	/* A row of a delta may have an older one below it. */
	text_cell(table, "%s%" PRIu64, text_uint_of(each, "deltas") > 0 ? "at most " : "",
		text_uint_of(each, "rows"));
	text_cell(table, "%" PRIu64, text_uint_of(each, "pending"));
	text_cell(table, "%s", text_size(text_uint_of(each, "bytes"), amount));
	text_cell(table, "%s", index_text(each, amount));
}

static void print_list(struct wire_value result)
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

/* Calls a method for a release, or for one of its tables
 * (table not NULL), and prints its answer. */
static int call_table(struct session *session, const char *method, const char *release,
	const char *table, void (*print)(struct wire_value result))
{
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params, (size_t)(release != NULL) + (size_t)(table != NULL));
	write_text(&params, "release", release);
	write_text(&params, "table", table);
	struct answer answer = {0};
	if (!session_call(session, method, &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print);
}

static int run_list(struct session *session, int argc, char **argv)
{
	struct rest rest;
	const char *release = NULL;
	const struct option_row rows[] = {{"release", OPTION_TEXT, &release}};
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	status = release_argument_read(session, &rest, release, &release);
	return status == EXIT_DONE ? call_table(session, "table.list", release, NULL, print_list)
				   : status;
}

static int run_show(struct session *session, int argc, char **argv)
{
	struct rest rest;
	struct place place;
	const char *release = NULL;
	const struct option_row rows[] = {{"release", OPTION_TEXT, &release}};
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "table show: one RELEASE/TABLE");
	}
	status = table_argument_read(session, rest.values[0], release, &place);
	if (status != EXIT_DONE) {
		return status;
	}
	return call_table(session, "table.show", place.release, place.table, text_map);
}

static const struct verb verbs[] = {
	{"create", run_create},
	{"list", run_list},
	{"show", run_show},
	{"stats", table_stats_run},
};

static int run(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_table = {
	.name = "table",
	.summary = "tables of a release, and new ones",
	.usage =
		"table create RELEASE/TABLE --entity user|item --kind ur|ir|cr --dim N [--views N]\n"
		"         [--dtype f32|f16|bf16|i8|bit] [--layer NAME] [--key u64|bytes]\n"
		"         [--ttl TIME] [--tags] [--index none|balls] [--history N]\n"
		"         [--decay events=D,half_life=TIME]\n"
		"         [--read sum|mean|layer_norm] [--state f32|f32x2]\n"
		"         [--default zeros|mean|FILE.npy|X,X,...]\n"
		"       repstore table list [RELEASE] | show RELEASE/TABLE\n"
		"       repstore table stats RELEASE/TABLE [--sample N] [--seed S]\n",
	.help = "  --release  RELEASE, where TABLE alone is named; the live one unless told,\n"
		"             but for create\n"
		"  --entity   whose representations: of users or of items\n"
		"  --kind     ur or ir: made by the user tower or the item tower; cr: aggregated from\n"
		"             samples of a layer's cross representations (repstore observe)\n"
		"  --dim      elements of a view\n"
		"  --views    views of a row (1)\n"
		"  --dtype    how rows are stored (f32); imports and fetches may use another\n"
		"  --layer    names the table TABLE@NAME, as which it may be named, too\n"
		"  --key      u64, or byte strings of 1 to 255 bytes (u64)\n"
		"  --ttl      rows older than this are not found: 90s, 12h, 7d (no end)\n"
		"  --tags     rows have 64 bits for filters\n"
		"  --index    balls: retrieve finds items without going through all of them (none)\n"
		"  --history  of a ur or cr table of f32, f16 or bf16: a row is the newest N vectors of\n"
		"             its key, oldest first, and no sum\n"
		"  --decay    of a cr table: what is there counts D times as much after each sample\n"
		"             (0 < D <= 1), half as much after TIME, or both (events=0.99)\n"
		"  --read     what a fetch of a cr row gives (layer_norm)\n"
		"  --state    how a cr row keeps its sums (f32x2): f32x2, in two f32 each, for keys of\n"
		"             any number of samples; f32, in half the memory, for up to some 100,000\n"
		"             that count at a time\n"
		"  --default  what `fetch --missing default` gives for a key without a row: zeros; the\n"
		"             mean of the rows that are sealed; a row from a file, f4, f2, u2 (bf16), or\n"
		"             u1 (packed bits); or its elements, with commas between (such a fetch is\n"
		"             refused)\n"
		"INDEX is its size; or that it is being built, that there is none yet, or that the table\n"
		"has so few rows that it needs none.\n"
		"RELEASE may be `live`. Rows that are pending were written since the last merge: they\n"
		"are served, and not yet in base files. ROWS are those of the files; `at most` where the\n"
		"table has deltas, a row of which may have an older one below it. `repstore merge --full`\n"
		"makes them exact.\n"
		"\n"
		"`stats` reads all rows and says whether they look healthy: their norms, how old they\n"
		"are, and which are zero, not finite or of the future. Of a sample of them it says how\n"
		"far they have collapsed: singular values, information abundance (their sum over the\n"
		"largest; all dims used alike: as many as there are dims, all rows on a line: 1) and\n"
		"how many dims hold 99 % of the energy; and how far views repeat one another: the mean\n"
		"absolute covariance of an element of one with an element of the other.\n"
		"  --sample   rows of the sample, drawn uniformly (4096, fewer of very wide rows);\n"
		"             it may take 1 GiB: 12 bytes an element\n"
		"  --seed     of the draw (0); the same rows and seed give the same figures\n",
	.run = run,
};
