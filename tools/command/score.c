/* score.c - repstore score: how good named items are for a user. */
#include "tools/command/command.h"
#include "tools/command/key_argument.h"
#include "tools/command/options.h"
#include "tools/command/search_argument.h"
#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The items, and what came. */
struct score {
	struct search_argument search;
	struct buffer packed;
	struct rep_keys keys;
	float *scores;  /* owned */
	uint8_t *found; /* owned */
	uint8_t defaulted;
	struct rep_fetched fetched;
};

static bool has(const struct score *score, uint32_t i)
{
	return (score->found[i / 8] >> i % 8 & 1) != 0;
}

static void print_json(const struct score *score)
{
	struct json_writer json = {.out = stdout};
	for (uint32_t i = 0; i < score->keys.count; i++) {
		json_write_object(&json, NULL);
		search_key_json(&score->keys, i, &json);
		if (has(score, i)) {
			json_write_float(&json, "score", score->scores[i]);
		} else {
			json_write_null(&json, "score");
		}
		json_write_object_end(&json);
		json_write_line(&json);
	}
}

static void print_text(const struct score *score)
{
	struct text_table table = {.columns = 2};
	text_cell(&table, "KEY");
	text_cell(&table, "SCORE");
	for (uint32_t i = 0; i < score->keys.count; i++) {
		char key[SEARCH_KEY_BYTES];
		text_cell(&table, "%s", search_key_text(&score->keys, i, key));
		if (has(score, i)) {
			text_cell(&table, "%.6g", (double)score->scores[i]);
		} else {
			text_cell(&table, "-");
		}
	}
	printf("--release %s, sequence %" PRIu64 "%s\n", score->fetched.release,
		score->fetched.sequence, score->defaulted != 0 ? ", the default row asks" : "");
	text_print(&table);
}

static int ask(struct session *session, struct score *score)
{
	struct rep_error err;
	const struct search_argument *search = &score->search;
	score->scores = malloc(score->keys.count * sizeof *score->scores + 1);
	score->found = malloc(score->keys.count / 8 + 1);
	if (score->scores == NULL || score->found == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for the scores");
	}
	const struct rep_scoring scoring = {
		.query = search->query,
		.in = search->in,
		.metric = search->of,
		.keys = score->keys,
		.scores = score->scores,
		.found = score->found,
		.defaulted = &score->defaulted,
	};
	if (rep_score(session->client, search->release, &scoring, &score->fetched, &err) !=
		REP_OK) {
		return session_refuse(session, &err);
	}
	if (session->json) {
		print_json(score);
	} else {
		print_text(score);
	}
	return session_finish(session, EXIT_DONE);
}

static int run(struct session *session, int argc, char **argv)
{
	struct score score = {.search.from = NULL};
	struct search_argument *search = &score.search;
	const struct option_row rows[] = {
		{"from", OPTION_TEXT, &search->from},
		{"in", OPTION_TEXT, &search->in},
		{"release", OPTION_TEXT, &search->release},
		{"metric", OPTION_TEXT, &search->metric},
		{"through", OPTION_TEXT, &search->through},
		{"missing", OPTION_TEXT, &search->missing},
		{"history-half-life", OPTION_DURATION, &search->query.history_half_life_ms},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count == 0) {
		status = session_usage(session,
			"score: keys of items, such as `score --from ur/1 --in ir 10 11`");
	}
	if (status == EXIT_DONE) {
		status = search_argument_read(session, search);
	}
	if (status == EXIT_DONE) {
		status = key_argument_pack(session, search->items.spec.key_type, &rest,
			&score.packed);
	}
	if (status == EXIT_DONE) {
		score.keys = (struct rep_keys){search->items.spec.key_type, (uint32_t)rest.count,
			score.packed.data, score.packed.len};
		status = ask(session, &score);
	}
	free(score.scores);
	free(score.found);
	buffer_fini(&score.packed);
	search_argument_fini(search);
	return status;
}

const struct command cmd_score = {
	.name = "score",
	.summary = "how good named items are for a user",
	.usage = "score --from TABLE/KEY --in TABLE KEY... [--metric NAME] [--release ID]\n"
		 "         [--through STEP,STEP...] [--missing refuse|default]\n"
		 "         [--history-half-life TIME]\n",
	.help = "Options are those of retrieve; KEY... are the items. What is not there has no score.\n"
		"With --json each item is one line: key, score.\n",
	.run = run,
};
