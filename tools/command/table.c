/* table.c - repstore table: creates tables, and shows those of a release. */
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/default_argument.h"
#include "tools/command/options.h"
#include "tools/command/release_argument.h"
#include "tools/command/table_argument.h"
#include "tools/command/table_print.h"
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
	return status == EXIT_DONE
		       ? call_table(session, "table.list", release, NULL, table_print_list)
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
	return call_table(session, "table.show", place.release, place.table, table_print);
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
		"are served, and not yet in base files. ROWS are those of the files; `at most` where a\n"
		"delta was written while what it would have to be compared with was not in memory.\n"
		"`repstore merge --full` makes them exact.\n"
		"`show` has a line for each level, the base and the deltas above it. DELETED are its\n"
		"tombstones, and HIDES how many rows of older levels it replaces or deletes; `-`: this\n"
		"was not counted. CHECKED was compared with its checksums since it was read in.\n"
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
