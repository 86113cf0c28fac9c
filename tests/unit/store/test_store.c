/* test_store.c - a data folder: what its releases and tables may do. */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/load/load.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/reader.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <cmocka.h>

static uint64_t sequence(struct scratch *scratch)
{
	const uint64_t at = snapshot_begin(scratch->store)->sequence;
	snapshot_end(scratch->store);
	return at;
}

/* The live release, "" for none. */
static struct name live(struct scratch *scratch)
{
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	const struct name id = snapshot->live == NULL ? (struct name){0} : snapshot->live->id;
	snapshot_end(scratch->store);
	return id;
}

static uint64_t number_of(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	const struct release *release;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, id, &release, &err), &err);
	const uint64_t number = release->number;
	snapshot_end(scratch->store);
	return number;
}

static enum status create(struct scratch *scratch, const char *id, struct error *err)
{
	struct name name = {0};
	uint64_t number;
	const struct release_labels labels = {0};
	(void)snprintf(name.text, sizeof name.text, "%s", id);
	return store_release_create(scratch->store, &name, &labels, &number, err);
}

static void rollback_to(struct scratch *scratch, const char *from, const char *to)
{
	struct error err = {0};
	struct name now;
	struct name previous;
	scratch_must(store_release_rollback(scratch->store, NULL, &now, &previous, &err), &err);
	assert_string_equal(previous.text, from);
	assert_string_equal(now.text, to);
	assert_string_equal(live(scratch).text, to);
}

static void drop(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	scratch_must(store_release_drop(scratch->store, id, &err), &err);
}

/* ---- releases and tables ---- */

static void a_new_folder_is_empty(void **state)
{
	struct scratch *scratch = *state;
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.releases + figures.tables + figures.tensors, 0);
	assert_int_equal(figures.rows + figures.bytes + figures.segments, 0);
	assert_int_equal(figures.seal_bytes + figures.load_bytes + figures.bytes_waiting, 0);
	assert_int_equal(figures.write.sequence + figures.write.commits + figures.write.rows, 0);
	assert_int_equal(figures.write.pending_bytes + figures.write.memtable_rows, 0);
	assert_int_equal(figures.write.merges + figures.write.merges_failed, 0);
	assert_int_equal(histogram_count(&figures.write.sync_times), 0);
	assert_int_equal(figures.index.builds + figures.index.failed, 0);
	assert_false(figures.write.read_only);
	/* The first file of its log has a head. */
	assert_int_equal(figures.write.log_files, 1);
	assert_int_equal(figures.write.log_bytes, 64);
	assert_int_equal(figures.write.pending_limit, 1 << 30);
	assert_int_equal(figures.write.memtable_rows_limit, 1500000);
	assert_int_equal(figures.write.memtable_bytes_limit, 1 << 30);
	assert_string_equal(store_folder(scratch->store), scratch->data);
	assert_string_equal(live(scratch).text, "");
	assert_int_equal(sequence(scratch), 1);
	scratch_reopen(scratch);
	assert_int_equal(sequence(scratch), 1);
}

static void a_number_is_never_used_again(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	scratch_release(scratch, "r1");
	scratch_release(scratch, "r2");
	assert_int_equal(number_of(scratch, "r1"), 1);
	assert_int_equal(number_of(scratch, "r2"), 2);
	assert_int_equal(create(scratch, "r1", &err), STATUS_EXISTS);
	assert_string_equal(err.text,
		"release: 'r1' exists and is open; go on loading it, or drop it");
	drop(scratch, "r2");
	scratch_reopen(scratch);
	assert_int_equal(create(scratch, "r2", &err), STATUS_OK);
	assert_int_equal(number_of(scratch, "r2"), 3);
	assert_int_equal(sequence(scratch), 7);
}

static void labels_are_bounded(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char longest[LIMIT_LABEL_BYTES + 2];
	memset(longest, 'x', sizeof longest);
	longest[LIMIT_LABEL_BYTES] = '\0';
	const struct name id = {"r1"};
	uint64_t number;
	struct release_labels labels = {.model = longest, .checkpoint = longest};
	scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err), &err);
	scratch_reopen(scratch);
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	assert_string_equal(snapshot->releases[0]->model, longest);
	assert_string_equal(snapshot->releases[0]->checkpoint, longest);
	snapshot_end(scratch->store);
	longest[LIMIT_LABEL_BYTES] = 'x';
	longest[LIMIT_LABEL_BYTES + 1] = '\0';
	labels.model = NULL;
	assert_int_equal(store_release_create(scratch->store, &id, &labels, &number, &err),
		STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "checkpoint: 256 bytes given, at most 255"));
}

static void tables_belong_to_an_open_release(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	const struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, 4);
	assert_int_equal(store_table_create(scratch->store, "r1", &spec, NULL, &err),
		STATUS_NOT_FOUND);
	assert_string_equal(err.text, "release: 'r1' does not exist");
	scratch_sealed(scratch, "r1", 0, 10, 1);
	const struct table_spec other = scratch_spec("u", DTYPE_F32, KEY_U64, 4);
	assert_int_equal(store_table_create(scratch->store, "r1", &other, NULL, &err),
		STATUS_SEALED);
	assert_non_null(strstr(err.text, "'r1' is sealed"));
	scratch_release(scratch, "r2");
	assert_int_equal(store_table_create(scratch->store, "r2", &spec, NULL, &err),
		STATUS_EXISTS);
	assert_non_null(strstr(err.text, "'t' exists in release 'r2'"));
	enum status status = STATUS_OK;
	unsigned count = 1;
	for (; status == STATUS_OK && count <= LIMIT_TABLES; count++) {
		char name[32];
		(void)snprintf(name, sizeof name, "t%u", count);
		const struct table_spec next = scratch_spec(name, DTYPE_F32, KEY_U64, 4);
		status = store_table_create(scratch->store, "r2", &next, NULL, &err);
	}
	assert_int_equal(status, STATUS_TOO_LARGE);
	assert_int_equal(count, LIMIT_TABLES + 1);
	scratch_reopen(scratch);
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.tables, LIMIT_TABLES + 1);
	/* All of its records go with it. */
	drop(scratch, "r2");
	scratch_reopen(scratch);
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.tables, 1);
}

static void only_a_sealed_release_goes_live(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name previous = {"x"};
	scratch_release(scratch, "r1");
	assert_int_equal(store_release_publish(scratch->store, "r1", NULL, &previous, &err),
		STATUS_NOT_SEALED);
	assert_non_null(strstr(err.text, "'r1' is open"));
	assert_int_equal(store_release_publish(scratch->store, "r9", NULL, &previous, &err),
		STATUS_NOT_FOUND);
	assert_int_equal(store_release_publish(scratch->store, "live", NULL, &previous, &err),
		STATUS_NOT_FOUND);
	scratch_seal(scratch, "r1");
	scratch_seal(scratch, "r1"); /* answers again */
	scratch_must(store_release_publish(scratch->store, "r1", NULL, &previous, &err), &err);
	assert_string_equal(previous.text, "");
	const uint64_t before = sequence(scratch);
	scratch_must(store_release_publish(scratch->store, "r1", NULL, &previous, &err), &err);
	assert_int_equal(sequence(scratch), before);
	scratch_sealed(scratch, "r2", 0, 10, 2);
	scratch_must(store_release_publish(scratch->store, "r2", NULL, &previous, &err), &err);
	assert_string_equal(previous.text, "r1");
	scratch_reopen(scratch);
	assert_string_equal(live(scratch).text, "r2");
	scratch_expect(scratch, NULL, 0, 10, 2);
}

static void a_rollback_leads_back_the_way_one_came(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name now;
	struct name previous;
	assert_int_equal(store_release_rollback(scratch->store, NULL, &now, &previous, &err),
		STATUS_NOT_FOUND);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_sealed(scratch, "r2", 0, 10, 2);
	scratch_sealed(scratch, "r3", 0, 10, 3);
	scratch_publish(scratch, "r1");
	assert_int_equal(store_release_rollback(scratch->store, NULL, &now, &previous, &err),
		STATUS_NOT_FOUND);
	scratch_publish(scratch, "r2");
	scratch_publish(scratch, "r1");
	scratch_publish(scratch, "r3");
	scratch_reopen(scratch);
	rollback_to(scratch, "r3", "r1");
	scratch_expect(scratch, NULL, 0, 10, 1);
	drop(scratch, "r2");
	scratch_reopen(scratch);
	assert_int_equal(store_release_rollback(scratch->store, NULL, &now, &previous, &err),
		STATUS_NOT_FOUND);
	assert_string_equal(live(scratch).text, "r1");
	/* Only so many steps are kept. */
	for (unsigned i = 0; i < SNAPSHOT_HISTORY_MAX; i++) {
		scratch_publish(scratch, i % 2 == 0 ? "r3" : "r1");
	}
	scratch_publish(scratch, "r3");
	scratch_reopen(scratch);
	for (unsigned i = 0; i < SNAPSHOT_HISTORY_MAX; i++) {
		rollback_to(scratch, i % 2 == 0 ? "r3" : "r1", i % 2 == 0 ? "r1" : "r3");
	}
	assert_int_equal(store_release_rollback(scratch->store, NULL, &now, &previous, &err),
		STATUS_NOT_FOUND);
}

static void the_live_release_is_not_dropped(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	assert_int_equal(store_release_drop(scratch->store, "r1", &err), STATUS_NOT_FOUND);
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_publish(scratch, "r1");
	assert_int_equal(store_release_drop(scratch->store, "r1", &err), STATUS_CONFLICT);
	assert_non_null(strstr(err.text, "'r1' is live"));
	scratch_sealed(scratch, "r2", 0, 10, 2);
	scratch_publish(scratch, "r2");
	drop(scratch, "r1");
	assert_int_equal(store_release_drop(scratch->store, "r1", &err), STATUS_NOT_FOUND);
	scratch_sealed(scratch, "r1", 0, 10, 3);
	scratch_expect(scratch, "r1", 0, 10, 3);
	scratch_expect(scratch, NULL, 0, 10, 2);
}

/* ---- dropped files ---- */

static void dropped_files_go_when_their_readers_have_left(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char folder[PATH_MAX];
	struct store_figures figures;
	scratch_sealed(scratch, "r1", 0, 1000, 1);
	scratch_path(scratch, folder, "releases/1");
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	const struct release *release = snapshot->releases[0];
	assert_int_equal(store_release_drop(scratch->store, "r1", &err), STATUS_OK);
	/* This thread still reads: the rows stay mapped, and the files are counted. */
	assert_int_equal(scratch_count(folder, "base-"), 1);
	assert_string_equal(release->id.text, "r1");
	assert_int_equal(release->tables[0]->rows, 1000);
	snapshot_end(scratch->store);
	scratch_close(scratch); /* ends what waits */
	assert_false(scratch_exists(folder));
	scratch_open(scratch);
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.releases, 0);
	assert_int_equal(figures.files_waiting, 0);
	assert_int_equal(figures.bytes_waiting, 0);
}

static void the_figures_count_what_is_there(void **state)
{
	struct scratch *scratch = *state;
	struct store_figures figures;
	scratch_sealed(scratch, "r1", 0, 1000, 1);
	scratch_sealed(scratch, "r2", 0, 10, 1);
	scratch_release(scratch, "r3");
	scratch_chunk(scratch, "r3", "a", 0, (struct scratch_rows){0, 10, 1});
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.releases, 3);
	assert_int_equal(figures.tables, 3);
	assert_int_equal(figures.rows, 1010);
	assert_true(figures.bytes > UINT64_C(1010) * SCRATCH_DIM * 4);
	assert_int_equal(figures.segments, 2);
	assert_int_equal(figures.segments_checked, 2); /* seal reads them back */
	assert_int_equal(figures.segments_damaged, 0);
	const uint64_t bytes = figures.bytes;
	scratch_reopen(scratch);
	/* They are checked again, without anybody asking. */
	struct wait wait = {0};
	store_figures(scratch->store, &figures);
	while (figures.segments_checked != 2) {
		wait_a_moment(&wait);
		store_figures(scratch->store, &figures);
	}
	assert_int_equal(figures.bytes, bytes);
	drop(scratch, "r1");
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.releases, 2);
	assert_int_equal(figures.rows, 10);
}

/* ---- memory of loads ---- */

static void enough_rows_ask_for_a_sync(void **state)
{
	struct scratch *scratch = *state;
	enum { ROWS = 8, DIM = 65536 };
	struct error err = {0};
	static float rows[ROWS][DIM];
	static const uint64_t keys[ROWS] = {1, 2, 3, 4, 5, 6, 7, 8};
	const struct table_spec wide = scratch_spec("wide", DTYPE_F32, KEY_U64, DIM);
	scratch_release(scratch, "r1");
	scratch_must(store_table_create(scratch->store, "r1", &wide, NULL, &err), &err);
	struct load_chunk chunk = {
		.release = "r1",
		.table = "wide",
		.load = {"a"},
		.batch.keys = {KEY_U64, ROWS, (const uint8_t *)keys, NULL},
		.batch.dtype = DTYPE_F32,
		.batch.rows = (const uint8_t *)rows,
		.batch.rows_bytes = sizeof(float) * ROWS * DIM,
	};
	struct load_progress progress;
	for (; !store_load_is_full(scratch->store); chunk.chunk++) {
		assert_true(chunk.chunk < 100);
		scratch_must(store_load_chunk(scratch->store, &chunk, &progress, &err), &err);
	}
	/* A quarter of 128 MiB, in chunks of 2 MiB and some bytes a row. */
	assert_int_equal(chunk.chunk, 16);
	scratch_must(store_load_sync(scratch->store, &err), &err);
	assert_false(store_load_is_full(scratch->store));
	uint64_t held;
	scratch_must(store_load_abort(scratch->store, &chunk, &held, &err), &err);
	assert_int_equal(held, UINT64_C(16) * ROWS);
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(a_new_folder_is_empty),
		cmocka_unit_test(a_number_is_never_used_again),
		cmocka_unit_test(labels_are_bounded),
		cmocka_unit_test(tables_belong_to_an_open_release),
		cmocka_unit_test(only_a_sealed_release_goes_live),
		cmocka_unit_test(a_rollback_leads_back_the_way_one_came),
		cmocka_unit_test(the_live_release_is_not_dropped),
		cmocka_unit_test(dropped_files_go_when_their_readers_have_left),
		cmocka_unit_test(the_figures_count_what_is_there),
		cmocka_unit_test(enough_rows_ask_for_a_sync),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup_store, scratch_teardown);
}
