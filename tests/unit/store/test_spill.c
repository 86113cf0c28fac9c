/* test_spill.c - what was acknowledged of a load is found again, whatever a crash has left behind
 * it. */
#include "daemon/store/spill/spill.h"

#include "daemon/store/system/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>
#include <xxhash.h>

enum { RUNS = 3, DEFAULT_TIME = 12345 };

static const char file_name[] = "spill-1-a";

/* A file of three runs, its path, and where each frame begins. */
struct spilled {
	struct scratch *scratch;
	struct base_owner owner;
	char path[PATH_MAX];
	uint64_t frames[RUNS + 1]; /* the last: the end */
	struct scratch_file whole;
};

static void make_body(const struct base_owner *owner, struct spill_run *run, uint8_t **body)
{
	struct spill_layout layout;
	spill_layout(&layout, &owner->spec, run);
	*body = malloc(layout.bytes + 1);
	assert_non_null(*body);
	for (uint64_t i = 0; i < layout.bytes; i++) {
		(*body)[i] = (uint8_t)(i * 7 + run->sequence);
	}
}

static enum status append(struct spill *spill, uint64_t sequence, uint64_t rows, struct error *err)
{
	struct spill_run run = {
		.sequence = sequence,
		.first_chunk = sequence * 2,
		.chunk_count = 2,
		.rows = rows,
	};
	uint8_t *body;
	make_body(&spill->owner, &run, &body);
	const enum status status = spill_append(spill, &run, body, err);
	free(body);
	return status;
}

static int setup(void **state)
{
	struct spilled *spilled = calloc(1, sizeof *spilled);
	assert_non_null(spilled);
	void *scratch = NULL;
	(void)scratch_setup(&scratch);
	spilled->scratch = scratch;
	spilled->owner = (struct base_owner){.release = 5,
		.table = 2,
		.spec = scratch_spec("t", DTYPE_I8, KEY_U64, 5)};
	scratch_must(file_path(spilled->path, spilled->scratch->folder, file_name, NULL), NULL);
	struct error err = {0};
	struct spill spill;
	scratch_must(spill_create(spilled->scratch->folder, file_name, &spilled->owner,
			     DEFAULT_TIME, &spill, &err),
		&err);
	for (uint64_t i = 0; i < RUNS; i++) {
		spilled->frames[i] = spill.bytes;
		scratch_must(append(&spill, i + 1, 3 + i, &err), &err);
	}
	spilled->frames[RUNS] = spill.bytes;
	spill_close(&spill);
	spilled->whole = scratch_read(spilled->path);
	assert_int_equal(spilled->whole.len, spilled->frames[RUNS]);
	*state = spilled;
	return 0;
}

static int teardown(void **state)
{
	struct spilled *spilled = *state;
	void *scratch = spilled->scratch;
	free(spilled->whole.data);
	(void)scratch_teardown(&scratch);
	free(spilled);
	return 0;
}

static enum status reopen(const struct spilled *spilled, struct spill *spill)
{
	struct error err = {0};
	const enum status status =
		spill_open(spilled->scratch->folder, file_name, &spilled->owner, spill, &err);
	assert_true(status == STATUS_OK || status == STATUS_AGAIN || err.status == status);
	return status;
}

static void expect_runs(const struct spilled *spilled, size_t count, bool ended)
{
	struct spill spill;
	assert_int_equal(reopen(spilled, &spill), STATUS_OK);
	assert_int_equal(spill.run_count, count);
	assert_int_equal(spill.default_time_ms, DEFAULT_TIME);
	assert_true(spill.ended == ended);
	assert_int_equal(spill.bytes, spilled->frames[count] + (ended ? SPILL_HEAD_BYTES : 0));
	for (size_t i = 0; i < count; i++) {
		const struct spill_run *run = &spill.runs[i];
		assert_int_equal(run->sequence, i + 1);
		assert_int_equal(run->first_chunk, (i + 1) * 2);
		assert_int_equal(run->chunk_count, 2);
		assert_int_equal(run->rows, 3 + i);
		assert_int_equal(run->body_offset, spilled->frames[i] + SPILL_HEAD_BYTES);
	}
	struct scratch_file now = scratch_read(spilled->path);
	assert_int_equal(now.len, spill.bytes);
	free(now.data);
	spill_close(&spill);
}

static void every_run_is_found_again(void **state)
{
	const struct spilled *spilled = *state;
	expect_runs(spilled, RUNS, false);
	struct spill spill;
	struct error err = {0};
	assert_int_equal(reopen(spilled, &spill), STATUS_OK);
	scratch_must(spill_end(&spill, &err), &err);
	assert_true(spill.ended);
	spill_close(&spill);
	expect_runs(spilled, RUNS, true);
}

static void appending_goes_on_after_a_restart(void **state)
{
	const struct spilled *spilled = *state;
	struct spill spill;
	struct error err = {0};
	scratch_write(spilled->path, spilled->whole.data, spilled->frames[2] + 100);
	assert_int_equal(reopen(spilled, &spill), STATUS_OK);
	assert_int_equal(spill.run_count, 2);
	scratch_must(append(&spill, 3, 5, &err), &err);
	spill_close(&spill);
	struct scratch_file again = scratch_read(spilled->path);
	assert_int_equal(again.len, spilled->whole.len);
	assert_memory_equal(again.data, spilled->whole.data, again.len);
	free(again.data);
}

static void a_last_frame_torn_at_any_byte_is_cut(void **state)
{
	const struct spilled *spilled = *state;
	for (size_t len = SPILL_HEAD_BYTES; len <= spilled->whole.len; len++) {
		size_t count = 0;
		while (count < RUNS && spilled->frames[count + 1] <= len) {
			count++;
		}
		scratch_write(spilled->path, spilled->whole.data, len);
		expect_runs(spilled, count, false);
	}
}

/* The system writes pages in any order: what was not written reads as zeros. */
static void a_last_frame_with_holes_is_cut(void **state)
{
	const struct spilled *spilled = *state;
	const uint64_t first = spilled->frames[RUNS - 1];
	for (uint64_t at = first; at < spilled->whole.len; at += 16) {
		for (uint64_t end = at + 16; end <= spilled->whole.len; end += 48) {
			uint8_t *copy = malloc(spilled->whole.len);
			assert_non_null(copy);
			memcpy(copy, spilled->whole.data, spilled->whole.len);
			memset(copy + at, 0, end - at);
			const bool same =
				memcmp(copy, spilled->whole.data, spilled->whole.len) == 0;
			scratch_write(spilled->path, copy, spilled->whole.len);
			expect_runs(spilled, same ? RUNS : RUNS - 1, false);
			free(copy);
		}
	}
}

static void a_flipped_bit_of_the_last_frame_cuts_it(void **state)
{
	const struct spilled *spilled = *state;
	for (uint64_t at = spilled->frames[RUNS - 1]; at < spilled->whole.len; at++) {
		scratch_write(spilled->path, spilled->whole.data, spilled->whole.len);
		scratch_flip(spilled->path, at);
		expect_runs(spilled, RUNS - 1, false);
	}
}

static void a_damaged_head_in_the_middle_is_damage(void **state)
{
	const struct spilled *spilled = *state;
	for (size_t frame = 0; frame + 1 < RUNS; frame++) {
		for (uint64_t at = 0; at < SPILL_HEAD_BYTES; at++) {
			struct spill spill;
			scratch_write(spilled->path, spilled->whole.data, spilled->whole.len);
			scratch_flip(spilled->path, spilled->frames[frame] + at);
			assert_int_equal(reopen(spilled, &spill), STATUS_CORRUPT);
			struct scratch_file now = scratch_read(spilled->path);
			assert_int_equal(now.len, spilled->whole.len);
			free(now.data);
		}
	}
}

static void a_torn_end_is_no_end(void **state)
{
	const struct spilled *spilled = *state;
	struct spill spill;
	struct error err = {0};
	assert_int_equal(reopen(spilled, &spill), STATUS_OK);
	scratch_must(spill_end(&spill, &err), &err);
	spill_close(&spill);
	struct scratch_file ended = scratch_read(spilled->path);
	for (uint64_t at = spilled->frames[RUNS]; at < ended.len; at++) {
		scratch_write(spilled->path, ended.data, at);
		expect_runs(spilled, RUNS, false);
		scratch_write(spilled->path, ended.data, ended.len);
		scratch_flip(spilled->path, at);
		expect_runs(spilled, RUNS, false);
	}
	/* Behind a good end, the last run's head was synced: its damage is none of a crash. */
	scratch_write(spilled->path, ended.data, ended.len);
	scratch_flip(spilled->path, spilled->frames[RUNS - 1] + 9);
	assert_int_equal(reopen(spilled, &spill), STATUS_CORRUPT);
	free(ended.data);
}

/* ---- the file's head ---- */

static void a_head_that_was_never_written_is_no_load(void **state)
{
	const struct spilled *spilled = *state;
	static const uint8_t zeros[SPILL_HEAD_BYTES + 100];
	for (size_t len = 0; len < sizeof zeros; len++) {
		struct spill spill;
		scratch_write(spilled->path, zeros, len);
		assert_int_equal(reopen(spilled, &spill), STATUS_AGAIN);
		assert_null(spill.path);
		assert_false(scratch_exists(spilled->path));
	}
	for (size_t len = 0; len < SPILL_HEAD_BYTES; len++) {
		struct spill spill;
		scratch_write(spilled->path, spilled->whole.data, len);
		assert_int_equal(reopen(spilled, &spill), STATUS_AGAIN);
		assert_false(scratch_exists(spilled->path));
	}
	struct spill spill;
	assert_int_equal(reopen(spilled, &spill), STATUS_NOT_FOUND);
}

/* It is synced before anything is written behind it. */
static void a_head_that_was_torn_is_no_load(void **state)
{
	const struct spilled *spilled = *state;
	for (size_t at = 0; at < SPILL_HEAD_BYTES; at++) {
		struct spill spill;
		scratch_write(spilled->path, spilled->whole.data, SPILL_HEAD_BYTES);
		scratch_flip(spilled->path, at);
		assert_int_equal(reopen(spilled, &spill), STATUS_AGAIN);
		assert_false(scratch_exists(spilled->path));
	}
}

static void a_damaged_head_is_damage(void **state)
{
	const struct spilled *spilled = *state;
	for (size_t at = 0; at < SPILL_HEAD_BYTES; at++) {
		struct spill spill;
		scratch_write(spilled->path, spilled->whole.data, spilled->whole.len);
		scratch_flip(spilled->path, at);
		assert_int_equal(reopen(spilled, &spill), STATUS_CORRUPT);
		assert_true(scratch_exists(spilled->path));
	}
}

static void put_version(const struct spilled *spilled, uint32_t version)
{
	uint8_t *data = spilled->whole.data;
	memcpy(data + 8, &version, 4);
	const uint64_t hash = XXH3_64bits(data, SPILL_HEAD_BYTES - 8);
	memcpy(data + SPILL_HEAD_BYTES - 8, &hash, 8);
	scratch_write(spilled->path, data, spilled->whole.len);
}

static void another_version_is_refused_by_name(void **state)
{
	const struct spilled *spilled = *state;
	struct spill spill;
	struct error err = {0};
	for (uint32_t version = SPILL_VERSION - 1; version <= SPILL_VERSION + 1; version += 2) {
		char said[32];
		put_version(spilled, version);
		assert_int_equal(spill_open(spilled->scratch->folder, file_name, &spilled->owner,
					 &spill, &err),
			STATUS_UNSUPPORTED);
		(void)snprintf(said, sizeof said, "format version %u,", version);
		assert_non_null(strstr(err.text, said));
	}
	put_version(spilled, SPILL_VERSION);
	expect_runs(spilled, RUNS, false);
}

static void a_file_of_another_table_is_refused(void **state)
{
	struct spilled *spilled = *state;
	const struct base_owner kept = spilled->owner;
	for (unsigned i = 0; i < 8; i++) {
		struct spill spill;
		spilled->owner.release += i == 0;
		spilled->owner.table += i == 1;
		spilled->owner.spec.dim += i == 2;
		spilled->owner.spec.views += i == 3;
		spilled->owner.spec.dtype = i == 4 ? DTYPE_F16 : kept.spec.dtype;
		spilled->owner.spec.key_type = i == 5 ? KEY_BYTES : KEY_U64;
		spilled->owner.spec.tags = i == 6;
		spilled->owner.seed.words[1] ^= i == 7;
		assert_int_equal(reopen(spilled, &spill), STATUS_CORRUPT);
		spilled->owner = kept;
	}
	expect_runs(spilled, RUNS, false);
}

/* ---- what cannot be written ---- */

static void a_full_disk_leaves_the_file_as_it_was(void **state)
{
	const struct spilled *spilled = *state;
	struct spill spill;
	struct error err = {0};
	struct rlimit limit;
	assert_int_equal(reopen(spilled, &spill), STATUS_OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (uint64_t room = 0; room < 300; room += 50) {
		const struct rlimit small = {.rlim_cur = spilled->whole.len + room,
			.rlim_max = limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		const enum status status = append(&spill, 4, 20, &err);
		const enum status at_end =
			room < SPILL_HEAD_BYTES ? spill_end(&spill, &err) : STATUS_DISK_FULL;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(status, STATUS_DISK_FULL);
		assert_int_equal(at_end, STATUS_DISK_FULL);
		assert_int_equal(spill.run_count, RUNS);
		struct scratch_file now = scratch_read(spilled->path);
		assert_int_equal(now.len, spilled->whole.len);
		free(now.data);
	}
	scratch_must(append(&spill, 4, 20, &err), &err);
	spill_close(&spill);
	assert_int_equal(reopen(spilled, &spill), STATUS_OK);
	assert_int_equal(spill.run_count, RUNS + 1);
	spill_close(&spill);
}

static void an_existing_load_is_not_created_again(void **state)
{
	const struct spilled *spilled = *state;
	struct spill spill;
	struct error err = {0};
	assert_int_equal(spill_create(spilled->scratch->folder, file_name, &spilled->owner, 1,
				 &spill, &err),
		STATUS_IO);
	expect_runs(spilled, RUNS, false);
}

static bool goes_through_a_file(void *arg)
{
	const struct spilled *spilled = arg;
	struct spill spill;
	struct error err = {0};
	enum status status =
		spill_open(spilled->scratch->folder, file_name, &spilled->owner, &spill, &err);
	if (status == STATUS_OK) {
		alignas(64) static const uint8_t body[1024];
		struct spill_run run = {.sequence = 9, .rows = 1};
		status = spill_append(&spill, &run, body, &err);
		spill_close(&spill);
	}
	if (status != STATUS_OK) {
		assert_int_equal(status, STATUS_NO_MEMORY);
		assert_int_equal(err.status, STATUS_NO_MEMORY);
	}
	return status == STATUS_OK;
}

static void refused_memory_is_told_as_such(void **state)
{
	assert_true(alloc_fail_each(goes_through_a_file, *state) >= 2);
	struct spill spill;
	assert_int_equal(reopen(*state, &spill), STATUS_OK);
	assert_int_equal(spill.run_count, RUNS + 1);
	spill_close(&spill);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(every_run_is_found_again),
		cmocka_unit_test(appending_goes_on_after_a_restart),
		cmocka_unit_test(a_last_frame_torn_at_any_byte_is_cut),
		cmocka_unit_test(a_last_frame_with_holes_is_cut),
		cmocka_unit_test(a_flipped_bit_of_the_last_frame_cuts_it),
		cmocka_unit_test(a_damaged_head_in_the_middle_is_damage),
		cmocka_unit_test(a_torn_end_is_no_end),
		cmocka_unit_test(a_head_that_was_never_written_is_no_load),
		cmocka_unit_test(a_head_that_was_torn_is_no_load),
		cmocka_unit_test(a_damaged_head_is_damage),
		cmocka_unit_test(another_version_is_refused_by_name),
		cmocka_unit_test(a_file_of_another_table_is_refused),
		cmocka_unit_test(a_full_disk_leaves_the_file_as_it_was),
		cmocka_unit_test(an_existing_load_is_not_created_again),
		cmocka_unit_test(refused_memory_is_told_as_such),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, setup, teardown);
}
