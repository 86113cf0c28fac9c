/* fetch.c - repstore fetch: rows of a few keys, for a person or a script. */
#include "schema/dtype.h"
#include "schema/limits.h"
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/key_argument.h"
#include "tools/command/options.h"
#include "tools/command/table_argument.h"
#include "tools/format/buffer.h"
#include "tools/format/jsonl_row.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ELEMENTS_HEAD = 4, /* elements of a long vector that a person sees: the first, the last */
	ELEMENTS_TAIL = 2,
	VECTOR_BYTES = 512,
	ELEMENT_BYTES = 16, /* "-1.23457e-38 " */
};

static const char *const why_names[] = {"found", "absent", "expired", "too old", "corrupt",
	"defaulted"};

enum { WHY_DEFAULTED = 5 };

/* --max-age was not given. No duration is as long. */
static const uint64_t any_age = UINT64_MAX;

/* The arguments, and what came. */
struct fetch {
	const char *release; /* of --release, or NULL */
	struct place place;
	struct rep_release target; /* that release; it stays the same if another is published */
	const char *table;
	const char *dtype;
	uint64_t max_age_ms;
	const char *through; /* "a,relu,b"; NULL: rows come as they are stored */
	bool raw;            /* the sums of a table of kind cr */
	bool weights;        /* the weights of these sums */
	const char *missing; /* zero, default; NULL: zero */
	bool full;
	struct rep_table shape;
	struct rep_part part;
	struct rep_fetched fetched;
	struct buffer keys;
	double elapsed_ms;
};

/* ---- printing ---- */

/* A vector in one line; long ones are cut in the middle. */
static void print_vector(const struct jsonl_row *row, bool full, char *text, size_t size)
{
	uint32_t views = row->history == 0 ? row->views : row->views / row->history * row->taken;
	uint32_t elements = row->dim * views;
	bool cut = !full && elements > ELEMENTS_HEAD + ELEMENTS_TAIL + 1;
	FILE *out = fmemopen(text, size, "w");
	if (out == NULL) {
		text[0] = '\0';
		return;
	}
	for (uint32_t i = 0; i < elements; i++) {
		if (cut && i == ELEMENTS_HEAD) {
			fputs(" ...", out);
			i = elements - ELEMENTS_TAIL;
		}
		size_t index = jsonl_index(row->dtype, row->dim, i / row->dim, i % row->dim);
		fprintf(out, "%s%.6g", i > 0 ? " " : "",
			jsonl_element(row->dtype, row->values, index));
	}
	fclose(out);
}

static struct jsonl_row row_at(const struct fetch *fetch, uint32_t i, const uint8_t *key)
{
	const struct rep_part *part = &fetch->part;
	bool bytes = part->keys.type == REP_KEY_BYTES;
	bool found = (part->found[i / 8] >> i % 8 & 1) != 0;
	uint8_t why = part->why[i];
	bool has_row = found || why == WHY_DEFAULTED;
	return (struct jsonl_row){
		.key_type = part->keys.type,
		.key = bytes ? key + 1 : key,
		.key_len = bytes ? key[0] : 8,
		.dtype = part->row_dtype,
		.dim = part->dim,
		.views = part->views,
		.values = has_row ? (const uint8_t *)part->rows + i * part->stride : NULL,
		.scale = has_row && part->row_dtype == REP_I8 ? &part->scales[i] : NULL,
		.time = found ? &part->times[i] : NULL,
		.tags = found && part->tags != NULL ? &part->tags[i] : NULL,
		.weight = found && part->weights != NULL ? &part->weights[i] : NULL,
		.history = (uint32_t)part->history,
		.taken = part->history != 0 ? part->history_counts[i] : 0,
		.history_times = found && part->history != 0
					 ? part->history_times + i * part->history
					 : NULL,
		.why = why < sizeof why_names / sizeof why_names[0] ? why_names[why] : "?",
	};
}

static void add_key(struct text_table *table, const struct jsonl_row *row)
{
	if (row->key_type == REP_KEY_U64) {
		uint64_t id = 0;
		memcpy(&id, row->key, sizeof id);
		text_cell(table, "%" PRIu64, id);
		return;
	}
	char text[KEY_ARGUMENT_BYTES];
	text_cell(table, "%s", key_argument_text(row->key, row->key_len, text));
}

static void add_row(struct text_table *table, const struct fetch *fetch,
	const struct jsonl_row *row, char *vector, size_t vector_bytes)
{
	char when[TEXT_BYTES];
	add_key(table, row);
	text_cell(table, "%s", row->why);
	text_cell(table, "%s", row->time != NULL ? text_time(*row->time, when) : "-");
	if (fetch->part.tags != NULL) {
		text_cell(table, row->tags != NULL ? "%#" PRIx64 : "-",
			row->tags != NULL ? *row->tags : 0);
	}
	if (fetch->part.weights != NULL) {
		text_cell(table, row->weight != NULL ? "%g" : "-",
			row->weight != NULL ? *row->weight : 0.0);
	}
	if (fetch->part.history != 0) {
		text_cell(table, "%" PRIu32, row->taken);
	}
	if (fetch->part.row_dtype == REP_I8) {
		text_cell(table, row->scale != NULL ? "%g" : "-",
			row->scale != NULL ? (double)*row->scale : 0.0);
	}
	vector[0] = '\0';
	if (row->values != NULL) {
		print_vector(row, fetch->full, vector, vector_bytes);
	}
	text_cell(table, "%s", vector);
}

static void print_json(const struct fetch *fetch)
{
	const uint8_t *key = fetch->part.keys.data;
	for (uint32_t i = 0; i < fetch->part.keys.count; i++) {
		const struct jsonl_row row = row_at(fetch, i, key);
		jsonl_write(stdout, &row);
		key = row.key + row.key_len;
	}
}

static void add_heads(struct text_table *table, const struct rep_part *part)
{
	table->columns = 4 + (size_t)(part->tags != NULL) + (size_t)(part->weights != NULL) +
			 (part->history != 0) + (part->row_dtype == REP_I8);
	text_cell(table, "KEY");
	text_cell(table, "WHY");
	text_cell(table, "TIME");
	if (part->tags != NULL) {
		text_cell(table, "TAGS");
	}
	if (part->weights != NULL) {
		text_cell(table, "WEIGHT");
	}
	if (part->history != 0) {
		text_cell(table, "COUNT");
	}
	if (part->row_dtype == REP_I8) {
		text_cell(table, "SCALE");
	}
	text_cell(table, part->raw ? "SUM" : "VECTOR");
}

static void print_text(const struct fetch *fetch, char *vector, size_t vector_bytes)
{
	const struct rep_part *part = &fetch->part;
	const uint8_t *key = part->keys.data;
	struct text_table table = {0};
	add_heads(&table, part);
	for (uint32_t i = 0; i < part->keys.count; i++) {
		const struct jsonl_row row = row_at(fetch, i, key);
		add_row(&table, fetch, &row, vector, vector_bytes);
		key = row.key + row.key_len;
	}
	const bool named = strcmp(part->resolved, fetch->table) == 0;
	printf("--release %s, %s%ssequence %" PRIu64 ", %u x %u %s, %u of %u found, %.3f ms\n",
		fetch->fetched.release, named ? "" : part->resolved, named ? "" : ", ",
		fetch->fetched.sequence, part->views, part->dim,
		dtype_name((enum dtype)part->row_dtype), part->found_count, part->keys.count,
		fetch->elapsed_ms);
	text_print(&table);
}

static int print_rows(const struct session *session, const struct fetch *fetch)
{
	if (session->json) {
		print_json(fetch);
		return session_finish(session, EXIT_DONE);
	}
	size_t elements = (size_t)fetch->part.dim * fetch->part.views;
	size_t vector_bytes = fetch->full ? elements * ELEMENT_BYTES + 1 : VECTOR_BYTES;
	char *vector = malloc(vector_bytes);
	if (vector == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory to print");
	}
	print_text(fetch, vector, vector_bytes);
	free(vector);
	return session_finish(session, EXIT_DONE);
}

/* ---- fetching ---- */

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Fetches the first key alone, to learn which shape rows have behind the chain. */
static enum rep_status ask_shape(struct session *session, struct fetch *fetch,
	struct rep_error *err)
{
	struct rep_part part = fetch->part;
	const uint8_t *key = fetch->keys.data;
	part.keys.count = 1;
	part.keys.bytes = part.keys.type == REP_KEY_U64 ? 8 : 1 + (size_t)key[0];
	const enum rep_status status =
		rep_fetch(session->client, fetch->target.id, &part, 1, NULL, err);
	if (status == REP_OK) {
		fetch->part.dim = part.dim;
		fetch->part.views = part.views;
		fetch->part.row_dtype = part.row_dtype;
	}
	return status;
}

/* Allocates, in one piece, memory for all that a part of n keys can bring. */
static void *give_room(struct fetch *fetch, uint32_t n, size_t row_bytes)
{
	const size_t history = fetch->shape.spec.history;
	size_t rows_bytes = (n * row_bytes + 7) / 8 * 8;
	uint8_t *room =
		calloc(1, rows_bytes + n * (8 + 8 + 8 + 4 + 1 + (history + 1) * 8) + n / 8 + 64);
	if (room == NULL) {
		return NULL;
	}
	struct rep_part *part = &fetch->part;
	part->times = (int64_t *)(void *)room;
	part->tags = (uint64_t *)(void *)(room + (size_t)n * 8);
	part->weights = (double *)(void *)(room + (size_t)n * 16);
	part->rows = room + (size_t)n * 24;
	part->rows_bytes = n * row_bytes;
	uint8_t *behind = room + (size_t)n * 24 + rows_bytes;
	if (history != 0) {
		part->history = history;
		part->history_times = (int64_t *)(void *)behind;
		part->history_counts = (uint32_t *)(part->history_times + n * history);
		behind = (uint8_t *)(part->history_counts + n);
	}
	part->scales = (float *)(void *)behind;
	part->why = behind + (size_t)n * 4;
	part->found = part->why + n;
	if (!fetch->shape.spec.tags) {
		part->tags = NULL;
	}
	if (!fetch->weights) {
		part->weights = NULL;
	}
	return room;
}

/* Makes room for the rows and fetches them. */
static int receive_rows(struct session *session, struct fetch *fetch)
{
	const struct rep_part *part = &fetch->part;
	void *room = give_room(fetch, part->keys.count,
		rep_row_bytes(part->row_dtype, part->dim, part->views));
	if (room == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for the rows");
	}
	struct rep_error err;
	double began_ms = now_ms();
	int status = EXIT_DONE;
	if (rep_fetch(session->client, fetch->target.id, &fetch->part, 1, &fetch->fetched, &err) !=
		REP_OK) {
		status = session_refuse(session, &err);
	} else {
		fetch->elapsed_ms = now_ms() - began_ms;
		status = print_rows(session, fetch);
	}
	free(room);
	return status;
}

static int fetch_through(struct session *session, struct fetch *fetch)
{
	struct rep_error err;
	struct error wrong;
	struct steps_argument steps;
	const enum status read = argument_steps(fetch->through, &steps, &wrong);
	if (read != STATUS_OK) {
		return read == STATUS_NO_MEMORY
			       ? session_refuse_error(session, &wrong)
			       : session_usage(session, "--through %s", wrong.text);
	}
	int status;
	fetch->part.through = steps.steps;
	fetch->part.through_count = steps.count;
	if (ask_shape(session, fetch, &err) != REP_OK) {
		status = session_refuse(session, &err);
	} else {
		status = receive_rows(session, fetch);
	}
	fetch->part.through = NULL;
	steps_argument_fini(&steps);
	return status;
}

static int fetch_rows(struct session *session, struct fetch *fetch, uint32_t n)
{
	const struct rep_table_spec *spec = &fetch->shape.spec;
	enum rep_dtype dtype = fetch->through != NULL ? REP_DTYPE_TABLE
			       : fetch->raw           ? REP_F64
						      : spec->dtype;
	if (fetch->dtype != NULL) {
		dtype = (enum rep_dtype)dtype_of_name(fetch->dtype, strlen(fetch->dtype));
		if (dtype == REP_DTYPE_TABLE) {
			return session_usage(session, "--dtype: '%s' is none", fetch->dtype);
		}
	}
	if ((fetch->raw || fetch->weights) && (spec->kind != REP_CR || spec->history != 0)) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--raw and --weights are for tables of kind cr, whose rows are sums");
	}
	if (fetch->missing != NULL && strcmp(fetch->missing, "default") == 0) {
		fetch->part.missing = REP_MISSING_DEFAULT;
	} else if (fetch->missing != NULL && strcmp(fetch->missing, "zero") != 0) {
		return session_usage(session, "--missing: '%s', zero or default", fetch->missing);
	}
	fetch->part.table = fetch->table;
	fetch->part.raw = fetch->raw;
	fetch->part.dtype = dtype;
	fetch->part.has_max_age = fetch->max_age_ms != any_age;
	fetch->part.max_age_ms = fetch->part.has_max_age ? fetch->max_age_ms : 0;
	fetch->part.keys = (struct rep_keys){spec->key_type, n, fetch->keys.data, fetch->keys.len};
	if (fetch->through != NULL) {
		return fetch_through(session, fetch);
	}
	fetch->part.row_dtype = dtype;
	fetch->part.dim = spec->dim;
	fetch->part.views = spec->views * (spec->history != 0 ? (uint32_t)spec->history : 1);
	return receive_rows(session, fetch);
}

static int run_fetch(struct session *session, struct fetch *fetch, const struct rest *rest)
{
	struct rep_error err;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, fetch->place.release, &fetch->target, &err) !=
			REP_OK ||
		rep_table_show(session->client, fetch->target.id, fetch->table, &fetch->shape,
			&err) != REP_OK) {
		return session_refuse(session, &err);
	}
	const struct rest keys = {.count = rest->count - 1, .values = rest->values + 1};
	int status = key_argument_pack(session, fetch->shape.spec.key_type, &keys, &fetch->keys);
	if (status == EXIT_DONE) {
		status = fetch_rows(session, fetch, (uint32_t)keys.count);
	}
	buffer_fini(&fetch->keys);
	return status;
}

static int run(struct session *session, int argc, char **argv)
{
	struct fetch fetch = {.max_age_ms = any_age};
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &fetch.release},
		{"dtype", OPTION_TEXT, &fetch.dtype},
		{"max-age", OPTION_DURATION, &fetch.max_age_ms},
		{"through", OPTION_TEXT, &fetch.through},
		{"raw", OPTION_FLAG, &fetch.raw},
		{"weights", OPTION_FLAG, &fetch.weights},
		{"missing", OPTION_TEXT, &fetch.missing},
		{"full", OPTION_FLAG, &fetch.full},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 2) {
		return session_usage(session, "fetch: a table and keys, such as `fetch ur 1 2`");
	}
	status = table_argument_read(session, rest.values[0], fetch.release, &fetch.place);
	if (status != EXIT_DONE) {
		return status;
	}
	fetch.table = fetch.place.table;
	return run_fetch(session, &fetch, &rest);
}

const struct command cmd_fetch = {
	.name = "fetch",
	.summary = "rows of keys",
	.usage = "fetch [RELEASE/]TABLE KEY... [--release ID] [--max-age TIME] [--dtype TYPE]\n"
		 "                [--through STEP,STEP...] [--raw] [--weights]\n"
		 "                [--missing zero|default] [--full]\n",
	.help = "  --release  another than the live one; as RELEASE/TABLE\n"
		"  --max-age  rows older than this are not found: 500ms, 30s, 1h, 7d\n"
		"  --dtype    f32, f16, bf16, i8 or bit; as stored unless told\n"
		"  --through  layers that rows go through: NAME (tensors NAME.weight and, if there\n"
		"             is one, NAME.bias), relu, silu, sigmoid, tanh, gate:NAME\n"
		"  --raw      of a cr table: the sums themselves, whatever its --read says\n"
		"  --weights  of a cr table: what the samples of each row weigh together\n"
		"  --missing  default: the default row of the table, for a key without a row\n"
		"  --full     whole vectors; otherwise a person sees their ends\n"
		"A key of bytes is written as it is, or as hex:0a1b. With --json each key is one\n"
		"line: key, why (found, absent, expired, too old, corrupt, defaulted), vector, time,\n"
		"weight if asked for, and tags and scale where the table has them. Of a table with a\n"
		"history, vector has those that there are, oldest first, and history_times their times.\n",
	.run = run,
};
