/* test_local.c - a reader of a folder answers what the store answers, byte for byte, and changes nothing. */
#include "daemon/local/local_methods.h"
#include "daemon/local/local_release.h"
#include "tests/unit/local/local_fixture.h"

#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/method/call/reply.h"
#include "schema/rpc.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"

static void ask_search(struct pair *pair, const char *method)
{
	static const uint64_t keys[] = {5, 7, 200};
	struct wire_writer *args = &pair->world->args;
	const float query[WORLD_DIM] = {1, 2, 3, 4};
	world_arg_str(pair->world, "release", "r1");
	world_arg_str(pair->world, "table", "a");
	world_arg(pair->world, "queries");
	wire_write_bin(args, query, sizeof query);
	if (strcmp(method, "score") == 0) {
		world_arg_bin(pair->world, "keys", keys, sizeof keys);
	} else {
		world_arg_uint(pair->world, "k", 5);
	}
	pair_expect_same(pair, method);
}

static void ask_all(struct pair *pair)
{
	struct world *world = pair->world;
	static const char *const on_release[] = {"tensor.list", "layer.list"};
	static const char *const alone[] = {"hello", "ping", "release.list"};
	for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
		pair_expect_same(pair, alone[i]);
	}
	for (size_t i = 0; i < sizeof on_release / sizeof on_release[0]; i++) {
		world_arg_str(world, "release", "r1");
		pair_expect_same(pair, on_release[i]);
	}
	world_arg_parts(world);
	pair_expect_same(pair, "fetch");
	pair_expect_rows(pair, 0, WORLD_ROWS + 50);
	world_arg_str(world, "table", "a");
	world_arg_uint(world, "limit", 40);
	pair_expect_same(pair, "scan");
	ask_search(pair, "retrieve");
	ask_search(pair, "score");
}

static void a_reader_beside_a_store_answers_as_it_does(void **state)
{
	pair_open(*state, LOCAL_FOLLOW_WRITES);
	ask_all(*state);
}

/* A copy of the answers that the store gave before it was closed would have other cursors, so the store opens again
 * when the reader has its folder open already. */
static void a_reader_without_a_store_answers_as_it_did(void **state)
{
	struct pair *pair = *state;
	struct local_stats stats;
	(void)pair_put(pair, "a", 10, 5, 1.5f);
	(void)pair_put(pair, "b", 90, 100, 2.5f);
	pair_close_store(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	local_stats(pair->local, &stats);
	assert_int_equal(stats.sequence, 2);
	assert_int_equal(stats.frames, 2);
	pair_open_store(pair);
	ask_all(pair);
}

static void it_shows_releases_and_tables(void **state)
{
	struct pair *pair = *state;
	struct world *world = pair->world;
	static const char *const methods[] = {"release.show", "table.list"};
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (size_t i = 0; i < 2; i++) {
		struct wire_message *message = NULL;
		struct rpc_envelope envelope;
		world_arg_str(world, "release", "r1");
		pair_request(pair, methods[i]);
		const struct wire_bytes response = pair_ask(pair);
		assert_int_equal(wire_open(response.data, response.len, &message), STATUS_OK);
		assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
		assert_false(envelope.failed);
		const struct wire_value tables =
			wire_get(envelope.result, i == 0 ? "table_list" : "tables");
		assert_int_equal(wire_size(tables), 2);
		world_assert_str(wire_item(tables, 0), "table", "a");
		assert_int_equal(world_uint_of(wire_item(tables, 0), "rows"), WORLD_ROWS);
		world_assert_str(envelope.result, "release", "r1");
		wire_close(message);
	}
	world_arg_str(world, "release", "r9");
	pair_expect_same(pair, "release.show");
}

static void a_wrong_request_gets_the_same_error(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_same(pair, "fetch");
	world_arg_part(pair->world, "nothing", 3);
	pair_expect_same(pair, "fetch");
	world_arg_str(pair->world, "release", "r9");
	world_arg_part(pair->world, "a", 3);
	pair_expect_same(pair, "fetch");
	world_arg_str(pair->world, "table", "a");
	world_arg_uint(pair->world, "limit", 0);
	pair_expect_same(pair, "scan");
	world_arg_uint(pair->world, "timeout_ms", 0);
	world_arg_part(pair->world, "a", 3);
	pair_expect_same(pair, "fetch");
}

static void what_changes_something_is_refused_by_name(void **state)
{
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_refuse(pair, "put", "UNSUPPORTED", "put: this is a reader of a folder");
	pair_refuse(pair, "positions", "UNSUPPORTED", "positions: this is a reader");
	pair_refuse(pair, "bogus", "UNSUPPORTED", "method 'bogus'");
}

static void every_method_of_the_daemon_is_the_readers_or_left_to_the_daemon(void **state)
{
	size_t left = 0;
	(void)state;
	while (local_methods_left[left] != NULL) {
		left++;
	}
	assert_int_equal(left + local_method_count, method_count);
	for (size_t i = 0; i < method_count; i++) {
		struct error err;
		const struct method *found = NULL;
		const char *name = method_table[i].name;
		if (local_method_find(name, strlen(name), &found, &err) == STATUS_OK) {
			assert_string_equal(found->name, name);
			assert_int_equal(found->place, method_table[i].place);
			assert_int_equal(found->role, method_table[i].role);
			/* That of the daemon knows loads, too. */
			assert_ptr_equal(found->run, strcmp(name, "release.show") == 0
							     ? local_release_show_run
							     : method_table[i].run);
			assert_ptr_equal(found->names, method_table[i].names);
		} else {
			assert_non_null(strstr(err.text, "connect to the daemon"));
		}
	}
}

static void bytes_that_are_no_message_are_an_error(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {{"", 0}, {"\xc1", 1}, {"\x01", 1}, {"\x94\x00\x07", 3}, {"\x90\x90", 2}};
	struct pair *pair = *state;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error err;
		struct wire_bytes response;
		assert_int_equal(local_call(pair->handle, (const uint8_t *)cases[i].bytes,
					 cases[i].len, 0, &response, &err),
			STATUS_PROTOCOL);
	}
	/* A method that is no str. */
	struct error err;
	struct wire_bytes response;
	assert_int_equal(local_call(pair->handle, (const uint8_t *)"\x94\x00\x07\x01\x90", 5, 0,
				 &response, &err),
		STATUS_OK);
	assert_non_null(memmem(response.data, response.len, "BAD_REQUEST", 11));
}

/* Opens the folder, reads of it and closes it. */
static bool read_once(void *arg)
{
	struct pair *pair = arg;
	const struct local_options options = {.folder = pair->folder};
	struct wire_bytes response = {0};
	bool done = local_open(&options, &pair->local, NULL) == STATUS_OK &&
		    local_handle_open(pair->local, &pair->handle, NULL) == STATUS_OK &&
		    local_call(pair->handle, pair->request.data, pair->request.len, 0, &response,
			    NULL) == STATUS_OK;
	done = done && response.len == pair->expected.len &&
	       memcmp(response.data, pair->expected.data, response.len) == 0;
	pair_close(pair);
	return done;
}

static void refused_memory_is_told(void **state)
{
	struct pair *pair = *state;
	(void)pair_put(pair, "a", 0, 50, 1);
	world_arg_parts(pair->world);
	pair_request(pair, "fetch");
	(void)pair_ask_store(pair);
	assert_true(alloc_fail_each(read_once, pair) > 0);
}

static void calls_are_counted_by_method_and_keys_by_table(void **state)
{
	static const struct {
		const char *name;
		uint64_t calls;
		uint64_t errors;
	} expected[] = {{"fetch", 3, 1}, {"release.list", 1, 0}};
	struct pair *pair = *state;
	struct local_method_stats methods[LOCAL_METHODS];
	struct local_table_stats *tables;
	struct local_handle *other;
	struct wire_bytes response;
	struct error err;
	size_t count;
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	assert_int_equal(local_method_stats(pair->local, methods), 0);
	assert_int_equal(local_table_stats(pair->local, &tables, &count), STATUS_OK);
	assert_int_equal(count, 0);
	free(tables);
	assert_int_equal(local_handle_open(pair->local, &other, &err), STATUS_OK);
	world_arg_part(pair->world, "a", 3);
	pair_request(pair, "fetch");
	(void)pair_ask(pair);
	assert_int_equal(local_call(other, pair->request.data, pair->request.len, 0, &response,
				 &err),
		STATUS_OK);
	local_handle_close(other); /* what it counted stays */
	world_arg_part(pair->world, "none", 3);
	pair_refuse(pair, "fetch", "NOT_FOUND", "none");
	pair_refuse(pair, "no.such.method", "UNSUPPORTED", "");
	pair_request(pair, "release.list");
	(void)pair_ask(pair);
	assert_int_equal(local_method_stats(pair->local, methods), 2);
	for (size_t i = 0; i < 2; i++) {
		uint64_t sum = 0;
		for (size_t j = 0; j < LOCAL_TIMES; j++) {
			sum += methods[i].times[j];
		}
		assert_string_equal(methods[i].name, expected[i].name);
		assert_int_equal(methods[i].calls, expected[i].calls);
		assert_int_equal(methods[i].errors, expected[i].errors);
		assert_int_equal(sum, expected[i].calls);
		assert_true(methods[i].ns > 0);
	}
	assert_int_equal(local_table_stats(pair->local, &tables, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_string_equal(tables[0].name.text, "a");
	assert_int_equal(tables[0].keys[0], 6);
	assert_int_equal(tables[0].keys[1], 0);
	free(tables);
}

/* Also of a folder on which the reader may write. */
static void a_reader_changes_nothing_in_the_folder(void **state)
{
	struct pair *pair = *state;
	struct stat before;
	struct stat after;
	pair_close_store(pair);
	assert_int_equal(chmod(pair->world->folder, 0500), 0);
	assert_int_equal(stat(pair->world->folder, &before), 0);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_request(pair, "release.list");
	(void)pair_ask(pair);
	pair_close(pair);
	assert_int_equal(stat(pair->world->folder, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(chmod(pair->world->folder, 0700), 0);
}

static void expect_no_open(struct pair *pair, const struct local_options *options,
	enum status expected, const char *text)
{
	struct error err;
	struct local_options own = *options;
	own.folder = own.folder == NULL ? pair->folder : own.folder;
	assert_int_equal(local_open(&own, &pair->local, &err), expected);
	if (strstr(err.text, text) == NULL) {
		fail_msg("'%s' does not say '%s'", err.text, text);
	}
	pair->local = NULL;
}

/* Whoever opens a pipe waits for who writes into it. */
static void a_pipe_in_the_place_of_a_file_does_not_hold_the_opening(void **state)
{
	struct pair *pair = *state;
	glob_t found;
	char pattern[PATH_MAX];
	(void)pair_put_both(pair, 0, 50, 1);
	pair_merge(pair);
	pair_close_store(pair);
	(void)snprintf(pattern, sizeof pattern, "%s/releases/1/base-1-*.mdb", pair->world->folder);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		assert_int_equal(unlink(found.gl_pathv[i]), 0);
		assert_int_equal(mkfifo(found.gl_pathv[i], 0600), 0);
	}
	globfree(&found);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	world_arg_str(pair->world, "table", "a");
	pair_request(pair, "table.show");
	assert_true(pair_ask(pair).len > 0);
	pair_close(pair);
	pair_open_store(pair);
}

static void a_folder_that_cannot_be_trusted_is_refused(void **state)
{
	struct pair *pair = *state;
	const struct local_options options = {.follow = LOCAL_FOLLOW_WRITES};
	assert_int_equal(chmod(pair->world->folder, 0770), 0);
	expect_no_open(pair, &options, STATUS_IO, "chmod go-w");
	assert_int_equal(chmod(pair->world->folder, 0700), 0);
	expect_no_open(pair, &(struct local_options){.folder = "/tmp"}, STATUS_IO, "chmod go-w");
	expect_no_open(pair, &(struct local_options){.folder = "/usr/lib"}, STATUS_NOT_FOUND,
		"no data folder");
	expect_no_open(pair, &(struct local_options){.folder = "/nowhere"}, STATUS_NOT_FOUND,
		"/nowhere");
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_beside_a_store_answers_as_it_does),
		cmocka_unit_test(a_reader_without_a_store_answers_as_it_did),
		cmocka_unit_test(it_shows_releases_and_tables),
		cmocka_unit_test(a_wrong_request_gets_the_same_error),
		cmocka_unit_test(what_changes_something_is_refused_by_name),
		cmocka_unit_test(every_method_of_the_daemon_is_the_readers_or_left_to_the_daemon),
		cmocka_unit_test(bytes_that_are_no_message_are_an_error),
		cmocka_unit_test(calls_are_counted_by_method_and_keys_by_table),
		cmocka_unit_test(refused_memory_is_told),
		cmocka_unit_test(a_reader_changes_nothing_in_the_folder),
		cmocka_unit_test(a_pipe_in_the_place_of_a_file_does_not_hold_the_opening),
		cmocka_unit_test(a_folder_that_cannot_be_trusted_is_refused),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
