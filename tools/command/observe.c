/* observe.c - repstore observe: samples from NumPy arrays into the rows of a layer. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/sample_files.h"
#include "tools/format/text.h"

#include <string.h>

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
static bool read_layer(struct sample_files *observe, struct wire_value result)
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

static int find_layer(struct session *session, struct sample_files *observe)
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

static int run_observe(struct session *session, struct sample_files *observe)
{
	const int status = find_layer(session, observe);
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
	return sample_files_send(session, observe);
}

static int run(struct session *session, int argc, char **argv)
{
	struct sample_files observe = {.position = sample_files_no_position,
		.batch = SAMPLE_FILES_BATCH};
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
	status = sample_files_check(session, &observe);
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
