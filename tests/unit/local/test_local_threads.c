/* test_local_threads.c - threads read a folder while it is written to, merged and published: what one write has put into
 * two tables is seen in both or in none, and what a thread has seen once it does not lose. */
#include "tests/unit/local/local_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/rpc.h"
#include "tests/unit/fixture.h"
#include "tests/unit/wait.h"

enum { READERS = 8, OPENERS = 2, ROUNDS = 24, KEYS = 60 };

struct onlooker {
	pthread_t thread;
	struct pair *pair;
	const struct wire_writer *request;
	atomic_bool *stop;
	_Atomic uint64_t answers;
	_Atomic(const char *) wrong; /* what; NULL: nothing was */
};

/* The first element of the first row of a part, and whether it is there. */
static float first_of(struct wire_value part, const char **wrong)
{
	struct wire_bytes rows;
	float value = -1;
	if (!wire_bin(wire_get(part, "rows"), &rows) || rows.len < sizeof value) {
		*wrong = "no rows";
		return value;
	}
	memcpy(&value, rows.data, sizeof value);
	/* All keys are written together. */
	for (size_t i = 0; i < KEYS; i++) {
		float other;
		memcpy(&other, rows.data + i * WORLD_DIM * sizeof other, sizeof other);
		if (other != value) {
			*wrong = "rows of several writes in one table";
		}
	}
	return value;
}

/* Looks at an answer; *last: the value that was seen before. */
static const char *check(struct wire_bytes response, float *last)
{
	const char *wrong = NULL;
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	if (wire_open(response.data, response.len, &message) != STATUS_OK) {
		return "no message";
	}
	if (rpc_read(wire_root(message), &envelope, NULL) != STATUS_OK || envelope.failed) {
		wrong = "an error";
	} else {
		const struct wire_value parts = wire_get(envelope.result, "parts");
		const float a = first_of(wire_item(parts, 0), &wrong);
		const float b = first_of(wire_item(parts, 1), &wrong);
		if (a != b) {
			wrong = "tables of two writes";
		} else if (a < *last) {
			wrong = "an older write than before";
		}
		*last = a;
	}
	wire_close(message);
	return wrong;
}

static void *read_rows(void *arg)
{
	struct onlooker *reading = arg;
	struct local_handle *handle = NULL;
	float last = -1;
	if (local_handle_open(reading->pair->local, &handle, NULL) != STATUS_OK) {
		reading->wrong = "no handle";
		return NULL;
	}
	while (!atomic_load(reading->stop) && reading->wrong == NULL) {
		struct wire_bytes response;
		pair_calls_begin(reading->pair);
		if (local_call(handle, reading->request->data, reading->request->len, 0, &response,
			    NULL) != STATUS_OK) {
			reading->wrong = "no answer";
		} else {
			reading->wrong = check(response, &last);
		}
		pair_calls_end(reading->pair);
		atomic_fetch_add(&reading->answers, 1);
	}
	local_handle_close(handle);
	return NULL;
}

/* A fetch of keys [0, KEYS) of both tables. */
static void make_request(struct pair *pair)
{
	static const char *const tables[] = {"a", "b"};
	struct wire_writer *args = &pair->world->args;
	uint64_t keys[KEYS];
	for (uint64_t i = 0; i < KEYS; i++) {
		keys[i] = i;
	}
	world_arg_str(pair->world, "release", "r1");
	world_arg(pair->world, "parts");
	wire_write_array(args, 2);
	for (size_t i = 0; i < 2; i++) {
		wire_write_map(args, 2);
		wire_write_str(args, "table");
		wire_write_str(args, tables[i]);
		wire_write_str(args, "keys");
		wire_write_bin(args, keys, sizeof keys);
	}
	pair_request(pair, "fetch");
}

/* Until each has had an answer more. */
static void await_answers(struct onlooker *onlookers, size_t count)
{
	uint64_t before[READERS];
	struct wait wait = {0};
	assert_true(count <= READERS);
	for (size_t i = 0; i < count; i++) {
		before[i] = atomic_load(&onlookers[i].answers);
	}
	for (size_t i = 0; i < count; i++) {
		while (atomic_load(&onlookers[i].answers) == before[i] &&
			onlookers[i].wrong == NULL) {
			wait_a_moment(&wait);
		}
	}
}

static void change(struct pair *pair, uint32_t round)
{
	struct world *world = pair->world;
	(void)pair_put_both(pair, 0, KEYS, (float)(2 * round));
	if (round % 4 == 1) {
		pair_merge(pair);
	}
	if (round % 8 == 2) {
		world_make_release(world, "r2");
	}
	if (round % 8 == 5) {
		(void)world_run(world, "release.rollback");
		(void)world_run_on(world, "release.drop", "r2");
	}
	if (round % 16 == 7) {
		pair_close_store(pair);
		pair_open_store(pair);
	}
	(void)pair_put_both(pair, 0, KEYS, (float)(2 * round + 1));
}

static void readers_see_whole_writes_while_everything_changes(void **state)
{
	struct pair *pair = *state;
	atomic_bool stop = false;
	struct onlooker readings[READERS] = {0};
	struct wire_writer request = {0};
	struct local_stats stats;
	(void)pair_put_both(pair, 0, KEYS, 0);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	make_request(pair);
	wire_write_raw(&request, pair->request.data, pair->request.len);
	for (size_t i = 0; i < READERS; i++) {
		readings[i].pair = pair;
		readings[i].request = &request;
		readings[i].stop = &stop;
		assert_int_equal(pthread_create(&readings[i].thread, NULL, read_rows, &readings[i]),
			0);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		change(pair, round);
		await_answers(readings, READERS);
	}
	pair_await(pair, 1 + 2 * ROUNDS);
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readings[i].thread, NULL), 0);
		if (readings[i].wrong != NULL) {
			fail_msg("%s", readings[i].wrong);
		}
	}
	local_stats(pair->local, &stats);
	assert_int_equal(stats.replays, 1);
	pair_await_current(pair);
	pair_expect_rows(pair, 0, 100);
	wire_writer_fini(&request);
}

/* ---- openings beside merges ---- */

/* Opens the folder again and again: what DATA/current names may be gone before it is opened. */
static void *open_often(void *arg)
{
	struct onlooker *onlooker = arg;
	const struct local_options options = {.folder = onlooker->pair->folder};
	float last = -1;
	while (!atomic_load(onlooker->stop) && onlooker->wrong == NULL) {
		struct local *local = NULL;
		struct local_handle *handle = NULL;
		struct wire_bytes response;
		if (local_open(&options, &local, NULL) != STATUS_OK ||
			local_handle_open(local, &handle, NULL) != STATUS_OK ||
			local_call(handle, onlooker->request->data, onlooker->request->len, 0,
				&response, NULL) != STATUS_OK) {
			onlooker->wrong = "no answer";
		} else {
			onlooker->wrong = check(response, &last);
		}
		local_handle_close(handle);
		local_close(local);
		atomic_fetch_add(&onlooker->answers, 1);
	}
	return NULL;
}

static void a_folder_can_be_opened_while_its_files_are_replaced(void **state)
{
	struct pair *pair = *state;
	atomic_bool stop = false;
	struct onlooker onlookers[OPENERS] = {0};
	(void)pair_put_both(pair, 0, KEYS, 0);
	make_request(pair);
	for (size_t i = 0; i < OPENERS; i++) {
		onlookers[i].pair = pair;
		onlookers[i].request = &pair->request;
		onlookers[i].stop = &stop;
		assert_int_equal(pthread_create(&onlookers[i].thread, NULL, open_often,
					 &onlookers[i]),
			0);
	}
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		(void)pair_put_both(pair, 0, KEYS, (float)round);
		pair_merge(pair);
	}
	await_answers(onlookers, OPENERS);
	atomic_store(&stop, true);
	for (size_t i = 0; i < OPENERS; i++) {
		assert_int_equal(pthread_join(onlookers[i].thread, NULL), 0);
		if (onlookers[i].wrong != NULL) {
			fail_msg("%s", onlookers[i].wrong);
		}
	}
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_can_be_opened_while_its_files_are_replaced),
		cmocka_unit_test(readers_see_whole_writes_while_everything_changes),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
