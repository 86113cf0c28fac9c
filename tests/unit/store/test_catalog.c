/* test_catalog.c - the catalog reads back as written, and a damaged or lost one is refused. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/catalog/catalog.h"

#include <lmdb.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/base/base.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/figures.h"
#include "daemon/store/system/mapfault.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/files_fixture.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>

enum { BYTES = 4 << 20 };

static void catalog_path(const struct scratch *scratch, char *out)
{
	(void)snprintf(out, PATH_MAX, "%s/catalog.mdb", scratch->folder);
}

static struct catalog *open_catalog(const struct scratch *scratch)
{
	struct error err = {0};
	struct catalog *catalog = NULL;
	char path[PATH_MAX];
	catalog_path(scratch, path);
	scratch_must(catalog_open(path, BYTES, &catalog, &err), &err);
	return catalog;
}

/* ---- a catalog with some of everything ---- */

static struct release *make_release(uint64_t number)
{
	struct release *release = release_copy(NULL);
	assert_non_null(release);
	(void)snprintf(release->id.text, sizeof release->id.text, "r%u", (unsigned)number);
	(void)snprintf(release->model, sizeof release->model, "model \"%u\"\n\xff", 7);
	release->number = number;
	release->seed = (struct key_seed){{~number, number * UINT64_C(0x9e3779b97f4a7c15)}};
	release->state = number % 2 == 0 ? RELEASE_SEALED : RELEASE_OPEN;
	release->created_ms = -1;
	release->sealed_ms = INT64_MAX;
	release->published_ms = INT64_MIN;
	release->next_table = 5;
	for (uint64_t i = 1; i < 5; i++) {
		char name[32];
		(void)snprintf(name, sizeof name, "t%u@l", (unsigned)(9 - i));
		struct table_spec spec =
			scratch_spec(name, (enum dtype)i, i % 2 == 0 ? KEY_U64 : KEY_BYTES, 17);
		spec.ttl_ms = i * 1000;
		spec.tags = i == 3;
		spec.views = (uint32_t)i;
		struct table *table = table_new(&spec, i);
		assert_non_null(table);
		if (release->state == RELEASE_SEALED) {
			files_fixture_add(table, number);
		}
		assert_int_equal(release_put(release, table), STATUS_OK);
	}
	return release;
}

static struct snapshot *read_snapshot(struct catalog *catalog)
{
	struct error err = {0};
	struct snapshot *snapshot = NULL;
	scratch_must(catalog_read(catalog, &snapshot, &err), &err);
	return snapshot;
}

static enum status commit(struct catalog *catalog, struct snapshot *snapshot,
	const struct release *put, uint64_t remove)
{
	struct error err = {0};
	const struct catalog_change change = {.after = snapshot, .put = put, .remove = remove};
	snapshot->sequence++;
	return catalog_commit(catalog, &change, &err);
}

/* Releases 1..4, of which 2 and 4 are sealed and 4 is live. */
static struct snapshot *fill(struct catalog *catalog)
{
	struct snapshot *snapshot = read_snapshot(catalog);
	for (uint64_t i = 1; i <= 4; i++) {
		snapshot->next_release = i + 1;
		assert_int_equal(snapshot_put(snapshot, make_release(i)), STATUS_OK);
		assert_int_equal(commit(catalog, snapshot, snapshot->releases[i - 1], 0),
			STATUS_OK);
	}
	snapshot->live = snapshot->releases[3];
	snapshot->history_count = 2;
	snapshot->history[0] = 4;
	snapshot->history[1] = 2;
	assert_int_equal(commit(catalog, snapshot, NULL, 0), STATUS_OK);
	return snapshot;
}

/* ---- equal ---- */

static void expect_same_release(const struct release *a, const struct release *b)
{
	assert_string_equal(a->id.text, b->id.text);
	assert_string_equal(a->model, b->model);
	assert_memory_equal(&a->seed, &b->seed, sizeof a->seed);
	assert_string_equal(a->checkpoint, b->checkpoint);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->state, b->state);
	assert_true(a->created_ms == b->created_ms && a->sealed_ms == b->sealed_ms);
	assert_true(a->published_ms == b->published_ms);
	assert_int_equal(a->next_table, b->next_table);
	assert_int_equal(a->table_count, b->table_count);
	for (size_t i = 0; i < a->table_count; i++) {
		const struct table *left = a->tables[i];
		const struct table *right = b->tables[i];
		assert_string_equal(left->spec.name.text, right->spec.name.text);
		assert_int_equal(left->spec.dtype, right->spec.dtype);
		assert_int_equal(left->spec.key_type, right->spec.key_type);
		assert_int_equal(left->spec.dim, right->spec.dim);
		assert_int_equal(left->spec.views, right->spec.views);
		assert_int_equal(left->spec.ttl_ms, right->spec.ttl_ms);
		assert_int_equal(left->spec.tags, right->spec.tags);
		assert_int_equal(left->number, right->number);
		assert_int_equal(left->rows, right->rows);
		assert_int_equal(left->bytes, right->bytes);
		files_fixture_expect(left, right);
	}
}

static void expect_same(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->sequence, b->sequence);
	assert_int_equal(a->next_release, b->next_release);
	assert_int_equal(a->history_count, b->history_count);
	assert_memory_equal(a->history, b->history, a->history_count * sizeof *a->history);
	const uint64_t a_live = a->live == NULL ? 0 : a->live->number;
	const uint64_t b_live = b->live == NULL ? 0 : b->live->number;
	assert_int_equal(a_live, b_live);
	assert_int_equal(a->release_count, b->release_count);
	for (size_t i = 0; i < a->release_count; i++) {
		expect_same_release(a->releases[i], b->releases[i]);
	}
}

static void expect_reads_as(const struct scratch *scratch, const struct snapshot *snapshot)
{
	struct catalog *catalog = open_catalog(scratch);
	struct snapshot *again = read_snapshot(catalog);
	expect_same(snapshot, again);
	snapshot_drop(again);
	catalog_close(catalog);
}

static void what_was_committed_is_read_again(void **state)
{
	struct scratch *scratch = *state;
	struct catalog *catalog = open_catalog(scratch);
	struct snapshot *snapshot = fill(catalog);
	catalog_close(catalog);
	expect_reads_as(scratch, snapshot);
	snapshot_drop(snapshot);
	catalog_close(NULL);
}

static void a_removed_release_takes_its_records_along(void **state)
{
	struct scratch *scratch = *state;
	struct catalog *catalog = open_catalog(scratch);
	struct snapshot *snapshot = fill(catalog);
	for (uint64_t number = 1; number <= 3; number++) {
		snapshot_remove(snapshot, number);
		assert_int_equal(commit(catalog, snapshot, NULL, number), STATUS_OK);
		struct snapshot *again = read_snapshot(catalog);
		expect_same(snapshot, again);
		snapshot_drop(again);
	}
	catalog_close(catalog);
	snapshot_drop(snapshot);
}

/* ---- damage, through LMDB's own door ---- */

/* Changes the record under a key that begins with `letter`: byte `at` of it, modulo its size, or
 * all of it when `bytes` is given, or its key when `key` is. Returns its size. */
static size_t alter(const struct scratch *scratch, char letter, size_t at, const MDB_val *bytes,
	const MDB_val *key)
{
	char path[PATH_MAX];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_cursor *cursor;
	MDB_val k = {.mv_size = 1, .mv_data = &letter};
	MDB_val v;
	catalog_path(scratch, path);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_mapsize(env, BYTES), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE), 0);
	uint8_t record[4096];
	uint8_t name[32];
	const size_t size = v.mv_size;
	assert_true(size <= sizeof record && k.mv_size <= sizeof name);
	memcpy(record, v.mv_data, size);
	memcpy(name, k.mv_data, k.mv_size);
	record[at % size] ^= bytes == NULL && key == NULL ? 4 : 0;
	MDB_val changed = {.mv_size = size, .mv_data = record};
	MDB_val named = {.mv_size = k.mv_size, .mv_data = name};
	mdb_cursor_close(cursor);
	assert_int_equal(mdb_del(txn, dbi, &named, NULL), 0);
	assert_int_equal(mdb_put(txn, dbi, key == NULL ? &named : (MDB_val *)key,
				 bytes == NULL ? &changed : (MDB_val *)bytes, 0),
		0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	return size;
}

static enum status read_again(const struct scratch *scratch)
{
	struct catalog *catalog = open_catalog(scratch);
	struct error err = {0};
	struct snapshot *snapshot = NULL;
	const enum status status = catalog_read(catalog, &snapshot, &err);
	assert_int_equal(err.status, status);
	snapshot_drop(snapshot);
	catalog_close(catalog);
	return status;
}

static void a_damaged_record_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct catalog *catalog = open_catalog(scratch);
	struct snapshot *snapshot = fill(catalog);
	catalog_close(catalog);
	for (const char *letter = "srtf"; *letter != '\0'; letter++) {
		size_t size = 1;
		for (size_t at = 0; at < size; at++) {
			size = alter(scratch, *letter, at, NULL, NULL);
			assert_int_equal(read_again(scratch), STATUS_CORRUPT);
			alter(scratch, *letter, at, NULL, NULL);
		}
		uint8_t none = 0;
		const MDB_val nothing = {.mv_size = 0, .mv_data = &none};
		assert_int_equal(read_again(scratch), STATUS_OK);
		if (*letter == 'f') {
			alter(scratch, *letter, 0, &nothing, NULL);
			assert_int_equal(read_again(scratch), STATUS_CORRUPT);
		}
	}
	snapshot_drop(snapshot);
}

static void a_record_in_another_place_is_refused(void **state)
{
	struct scratch *scratch = *state;
	const uint8_t name[17] = {'r', 0, 0, 0, 0, 0, 0, 0, 9, 1};
	const struct {
		char letter;
		size_t len;
	} wrong[] = {{'r', 9}, {'r', 8}, {'t', 17}, {'t', 9}, {'f', 17}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char path[PATH_MAX];
		struct catalog *catalog = open_catalog(scratch);
		struct snapshot *snapshot = fill(catalog);
		catalog_close(catalog);
		uint8_t other[17];
		memcpy(other, name, sizeof name);
		other[0] = (uint8_t)wrong[i].letter;
		const MDB_val key = {.mv_size = wrong[i].len, .mv_data = other};
		alter(scratch, wrong[i].letter, 0, NULL, &key);
		assert_int_equal(read_again(scratch), STATUS_CORRUPT);
		snapshot_drop(snapshot);
		catalog_path(scratch, path);
		assert_int_equal(unlink(path), 0);
	}
}

static void another_version_is_refused_by_name(void **state)
{
	struct scratch *scratch = *state;
	catalog_close(open_catalog(scratch));
	char path[PATH_MAX];
	uint32_t version = CATALOG_VERSION + 1;
	const MDB_val value = {.mv_size = sizeof version, .mv_data = &version};
	alter(scratch, 'v', 0, &value, NULL);
	catalog_path(scratch, path);
	struct catalog *catalog = NULL;
	struct error err = {0};
	assert_int_equal(catalog_open(path, BYTES, &catalog, &err), STATUS_UNSUPPORTED);
	assert_non_null(strstr(err.text, "format version 6, this build knows 5"));
	assert_null(catalog);
}

static void what_is_no_catalog_is_refused(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	static uint8_t garbage[16384];
	struct catalog *catalog = NULL;
	struct error err = {0};
	catalog_path(scratch, path);
	for (size_t i = 0; i < sizeof garbage; i++) {
		garbage[i] = (uint8_t)(i * 31 + i / 256);
	}
	const size_t lengths[] = {1, 100, 4096, 8192, sizeof garbage};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		scratch_write(path, garbage, lengths[i]);
		assert_int_equal(catalog_open(path, BYTES, &catalog, &err), STATUS_CORRUPT);
		assert_null(catalog);
	}
}

/* Every cut of the file either reads as before or is refused; none ends the process. */
static void a_cut_catalog_is_refused(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	struct catalog *catalog = open_catalog(scratch);
	struct snapshot *snapshot = fill(catalog);
	catalog_close(catalog);
	catalog_path(scratch, path);
	/* Here, since cmocka takes the signal for itself before each test. */
	assert_int_equal(mapfault_install(), STATUS_OK);
	struct scratch_file whole = scratch_read(path);
	unsigned refused = 0;
	for (size_t len = whole.len - 512; len >= 512; len -= 512) {
		scratch_write(path, whole.data, len);
		struct error err = {0};
		struct snapshot *again = NULL;
		catalog = NULL;
		enum status status = catalog_open(path, BYTES, &catalog, &err);
		status = status == STATUS_OK ? catalog_read(catalog, &again, &err) : status;
		if (status == STATUS_OK) {
			expect_same(snapshot, again);
		} else {
			assert_int_equal(status, STATUS_CORRUPT);
			refused++;
		}
		snapshot_drop(again);
		catalog_close(catalog);
	}
	assert_true(refused > 10);
	free(whole.data);
	snapshot_drop(snapshot);
}

/* ---- full, memory ---- */

static void a_full_catalog_undoes_the_change(void **state)
{
	struct scratch *scratch = *state;
	scratch->catalog_bytes = 128 << 10;
	scratch_open(scratch);
	struct error err = {0};
	enum status status = STATUS_OK;
	unsigned count = 0;
	while (status == STATUS_OK && count < 1000) {
		struct name id = {0};
		uint64_t number;
		const struct release_labels labels = {0};
		(void)snprintf(id.text, sizeof id.text, "r%u", count + 1);
		status = store_release_create(scratch->store, &id, &labels, &number, &err);
		count += status == STATUS_OK;
	}
	assert_int_equal(status, STATUS_DISK_FULL);
	assert_true(count > 100);
	for (unsigned round = 0; round < 2; round++) {
		struct store_figures figures;
		store_figures(scratch->store, &figures);
		assert_int_equal(figures.releases, count);
		scratch_reopen(scratch);
	}
	/* What is dropped makes room again. */
	scratch_must(store_release_drop(scratch->store, "r1", &err), &err);
	scratch_must(store_release_drop(scratch->store, "r2", &err), &err);
	struct name id = {"again"};
	uint64_t number;
	const struct release_labels labels = {0};
	scratch_must(store_release_create(scratch->store, &id, &labels, &number, &err), &err);
}

static bool goes_through_a_catalog(void *arg)
{
	const struct scratch *scratch = arg;
	char path[PATH_MAX];
	struct error err = {0};
	struct catalog *catalog = NULL;
	struct snapshot *snapshot = NULL;
	catalog_path(scratch, path);
	enum status status = catalog_open(path, BYTES, &catalog, &err);
	if (status == STATUS_OK) {
		status = catalog_read(catalog, &snapshot, &err);
	}
	if (status == STATUS_OK) {
		const struct catalog_change change = {.after = snapshot,
			.put = snapshot->releases[0]};
		status = catalog_commit(catalog, &change, &err);
	}
	if (status == STATUS_OK) {
		status = current_write(scratch->folder, snapshot, true, &err);
	}
	uint64_t sequence;
	if (status == STATUS_OK) {
		status = current_read_sequence(scratch->folder, &sequence, &err);
	}
	snapshot_drop(snapshot);
	catalog_close(catalog);
	if (status != STATUS_OK) {
		assert_int_equal(status, STATUS_NO_MEMORY);
		assert_int_equal(err.status, STATUS_NO_MEMORY);
	}
	return status == STATUS_OK;
}

static void refused_memory_is_told_as_such(void **state)
{
	struct scratch *scratch = *state;
	struct catalog *catalog = open_catalog(scratch);
	struct snapshot *snapshot = fill(catalog);
	catalog_close(catalog);
	assert_true(alloc_fail_each(goes_through_a_catalog, scratch) > 20);
	expect_reads_as(scratch, snapshot);
	snapshot_drop(snapshot);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_committed_is_read_again),
		cmocka_unit_test(a_removed_release_takes_its_records_along),
		cmocka_unit_test(a_damaged_record_is_refused),
		cmocka_unit_test(a_record_in_another_place_is_refused),
		cmocka_unit_test(another_version_is_refused_by_name),
		cmocka_unit_test(what_is_no_catalog_is_refused),
		cmocka_unit_test(a_cut_catalog_is_refused),
		cmocka_unit_test(a_full_catalog_undoes_the_change),
		cmocka_unit_test(refused_memory_is_told_as_such),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup, scratch_teardown);
}
