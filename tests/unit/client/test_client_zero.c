/* test_client_zero.c - a condition of 0 is sent like any other, and only where it is given. */
#include "repstore.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What a request had: -1 stands for nothing. */
struct seen {
	int64_t max_age_ms;
	int64_t tags_any;
	int64_t tags_all;
};

static int64_t number_of(struct wire_value map, const char *name)
{
	int64_t number = -1;
	(void)wire_int(wire_get(map, name), &number);
	return number;
}

static void see(struct fake_call *call, const void *arg)
{
	struct seen *const *seen = arg;
	struct wire_value from = wire_get(call->params, "from");
	if (fake_is(call, "fetch")) {
		from = wire_item(wire_get(call->params, "parts"), 0);
	}
	(*seen)->max_age_ms = number_of(from, "max_age_ms");
	(*seen)->tags_any = number_of(call->params, "tags_any");
	(*seen)->tags_all = number_of(call->params, "tags_all");
	fake_result(call); /* which no client can read: what was asked is enough */
	wire_write_map(call->out, 0);
}

static const uint64_t keys[1] = {7};

static void a_maximum_age_counts_when_it_is_given(void **state)
{
	(void)state;
	static const struct {
		bool has;
		uint64_t given;
		int64_t sent;
	} cases[] = {{false, 0, -1}, {true, 0, 0}, {true, 5, 5}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct seen seen = {0};
		struct seen *arg = &seen;
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, see, &arg);
		struct rep_part part = {
			.table = "ur",
			.keys = rep_keys_u64(keys, 1),
			.has_max_age = cases[i].has,
			.max_age_ms = cases[i].given,
		};
		assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, NULL), REP_PROTOCOL);
		assert_int_equal(seen.max_age_ms, cases[i].sent);
		const struct rep_retrieval asked = {
			.query = {.table = "ur",
				.keys = rep_keys_u64(keys, 1),
				.has_max_age = cases[i].has,
				.max_age_ms = cases[i].given},
			.in = "ir",
		};
		struct rep_retrieved found;
		seen.max_age_ms = 0;
		assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_PROTOCOL);
		assert_int_equal(seen.max_age_ms, cases[i].sent);
		client_fixture_end(&fake);
	}
}

static void one_of_some_tags_counts_when_it_is_given(void **state)
{
	(void)state;
	static const struct {
		bool has;
		uint64_t given;
		int64_t sent;
	} cases[] = {{false, 0, -1}, {true, 0, 0}, {true, 6, 6}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct seen seen = {0};
		struct seen *arg = &seen;
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, see, &arg);
		const struct rep_retrieval asked = {
			.query = {.table = "ur", .keys = rep_keys_u64(keys, 1)},
			.in = "ir",
			.has_tags_any = cases[i].has,
			.tags_any = cases[i].given,
		};
		struct rep_retrieved found;
		assert_int_equal(rep_retrieve(client, NULL, &asked, &found, NULL), REP_PROTOCOL);
		assert_int_equal(seen.tags_any, cases[i].sent);
		assert_int_equal(seen.tags_all, -1);
		client_fixture_end(&fake);
	}
}

/* A caller who computes a condition and forgets its flag would find everything when it is 0. So he
 * is told as soon as it is not. */
static void a_condition_without_its_flag_is_refused(void **state)
{
	(void)state;
	struct seen seen = {0};
	struct seen *arg = &seen;
	struct client_fixture fake;
	struct rep_error err;
	struct rep_retrieved found;
	rep_client *client = client_fixture_begin(&fake, see, &arg);
	struct rep_part part = {.table = "ur", .keys = rep_keys_u64(keys, 1), .max_age_ms = 5};
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "parts[0]: max_age_ms given, has_max_age goes with it");
	struct rep_retrieval asked = {
		.query = {.table = "ur", .keys = rep_keys_u64(keys, 1), .max_age_ms = 5},
		.in = "ir",
	};
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "query: max_age_ms given, has_max_age goes with it");
	asked.query.max_age_ms = 0;
	asked.tags_any = 5;
	assert_int_equal(rep_retrieve(client, NULL, &asked, &found, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "tags_any: given, has_tags_any goes with it");
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_maximum_age_counts_when_it_is_given),
		cmocka_unit_test(one_of_some_tags_counts_when_it_is_given),
		cmocka_unit_test(a_condition_without_its_flag_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
