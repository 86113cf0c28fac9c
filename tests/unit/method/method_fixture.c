/* method_fixture.c - a store in a scratch folder, and methods that run on it. */
#include "tests/unit/method/method_fixture.h"

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

#include "daemon/method/call/reply.h"
#include "daemon/store/store.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/write/write.h"

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

int world_setup(void **state)
{
	static const char *const listen[] = {"unix:/run/s", NULL};
	struct world *world = calloc(1, sizeof *world);
	assert_non_null(world);
	snprintf(world->folder, sizeof world->folder, "/tmp/test_methods.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	world->service = (struct service){
		.version = "test",
		.started_ms = clock_monotonic_ms(),
		.workers = 2,
		.request_keys = 1 << 24,
		.request_work_ms = LIMIT_CALL_MS,
		.pool = 3,
		.listen = listen,
		.net_stats = net_stats,
	};
	struct access_rules *rules = calloc(1, sizeof *rules);
	assert_non_null(rules);
	access_rules_init(rules);
	assert_int_equal(access_rules_add(rules, ROLE_READ, "tcp:loopback user:1001", NULL),
		STATUS_OK);
	access_init(&world->access, rules);
	free(rules);
	world->service.access = &world->access;
	world->peer.kind = IDENTITY_LOOPBACK;
	slow_log_init(&world->slow_log, 10);
	world->service.slow_log = &world->slow_log;
	method_thread_begin();
	open_store(world);
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;
	store_close(world->service.store);
	access_fini(&world->access);
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

void world_arg(struct world *world, const char *name)
{
	world->arg_count++;
	wire_write_str(&world->args, name);
}

void world_arg_str(struct world *world, const char *name, const char *value)
{
	world_arg(world, name);
	wire_write_str(&world->args, value);
}

void world_arg_uint(struct world *world, const char *name, uint64_t value)
{
	world_arg(world, name);
	wire_write_uint(&world->args, value);
}

void world_arg_flag(struct world *world, const char *name)
{
	world_arg(world, name);
	wire_write_bool(&world->args, true);
}

void world_arg_bin(struct world *world, const char *name, const void *data, size_t len)
{
	world_arg(world, name);
	wire_write_bin(&world->args, data, len);
}

/* The arguments since the last call become the params of this one. */
void world_prepare(struct world *world)
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

enum status world_run_prepared(struct world *world, const char *name)
{
	wire_writer_clear(&world->out);
	world->call = (struct call){
		.service = &world->service,
		.params = wire_root(world->params),
		.peer = &world->peer,
		.roles = ROLE_ANYBODY | ROLE_READ,
		.out = &world->out,
		.may_block = true,
	};
	const struct method *method = method_find(name, strlen(name));
	assert_non_null(method);
	enum status status = method_run(method, &world->call);
	if (status == STATUS_OK && method->place == METHOD_LOAD) {
		status = method_load_sync(&world->service, &world->call.error);
	}
	if (world->call.ticket != NULL) {
		const enum status written =
			store_write_wait(world->call.ticket, &world->call.error);
		status = status == STATUS_OK ? written : status;
	}
	return status;
}

/* Runs a method that must succeed; its result is one whole value. */
struct wire_value world_run(struct world *world, const char *name)
{
	world_prepare(world);
	if (world_run_prepared(world, name) != STATUS_OK) {
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

void world_refuse(struct world *world, const char *name, enum status expected, const char *text)
{
	world_prepare(world);
	assert_int_equal(world_run_prepared(world, name), expected);
	assert_int_equal(world->call.error.status, expected);
	if (strstr(world->call.error.text, text) == NULL) {
		fail_msg("'%s' does not say '%s'", world->call.error.text, text);
	}
}

uint64_t world_uint_of(struct wire_value map, const char *name)
{
	uint64_t value;
	if (!wire_uint(wire_get(map, name), &value)) {
		fail_msg("%s: no uint", name);
	}
	return value;
}

void world_assert_str(struct wire_value map, const char *name, const char *expected)
{
	struct wire_bytes text;
	assert_true(wire_str(wire_get(map, name), &text));
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.data, expected, text.len);
}

struct wire_bytes world_bin_of(struct wire_value map, const char *name)
{
	struct wire_bytes data = {0};
	if (!wire_bin(wire_get(map, name), &data)) {
		fail_msg("%s: no bin", name);
	}
	return data;
}

void world_create_table(struct world *world, const char *release, const char *table)
{
	world_arg_str(world, "release", release);
	world_arg_str(world, "table", table);
	world_arg_str(world, "entity", "user");
	world_arg_str(world, "kind", "ur");
	world_arg_uint(world, "dim", WORLD_DIM);
	world_arg_flag(world, "tags");
	struct wire_value result = world_run(world, "table.create");
	world_assert_str(result, "table", table);
}

void world_load_rows(struct world *world, const char *release, const char *table)
{
	uint64_t keys[WORLD_ROWS];
	float rows[WORLD_ROWS][WORLD_DIM];
	for (unsigned i = 0; i < WORLD_ROWS; i++) {
		keys[i] = i;
		for (unsigned j = 0; j < WORLD_DIM; j++) {
			rows[i][j] = (float)(i * WORLD_DIM + j);
		}
	}
	world_arg_str(world, "release", release);
	world_arg_str(world, "table", table);
	world_arg_str(world, "load", "l");
	world_arg_uint(world, "chunk", 0);
	world_arg_bin(world, "keys", keys, sizeof keys);
	world_arg_bin(world, "rows", rows, sizeof rows);
	world_arg_bin(world, "tags", keys, sizeof keys);
	struct wire_value result = world_run(world, "load");
	assert_int_equal(world_uint_of(result, "next_chunk"), 1);
	assert_int_equal(world_uint_of(result, "rows"), WORLD_ROWS);
}

void world_end_load(struct world *world, const char *release, const char *table)
{
	world_arg_str(world, "release", release);
	world_arg_str(world, "table", table);
	world_arg_str(world, "load", "l");
	world_arg_uint(world, "chunks", 1);
	world_arg_uint(world, "rows", WORLD_ROWS);
	assert_int_equal(world_uint_of(world_run(world, "load.end"), "rows"), WORLD_ROWS);
}

struct wire_value world_run_on(struct world *world, const char *method, const char *release)
{
	world_arg_str(world, "release", release);
	return world_run(world, method);
}

void world_make_release(struct world *world, const char *release)
{
	world_arg_str(world, "model", "m");
	world_run_on(world, "release.create", release);
	world_create_table(world, release, "a");
	world_create_table(world, release, "b");
	world_load_rows(world, release, "a");
	world_end_load(world, release, "a");
	world_load_rows(world, release, "b");
	world_end_load(world, release, "b");
	world_run_on(world, "release.seal", release);
	world_run_on(world, "release.publish", release);
}

static void write_part(struct wire_writer *args, const char *table, size_t entries)
{
	wire_write_map(args, 1 + entries);
	wire_write_str(args, "table");
	wire_write_str(args, table);
}

/* Two parts: a as an array of integers with all columns, b packed with f16. */
void world_arg_parts(struct world *world)
{
	static const uint64_t packed[2] = {WORLD_ROWS - 1, 1};
	struct wire_writer *args = &world->args;
	world_arg(world, "parts");
	wire_write_array(args, 2);
	write_part(args, "a", 4);
	wire_write_str(args, "keys");
	wire_write_array(args, 3);
	wire_write_uint(args, 1);
	wire_write_uint(args, WORLD_ROWS + 1);
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

void world_arg_part(struct world *world, const char *table, size_t keys)
{
	uint64_t *packed = calloc(keys, sizeof *packed);
	assert_non_null(packed);
	world_arg(world, "parts");
	wire_write_array(&world->args, 1);
	write_part(&world->args, table, 1);
	wire_write_str(&world->args, "keys");
	wire_write_bin(&world->args, packed, keys * sizeof *packed);
	free(packed);
}
