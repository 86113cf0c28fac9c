/* test_client_reserved.c - words that have no meaning yet must be zero, and nothing is sent before that is
 * known. */
#include "repstore.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LAST_OF(words) (words)[sizeof(words) / sizeof((words)[0]) - 1]

static const uint64_t key = 1;
static const float row = 1;

static void answer_nothing(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	wire_write_map(call->out, 0);
}

static enum rep_status fetch(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_part part = {.table = "t", .keys = rep_keys_u64(&key, 1)};
	LAST_OF(part.reserved) = word;
	return rep_fetch(client, NULL, &part, 1, NULL, err);
}

static enum rep_status put(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_rows rows = {.keys = rep_keys_u64(&key, 1), .rows = &row, .rows_bytes = 4};
	LAST_OF(rows.reserved) = word;
	return rep_put(client, NULL, "t", &rows, NULL, err);
}

static enum rep_status put_part(rep_client *client, uint64_t word, struct rep_error *err)
{
	const struct rep_rows rows = {.keys = rep_keys_u64(&key, 1), .rows = &row, .rows_bytes = 4};
	struct rep_put_part part = {.table = "t", .rows = &rows};
	LAST_OF(part.reserved) = word;
	return rep_put_parts(client, NULL, &part, 1, NULL, err);
}

static enum rep_status observe(rep_client *client, uint64_t word, struct rep_error *err)
{
	const int64_t time_ms = 1;
	struct rep_samples samples = {.layer = "l",
		.count = 1,
		.users = rep_keys_u64(&key, 1),
		.times = &time_ms,
		.dtype = REP_F32,
		.rows = &row,
		.rows_bytes = 4};
	LAST_OF(samples.reserved) = word;
	return rep_observe(client, NULL, &samples, NULL, err);
}

static enum rep_status append(rep_client *client, uint64_t word, struct rep_error *err)
{
	static const int64_t time_ms = 1;
	struct rep_vectors vectors = {.table = "t",
		.keys = rep_keys_u64(&key, 1),
		.times = &time_ms,
		.dtype = REP_F32,
		.rows = &row,
		.rows_bytes = sizeof row};
	LAST_OF(vectors.reserved) = word;
	return rep_append(client, NULL, &vectors, NULL, err);
}

static enum rep_status create(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_table_spec spec = {.name = "t", .entity = REP_USER, .kind = REP_UR, .dim = 1};
	LAST_OF(spec.reserved) = word;
	return rep_table_create(client, "r", &spec, err);
}

static enum rep_status put_tensor(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_tensor tensor = {.name = "w", .dtype = REP_TENSOR_F32};
	LAST_OF(tensor.reserved) = word;
	return rep_tensor_put(client, NULL, &tensor, &row, sizeof row, err);
}

static enum rep_status scan(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_scan walk = {.raw = false};
	LAST_OF(walk.reserved) = word;
	return rep_scan_next(client, NULL, "t", REP_DTYPE_TABLE, 0, &walk, err);
}

static enum rep_status retrieve(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_retrieval asked = {.query = {.table = "u", .keys = rep_keys_u64(&key, 1)},
		.in = "t"};
	struct rep_retrieved found = {0};
	LAST_OF(asked.reserved) = word;
	return rep_retrieve(client, NULL, &asked, &found, err);
}

static enum rep_status retrieve_query(rep_client *client, uint64_t word, struct rep_error *err)
{
	struct rep_retrieval asked = {.query = {.table = "u", .keys = rep_keys_u64(&key, 1)},
		.in = "t"};
	struct rep_retrieved found = {0};
	LAST_OF(asked.query.reserved) = word;
	return rep_retrieve(client, NULL, &asked, &found, err);
}

static enum rep_status score(rep_client *client, uint64_t word, struct rep_error *err)
{
	float scores[1];
	struct rep_scoring scoring = {.query = {.table = "u", .keys = rep_keys_u64(&key, 1)},
		.in = "t",
		.keys = rep_keys_u64(&key, 1),
		.scores = scores};
	LAST_OF(scoring.reserved) = word;
	return rep_score(client, NULL, &scoring, NULL, err);
}

static const struct {
	const char *of;
	enum rep_status (*ask)(rep_client *client, uint64_t word, struct rep_error *err);
} asks[] = {
	{"rep_part", fetch},
	{"rep_rows", put},
	{"rep_put_part", put_part},
	{"rep_samples", observe},
	{"rep_vectors", append},
	{"rep_table_spec", create},
	{"rep_tensor", put_tensor},
	{"rep_scan", scan},
	{"rep_retrieval", retrieve},
	{"rep_query", retrieve_query},
	{"rep_scoring", score},
};

static void a_word_without_a_meaning_is_refused(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_nothing, NULL);
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		struct rep_error err = {0};
		assert_int_equal(asks[i].ask(client, 1, &err), REP_BAD_REQUEST);
		assert_non_null(strstr(err.text, asks[i].of));
		assert_non_null(strstr(err.text, ": reserved["));
	}
	assert_int_equal(fake.server.requests, 0);
	/* Without it each gets as far as the daemon. */
	fake.server.feature = "history"; /* which the client asks for */
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		assert_int_not_equal(asks[i].ask(client, 0, NULL), REP_BAD_REQUEST);
	}
	client_fixture_end(&fake);
	assert_true(fake.server.requests >= sizeof asks / sizeof *asks);
}

static void options_too(void **state)
{
	(void)state;
	struct rep_options options = {.address = "unix:/nowhere"};
	struct rep_error err = {0};
	rep_client *client = NULL;
	LAST_OF(options.reserved) = 1;
	assert_int_equal(rep_connect(&options, &client, &err), REP_BAD_REQUEST);
	assert_non_null(strstr(err.text, "rep_options: reserved[5]"));
	assert_null(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_without_a_meaning_is_refused),
		cmocka_unit_test(options_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
