/* observe.c - repstore observe: samples from NumPy arrays into a layer's aggregated rows. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/progress.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"
#include "tools/format/source.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BATCH_SAMPLES = 4096, BUSY_MS = 60000, PAUSE_MS = 20 };

static const uint64_t not_given = UINT64_MAX;

/* The arguments, and what is made of them. */
struct observe {
	const char *release; /* NULL: the live one */
	const char *layer;
	const char *users;
	const char *items;
	const char *rows;
	const char *times;
	const char *scales;
	struct row_time_rule time;
	const char *source;
	uint64_t position;
	bool first; /* the source may begin at `position` */
	uint64_t batch;
	struct rep_table_spec spec; /* of the layer's tables; the key types stand below */
	enum rep_key_type user_key; /* 0: the layer has no tables of users */
	enum rep_key_type item_key;
	char release_id[80];
};

/* What was sent, for the last line. */
struct outcome {
	uint64_t samples;
	uint64_t applied;
	uint64_t batches;
	uint64_t sequence;
};

/* ---- the layer ---- */

static enum rep_key_type key_type_of(struct wire_value layer, const char *name)
{
	char text[16];
	text_str_of(layer, name, text, sizeof text);
	if (strcmp(text, "u64") == 0) {
		return REP_KEY_U64;
	}
	return strcmp(text, "bytes") == 0 ? REP_KEY_BYTES : 0;
}

/* Finds the layer in what layer.list has answered. */
static bool read_layer(struct observe *observe, struct wire_value result)
{
	const struct wire_value layers = wire_get(result, "layers");
	text_str_of(result, "release", observe->release_id, sizeof observe->release_id);
	for (size_t i = 0; i < wire_size(layers); i++) {
		const struct wire_value each = wire_item(layers, i);
		char name[80];
		if (strcmp(text_str_of(each, "layer", name, sizeof name), observe->layer) == 0) {
			observe->spec = (struct rep_table_spec){
				.kind = REP_CR,
				.dtype = REP_F32,
				.dim = (uint32_t)text_uint_of(each, "dim"),
				.views = (uint32_t)text_uint_of(each, "views"),
			};
			observe->user_key = key_type_of(each, "user_key");
			observe->item_key = key_type_of(each, "item_key");
			return true;
		}
	}
	return false;
}

static int find_layer(struct session *session, struct observe *observe)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	wire_write_map(&params, observe->release != NULL ? 1 : 0);
	if (observe->release != NULL) {
		wire_write_str(&params, "release");
		wire_write_str(&params, observe->release);
	}
	if (!session_call(session, "layer.list", &params, &answer)) {
		return EXIT_REFUSED;
	}
	const bool found = read_layer(observe, answer.result);
	answer_close(&answer);
	return found ? EXIT_DONE
		     : session_refuse_text(session, STATUS_NOT_FOUND,
			       "no table of release '%s' aggregates layer '%s'",
			       observe->release_id, observe->layer);
}

/* ---- samples ---- */

/* Opens rows and times with the keys of one side. Both sides are cut into the same batches. */
static enum status open_side(const struct observe *observe, const struct rep_table_spec *spec,
	const char *keys, struct source **out, struct error *err)
{
	const struct source_options options = {
		.spec = spec,
		.cannot_allow = true,
		.chunk_rows = (uint32_t)observe->batch,
		.keys = keys,
		.rows = observe->rows,
		.scales = observe->scales,
		.time = observe->time,
		.times = observe->times,
	};
	*out = NULL;
	return keys == NULL ? STATUS_OK : source_open_npy(&options, out, err);
}

/* Reads the next batch of one side. count: out, the same for both sides; a side that the layer does
 * not have leaves it alone. */
static enum status next_side(struct source *source, struct rep_rows *rows, uint32_t *count,
	struct error *err)
{
	*rows = (struct rep_rows){0};
	if (source == NULL) {
		return STATUS_OK;
	}
	const enum status status = source->next(source, rows, err);
	*count = rows->keys.count;
	return status;
}

/* Sends a batch, again and again while the daemon answers BUSY: it has changed nothing then. */
static enum rep_status send_batch(rep_client *client, const struct observe *observe,
	const struct rep_samples *samples, struct rep_written *written, struct rep_error *err)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	enum rep_status status = REP_BUSY;
	for (unsigned waited = 0; status == REP_BUSY && waited < BUSY_MS; waited += PAUSE_MS) {
		if (waited > 0) {
			(void)nanosleep(&pause, NULL);
		}
		status = rep_observe(client, observe->release_id, samples, written, err);
	}
	return status;
}

/* Reads the next batch of both sides and sends it. A batch without samples is the end. */
static enum rep_status step(struct session *session, const struct observe *observe,
	struct source *sides[2], struct outcome *outcome, struct rep_error *rep_err)
{
	struct rep_rows rows[2];
	struct error err = {0};
	uint32_t count = 0;
	enum status status = interrupt_seen() ? error_set(&err, STATUS_CLOSED, "interrupted")
					      : next_side(sides[0], &rows[0], &count, &err);
	if (status == STATUS_OK) {
		status = next_side(sides[1], &rows[1], &count, &err);
	}
	if (status != STATUS_OK) {
		rep_err->status = (enum rep_status)status;
		memcpy(rep_err->text, err.text, sizeof rep_err->text);
		return rep_err->status;
	}
	if (count == 0) {
		return REP_OK;
	}
	const struct rep_rows *given = sides[0] != NULL ? &rows[0] : &rows[1];
	const struct rep_samples samples = {
		.layer = observe->layer,
		.count = count,
		.users = rows[0].keys,
		.items = rows[1].keys,
		.times = given->times,
		.dtype = given->dtype,
		.any_time = observe->time.any,
		.rows = given->rows,
		.rows_bytes =
			count * rep_row_bytes(given->dtype, observe->spec.dim, observe->spec.views),
		.scales = given->scales,
		.source = observe->source,
		.position = observe->position + outcome->samples,
		.first = observe->first,
	};
	struct rep_written written = {0};
	const enum rep_status sent =
		send_batch(session->client, observe, &samples, &written, rep_err);
	if (sent == REP_OK) {
		outcome->samples += count;
		outcome->applied += written.count;
		outcome->sequence = written.sequence;
		outcome->batches++;
	}
	return sent;
}

static int report(const struct session *session, const struct observe *observe,
	const struct outcome *outcome, double seconds)
{
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", observe->release_id);
		json_write_text(&json, "layer", observe->layer);
		json_write_u64(&json, "samples", outcome->samples);
		json_write_u64(&json, "applied", outcome->applied);
		json_write_u64(&json, "batches", outcome->batches);
		json_write_u64(&json, "sequence", outcome->sequence);
		json_write_fixed(&json, "seconds", seconds, 3);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		printf("%" PRIu64 " samples of layer %s into %s in %.1f s", outcome->applied,
			observe->layer, observe->release_id, seconds);
		if (outcome->applied != outcome->samples) {
			printf("; %" PRIu64 " more were counted before",
				outcome->samples - outcome->applied);
		}
		putchar('\n');
	}
	return session_finish(session, EXIT_DONE);
}

static int send_all(struct session *session, const struct observe *observe, struct source *sides[2],
	uint64_t total)
{
	struct outcome outcome = {0};
	struct rep_error err = {0};
	struct progress progress;
	enum rep_status status = REP_OK;
	progress_begin(&progress, "observe");
	interrupt_watch();
	uint64_t before;
	do {
		before = outcome.samples;
		status = step(session, observe, sides, &outcome, &err);
		progress_update(&progress, outcome.samples, total, outcome.samples);
	} while (status == REP_OK && outcome.samples > before);
	const double seconds = progress_end(&progress);
	if (status == REP_OK) {
		return report(session, observe, &outcome, seconds);
	}
	session_refuse_text(session, (enum status)status,
		"%s; %" PRIu64 " samples were acknowledged", err.text, outcome.samples);
	if (observe->source != NULL && session_may_repeat(status) && !session->json) {
		fputs("repstore: the same command again counts each sample once\n", stderr);
	}
	if (observe->source == NULL && outcome.samples > 0 && !session->json) {
		fputs("repstore: the same command again would count those once more; with --source "
		      "NAME samples are numbered, and each counts once\n",
			stderr);
	}
	interrupt_end();
	return EXIT_REFUSED;
}

/* Opens the sides that the layer has. */
static enum status open_sides(const struct observe *observe, struct source *sides[2],
	struct error *err)
{
	struct rep_table_spec user_spec = observe->spec;
	struct rep_table_spec item_spec = observe->spec;
	enum status status = STATUS_OK;
	user_spec.key_type = observe->user_key;
	item_spec.key_type = observe->item_key;
	if (observe->user_key != 0) {
		status = open_side(observe, &user_spec, observe->users, &sides[0], err);
	}
	if (status == STATUS_OK && observe->item_key != 0) {
		status = open_side(observe, &item_spec, observe->items, &sides[1], err);
	}
	if (status == STATUS_OK && sides[0] != NULL && sides[1] != NULL &&
		sides[0]->total != sides[1]->total) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' has %" PRIu64 " keys, '%s' has %" PRIu64, observe->users,
			sides[0]->total, observe->items, sides[1]->total);
	}
	return status;
}

static int send_sides(struct session *session, const struct observe *observe,
	struct source *sides[2])
{
	const uint64_t total = sides[0] != NULL   ? sides[0]->total
			       : sides[1] != NULL ? sides[1]->total
						  : 0;
	return send_all(session, observe, sides, total);
}

static int run_observe(struct session *session, struct observe *observe)
{
	struct source *sides[2] = {NULL, NULL};
	struct error err = {0};
	int status = find_layer(session, observe);
	if (status != EXIT_DONE) {
		return status;
	}
	const bool users_missing = observe->user_key != 0 && observe->users == NULL;
	if (users_missing || (observe->item_key != 0 && observe->items == NULL)) {
		const char *what = users_missing ? "users" : "items";
		return session_usage(session,
			"observe: layer '%s' has tables of %s: --%s is needed", observe->layer,
			what, what);
	}
	status = open_sides(observe, sides, &err) == STATUS_OK
			 ? send_sides(session, observe, sides)
			 : session_refuse_error(session, &err);
	for (size_t i = 0; i < 2; i++) {
		if (sides[i] != NULL) {
			sides[i]->close(sides[i]);
		}
	}
	return status;
}

/* Checks which arguments may stand together. */
static int check_arguments(const struct session *session, struct observe *observe)
{
	if (observe->rows == NULL || observe->times == NULL) {
		return session_usage(session, "observe: --rows and --times are needed");
	}
	if (observe->source == NULL && observe->position != not_given) {
		return session_usage(session, "observe: --position comes with --source");
	}
	if (observe->source == NULL && observe->first) {
		return session_usage(session, "observe: --first comes with --source");
	}
	if (observe->batch == 0 || observe->batch > 1u << 20) {
		return session_usage(session, "--batch: %" PRIu64 ", 1 to 1048576", observe->batch);
	}
	observe->position = observe->position == not_given ? 0 : observe->position;
	return EXIT_DONE;
}

static int run(struct session *session, int argc, char **argv)
{
	struct observe observe = {.position = not_given, .batch = BATCH_SAMPLES};
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &observe.release},
		{"users", OPTION_TEXT, &observe.users},
		{"items", OPTION_TEXT, &observe.items},
		{"times", OPTION_TEXT, &observe.times},
		{"time-unit", OPTION_TIME_UNIT, &observe.time.unit},
		{"any-time", OPTION_FLAG, &observe.time.any},
		{"rows", OPTION_TEXT, &observe.rows},
		{"scales", OPTION_TEXT, &observe.scales},
		{"source", OPTION_TEXT, &observe.source},
		{"position", OPTION_COUNT, &observe.position},
		{"first", OPTION_FLAG, &observe.first},
		{"batch", OPTION_COUNT, &observe.batch},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "observe: one LAYER");
	}
	observe.layer = rest.values[0];
	status = check_arguments(session, &observe);
	return status != EXIT_DONE ? status : run_observe(session, &observe);
}

const struct command cmd_observe = {
	.name = "observe",
	.summary = "samples into a layer's aggregated representations",
	.usage = "observe LAYER --users U.npy --items I.npy --times T.npy --rows R.npy\n"
		 "         [--time-unit ms|s|us|ns] [--any-time] [--scales S.npy]\n"
		 "         [--release ID] [--batch N]\n"
		 "         [--source NAME [--position P] [--first]]\n",
	.help = "  --users, --items   keys of each sample's user and item; what the layer has no tables\n"
		"             of may be left out\n"
		"  --times    i8, Unix time\n"
		"  --time-unit  of --times: ms (unless told), s, us or ns\n"
		"  --any-time   takes times before 1990 and over an hour ahead\n"
		"  --rows     each sample's vector: [n, views x dim] of f4, f2, u2 (bf16) or i1 (i8)\n"
		"  --batch    samples of one request, each durable when it is acknowledged (4096)\n"
		"  --source   numbers the samples, the first one --position (0): those that were\n"
		"             counted before are passed over, so that the same command again counts\n"
		"             each sample once (repstore positions)\n"
		"  --first    a source of which the release has counted nothing begins at --position;\n"
		"             else it must begin at 0, so that no sample goes missing\n"
		"Samples are added in their order to all tables of kind cr that are named NAME@LAYER.\n"
		"Without --source the same command again counts them once more.\n",
	.run = run,
};
