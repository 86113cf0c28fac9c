/* test_methods.c - every method, run on a real store without a network. */
#include "tests/unit/method/method_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/search/expect.h"
#include "daemon/store/admin/admin.h"
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

static void a_fetch_brings_rows_and_columns(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	world_arg_parts(world);
	struct wire_value result = world_run(world, "fetch");
	world_assert_str(result, "release", "r");
	struct wire_value parts = wire_get(result, "parts");
	assert_int_equal(wire_size(parts), 2);
	struct wire_value a = wire_item(parts, 0);
	static const char *const order[] = {"table", "n", "dim", "views", "dtype", "stride",
		"found", "rows", "times", "tags", "why"};
	assert_int_equal(wire_size(a), sizeof order / sizeof order[0]);
	for (size_t i = 0; i < wire_size(a); i++) {
		struct wire_bytes name;
		assert_true(wire_str(wire_map_key(a, i), &name));
		assert_memory_equal(name.data, order[i], name.len);
	}
	assert_int_equal(world_uint_of(a, "n"), 3);
	const float rows[3][WORLD_DIM] = {{4, 5, 6, 7}, {0}, {8, 9, 10, 11}};
	assert_int_equal(world_bin_of(a, "rows").len, sizeof rows);
	assert_memory_equal(world_bin_of(a, "rows").data, rows, sizeof rows);
	assert_int_equal(world_bin_of(a, "found").data[0], 5);
	const uint64_t tags[3] = {1, 0, 2};
	assert_memory_equal(world_bin_of(a, "tags").data, tags, sizeof tags);
	assert_memory_equal(world_bin_of(a, "why").data, "\0\1\0", 3);
	struct wire_value b = wire_item(parts, 1);
	assert_int_equal(world_uint_of(b, "stride"), 2 * WORLD_DIM);
	world_assert_str(b, "dtype", "f16");
	assert_int_equal(world_bin_of(b, "found").data[0], 3);

	struct wire_value fetch = wire_get(world_run(world, "stats"), "fetch");
	assert_int_equal(world_uint_of(fetch, "rows"), 5);
	assert_int_equal(world_uint_of(fetch, "found"), 4);
	assert_int_equal(world_uint_of(fetch, "absent"), 1);
}

static void a_fetch_that_must_wait_leaves_no_trace(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	world_arg_part(world, "a", LIMIT_INLINE_NS / EXPECT_ROW_NS);
	world_prepare(world);
	wire_writer_clear(&world->out);
	wire_write_nil(&world->out);
	struct call call = {
		.service = &world->service,
		.params = wire_root(world->params),
		.out = &world->out,
	};
	assert_int_equal(fetch_run(&call), STATUS_AGAIN);
	assert_int_equal(world->out.len, 1);
	call.may_block = true;
	assert_int_equal(fetch_run(&call), STATUS_OK);
	assert_true(world->out.len > sizeof(float) * WORLD_DIM * LIMIT_INLINE_NS / EXPECT_ROW_NS);
}

/* A live release with an empty table "wide", of 256 KiB a row. */
static void make_wide(struct world *world)
{
	world_run_on(world, "release.create", "r");
	world_arg_str(world, "release", "r");
	world_arg_str(world, "table", "wide");
	world_arg_str(world, "entity", "item");
	world_arg_str(world, "kind", "ir");
	world_arg_uint(world, "dim", 1u << 16);
	world_run(world, "table.create");
	world_run_on(world, "release.seal", "r");
	world_run_on(world, "release.publish", "r");
}

static void a_reply_that_does_not_fit_is_refused_with_its_size(void **state)
{
	struct world *world = *state;
	make_wide(world);
	world_arg_part(world, "wide", 260);
	world_refuse(world, "fetch", STATUS_TOO_LARGE, "68157440");
	assert_int_equal(world->out.len, 0);
	world_arg_part(world, "wide", 259);
	assert_int_equal(wire_size(world_run(world, "fetch")), 3);
}

static void few_rows_that_are_large_leave_the_loop_too(void **state)
{
	struct world *world = *state;
	make_wide(world);
	world_arg_part(world, "wide", 32);
	world_prepare(world);
	wire_writer_clear(&world->out);
	struct call call = {
		.service = &world->service,
		.params = wire_root(world->params),
		.out = &world->out,
	};
	assert_int_equal(fetch_run(&call), STATUS_AGAIN);
	assert_int_equal(world->out.len, 0);
	call.may_block = true;
	assert_int_equal(fetch_run(&call), STATUS_OK);
}

static void parts_are_named_in_errors(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	world_arg_part(world, "c", 1);
	world_refuse(world, "fetch", STATUS_NOT_FOUND, "parts[0].table: ");
	world_arg_part(world, "a/b", 1);
	world_refuse(world, "fetch", STATUS_BAD_REQUEST, "parts[0].table: ");
	world_arg(world, "parts");
	wire_write_array(&world->args, 0);
	world_refuse(world, "fetch", STATUS_BAD_REQUEST, "parts: 0 given");
	world_arg_str(world, "release", "open");
	world_run(world, "release.create");
	world_arg_str(world, "release", "open");
	world_arg_part(world, "a", 1);
	world_refuse(world, "fetch", STATUS_NOT_SEALED, "open");
}

static void a_release_lives(void **state)
{
	struct world *world = *state;
	assert_int_equal(wire_size(wire_get(world_run(world, "release.list"), "releases")), 0);
	world_arg_part(world, "a", 1);
	world_refuse(world, "fetch", STATUS_NOT_FOUND, "live");
	world_run_on(world, "release.create", "r1");
	world_create_table(world, "r1", "a");
	world_load_rows(world, "r1", "a");

	struct wire_value shown = world_run_on(world, "release.show", "r1");
	world_assert_str(shown, "state", "open");
	struct wire_value load = wire_item(wire_get(shown, "loads"), 0);
	world_assert_str(load, "table", "a");
	assert_int_equal(world_uint_of(load, "next_chunk"), 1);
	assert_int_equal(wire_type(wire_get(load, "ended")), WIRE_BOOL);
	assert_int_equal(wire_size(wire_get(shown, "table_list")), 1);
	world_arg_str(world, "release", "r1");
	world_refuse(world, "release.seal", STATUS_CONFLICT, "l");

	world_arg_str(world, "release", "r1");
	world_arg_str(world, "table", "a");
	world_arg_str(world, "load", "l");
	assert_int_equal(world_uint_of(world_run(world, "load.abort"), "rows"), WORLD_ROWS);
	world_load_rows(world, "r1", "a");
	world_end_load(world, "r1", "a");
	struct wire_value sealed = world_run_on(world, "release.seal", "r1");
	assert_int_equal(world_uint_of(sealed, "rows"), WORLD_ROWS);
	assert_int_equal(wire_type(wire_get(world_run_on(world, "release.publish", "r1"),
				 "previous")),
		WIRE_ABSENT);
	world_make_release(world, "r2");
	world_assert_str(world_run(world, "release.rollback"), "release", "r1");
	world_assert_str(world_run_on(world, "release.show", "live"), "release", "r1");
	world_assert_str(world_run(world, "info"), "live", "r1");
	world_assert_str(world_run_on(world, "release.publish", "live"), "release", "r1");
	world_arg_str(world, "release", "live");
	world_refuse(world, "release.drop", STATUS_CONFLICT, "r1");
	world_assert_str(world_run_on(world, "release.drop", "r2"), "release", "r2");
	assert_int_equal(wire_size(wire_get(world_run(world, "release.list"), "releases")), 1);
	assert_int_equal(wire_size(wire_get(world_run(world, "table.list"), "tables")), 1);
	world_arg_str(world, "table", "a");
	shown = world_run(world, "table.show");
	assert_int_equal(world_uint_of(shown, "rows"), WORLD_ROWS);
	assert_int_equal(world_uint_of(shown, "segments"), 1);
	assert_int_equal(world_uint_of(shown, "damaged"), 0);
}

static void a_scan_walks_the_table(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	uint64_t rows = 0;
	uint64_t cursor = 0;
	for (unsigned steps = 0; steps < WORLD_ROWS; steps++) {
		world_arg_str(world, "table", "a");
		world_arg_uint(world, "limit", 30);
		world_arg_uint(world, "cursor", cursor);
		struct wire_value result = world_run(world, "scan");
		uint64_t count = world_uint_of(result, "n");
		rows += count;
		assert_int_equal(world_bin_of(result, "keys").len, count * sizeof(uint64_t));
		assert_int_equal(world_bin_of(result, "rows").len,
			count * WORLD_DIM * sizeof(float));
		assert_int_equal(world_bin_of(result, "times").len, count * sizeof(int64_t));
		assert_int_equal(world_bin_of(result, "tags").len, count * sizeof(uint64_t));
		if (wire_type(wire_get(result, "cursor")) == WIRE_ABSENT) {
			assert_int_equal(rows, WORLD_ROWS);
			return;
		}
		cursor = world_uint_of(result, "cursor");
	}
	fail_msg("the walk does not end");
}

struct attempt {
	struct world *world;
	const char *method;
};

/* Each time with a writer that must grow anew. */
static bool run_once(void *arg)
{
	const struct attempt *attempt = arg;
	struct world *world = attempt->world;
	wire_writer_fini(&world->out);
	return world_run_prepared(world, attempt->method) == STATUS_OK;
}

static void refused_memory_is_an_error_of_every_reading_method(void **state)
{
	struct world *world = *state;
	world_make_release(world, "r");
	world_run_on(world, "release.create", "open");
	world_create_table(world, "open", "a");
	world_load_rows(world, "open", "a");
	static const char *const methods[] = {"hello", "info", "ping", "stats", "release.list",
		"release.show", "table.list", "table.show", "scan", "fetch"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		const char *method = methods[i];
		if (strcmp(method, "release.show") == 0) {
			world_arg_str(world, "release", "open");
		} else if (strcmp(method, "table.show") == 0 || strcmp(method, "scan") == 0) {
			world_arg_str(world, "table", "a");
		} else if (strcmp(method, "fetch") == 0) {
			world_arg_parts(world);
		}
		world_prepare(world);
		struct attempt attempt = {.world = world, .method = method};
		assert_int_equal(world_run_prepared(world, method), STATUS_OK);
		assert_true(alloc_fail_each(run_once, &attempt) > 0);
	}
	world_arg_parts(world);
	assert_int_equal(wire_size(wire_get(world_run(world, "fetch"), "parts")), 2);
}

static void labels_are_utf8(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *text;
		const char *said;
	} wrong[] = {
		{"caf\xe9", "byte 3 (0xe9) is not UTF-8"},
		{"\xff\xfe", "byte 0 (0xff) is not UTF-8"},
		{"a\xed\xa0\x80", "byte 1 (0xed) is not UTF-8"},
		{"\xc0\x80", "byte 0 (0xc0) is not UTF-8"},
		{"a\nb", "byte 1 is a control character (0x0a)"},
	};
	static const char *const names[] = {"model", "checkpoint"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		for (size_t j = 0; j < 2; j++) {
			world_arg_str(world, "release", "r");
			world_arg_str(world, names[j], wrong[i].text);
			world_refuse(world, "release.create", STATUS_BAD_REQUEST, wrong[i].said);
		}
	}
	world_arg_str(world, "release", "r");
	world_arg_str(world, "model", "Gr\xc3\xb6\xc3\x9f\x65");
	world_run(world, "release.create");
	world_assert_str(world_run_on(world, "release.show", "r"), "model",
		"Gr\xc3\xb6\xc3\x9f\x65");
}

/* A release that was created before labels were checked, a folder and an address that are not in
 * UTF-8. */
static void whatever_is_kept_the_answers_are_utf8(void **state)
{
	struct world *world = *state;
	static const char *const listen[] = {"unix:/run/caf\xe9", NULL};
	const struct release_labels labels = {.model = "caf\xe9", .checkpoint = "\xe6\x97"};
	struct name id = {.text = "old"};
	uint64_t number;
	assert_int_equal(store_release_create(world->service.store, &id, &labels, &number, NULL),
		STATUS_OK);
	const struct wire_value list = wire_get(world_run(world, "release.list"), "releases");
	world_assert_str(wire_item(list, 0), "model", "caf?");
	world_assert_str(wire_item(list, 0), "checkpoint", "??");
	world->service.listen = listen;
	const struct wire_value addresses = wire_get(world_run(world, "info"), "listen");
	struct wire_bytes address = {0};
	assert_true(wire_str(wire_item(addresses, 0), &address));
	assert_int_equal(address.len, 14);
	assert_memory_equal(address.data, "unix:/run/caf?", 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fetch_brings_rows_and_columns, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(a_fetch_that_must_wait_leaves_no_trace, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(a_reply_that_does_not_fit_is_refused_with_its_size,
			world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(few_rows_that_are_large_leave_the_loop_too,
			world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(parts_are_named_in_errors, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(a_release_lives, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(labels_are_utf8, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(whatever_is_kept_the_answers_are_utf8, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(a_scan_walks_the_table, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_is_an_error_of_every_reading_method,
			world_setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
