/* test_methods.c - every method, run on a real store without a network. */
#include "daemon/method/methods.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/method/reply.h"
#include "daemon/method/service.h"
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"

enum { DIM = 4, ROWS = 100 };

/* A store in a scratch folder, and one call at a time. */
struct world {
	char folder[64];
	struct service service;
	size_t arg_count;
	struct wire_writer args;
	struct wire_writer request;
	struct wire_message *params;
	struct wire_writer out;
	struct wire_message *result;
	struct call call;
};

static size_t net_stats(void *arg, struct wire_writer *writer)
{
	(void)arg;
	if (writer != NULL) {
		reply_uint(writer, "net", 1);
	}
	return 1;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void open_store(struct world *world)
{
	const struct store_options options = {
		.folder = world->folder,
		.load_memory_bytes = 128u << 20,
		.catalog_bytes = 64u << 20,
	};
	struct error err;
	if (store_open(&options, &world->service.store, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
}

static int setup(void **state)
{
	static const char *const listen[] = {"unix:/tmp/s", NULL};
	struct world *world = calloc(1, sizeof *world);
	assert_non_null(world);
	snprintf(world->folder, sizeof world->folder, "/tmp/test_methods.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	world->service = (struct service){
		.version = "test",
		.started_ms = clock_monotonic_ms(),
		.workers = 2,
		.pool = 3,
		.listen = listen,
		.net_stats = net_stats,
	};
	method_thread_begin();
	open_store(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	store_close(world->service.store);
	method_thread_end();
	wire_close(world->params);
	wire_close(world->result);
	wire_writer_fini(&world->args);
	wire_writer_fini(&world->request);
	wire_writer_fini(&world->out);
	nftw(world->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(world);
	return 0;
}

static void arg(struct world *world, const char *name)
{
	world->arg_count++;
	wire_write_str(&world->args, name);
}

static void arg_str(struct world *world, const char *name, const char *value)
{
	arg(world, name);
	wire_write_str(&world->args, value);
}

static void arg_uint(struct world *world, const char *name, uint64_t value)
{
	arg(world, name);
	wire_write_uint(&world->args, value);
}

static void arg_flag(struct world *world, const char *name)
{
	arg(world, name);
	wire_write_bool(&world->args, true);
}

static void arg_bin(struct world *world, const char *name, const void *data, size_t len)
{
	arg(world, name);
	wire_write_bin(&world->args, data, len);
}

/* The arguments since the last call become the params of this one. */
static void prepare(struct world *world)
{
	wire_close(world->params);
	world->params = NULL;
	wire_writer_clear(&world->request);
	wire_write_map(&world->request, world->arg_count);
	if (world->arg_count > 0) {
		wire_write_raw(&world->request, world->args.data, world->args.len);
	}
	assert_int_equal(world->args.status, STATUS_OK);
	assert_int_equal(world->request.status, STATUS_OK);
	wire_writer_clear(&world->args);
	world->arg_count = 0;
	assert_int_equal(wire_open(world->request.data, world->request.len, &world->params),
		STATUS_OK);
}

static enum status run_prepared(struct world *world, const char *name)
{
	wire_writer_clear(&world->out);
	world->call = (struct call){
		.service = &world->service,
		.params = wire_root(world->params),
		.out = &world->out,
		.may_block = true,
	};
	const struct method *method = method_find(name, strlen(name));
	assert_non_null(method);
	enum status status = method->run(&world->call);
	if (status == STATUS_OK && method->place == METHOD_WRITE) {
		status = method_write_sync(&world->service, &world->call.error);
	}
	return status;
}

/* Runs a method that must succeed; its result is one whole value. */
static struct wire_value run(struct world *world, const char *name)
{
	prepare(world);
	if (run_prepared(world, name) != STATUS_OK) {
		fail_msg("%s: %s", name, world->call.error.text);
	}
	struct wire_skim skim = {0};
	assert_int_equal(wire_skim(&skim, world->out.data, world->out.len), STATUS_OK);
	assert_int_equal(skim.at, world->out.len);
	wire_close(world->result);
	world->result = NULL;
	assert_int_equal(wire_open(world->out.data, world->out.len, &world->result), STATUS_OK);
	return wire_root(world->result);
}

static void refuse(struct world *world, const char *name, enum status expected, const char *text)
{
	prepare(world);
	assert_int_equal(run_prepared(world, name), expected);
	assert_int_equal(world->call.error.status, expected);
	if (strstr(world->call.error.text, text) == NULL) {
		fail_msg("'%s' does not say '%s'", world->call.error.text, text);
	}
}

static uint64_t uint_of(struct wire_value map, const char *name)
{
	uint64_t value;
	if (!wire_uint(wire_get(map, name), &value)) {
		fail_msg("%s: no uint", name);
	}
	return value;
}

static void assert_str(struct wire_value map, const char *name, const char *expected)
{
	struct wire_bytes text;
	assert_true(wire_str(wire_get(map, name), &text));
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.data, expected, text.len);
}

static struct wire_bytes bin_of(struct wire_value map, const char *name)
{
	struct wire_bytes data = {0};
	if (!wire_bin(wire_get(map, name), &data)) {
		fail_msg("%s: no bin", name);
	}
	return data;
}

static void create_table(struct world *world, const char *release, const char *table)
{
	arg_str(world, "release", release);
	arg_str(world, "table", table);
	arg_str(world, "entity", "user");
	arg_str(world, "kind", "ur");
	arg_uint(world, "dim", DIM);
	arg_flag(world, "tags");
	struct wire_value result = run(world, "table.create");
	assert_str(result, "table", table);
}

static void load_rows(struct world *world, const char *release, const char *table)
{
	uint64_t keys[ROWS];
	float rows[ROWS][DIM];
	for (unsigned i = 0; i < ROWS; i++) {
		keys[i] = i;
		for (unsigned j = 0; j < DIM; j++) {
			rows[i][j] = (float)(i * DIM + j);
		}
	}
	arg_str(world, "release", release);
	arg_str(world, "table", table);
	arg_str(world, "load", "l");
	arg_uint(world, "chunk", 0);
	arg_bin(world, "keys", keys, sizeof keys);
	arg_bin(world, "rows", rows, sizeof rows);
	arg_bin(world, "tags", keys, sizeof keys);
	struct wire_value result = run(world, "load");
	assert_int_equal(uint_of(result, "next_chunk"), 1);
	assert_int_equal(uint_of(result, "rows"), ROWS);
}

static void end_load(struct world *world, const char *release, const char *table)
{
	arg_str(world, "release", release);
	arg_str(world, "table", table);
	arg_str(world, "load", "l");
	arg_uint(world, "chunks", 1);
	arg_uint(world, "rows", ROWS);
	assert_int_equal(uint_of(run(world, "load.end"), "rows"), ROWS);
}

static struct wire_value run_on_release(struct world *world, const char *method,
	const char *release)
{
	arg_str(world, "release", release);
	return run(world, method);
}

static void make_release(struct world *world, const char *release)
{
	arg_str(world, "model", "m");
	run_on_release(world, "release.create", release);
	create_table(world, release, "a");
	create_table(world, release, "b");
	load_rows(world, release, "a");
	end_load(world, release, "a");
	load_rows(world, release, "b");
	end_load(world, release, "b");
	run_on_release(world, "release.seal", release);
	run_on_release(world, "release.publish", release);
}

static void write_part(struct wire_writer *args, const char *table, size_t entries)
{
	wire_write_map(args, 1 + entries);
	wire_write_str(args, "table");
	wire_write_str(args, table);
}

/* Two parts: a as an array of integers with all columns, b packed with f16. */
static void arg_parts(struct world *world)
{
	static const uint64_t packed[2] = {ROWS - 1, 1};
	struct wire_writer *args = &world->args;
	arg(world, "parts");
	wire_write_array(args, 2);
	write_part(args, "a", 4);
	wire_write_str(args, "keys");
	wire_write_array(args, 3);
	wire_write_uint(args, 1);
	wire_write_uint(args, ROWS + 1);
	wire_write_uint(args, 2);
	static const char *const flags[] = {"times", "tags", "why"};
	for (size_t i = 0; i < 3; i++) {
		wire_write_str(args, flags[i]);
		wire_write_bool(args, true);
	}
	write_part(args, "b", 2);
	wire_write_str(args, "keys");
	wire_write_bin(args, packed, sizeof packed);
	wire_write_str(args, "dtype");
	wire_write_str(args, "f16");
}

static void arg_one_part(struct world *world, const char *table, size_t keys)
{
	uint64_t *packed = calloc(keys, sizeof *packed);
	assert_non_null(packed);
	arg(world, "parts");
	wire_write_array(&world->args, 1);
	write_part(&world->args, table, 1);
	wire_write_str(&world->args, "keys");
	wire_write_bin(&world->args, packed, keys * sizeof *packed);
	free(packed);
}

static void a_fetch_brings_rows_and_columns(void **state)
{
	struct world *world = *state;
	make_release(world, "r");
	arg_parts(world);
	struct wire_value result = run(world, "fetch");
	assert_str(result, "release", "r");
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
	assert_int_equal(uint_of(a, "n"), 3);
	const float rows[3][DIM] = {{4, 5, 6, 7}, {0}, {8, 9, 10, 11}};
	assert_int_equal(bin_of(a, "rows").len, sizeof rows);
	assert_memory_equal(bin_of(a, "rows").data, rows, sizeof rows);
	assert_int_equal(bin_of(a, "found").data[0], 5);
	const uint64_t tags[3] = {1, 0, 2};
	assert_memory_equal(bin_of(a, "tags").data, tags, sizeof tags);
	assert_memory_equal(bin_of(a, "why").data, "\0\1\0", 3);
	struct wire_value b = wire_item(parts, 1);
	assert_int_equal(uint_of(b, "stride"), 2 * DIM);
	assert_str(b, "dtype", "f16");
	assert_int_equal(bin_of(b, "found").data[0], 3);

	struct wire_value fetch = wire_get(run(world, "stats"), "fetch");
	assert_int_equal(uint_of(fetch, "rows"), 5);
	assert_int_equal(uint_of(fetch, "found"), 4);
	assert_int_equal(uint_of(fetch, "absent"), 1);
}

static void a_fetch_that_must_wait_leaves_no_trace(void **state)
{
	struct world *world = *state;
	make_release(world, "r");
	arg_one_part(world, "a", LIMIT_INLINE_ROWS + 1);
	prepare(world);
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
	assert_true(world->out.len > sizeof(float) * DIM * LIMIT_INLINE_ROWS);
}

static void a_reply_that_does_not_fit_is_refused_with_its_size(void **state)
{
	struct world *world = *state;
	run_on_release(world, "release.create", "r");
	arg_str(world, "release", "r");
	arg_str(world, "table", "wide");
	arg_str(world, "entity", "item");
	arg_str(world, "kind", "ir");
	arg_uint(world, "dim", 1u << 16);
	run(world, "table.create");
	run_on_release(world, "release.seal", "r");
	run_on_release(world, "release.publish", "r");
	arg_one_part(world, "wide", 256); /* 256 KiB a row */
	refuse(world, "fetch", STATUS_TOO_LARGE, "67108864");
	assert_int_equal(world->out.len, 0);
	arg_one_part(world, "wide", 255);
	assert_int_equal(wire_size(run(world, "fetch")), 3);
}

static void parts_are_named_in_errors(void **state)
{
	struct world *world = *state;
	make_release(world, "r");
	arg_one_part(world, "c", 1);
	refuse(world, "fetch", STATUS_NOT_FOUND, "parts[0].table: ");
	arg_one_part(world, "a/b", 1);
	refuse(world, "fetch", STATUS_BAD_REQUEST, "parts[0].table: ");
	arg(world, "parts");
	wire_write_array(&world->args, 0);
	refuse(world, "fetch", STATUS_BAD_REQUEST, "parts: 0 given");
	arg_str(world, "release", "open");
	run(world, "release.create");
	arg_str(world, "release", "open");
	arg_one_part(world, "a", 1);
	refuse(world, "fetch", STATUS_NOT_SEALED, "open");
}

static void a_release_lives(void **state)
{
	struct world *world = *state;
	assert_int_equal(wire_size(wire_get(run(world, "release.list"), "releases")), 0);
	arg_one_part(world, "a", 1);
	refuse(world, "fetch", STATUS_NOT_FOUND, "live");
	run_on_release(world, "release.create", "r1");
	create_table(world, "r1", "a");
	load_rows(world, "r1", "a");

	struct wire_value shown = run_on_release(world, "release.show", "r1");
	assert_str(shown, "state", "open");
	struct wire_value load = wire_item(wire_get(shown, "loads"), 0);
	assert_str(load, "table", "a");
	assert_int_equal(uint_of(load, "next_chunk"), 1);
	assert_int_equal(wire_type(wire_get(load, "ended")), WIRE_BOOL);
	assert_int_equal(wire_size(wire_get(shown, "table_list")), 1);
	arg_str(world, "release", "r1");
	refuse(world, "release.seal", STATUS_CONFLICT, "l");

	arg_str(world, "release", "r1");
	arg_str(world, "table", "a");
	arg_str(world, "load", "l");
	assert_int_equal(uint_of(run(world, "load.abort"), "rows"), ROWS);
	load_rows(world, "r1", "a");
	end_load(world, "r1", "a");
	struct wire_value sealed = run_on_release(world, "release.seal", "r1");
	assert_int_equal(uint_of(sealed, "rows"), ROWS);
	assert_int_equal(wire_type(wire_get(run_on_release(world, "release.publish", "r1"),
				 "previous")),
		WIRE_ABSENT);
	make_release(world, "r2");
	assert_str(run(world, "release.rollback"), "release", "r1");
	assert_str(run_on_release(world, "release.show", "live"), "release", "r1");
	assert_str(run(world, "info"), "live", "r1");
	assert_str(run_on_release(world, "release.publish", "live"), "release", "r1");
	arg_str(world, "release", "live");
	refuse(world, "release.drop", STATUS_CONFLICT, "r1");
	assert_str(run_on_release(world, "release.drop", "r2"), "release", "r2");
	assert_int_equal(wire_size(wire_get(run(world, "release.list"), "releases")), 1);
	assert_int_equal(wire_size(wire_get(run(world, "table.list"), "tables")), 1);
	arg_str(world, "table", "a");
	shown = run(world, "table.show");
	assert_int_equal(uint_of(shown, "rows"), ROWS);
	assert_int_equal(uint_of(shown, "segments"), 1);
	assert_int_equal(uint_of(shown, "damaged"), 0);
}

static void a_scan_walks_the_table(void **state)
{
	struct world *world = *state;
	make_release(world, "r");
	uint64_t rows = 0;
	uint64_t cursor = 0;
	for (unsigned steps = 0; steps < ROWS; steps++) {
		arg_str(world, "table", "a");
		arg_uint(world, "limit", 30);
		arg_uint(world, "cursor", cursor);
		struct wire_value result = run(world, "scan");
		uint64_t count = uint_of(result, "n");
		rows += count;
		assert_int_equal(bin_of(result, "keys").len, count * sizeof(uint64_t));
		assert_int_equal(bin_of(result, "rows").len, count * DIM * sizeof(float));
		assert_int_equal(bin_of(result, "times").len, count * sizeof(int64_t));
		assert_int_equal(bin_of(result, "tags").len, count * sizeof(uint64_t));
		if (wire_type(wire_get(result, "cursor")) == WIRE_ABSENT) {
			assert_int_equal(rows, ROWS);
			return;
		}
		cursor = uint_of(result, "cursor");
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
	return run_prepared(world, attempt->method) == STATUS_OK;
}

static void refused_memory_is_an_error_of_every_reading_method(void **state)
{
	struct world *world = *state;
	make_release(world, "r");
	run_on_release(world, "release.create", "open");
	create_table(world, "open", "a");
	load_rows(world, "open", "a");
	static const char *const methods[] = {"hello", "info", "ping", "stats", "release.list",
		"release.show", "table.list", "table.show", "scan", "fetch"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		const char *method = methods[i];
		if (strcmp(method, "release.show") == 0) {
			arg_str(world, "release", "open");
		} else if (strcmp(method, "table.show") == 0 || strcmp(method, "scan") == 0) {
			arg_str(world, "table", "a");
		} else if (strcmp(method, "fetch") == 0) {
			arg_parts(world);
		}
		prepare(world);
		struct attempt attempt = {.world = world, .method = method};
		assert_int_equal(run_prepared(world, method), STATUS_OK);
		assert_true(alloc_fail_each(run_once, &attempt) > 0);
	}
	arg_parts(world);
	assert_int_equal(wire_size(wire_get(run(world, "fetch"), "parts")), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fetch_brings_rows_and_columns, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fetch_that_must_wait_leaves_no_trace, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_reply_that_does_not_fit_is_refused_with_its_size,
			setup, teardown),
		cmocka_unit_test_setup_teardown(parts_are_named_in_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(a_release_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_scan_walks_the_table, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_memory_is_an_error_of_every_reading_method,
			setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
