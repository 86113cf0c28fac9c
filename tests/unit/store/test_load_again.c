/* test_load_again.c - a chunk that comes again counts once if it is the same, and is refused if it
 * is another one; loads that nobody sends to hold nothing but their files. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/spill/spill.h"
#include "tests/unit/store/scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	(void)scratch_setup_store(state);
	scratch_release(*state, "r1");
	return 0;
}

static struct load_chunk named(const char *load, uint64_t chunk)
{
	struct load_chunk named = {.chunk = chunk};
	(void)snprintf(named.load.text, sizeof named.load.text, "%s", load);
	return named;
}

/* Chunk `chunk` of load "a" has keys from 100 * chunk on, of version 1. */
static void expect_same_counts_once(struct scratch *scratch, uint64_t chunk)
{
	scratch_chunk(scratch, "r1", "a", chunk, (struct scratch_rows){100 * chunk, 10, 1});
}

static void expect_others_refused(struct scratch *scratch, uint64_t chunk)
{
	const struct scratch_rows others[] = {
		{100 * chunk, 10, 2},     /* other rows */
		{100 * chunk + 1, 10, 1}, /* other keys */
		{100 * chunk, 9, 1},      /* fewer */
		{100 * chunk, 11, 1},     /* more */
		{0, 0, 1},                /* none */
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct error err = {0};
		assert_int_equal(scratch_try_chunk(scratch, "r1", named("a", chunk), others[i],
					 &err),
			STATUS_CONFLICT);
		if (strstr(err.text, "came before with other rows") == NULL ||
			strstr(err.text, "abort the load") == NULL) {
			fail_msg("%s", err.text);
		}
	}
}

static void another_chunk_of_the_same_number_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	for (uint64_t i = 0; i < 3; i++) {
		expect_same_counts_once(scratch, i);
	}
	for (uint64_t i = 0; i < 3; i++) {
		expect_others_refused(scratch, i);
		expect_same_counts_once(scratch, i);
	}
	/* Also of what was synced before a restart. */
	scratch_reopen(scratch);
	expect_same_counts_once(scratch, 3);
	for (uint64_t i = 0; i < 4; i++) {
		expect_others_refused(scratch, i);
		expect_same_counts_once(scratch, i);
	}
	/* Also after the end. */
	scratch_end(scratch, "r1", "a", 4, 40);
	expect_others_refused(scratch, 2);
	expect_same_counts_once(scratch, 2);
	assert_int_equal(scratch_try_chunk(scratch, "r1", named("a", 4),
				 (struct scratch_rows){400, 10, 1}, &err),
		STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "has ended"));
	scratch_seal(scratch, "r1");
	for (uint64_t i = 0; i < 4; i++) {
		scratch_expect(scratch, "r1", 100 * i, 10, 1);
	}
}

/* Chunks of one group are compared before they are synced, and found in their run afterwards. */
static void chunks_of_one_run_are_told_apart(void **state)
{
	enum { CHUNKS = 40 };
	struct scratch *scratch = *state;
	struct error err = {0};
	struct load_progress progress;
	uint64_t key;
	float row[SCRATCH_DIM] = {0};
	struct load_chunk chunk = named("a", 0);
	chunk.release = "r1";
	chunk.table = "t";
	chunk.now_ms = SCRATCH_NOW_MS;
	chunk.batch.keys = (struct keys){KEY_U64, 1, (const uint8_t *)&key, NULL};
	chunk.batch.dtype = DTYPE_F32;
	chunk.batch.rows = (const uint8_t *)row;
	chunk.batch.rows_bytes = sizeof row;
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < CHUNKS; i++) {
			chunk.chunk = i;
			key = i;
			scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err),
				&err);
			key = i + 1;
			assert_int_equal(store_load_chunk(scratch->store, &chunk, &progress, &err),
				STATUS_CONFLICT);
			assert_non_null(strstr(err.text, "came before with other rows"));
		}
		assert_int_equal(progress.next_chunk, CHUNKS);
		scratch_must(store_load_sync(scratch->store, &err), &err);
	}
	/* Each column counts, and whether it was given. */
	const int64_t time = SCRATCH_NOW_MS;
	key = chunk.chunk;
	chunk.batch.times = (const uint8_t *)&time;
	assert_int_equal(store_load_chunk(scratch->store, &chunk, &progress, &err),
		STATUS_CONFLICT);
}

static unsigned count_descriptors(void)
{
	return (unsigned)scratch_count("/proc/self/fd", "");
}

/* Every load of every table may be there, with few descriptors. */
static void loads_hold_no_descriptors(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	const unsigned before = count_descriptors();
	for (unsigned i = 0; i < LIMIT_LOADS; i++) {
		char load[16];
		(void)snprintf(load, sizeof load, "l%u", i);
		/* Rows are not needed for that. */
		scratch_must(scratch_try_chunk(scratch, "r1", named(load, 0),
				     (struct scratch_rows){i, i % 2, 1}, &err),
			&err);
		scratch_end(scratch, "r1", load, 1, i % 2);
	}
	assert_int_equal(count_descriptors(), before);
	scratch_reopen(scratch);
	assert_true(count_descriptors() <= before + 1); /* the log file that a restart began */
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 1, 1, 1);
}

/* Without descriptors nothing can be opened, which is no damage: what was acknowledged stays. */
static void too_few_descriptors_are_no_damage(void **state)
{
	struct scratch *scratch = *state;
	struct rlimit limit;
	expect_same_counts_once(scratch, 0);
	scratch_sealed(scratch, "r2", 0, 100, 1);
	scratch_close(scratch);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	bool opened = false;
	unsigned refused = 0;
	for (rlim_t most = count_descriptors(); !opened; most++) {
		struct error err = {0};
		const struct rlimit few = {.rlim_cur = most, .rlim_max = limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		const enum status status = scratch_try_open(scratch, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		opened = status == STATUS_OK;
		refused += opened ? 0 : 1;
		if (!opened && (strstr(err.text, "Too many open files") == NULL ||
				       strstr(err.text, "LimitNOFILE") == NULL)) {
			fail_msg("%llu descriptors: %s", (unsigned long long)most, err.text);
		}
		assert_true(refused < 100);
	}
	assert_true(refused > 3);
	if (scratch_heard(scratch, "damage")) {
		fail_msg("%s", scratch->events);
	}
	expect_same_counts_once(scratch, 0);
	scratch_expect(scratch, "r2", 0, 100, 1);
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 10, 1);
}

/* A row that looks like a frame of its file is none: the checksum of a frame has the file's salt. */
static void rows_that_look_like_frames_are_rows(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	char copy[PATH_MAX];
	scratch_chunk(scratch, "r1", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_chunk(scratch, "r1", "b", 0, (struct scratch_rows){100, 10, 1});
	scratch_path(scratch, path, "releases/1/spill-1-a");
	scratch_path(scratch, copy, "releases/1/spill-1-b");
	struct scratch_file a = scratch_read(path);
	struct scratch_file b = scratch_read(copy);
	assert_memory_not_equal(a.data + 56, b.data + 56, 8);
	scratch_close(scratch);
	/* Behind the last frame of `a` comes torn garbage, and then what was a frame of `b`. */
	const size_t garbage = 128;
	uint8_t *joined = calloc(1, a.len + garbage + b.len);
	assert_non_null(joined);
	memcpy(joined, a.data, a.len);
	memset(joined + a.len, 0x55, garbage);
	memcpy(joined + a.len + garbage, b.data + SPILL_HEAD_BYTES, b.len - SPILL_HEAD_BYTES);
	scratch_write(path, joined, a.len + garbage + b.len - SPILL_HEAD_BYTES);
	free(joined);
	free(a.data);
	free(b.data);
	scratch_open(scratch);
	assert_false(scratch_heard(scratch, "damage"));
	scratch_end(scratch, "r1", "a", 1, 10);
	scratch_end(scratch, "r1", "b", 1, 10);
	scratch_seal(scratch, "r1");
	scratch_expect(scratch, "r1", 0, 10, 1);
	scratch_expect(scratch, "r1", 100, 10, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(another_chunk_of_the_same_number_is_refused),
		CASE(chunks_of_one_run_are_told_apart),
		CASE(loads_hold_no_descriptors),
		CASE(too_few_descriptors_are_no_damage),
		CASE(rows_that_look_like_frames_are_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
