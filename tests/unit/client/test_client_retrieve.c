/* test_client_retrieve.c - retrievals and scores: requests as asked, answers as checked. */
#include "repstore.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the daemon gets wrong. */
enum wrong {
	RIGHT,
	NO_RELEASE,
	NO_PARTS,
	PART_LESS,
	KEY_LESS,
	SCORE_LESS,
	UNKNOWN_KEYS,
	N_TOO_LARGE,
	NO_WITH,
	WITH_LESS,
	WITH_ROWS_CUT,
	WITH_FOUND_CUT,
	WITH_DTYPE,
	NOT_A_FLAG,
	WRONGS
};

enum { HITS = 3 };

static const uint64_t hit_keys[HITS] = {7, 8, 9};
static const float hit_scores[HITS] = {3, 2, 1};

static void put_str(struct fake_call *call, const char *name, const char *value)
{
	wire_write_str(call->out, name);
	wire_write_str(call->out, value);
}

static void put_uint(struct fake_call *call, const char *name, uint64_t value)
{
	wire_write_str(call->out, name);
	wire_write_uint(call->out, value);
}

static void put_bin(struct fake_call *call, const char *name, const void *data, size_t len)
{
	wire_write_str(call->out, name);
	wire_write_bin(call->out, data, len);
}

static void put_with(struct fake_call *call, enum wrong wrong)
{
	static const float rows[HITS * 2] = {1, 2, 3, 4, 5, 6};
	wire_write_map(call->out, 7);
	put_str(call, "table", "ir");
	put_uint(call, "n", HITS);
	put_uint(call, "dim", 2);
	put_uint(call, "views", 1);
	put_str(call, "dtype", wrong == WITH_DTYPE ? "f64" : "f32");
	put_bin(call, "rows", rows, sizeof rows - (wrong == WITH_ROWS_CUT));
	put_bin(call, "found", "\x07", wrong == WITH_FOUND_CUT ? 0 : 1);
}

static void put_part(struct fake_call *call, enum wrong wrong)
{
	wire_write_map(call->out, wrong == NO_WITH ? 3 : 4);
	put_uint(call, "n", wrong == N_TOO_LARGE ? 6 : HITS);
	put_bin(call, "keys", hit_keys, sizeof hit_keys - (wrong == KEY_LESS ? 8 : 0));
	put_bin(call, "scores", hit_scores, sizeof hit_scores - (wrong == SCORE_LESS ? 4 : 0));
	if (wrong != NO_WITH) {
		wire_write_str(call->out, "with");
		wire_write_array(call->out, wrong == WITH_LESS ? 0 : 1);
		if (wrong != WITH_LESS) {
			put_with(call, wrong);
		}
	}
}

static void answer_retrieve(struct fake_call *call, enum wrong wrong)
{
	wire_write_map(call->out, 9u - (wrong == NO_RELEASE) - (wrong == NO_PARTS));
	if (wrong != NO_RELEASE) {
		put_str(call, "release", "r1");
	}
	put_uint(call, "sequence", 5);
	put_str(call, "from", "cr_user@mlp2");
	put_str(call, "in", "ir");
	put_str(call, "key", wrong == UNKNOWN_KEYS ? "u32" : "u64");
	wire_write_str(call->out, "exact");
	if (wrong == NOT_A_FLAG) {
		wire_write_uint(call->out, 1);
	} else {
		wire_write_bool(call->out, true);
	}
	put_str(call, "calibrated", "rows");
	put_uint(call, "compared", 44);
	if (wrong == NO_PARTS) {
		return;
	}
	wire_write_str(call->out, "parts");
	wire_write_array(call->out, wrong == PART_LESS ? 1 : 2);
	put_part(call, wrong);
	if (wrong != PART_LESS) {
		put_part(call, RIGHT);
	}
}

static void answer_score(struct fake_call *call, enum wrong wrong)
{
	wire_write_map(call->out, 4);
	put_str(call, "release", "r1");
	put_uint(call, "sequence", 5);
	put_bin(call, "found", "\x05", 1);
	wire_write_str(call->out, "parts");
	wire_write_array(call->out, 2);
	for (int i = 0; i < 2; i++) {
		wire_write_map(call->out, 1);
		put_bin(call, "scores", hit_scores,
			sizeof hit_scores - (wrong == SCORE_LESS && i == 1 ? 4 : 0));
	}
}

static void answer(struct fake_call *call, const void *arg)
{
	const enum wrong wrong = *(const enum wrong *)arg;
	fake_result(call);
	if (fake_is(call, "score")) {
		answer_score(call, wrong);
	} else {
		answer_retrieve(call, wrong);
	}
}

static const uint64_t users[2] = {1, 2};
static const char *const with_ir[] = {"ir"};

static struct rep_retrieval asked_of_two(void)
{
	return (struct rep_retrieval){
		.query = {.table = "cr_user", .keys = rep_keys_u64(users, 2)},
		.in = "ir",
		.k = 5,
		.with = with_ir,
		.with_count = 1,
	};
}

static void an_answer_is_read_into_one_piece(void **state)
{
	(void)state;
	struct client_fixture fake;
	const enum wrong wrong = RIGHT;
	rep_client *client = client_fixture_begin(&fake, answer, &wrong);
	const struct rep_retrieval asked = asked_of_two();
	struct rep_retrieved found;
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_OK);
	assert_string_equal(found.release, "r1");
	assert_string_equal(found.from, "cr_user@mlp2");
	assert_string_equal(found.in, "ir");
	assert_int_equal(found.sequence, 5);
	assert_int_equal(found.compared, 44);
	assert_true(found.exact);
	assert_true(found.by_rows);
	assert_int_equal(found.count, 2);
	for (uint32_t i = 0; i < found.count; i++) {
		const struct rep_hits *hits = &found.parts[i];
		assert_int_equal(hits->n, HITS);
		assert_memory_equal(hits->keys.data, hit_keys, sizeof hit_keys);
		assert_memory_equal(hits->scores, hit_scores, sizeof hit_scores);
		assert_int_equal(hits->with_count, 1);
		assert_string_equal(hits->with[0].table, "ir");
		assert_int_equal(hits->with[0].stride, 8);
		assert_true(((const float *)hits->with[0].rows)[5] == 6);
	}
	rep_retrieved_free(&found);
	rep_retrieved_free(&found);
	client_fixture_end(&fake);
}

static void answers_of_another_shape_are_refused(void **state)
{
	(void)state;
	for (int wrong = RIGHT + 1; wrong < WRONGS; wrong++) {
		struct client_fixture fake;
		const enum wrong how = (enum wrong)wrong;
		rep_client *client = client_fixture_begin(&fake, answer, &how);
		const struct rep_retrieval asked = asked_of_two();
		struct rep_retrieved found = {.count = 77};
		assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_PROTOCOL);
		assert_int_equal(found.count, 77);
		client_fixture_end(&fake);
	}
}

static void scores_are_read(void **state)
{
	(void)state;
	const enum wrong wrongs[] = {RIGHT, SCORE_LESS};
	for (size_t i = 0; i < 2; i++) {
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer, &wrongs[i]);
		float scores[2 * HITS];
		uint8_t found = 0;
		const struct rep_scoring scoring = {
			.query = {.table = "ur", .keys = rep_keys_u64(users, 2)},
			.in = "ir",
			.metric = REP_COSINE,
			.keys = rep_keys_u64(hit_keys, HITS),
			.scores = scores,
			.found = &found,
		};
		assert_int_equal(rep_score(client, "r1", &scoring, NULL, NULL),
			i == 0 ? REP_OK : REP_PROTOCOL);
		if (i == 0) {
			assert_int_equal(found, 5);
			assert_memory_equal(scores + HITS, hit_scores, sizeof hit_scores);
		}
		client_fixture_end(&fake);
	}
}

static void what_cannot_be_asked_is_not(void **state)
{
	(void)state;
	struct client_fixture fake;
	const enum wrong wrong = RIGHT;
	rep_client *client = client_fixture_begin(&fake, answer, &wrong);
	struct rep_retrieved found;
	const float vector[4] = {0};
	struct rep_retrieval asked = asked_of_two();
	asked.in = NULL;
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_BAD_REQUEST);
	asked.in = "ir";
	asked.query.keys.bytes = 15;
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_BAD_REQUEST);
	asked.query = (struct rep_query){.rows = vector,
		.rows_bytes = 15,
		.dim = 4,
		.keys = {.count = 1}};
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_BAD_REQUEST);
	asked.query.rows_bytes = 16;
	asked.query.scales = vector;
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_BAD_REQUEST);
	assert_int_equal(atomic_load(&fake.server.requests), 0);
	client_fixture_end(&fake);
}

static bool retrieve(void *arg)
{
	const struct rep_retrieval asked = asked_of_two();
	struct rep_retrieved found;
	if (rep_retrieve(arg, NULL, &asked, &found, NULL) != REP_OK) {
		return false;
	}
	rep_retrieved_free(&found);
	return true;
}

static void refused_memory_is_an_error(void **state)
{
	(void)state;
	struct client_fixture fake;
	const enum wrong wrong = RIGHT;
	rep_client *client = client_fixture_begin(&fake, answer, &wrong);
	assert_true(alloc_fail_each(retrieve, client) > 0);
	client_fixture_end(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_read_into_one_piece),
		cmocka_unit_test(answers_of_another_shape_are_refused),
		cmocka_unit_test(scores_are_read),
		cmocka_unit_test(what_cannot_be_asked_is_not),
		cmocka_unit_test(refused_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
