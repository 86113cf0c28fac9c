/* retrieve.c - repstore retrieve: the best items for a user, for a person or a script. */
#include "schema/limits.h"
#include "schema/metric.h"
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/search_argument.h"
#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct retrieve {
	struct search_argument search;
	struct rep_retrieval asked;
	const char *min_score; /* NULL: none */
	const char *any;       /* NULL: no condition */
	struct rep_retrieved found;
	double elapsed_ms;
};

static double now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void print_json(const struct rep_retrieved *found)
{
	const struct rep_hits *hits = found->parts;
	struct json_writer json = {.out = stdout};
	for (uint32_t i = 0; i < hits->n; i++) {
		json_write_object(&json, NULL);
		json_write_u64(&json, "rank", i + 1);
		search_key_json(&hits->keys, i, &json);
		json_write_float(&json, "score", hits->scores[i]);
		json_write_object_end(&json);
		json_write_line(&json);
	}
}

static void print_text(const struct retrieve *retrieve)
{
	const struct rep_retrieved *found = &retrieve->found;
	const struct rep_hits *hits = found->parts;
	const struct rep_table *items = &retrieve->search.items;
	struct text_table table = {.columns = 3};
	text_cell(&table, "RANK");
	text_cell(&table, "KEY");
	text_cell(&table, "SCORE");
	for (uint32_t i = 0; i < hits->n; i++) {
		char key[SEARCH_KEY_BYTES];
		text_cell(&table, "%" PRIu32, i + 1);
		text_cell(&table, "%s", search_key_text(&hits->keys, i, key));
		text_cell(&table, "%.6g", (double)hits->scores[i]);
	}
	printf("--release %s, sequence %" PRIu64 ", %s%s in %s by %s, %s, %" PRIu64
	       " rows looked at of %" PRIu64 ", %.3f ms\n",
		found->release, found->sequence, hits->is_defaulted ? "the default row of " : "",
		found->from, found->in,
		metric_name(retrieve->asked.metric != 0 ? (enum metric)retrieve->asked.metric
							: METRIC_INNER_PRODUCT),
		found->exact     ? "exact"
		: found->by_rows ? "approximate (calibrated by items)"
				 : "approximate (calibrated by users)",
		found->compared, items->rows + items->pending, retrieve->elapsed_ms);
	text_print(&table);
}

static int ask(struct session *session, struct retrieve *retrieve)
{
	struct rep_error err;
	const double began_ms = now_ms();
	if (rep_retrieve(session->client, retrieve->search.release, &retrieve->asked,
		    &retrieve->found, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	retrieve->elapsed_ms = now_ms() - began_ms;
	if (session->json) {
		print_json(&retrieve->found);
	} else {
		print_text(retrieve);
	}
	rep_retrieved_free(&retrieve->found);
	return session_finish(session, EXIT_DONE);
}

static int check(const struct session *session, struct retrieve *retrieve, uint64_t k)
{
	if (k == 0 || k > LIMIT_TOP_K) {
		return session_usage(session, "-k: %" PRIu64 " given, 1 to %u allowed", k,
			LIMIT_TOP_K);
	}
	retrieve->asked.k = (uint32_t)k;
	const double recall = retrieve->asked.approximate;
	if (!(recall > 0 && recall <= 1)) {
		return session_usage(session, "--approximate: %g, a recall above 0, up to 1",
			recall);
	}
	retrieve->asked.has_min_score = retrieve->min_score != NULL;
	if (retrieve->min_score != NULL &&
		!argument_float(retrieve->min_score, &retrieve->asked.min_score)) {
		return session_usage(session, "--min-score: '%s' is no number",
			retrieve->min_score);
	}
	/* One of no bits is a condition, too: nothing meets it. */
	retrieve->asked.has_tags_any = retrieve->any != NULL;
	if (retrieve->any != NULL && !argument_bits(retrieve->any, &retrieve->asked.tags_any)) {
		return session_usage(session, "--any: '%s' is not 64 bits (7, 0x1f)",
			retrieve->any);
	}
	return EXIT_DONE;
}

static int run(struct session *session, int argc, char **argv)
{
	struct retrieve retrieve = {.asked.approximate = 1};
	struct search_argument *search = &retrieve.search;
	uint64_t k = 100;
	const struct option_row rows[] = {
		{"from", OPTION_TEXT, &search->from},
		{"in", OPTION_TEXT, &search->in},
		{"release", OPTION_TEXT, &search->release},
		{"metric", OPTION_TEXT, &search->metric},
		{"through", OPTION_TEXT, &search->through},
		{"missing", OPTION_TEXT, &search->missing},
		{"history-half-life", OPTION_DURATION, &search->query.history_half_life_ms},
		{"k", OPTION_COUNT, &k},
		{"approximate", OPTION_NUMBER, &retrieve.asked.approximate},
		{"min-score", OPTION_TEXT, &retrieve.min_score},
		{"where", OPTION_BITS, &retrieve.asked.tags_all},
		{"any", OPTION_TEXT, &retrieve.any},
		{"none", OPTION_BITS, &retrieve.asked.tags_none},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE) {
		status = check(session, &retrieve, k);
	}
	if (status == EXIT_DONE) {
		status = search_argument_read(session, search);
	}
	if (status == EXIT_DONE) {
		retrieve.asked.query = search->query;
		retrieve.asked.in = search->in;
		retrieve.asked.metric = search->of;
		status = ask(session, &retrieve);
	}
	search_argument_fini(search);
	return status;
}

const struct command cmd_retrieve = {
	.name = "retrieve",
	.summary = "the best items for a user",
	.usage = "retrieve --from TABLE/KEY --in TABLE [-k N] [--metric NAME] [--release ID]\n"
		 "         [--through STEP,STEP...] [--approximate RECALL] [--min-score S]\n"
		 "         [--where MASK] [--any MASK] [--none MASK] [--missing refuse|default]\n"
		 "         [--history-half-life TIME]\n",
	.help = "  --from         whose row is the query: ur/7, cr_user/7; of items, too\n"
		"  --in           the table that is searched\n"
		"  -k             how many, best first, ties by key (100)\n"
		"  --metric       inner_product, cosine or l2; of bits tanimoto, dice or hamming\n"
		"                 (inner_product)\n"
		"  --through      stored layers that the query goes through, as in fetch\n"
		"  --history-half-life  of a row of a table with a history: its vectors weigh half as\n"
		"                 much after TIME, counted from the newest\n"
		"  --missing      default: a key without a row asks with the default row of its\n"
		"                 table (refuse)\n"
		"  --approximate  a recall that suffices, of a table with an index (1: exact)\n"
		"  --min-score    nothing below it\n"
		"  --where        bits that all are set in an item's tags; --any: one of them is;\n"
		"                 --none: none is. Decimal, or 0x and hexadecimal\n"
		"  --release      another than the live one; as --in RELEASE/TABLE\n"
		"With --json each item is one line: rank, key, score.\n",
	.run = run,
};
