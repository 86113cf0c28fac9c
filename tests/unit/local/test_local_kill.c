/* test_local_kill.c - a reader stays right while the store beside it is killed again and again.
 *
 *   test_local_kill [ROUNDS]
 *
 * The store runs in a process of its own, which is this program with other arguments. It puts one value into two tables
 * with each write, merges now and then, and tells each write that is acknowledged. It is killed after some of them.
 */
#include "tests/unit/local/local_fixture.h"

#include "daemon/store/merge/merge.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"
#include "schema/rpc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"
#include "tests/unit/seed.h"
#include "tests/unit/wait.h"

enum { KEYS = 40, ACKS_MAX = 40, MERGE_EVERY = 7 };

static unsigned rounds = 8;

/* ---- the store ---- */

static enum status put_value(struct store *store, uint32_t value, struct error *err)
{
	uint64_t keys[KEYS];
	float rows[KEYS][WORLD_DIM];
	for (uint64_t i = 0; i < KEYS; i++) {
		keys[i] = i;
		for (unsigned j = 0; j < WORLD_DIM; j++) {
			rows[i][j] = (float)value;
		}
	}
	struct table_write parts[2];
	for (size_t i = 0; i < 2; i++) {
		parts[i] = (struct table_write){
			.table = i == 0 ? "a" : "b",
			.batch = {.keys = {KEY_U64, KEYS, (const uint8_t *)keys, NULL},
				.dtype = DTYPE_F32,
				.rows = (const uint8_t *)rows,
				.rows_bytes = sizeof rows,
				.tags = (const uint8_t *)keys},
		};
	}
	const struct row_write put = {.release = "r1",
		.parts = parts,
		.part_count = 2,
		.now_ms = 1};
	struct write_result result;
	struct write_ticket *ticket;
	const enum status status = store_put(store, &put, &result, &ticket, err);
	return status == STATUS_OK ? store_write_wait(ticket, err) : status;
}

/* Writes values from `value` on to a pipe, each when it is acknowledged, until it is killed. */
static int run_store(const char *folder, uint32_t value, int out)
{
	struct error err;
	struct store *store = NULL;
	const struct store_options options = {
		.folder = folder,
		.load_memory_bytes = 128u << 20,
		.catalog_bytes = 64u << 20,
	};
	grace_register();
	enum status status = store_open(&options, &store, &err);
	for (; status == STATUS_OK; value++) {
		struct merge_result merged;
		status = put_value(store, value, &err);
		if (status == STATUS_OK && write(out, &value, sizeof value) != sizeof value) {
			return 1;
		}
		if (status == STATUS_OK && value % MERGE_EVERY == 0) {
			status = store_merge(store, NULL, &merged, &err);
		}
	}
	(void)fprintf(stderr, "store: %s\n", err.text);
	return 1;
}

/* ---- the reader ---- */

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

/* The one value that all rows of both tables have. */
static uint32_t read_value(struct pair *pair)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	float value = -1;
	const struct wire_bytes response = pair_ask(pair);
	assert_int_equal(wire_open(response.data, response.len, &message), STATUS_OK);
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	if (envelope.failed) {
		fail_msg("%.*s", (int)envelope.error.len, (const char *)envelope.error.data);
	}
	const struct wire_value parts = wire_get(envelope.result, "parts");
	for (size_t i = 0; i < 2; i++) {
		struct wire_bytes rows;
		float row[KEYS][WORLD_DIM];
		assert_true(wire_bin(wire_get(wire_item(parts, i), "rows"), &rows));
		assert_int_equal(rows.len, sizeof row);
		memcpy(row, rows.data, sizeof row);
		for (size_t j = 0; j < KEYS; j++) {
			value = value < 0 ? row[j][0] : value;
			assert_true(row[j][0] == value);
		}
	}
	wire_close(message);
	return (uint32_t)value;
}

static pid_t start_store(const struct pair *pair, uint32_t value, int *from)
{
	int ends[2];
	char number[16];
	char descriptor[16];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	(void)snprintf(number, sizeof number, "%u", (unsigned)value);
	(void)snprintf(descriptor, sizeof descriptor, "%d", ends[1]);
	const pid_t child = fork();
	if (child == 0) {
		(void)execl("/proc/self/exe", "test_local_kill", "store", pair->world->folder,
			number, descriptor, (char *)NULL);
		_exit(127);
	}
	assert_true(child > 0);
	assert_int_equal(close(ends[1]), 0);
	*from = ends[0];
	return child;
}

/* The newest value that the store has told by now. */
static uint32_t newest_told(int from, uint32_t before)
{
	uint32_t value;
	while (read(from, &value, sizeof value) == sizeof value) {
		before = value;
	}
	return before;
}

static void a_reader_shows_whole_writes_and_none_is_lost_when_the_store_is_killed(void **state)
{
	struct pair *pair = *state;
	uint64_t random = seed_from(20261130);
	uint32_t told = 1;
	uint32_t seen = 1;
	struct error err;
	assert_int_equal(put_value(pair->world->service.store, 1, &err), STATUS_OK);
	pair_close_store(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	make_request(pair);
	for (unsigned round = 0; round < rounds; round++) {
		int from;
		int status;
		struct wait wait = {0};
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		const uint32_t until = told + 1 + (uint32_t)(random >> 33) % ACKS_MAX;
		const pid_t store = start_store(pair, told + 1, &from);
		while (told < until) {
			const uint32_t value = read_value(pair);
			assert_true(value >= seen);
			seen = value;
			told = newest_told(from, told);
			wait_busily(&wait);
		}
		assert_int_equal(kill(store, SIGKILL), 0);
		assert_int_equal(waitpid(store, &status, 0), store);
		assert_true(WIFSIGNALED(status));
		told = newest_told(from, told);
		assert_int_equal(close(from), 0);
		struct wait more = {0};
		while (seen < told) {
			const uint32_t value = read_value(pair);
			assert_true(value >= seen);
			seen = value;
			wait_a_moment(&more);
		}
		told = seen; /* the last may not have been told */
	}
	pair_close(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES); /* without a store */
	make_request(pair);
	assert_true(read_value(pair) >= seen);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "store") == 0) {
		return run_store(argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
			(int)strtol(argv[4], NULL, 10));
	}
	rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : rounds;
	struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_reader_shows_whole_writes_and_none_is_lost_when_the_store_is_killed),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
