/* local_fixture.c - asks a store and a reader of its folder the same. */
#include "tests/unit/local/local_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "daemon/method/call/answer.h"
#include "daemon/method/call/reply.h"
#include "daemon/store/store.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/visible/visible_view.h"
#include "schema/rpc_head.h"
#include "tests/unit/wait.h"

/* ---- calls beside a start ---- */

#ifdef __SANITIZE_ADDRESS__
enum { CALLS_WAIT = true };
#else
enum { CALLS_WAIT = false };
#endif

static void calls_init(pthread_rwlock_t *calls)
{
	pthread_rwlockattr_t attributes;
	assert_int_equal(pthread_rwlockattr_init(&attributes), 0);
	/* Else there would always be one that calls. */
	assert_int_equal(pthread_rwlockattr_setkind_np(&attributes,
				 PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP),
		0);
	assert_int_equal(pthread_rwlock_init(calls, &attributes), 0);
	(void)pthread_rwlockattr_destroy(&attributes);
}

void pair_calls_begin(struct pair *pair)
{
	if (CALLS_WAIT) {
		(void)pthread_rwlock_rdlock(&pair->calls);
	}
}

void pair_calls_end(struct pair *pair)
{
	if (CALLS_WAIT) {
		(void)pthread_rwlock_unlock(&pair->calls);
	}
}

/* ---- store and reader ---- */

int pair_setup(void **state)
{
	struct pair *pair = calloc(1, sizeof *pair);
	void *world = NULL;
	assert_non_null(pair);
	assert_int_equal(world_setup(&world), 0);
	calls_init(&pair->calls);
	pair->world = world;
	pair->world->service.version = REPSTORE_VERSION; /* hello tells it */
	(void)snprintf(pair->folder, sizeof pair->folder, "/./%s", pair->world->folder + 1);
	world_make_release(pair->world, "r1");
	*state = pair;
	return 0;
}

int pair_teardown(void **state)
{
	struct pair *pair = *state;
	void *world = pair->world;
	pair_close(pair);
	wire_writer_fini(&pair->request);
	wire_writer_fini(&pair->expected);
	assert_int_equal(world_teardown(&world), 0);
	(void)pthread_rwlock_destroy(&pair->calls);
	free(pair);
	return 0;
}

void pair_close_store(struct pair *pair)
{
	store_close(pair->world->service.store);
	pair->world->service.store = NULL;
}

enum status pair_try_open_store(struct pair *pair, struct error *err)
{
	const struct store_options options = {
		.folder = pair->world->folder,
		.load_memory_bytes = 128u << 20,
		.catalog_bytes = 64u << 20,
	};
	(void)pthread_rwlock_wrlock(&pair->calls);
	const enum status status = store_open(&options, &pair->world->service.store, err);
	(void)pthread_rwlock_unlock(&pair->calls);
	return status;
}

void pair_open_store(struct pair *pair)
{
	struct error err;
	if (pair_try_open_store(pair, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
}

void pair_merge(struct pair *pair)
{
	(void)world_run(pair->world, "merge");
}

void pair_open_as(struct pair *pair, const struct local_options *options)
{
	struct error err;
	struct local_options own = *options;
	own.folder = pair->folder;
	if (local_open(&own, &pair->local, &err) != STATUS_OK ||
		local_handle_open(pair->local, &pair->handle, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
}

void pair_open(struct pair *pair, enum local_follow follow)
{
	const struct local_options options = {.follow = follow};
	pair_open_as(pair, &options);
}

void pair_close(struct pair *pair)
{
	local_handle_close(pair->handle);
	local_close(pair->local);
	pair->handle = NULL;
	pair->local = NULL;
}

void pair_request(struct pair *pair, const char *method)
{
	struct world *world = pair->world;
	wire_writer_clear(&pair->request);
	rpc_write_request(&pair->request, 7, method);
	wire_write_map(&pair->request, world->arg_count);
	if (world->arg_count > 0) {
		wire_write_raw(&pair->request, world->args.data, world->args.len);
	}
	wire_writer_clear(&world->args);
	world->arg_count = 0;
	assert_int_equal(pair->request.status, STATUS_OK);
}

struct wire_bytes pair_ask_store(struct pair *pair)
{
	struct wire_skim skim = {0};
	struct write_ticket *ticket = NULL;
	struct question question = {
		.service = &pair->world->service,
		.message = {.data = pair->request.data, .len = pair->request.len},
		.peer = &pair->world->peer,
		.client = "",
		.roles = ROLE_ANYBODY | ROLE_READ,
	};
	assert_int_equal(wire_skim(&skim, pair->request.data, pair->request.len), STATUS_OK);
	question.elements = skim.elements;
	assert_int_equal(rpc_head_read(pair->request.data, pair->request.len, &question.head),
		RPC_HEAD_WHOLE);
	question.method =
		method_find((const char *)question.head.method.data, question.head.method.len);
	assert_non_null(question.method);
	wire_writer_clear(&pair->expected);
	(void)answer_run(&question, &ticket, &pair->expected);
	assert_null(ticket);
	return (struct wire_bytes){.data = pair->expected.data, .len = pair->expected.len};
}

struct wire_bytes pair_ask(struct pair *pair)
{
	struct error err;
	struct wire_bytes response;
	if (local_call(pair->handle, pair->request.data, pair->request.len, 0, &response, &err) !=
		STATUS_OK) {
		fail_msg("%s", err.text);
	}
	return response;
}

static void expect_same_answers(struct pair *pair, const char *method)
{
	const struct wire_bytes expected = pair_ask_store(pair);
	const struct wire_bytes response = pair_ask(pair);
	if (response.len != expected.len) {
		fail_msg("%s: %zu bytes, not %zu", method, response.len, expected.len);
	}
	assert_memory_equal(response.data, expected.data, expected.len);
}

void pair_expect_same(struct pair *pair, const char *method)
{
	pair_request(pair, method);
	expect_same_answers(pair, method);
}

void pair_refuse(struct pair *pair, const char *method, const char *code, const char *text)
{
	struct rpc_envelope envelope;
	struct wire_message *message = NULL;
	char error[256];
	pair_request(pair, method);
	const struct wire_bytes response = pair_ask(pair);
	assert_int_equal(wire_open(response.data, response.len, &message), STATUS_OK);
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	assert_true(envelope.failed);
	(void)snprintf(error, sizeof error, "%.*s", (int)envelope.error.len,
		(const char *)envelope.error.data);
	if (strncmp(error, code, strlen(code)) != 0 || strstr(error, text) == NULL) {
		fail_msg("'%s' is not %s with '%s'", error, code, text);
	}
	wire_close(message);
}

/* Rows of keys [from, from + count), all of this value. */
static void write_rows(struct wire_writer *args, uint64_t from, uint32_t count, float value)
{
	uint64_t *keys = calloc(count, sizeof *keys);
	float *rows = calloc((size_t)count * WORLD_DIM, sizeof *rows);
	assert_non_null(keys);
	assert_non_null(rows);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = from + i;
		for (uint32_t j = 0; j < WORLD_DIM; j++) {
			rows[i * WORLD_DIM + j] = value + (float)j;
		}
	}
	reply_bin(args, "keys", keys, count * sizeof *keys);
	reply_bin(args, "rows", rows, (size_t)count * WORLD_DIM * sizeof *rows);
	reply_bin(args, "tags", keys, count * sizeof *keys);
	free(keys);
	free(rows);
}

uint64_t pair_put_to(struct pair *pair, const char *release, uint64_t from, uint32_t count,
	float value)
{
	struct world *world = pair->world;
	world_arg_str(world, "release", release);
	world_arg_str(world, "table", "a");
	write_rows(&world->args, from, count, value);
	world->arg_count += 3;
	return world_uint_of(world_run(world, "put"), "sequence");
}

uint64_t pair_put(struct pair *pair, const char *table, uint64_t from, uint32_t count, float value)
{
	struct world *world = pair->world;
	world_arg_str(world, "release", "r1");
	world_arg_str(world, "table", table);
	write_rows(&world->args, from, count, value);
	world->arg_count += 3;
	return world_uint_of(world_run(world, "put"), "sequence");
}

uint64_t pair_put_both(struct pair *pair, uint64_t from, uint32_t count, float value)
{
	static const char *const tables[] = {"a", "b"};
	struct world *world = pair->world;
	world_arg_str(world, "release", "r1");
	world_arg(world, "parts");
	wire_write_array(&world->args, 2);
	for (size_t i = 0; i < 2; i++) {
		wire_write_map(&world->args, 4);
		reply_str(&world->args, "table", tables[i]);
		write_rows(&world->args, from, count, value);
	}
	return world_uint_of(world_run(world, "put"), "sequence");
}

void pair_await_dead(const struct pair *pair)
{
	struct wait wait = {0};
	struct error err;
	struct visible_view *view = NULL;
	struct visible page;
	assert_int_equal(visible_view_open(pair->world->folder, &view, &err), STATUS_OK);
	assert_true(visible_view_read(view, &page));
	while (visible_is_alive(&page, clock_monotonic_ns())) {
		wait_a_moment(&wait);
	}
	visible_view_close(view);
}

void pair_await(struct pair *pair, uint64_t sequence)
{
	struct wait wait = {0};
	struct local_stats stats;
	local_stats(pair->local, &stats);
	while (stats.sequence < sequence) {
		wait_a_moment(&wait);
		local_stats(pair->local, &stats);
	}
}

/* Whether both answer the request that was made last with the same bytes. */
static bool answers_are_same(struct pair *pair)
{
	const struct wire_bytes expected = pair_ask_store(pair);
	const struct wire_bytes response = pair_ask(pair);
	return response.len == expected.len &&
	       memcmp(response.data, expected.data, expected.len) == 0;
}

void pair_await_current(struct pair *pair)
{
	struct wait wait = {0};
	pair_request(pair, "release.list");
	while (!answers_are_same(pair)) {
		wait_a_moment(&wait);
		pair_request(pair, "release.list");
	}
}

void pair_expect_rows(struct pair *pair, uint64_t from, uint32_t count)
{
	pair_expect_rows_of(pair, "r1", from, count);
}

static void request_rows(struct pair *pair, const char *release, uint64_t from, uint32_t count)
{
	static const char *const tables[] = {"a", "b"};
	struct wire_writer *args = &pair->world->args;
	uint64_t *keys = calloc(count, sizeof *keys);
	assert_non_null(keys);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = from + i;
	}
	world_arg_str(pair->world, "release", release);
	world_arg(pair->world, "parts");
	wire_write_array(args, 2);
	for (size_t i = 0; i < 2; i++) {
		wire_write_map(args, 5);
		reply_str(args, "table", tables[i]);
		reply_bin(args, "keys", keys, count * sizeof *keys);
		reply_flag(args, "times", true);
		reply_flag(args, "tags", true);
		reply_flag(args, "why", true);
	}
	free(keys);
	pair_request(pair, "fetch");
}

void pair_expect_rows_of(struct pair *pair, const char *release, uint64_t from, uint32_t count)
{
	request_rows(pair, release, from, count);
	expect_same_answers(pair, "fetch");
}

void pair_await_rows(struct pair *pair, uint64_t from, uint32_t count)
{
	struct wait wait = {0};
	request_rows(pair, "r1", from, count);
	while (!answers_are_same(pair)) {
		wait_a_moment(&wait);
		request_rows(pair, "r1", from, count);
	}
}
