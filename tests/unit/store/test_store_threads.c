/* test_store_threads.c - readers see whole releases while others publish, load, seal and drop. */

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/admin/admin.h"
#include "daemon/store/base/base.h"
#include "daemon/store/figures.h"
#include "daemon/store/load/load.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/grace.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <cmocka.h>

enum { READERS = 3, ROWS = 400, KEYS = 150, ROUNDS = 25 };

/* What the readers share. Only the first thread may use the asserts of cmocka, so readers note what
 * is wrong. */
struct readers {
	struct scratch *scratch;
	_Atomic bool stop;
	_Atomic uint64_t reads;
	_Atomic uint64_t scans;
	_Atomic(const char *) wrong;
};

static void note(struct readers *readers, const char *what)
{
	const char *none = NULL;
	(void)atomic_compare_exchange_strong(&readers->wrong, &none, what);
}

/* A release "v17" has rows of version 17. */
static uint32_t version_of(const struct release *release)
{
	return (uint32_t)strtoul(release->id.text + 1, NULL, 10);
}

/* The same bits: no rows of tests are NaN or -0. */
static bool is_row(const float *row, const float *expected)
{
	for (unsigned i = 0; i < SCRATCH_DIM; i++) {
		if (row[i] != expected[i]) {
			return false;
		}
	}
	return true;
}

static void look_up(struct readers *readers, const struct table *table, uint32_t version,
	uint64_t first)
{
	uint64_t keys[KEYS];
	float rows[KEYS][SCRATCH_DIM];
	uint8_t found[(KEYS + 7) / 8];
	for (uint32_t i = 0; i < KEYS; i++) {
		keys[i] = (first + UINT64_C(3) * i) % (ROWS + 50);
	}
	struct lookup lookup = {
		.table = table,
		.keys = {KEY_U64, KEYS, (const uint8_t *)keys, NULL},
		.dtype = DTYPE_F32,
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = (uint8_t *)rows,
		.found = found,
	};
	if (table_lookup(&lookup, NULL) != STATUS_OK) {
		note(readers, "a look-up failed");
		return;
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		float row[SCRATCH_DIM] = {0};
		const bool is_there = keys[i] < ROWS;
		if (is_there) {
			scratch_row(keys[i], version, row);
		}
		if (((found[i / 8] >> i % 8 & 1) != 0) != is_there) {
			note(readers, "a key is found, or not, against its release");
		} else if (!is_row(rows[i], row)) {
			note(readers, "a row of another release");
		}
	}
	atomic_fetch_add(&readers->reads, 1);
}

static void walk(struct readers *readers, const struct table *table, uint32_t version)
{
	struct scan scan = {.table = table,
		.limit = 100,
		.bytes_max = UINT64_MAX,
		.dtype = DTYPE_F32,
		.now_ms = SCRATCH_NOW_MS};
	uint32_t count = 0;
	do {
		if (table_scan(&scan, NULL) != STATUS_OK) {
			note(readers, "a walk failed");
			return;
		}
		for (uint32_t i = 0; i < scan.count; i++) {
			float row[SCRATCH_DIM];
			float expected[SCRATCH_DIM];
			uint64_t key;
			memcpy(&key, scan.keys + (size_t)i * 8, 8);
			memcpy(row, scan.rows + i * sizeof row, sizeof row);
			scratch_row(key, version, expected);
			if (!is_row(row, expected)) {
				note(readers, "a walk brings a row of another release");
			}
		}
		count += scan.count;
		scan_fini(&scan);
	} while (scan.more);
	if (count != ROWS) {
		note(readers, "a walk does not bring every row");
	}
	atomic_fetch_add(&readers->scans, 1);
}

static void *read_on(void *arg)
{
	struct readers *readers = arg;
	grace_register();
	for (uint64_t round = 0; !atomic_load(&readers->stop); round++) {
		const struct snapshot *snapshot = snapshot_begin(readers->scratch->store);
		/* Any release that is sealed: the live one, or one that is about to be dropped. */
		const struct release *release = snapshot->live;
		if (round % 3 == 0 && snapshot->release_count > 0) {
			release = snapshot->releases[round % snapshot->release_count];
		}
		const struct table *table;
		if (release != NULL && release->id.text[0] == 'v' &&
			release->state == RELEASE_SEALED) {
			if (release_table(release, "t", &table, NULL) != STATUS_OK) {
				note(readers, "a release has no table");
			} else if (round % 16 == 5) {
				walk(readers, table, version_of(release));
			} else {
				look_up(readers, table, version_of(release), round);
			}
		}
		snapshot_end(readers->scratch->store);
		if (round % 8 == 0) {
			struct store_figures figures;
			store_figures(readers->scratch->store, &figures);
			if (figures.segments_damaged != 0) {
				note(readers, "a segment is damaged");
			}
		}
	}
	grace_unregister();
	return NULL;
}

static void start(struct readers *readers, struct scratch *scratch, pthread_t *threads)
{
	*readers = (struct readers){.scratch = scratch};
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, readers), 0);
	}
}

static void stop(struct readers *readers, pthread_t *threads)
{
	struct wait wait = {0};
	while (atomic_load(&readers->reads) == 0 || atomic_load(&readers->scans) == 0) {
		wait_a_moment(&wait); /* on a busy machine they may not have begun */
	}
	atomic_store(&readers->stop, true);
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
	if (atomic_load(&readers->wrong) != NULL) {
		fail_msg("%s", atomic_load(&readers->wrong));
	}
}

static void every_answer_is_of_one_release(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct readers readers;
	pthread_t threads[READERS];
	char id[16];
	scratch_sealed(scratch, "v0", 0, ROWS, 0);
	scratch_publish(scratch, "v0");
	start(&readers, scratch, threads);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		(void)snprintf(id, sizeof id, "v%u", i);
		scratch_sealed(scratch, id, 0, ROWS, i);
		scratch_publish(scratch, id);
		struct name now;
		struct name previous;
		scratch_must(store_release_rollback(scratch->store, NULL, &now, &previous, &err),
			&err);
		scratch_publish(scratch, id);
		(void)snprintf(id, sizeof id, "v%u", i - 1);
		scratch_must(store_release_drop(scratch->store, id, &err), &err);
	}
	stop(&readers, threads);
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.releases, 1);
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "releases");
	scratch_close(scratch);
	assert_int_equal(scratch_count(folder, ""), 1);
}

/* ---- writers beside each other ---- */

/* A second writer: releases of its own, begun, loaded and dropped. */
struct writer {
	struct scratch *scratch;
	_Atomic bool stop;
	_Atomic unsigned rounds;
	_Atomic(const char *) wrong;
};

/* What may happen to table.create and load beside a seal. */
static bool is_fine(enum status status)
{
	return status == STATUS_OK || status == STATUS_CONFLICT || status == STATUS_SEALED ||
	       status == STATUS_BUSY || status == STATUS_NOT_FOUND || status == STATUS_EXISTS;
}

static void *change_on(void *arg)
{
	struct writer *writer = arg;
	struct store *store = writer->scratch->store;
	grace_register();
	for (unsigned round = 0; !atomic_load(&writer->stop); round++) {
		char name[32];
		(void)snprintf(name, sizeof name, "u%u", round);
		const struct table_spec spec = scratch_spec(name, DTYPE_F32, KEY_U64, 4);
		const uint64_t key = round;
		static const float row[4] = {1, 2, 3, 4};
		struct load_progress progress;
		const struct load_chunk chunk = {
			.release = "w",
			.table = "t",
			.load = {"late"},
			.batch.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
			.batch.dtype = DTYPE_F32,
			.batch.rows = (const uint8_t *)row,
			.batch.rows_bytes = sizeof row,
		};
		const enum status created = store_table_create(store, "w", &spec, NULL, NULL);
		const enum status loaded = store_load_chunk(store, &chunk, &progress, NULL);
		const enum status synced = store_load_sync(store, NULL);
		uint64_t rows;
		const enum status aborted = store_load_abort(store, &chunk, &rows, NULL);
		struct name previous;
		const enum status published =
			store_release_publish(store, "v0", NULL, &previous, NULL);
		const enum status dropped = store_release_drop(store, "v0", NULL);
		if (!is_fine(created) || !is_fine(loaded) || synced != STATUS_OK ||
			!is_fine(aborted) || published != STATUS_OK || dropped != STATUS_CONFLICT) {
			atomic_store(&writer->wrong, "a change failed otherwise than it may");
		}
		atomic_fetch_add(&writer->rounds, 1);
	}
	grace_unregister();
	return NULL;
}

static void writers_take_turns(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct readers readers;
	pthread_t threads[READERS];
	pthread_t changer;
	struct writer writer = {.scratch = scratch};
	scratch_sealed(scratch, "v0", 0, ROWS, 0);
	scratch_publish(scratch, "v0");
	start(&readers, scratch, threads);
	assert_int_equal(pthread_create(&changer, NULL, change_on, &writer), 0);
	for (unsigned round = 0; round < ROUNDS / 2; round++) {
		enum status status;
		struct seal_result result;
		struct name id = {"w"};
		uint64_t number;
		const struct release_labels labels = {0};
		scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err),
			&err);
		const struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, SCRATCH_DIM);
		scratch_must(store_table_create(scratch->store, "w", &spec, NULL, &err), &err);
		for (unsigned i = 0; i < 3; i++) {
			/* CONFLICT while the other thread's load has not been aborted. */
			status = store_seal(scratch->store, "w", NULL, &result, &err);
			assert_true(is_fine(status));
		}
		scratch_must(store_release_drop(scratch->store, "w", &err), &err);
	}
	struct wait wait = {0};
	while (atomic_load(&writer.rounds) == 0) {
		wait_a_moment(&wait);
	}
	atomic_store(&writer.stop, true);
	assert_int_equal(pthread_join(changer, NULL), 0);
	stop(&readers, threads);
	assert_null(atomic_load(&writer.wrong));
	scratch_reopen(scratch);
	scratch_expect(scratch, NULL, 0, ROWS, 0);
}

/* Two threads look at unchecked segments at once: each is checked, and read right. */
static void readers_check_segments_at_once(void **state)
{
	struct scratch *scratch = *state;
	struct readers readers;
	pthread_t threads[READERS];
	scratch_sealed(scratch, "v5", 0, ROWS, 5);
	scratch_publish(scratch, "v5");
	for (unsigned round = 0; round < 10; round++) {
		scratch_reopen(scratch);
		start(&readers, scratch, threads);
		struct wait wait = {0};
		while (atomic_load(&readers.reads) < 20) {
			wait_busily(&wait);
			const struct snapshot *snapshot = snapshot_begin(scratch->store);
			struct base_set *set = snapshot->live->tables[0]->bases;
			for (size_t i = 0; i < set->segment_count; i++) {
				base_segment_look(set, i);
				(void)base_segment_wait(set, i);
			}
			snapshot_end(scratch->store);
		}
		stop(&readers, threads);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_answer_is_of_one_release,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(writers_take_turns, scratch_setup_small_store,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(readers_check_segments_at_once,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
