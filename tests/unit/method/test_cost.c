/* test_cost.c - the account of a call, and calls that it sends away from a loop or refuses. */
#include "daemon/method/call/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/method/call/call.h"
#include "daemon/method/call/service.h"
#include "schema/limits.h"
#include "tests/unit/method/method_fixture.h"

static struct service service = {.request_work_ms = LIMIT_CALL_MS};
static const uint64_t most_ns = (uint64_t)LIMIT_CALL_MS * 1000000;

/* ---- the account ---- */

static void a_loop_runs_what_takes_less_than_its_bound(void **state)
{
	struct call call = {.service = &service};
	(void)state;
	assert_int_equal(call_left_ns(&call), LIMIT_INLINE_NS);
	assert_int_equal(call_charge(&call, COST_KEYS, LIMIT_INLINE_NS - 2), STATUS_OK);
	assert_int_equal(call_left_ns(&call), 2);
	assert_int_equal(call_charge(&call, COST_ROWS, 1), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_ROWS, 1), STATUS_OK);
	assert_int_equal(call_left_ns(&call), 0);
	assert_int_equal(call_charge(&call, COST_LIST, 1), STATUS_AGAIN);
	assert_int_equal(call_charge(&call, COST_LIST, 0), STATUS_AGAIN);
	assert_int_equal(call_left_ns(&call), 0);
}

static void in_a_crowded_turn_a_loop_runs_a_quarter(void **state)
{
	struct call call = {.service = &service, .cost = cost_begin(4, LIMIT_TURN_NS - 1)};
	(void)state;
	assert_int_equal(call_left_ns(&call), LIMIT_INLINE_NS - 4 * COST_ELEMENT_NS);
	call.cost = cost_begin(4, LIMIT_TURN_NS);
	const uint64_t left = LIMIT_INLINE_NS / 4 - 4 * COST_ELEMENT_NS;
	assert_int_equal(call_left_ns(&call), left);
	assert_int_equal(call_charge(&call, COST_ROWS, left), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_ROWS, 1), STATUS_AGAIN);
	assert_int_equal(call_left_ns(&call), 0);
	call.may_block = true;
	assert_int_equal(call_charge(&call, COST_ROWS, 1), STATUS_OK);
}

static void elsewhere_all_steps_together_have_a_bound(void **state)
{
	struct call call = {.service = &service, .may_block = true};
	(void)state;
	assert_true(call_left_ns(&call) == UINT64_MAX);
	assert_int_equal(call_charge(&call, COST_LAYERS, most_ns - 3), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_ROWS, 3), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_ROWS, 1000000), STATUS_TOO_LARGE);
	assert_string_equal(call.error.text,
		"the request would take about 5001 ms of a thread (4999 ms for stored layers), at most "
		"5000 allowed (request_work); ask for less at once");
}

static void the_bound_is_a_setting(void **state)
{
	struct call call = {.service = &service, .may_block = true};
	(void)state;
	service.request_work_ms = 10;
	assert_int_equal(call_charge(&call, COST_ROWS, UINT64_C(10) * 1000000), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_ROWS, 1), STATUS_TOO_LARGE);
	assert_non_null(strstr(call.error.text, "at most 10 allowed (request_work)"));
	service.request_work_ms = LIMIT_CALL_MS;
}

static void a_loop_refuses_what_nobody_would_run(void **state)
{
	struct call call = {.service = &service};
	(void)state;
	assert_int_equal(call_charge(&call, COST_SCORES, most_ns + 1), STATUS_TOO_LARGE);
	assert_non_null(strstr(call.error.text, "(5000 ms for scores)"));
}

static void a_search_is_bounded_by_its_deadline_alone(void **state)
{
	struct call call = {.service = &service, .may_block = true};
	(void)state;
	assert_int_equal(call_charge(&call, COST_SEARCH, UINT64_MAX), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_HITS, most_ns), STATUS_OK);
	assert_int_equal(call_charge(&call, COST_HITS, 1), STATUS_TOO_LARGE);
	call = (struct call){.service = &service};
	assert_int_equal(call_charge(&call, COST_SEARCH, UINT64_MAX), STATUS_AGAIN);
}

static void the_sum_does_not_wrap(void **state)
{
	(void)state;
	for (unsigned step = 0; step < COST_STEPS; step++) {
		struct call call = {.service = &service};
		const enum status expected = step == COST_SEARCH ? STATUS_AGAIN : STATUS_TOO_LARGE;
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(call_charge(&call, (enum cost_step)step, UINT64_MAX),
				expected);
		}
		for (unsigned other = 0; other < COST_STEPS; other++) {
			assert_int_not_equal(call_charge(&call, (enum cost_step)other, UINT64_MAX),
				STATUS_OK);
		}
		assert_int_equal(call_left_ns(&call), 0);
	}
}

/* ---- calls ---- */

/* Runs the method as a loop does. A search leaves the loop after a millisecond, which others may have had of
 * the processor: then it is tried again. */
static enum status run_here(struct world *world, const char *method, enum status expected,
	struct error *err)
{
	enum { TRIES = 20 };
	enum status here = STATUS_AGAIN;
	for (unsigned i = 0; i < TRIES && here == STATUS_AGAIN; i++) {
		wire_writer_clear(&world->out);
		struct call call = {
			.service = &world->service,
			.params = wire_root(world->params),
			.out = &world->out,
		};
		here = method_find(method, strlen(method))->run(&call);
		*err = call.error;
		if (expected == STATUS_AGAIN) {
			break;
		}
	}
	return here;
}

/* Runs the method as a loop does, and expects this; then as a lane does, which must succeed. */
static void expect_here(struct world *world, const char *method, enum status expected)
{
	struct error err;
	world_prepare(world);
	const enum status here = run_here(world, method, expected, &err);
	if (here != expected) {
		fail_msg("%s: %s: %s", method, status_name(here), err.text);
	}
	if (world_run_prepared(world, method) != STATUS_OK) {
		fail_msg("%s: %s", method, world->call.error.text);
	}
}

static void arg_packed(struct world *world, const char *name, size_t keys)
{
	uint64_t *packed = calloc(keys, sizeof *packed);
	assert_non_null(packed);
	for (size_t i = 0; i < keys; i++) {
		packed[i] = i;
	}
	world_arg_bin(world, name, packed, keys * sizeof *packed);
	free(packed);
}

/* `queries` vectors that are sent, for table a. */
static void arg_queries(struct world *world, size_t queries)
{
	float *rows = calloc(queries * WORLD_DIM, sizeof *rows);
	assert_non_null(rows);
	world_arg_str(world, "release", "r");
	world_arg_str(world, "in", "a");
	world_arg(world, "from");
	wire_write_map(&world->args, 2);
	wire_write_str(&world->args, "dim");
	wire_write_uint(&world->args, WORLD_DIM);
	wire_write_str(&world->args, "rows");
	wire_write_bin(&world->args, rows, queries * WORLD_DIM * sizeof *rows);
	free(rows);
}

static void arg_names(struct world *world, const char *name, const char *value, size_t count)
{
	world_arg(world, name);
	wire_write_array(&world->args, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_str(&world->args, value);
	}
}

static void put_layer(struct world *world, const char *name, uint64_t outs, uint64_t ins)
{
	const size_t bytes = outs * ins * sizeof(uint16_t);
	void *data = calloc(1, bytes);
	assert_non_null(data);
	world_arg_str(world, "release", "r");
	world_arg_str(world, "tensor", name);
	world_arg_str(world, "dtype", "f16");
	world_arg(world, "shape");
	wire_write_array(&world->args, 2);
	wire_write_uint(&world->args, outs);
	wire_write_uint(&world->args, ins);
	world_arg_bin(world, "data", data, bytes);
	world_run(world, "tensor.put");
	free(data);
}

/* Queries that are widened, go through as many square layers as there may be, and are narrowed. */
static void arg_chain(struct world *world, size_t squares)
{
	world_arg(world, "through");
	wire_write_array(&world->args, squares + 2);
	wire_write_str(&world->args, "up");
	for (size_t i = 0; i < squares; i++) {
		wire_write_str(&world->args, "square");
	}
	wire_write_str(&world->args, "down");
}

static void short_calls_run_on_a_loop(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	arg_queries(world, 1);
	expect_here(world, "retrieve", STATUS_OK);
	arg_queries(world, 4);
	arg_packed(world, "allow", 100);
	arg_packed(world, "deny", 1000);
	arg_names(world, "with", "b", 1);
	expect_here(world, "retrieve", STATUS_OK);
	arg_queries(world, 4);
	arg_packed(world, "keys", 500);
	expect_here(world, "score", STATUS_OK);
	world_arg_part(world, "a", 4096);
	expect_here(world, "fetch", STATUS_OK);
	static const char *const lists[] = {"release.list", "table.list", "layer.list",
		"tensor.list", "info", "hello", "ping"};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		expect_here(world, lists[i], STATUS_OK);
	}
	world_arg_str(world, "table", "a");
	expect_here(world, "table.show", STATUS_OK);
}

static void lists_of_keys_are_not_hashed_on_a_loop(void **state)
{
	struct world *world = *state;
	static const char *const names[] = {"allow", "deny"};
	world_make_release(world, "r");
	for (size_t i = 0; i < 2; i++) {
		arg_queries(world, 1);
		arg_packed(world, names[i], LIMIT_INLINE_NS / COST_SET_KEY_NS);
		expect_here(world, "retrieve", STATUS_AGAIN);
	}
	arg_queries(world, 1);
	arg_packed(world, "keys", LIMIT_INLINE_NS / COST_SET_KEY_NS);
	expect_here(world, "score", STATUS_AGAIN);
}

static void queries_do_not_go_through_long_chains_on_a_loop(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	put_layer(world, "up.weight", 60000, WORLD_DIM);
	put_layer(world, "down.weight", WORLD_DIM, 60000);
	for (size_t i = 0; i < 2; i++) {
		for (size_t queries = 1; queries <= 64; queries *= 64) {
			arg_queries(world, queries);
			arg_chain(world, 0);
			if (i == 1) {
				arg_packed(world, "keys", 1);
			}
			expect_here(world, i == 0 ? "retrieve" : "score",
				queries == 1 ? STATUS_OK : STATUS_AGAIN);
		}
	}
}

static void many_hits_and_what_comes_with_them_leave_a_loop(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	arg_queries(world, 4);
	arg_names(world, "with", "b", 8);
	expect_here(world, "retrieve", STATUS_OK);
	arg_queries(world, 16);
	arg_names(world, "with", "b", 8);
	expect_here(world, "retrieve", STATUS_AGAIN);
	arg_queries(world, 16);
	expect_here(world, "retrieve", STATUS_OK);
	arg_queries(world, 256);
	expect_here(world, "retrieve", STATUS_AGAIN);
}

static void work_without_an_end_is_refused_everywhere(void **state)
{
	enum { WIDE = 3600, SQUARES = LIMIT_ADAPTER_STEPS - 2 };
	struct world *world = *state;
	world_make_release(world, "r");
	put_layer(world, "up.weight", WIDE, WORLD_DIM);
	put_layer(world, "square.weight", WIDE, WIDE);
	put_layer(world, "down.weight", WORLD_DIM, WIDE);
	arg_queries(world, LIMIT_QUERIES);
	arg_chain(world, SQUARES);
	world_refuse(world, "retrieve", STATUS_TOO_LARGE, "ms for stored layers), at most 5000");
	arg_queries(world, LIMIT_QUERIES);
	arg_chain(world, SQUARES);
	arg_packed(world, "keys", 1);
	world_refuse(world, "score", STATUS_TOO_LARGE, "ms for stored layers), at most 5000");
	arg_queries(world, 1);
	arg_chain(world, SQUARES);
	expect_here(world, "retrieve", STATUS_AGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_runs_what_takes_less_than_its_bound),
		cmocka_unit_test(in_a_crowded_turn_a_loop_runs_a_quarter),
		cmocka_unit_test(elsewhere_all_steps_together_have_a_bound),
		cmocka_unit_test(the_bound_is_a_setting),
		cmocka_unit_test(a_loop_refuses_what_nobody_would_run),
		cmocka_unit_test(a_search_is_bounded_by_its_deadline_alone),
		cmocka_unit_test(the_sum_does_not_wrap),
		cmocka_unit_test_setup_teardown(short_calls_run_on_a_loop, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(lists_of_keys_are_not_hashed_on_a_loop, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(queries_do_not_go_through_long_chains_on_a_loop,
			world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(many_hits_and_what_comes_with_them_leave_a_loop,
			world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(work_without_an_end_is_refused_everywhere,
			world_setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
