/* test_local_kill.c - a reader stays right while the store beside it, and other readers, are killed again and again.
 *
 *   test_local_kill [ROUNDS]
 *
 * The store runs in a process of its own, which is this program with other arguments. It puts one value into two tables
 * with each write, merges now and then, and tells each write that is acknowledged. It is killed after some of them.
 * So is another reader, which is this program, too.
 */
#include "tests/unit/local/local_values.h"

#include "daemon/store/merge/merge.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"

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

enum { ACKS_MAX = 40, MERGE_EVERY = 7 };

static unsigned rounds = 8;

/* ---- the store ---- */

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
		status = values_put(store, 0, value, &err);
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

static uint32_t value_of(struct wire_bytes response)
{
	uint32_t values[VALUES_WRITERS_MAX];
	values_read(response, 1, values);
	return values[0];
}

static uint32_t read_value(struct pair *pair)
{
	return value_of(pair_ask(pair));
}

/* A reader that is killed: all that was told before it opens the folder is there, and nothing is ever taken back. Its
 * request comes from a pipe. */
static int run_reader(const char *folder, uint32_t least, int from)
{
	uint8_t request[sizeof(uint64_t) * 2 * VALUES_KEYS + 256];
	struct error err;
	struct local *local = NULL;
	struct local_handle *handle = NULL;
	const struct local_options options = {.folder = folder};
	const ssize_t len = read(from, request, sizeof request);
	if (len <= 0 || local_open(&options, &local, &err) != STATUS_OK ||
		local_handle_open(local, &handle, &err) != STATUS_OK) {
		(void)fprintf(stderr, "reader: %s\n", err.text);
		return 1;
	}
	for (;;) {
		struct wire_bytes response;
		if (local_call(handle, request, (size_t)len, 0, &response, &err) != STATUS_OK) {
			(void)fprintf(stderr, "reader: %s\n", err.text);
			return 1;
		}
		const uint32_t value = value_of(response);
		if (value < least) {
			(void)fprintf(stderr, "reader: %u after %u\n", (unsigned)value,
				(unsigned)least);
			return 1;
		}
		least = value;
	}
}

/* This program again, as `what`, of a value, with an end of a pipe. */
static pid_t start(const struct pair *pair, const char *what, uint32_t value, int end)
{
	char number[16];
	char descriptor[16];
	(void)snprintf(number, sizeof number, "%u", (unsigned)value);
	(void)snprintf(descriptor, sizeof descriptor, "%d", end);
	const pid_t child = fork();
	if (child == 0) {
		(void)execl("/proc/self/exe", "test_local_kill", what, pair->world->folder, number,
			descriptor, (char *)NULL);
		_exit(127);
	}
	assert_true(child > 0);
	assert_int_equal(close(end), 0);
	return child;
}

static pid_t start_reader(const struct pair *pair, uint32_t least)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(write(ends[1], pair->request.data, pair->request.len), pair->request.len);
	assert_int_equal(close(ends[1]), 0);
	return start(pair, "reader", least, ends[0]);
}

static void kill_it(pid_t child)
{
	int status;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) &&
		    WTERMSIG(status) == SIGKILL); /* it had not ended by itself */
}

static pid_t start_store(const struct pair *pair, uint32_t value, int *from)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	*from = ends[0];
	return start(pair, "store", value, ends[1]);
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
	assert_int_equal(values_put(pair->world->service.store, 0, 1, &err), STATUS_OK);
	pair_close_store(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	values_request(pair, 1);
	for (unsigned round = 0; round < rounds; round++) {
		int from;
		struct wait wait = {0};
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		const uint32_t until = told + 1 + (uint32_t)(random >> 33) % ACKS_MAX;
		const pid_t store = start_store(pair, told + 1, &from);
		const pid_t reader = start_reader(pair, told);
		while (told < until) {
			const uint32_t value = read_value(pair);
			assert_true(value >= seen);
			seen = value;
			told = newest_told(from, told);
			wait_busily(&wait);
		}
		kill_it(round % 2 == 0 ? reader : store);
		kill_it(round % 2 == 0 ? store : reader);
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
	values_request(pair, 1);
	assert_true(read_value(pair) >= seen);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "store") == 0) {
		return run_store(argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
			(int)strtol(argv[4], NULL, 10));
	}
	if (argc == 5 && strcmp(argv[1], "reader") == 0) {
		return run_reader(argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
			(int)strtol(argv[4], NULL, 10));
	}
	rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : rounds;
	struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_reader_shows_whole_writes_and_none_is_lost_when_the_store_is_killed),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
