/* test_store_open.c - who may open a data folder, what a crash leaves there, and what is damage. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/base/base.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/figures.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/options.h"
#include "daemon/store/store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"

#include <cmocka.h>

static void drop(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	scratch_must(store_release_drop(scratch->store, id, &err), &err);
}

static void a_second_store_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char pid[32];
	struct store *first = scratch->store;
	(void)snprintf(pid, sizeof pid, "(pid %ld)", (long)getpid());
	assert_int_equal(scratch_try_open(scratch, &err), STATUS_BUSY);
	assert_non_null(strstr(err.text, pid));
	assert_non_null(strstr(err.text, scratch->data));
	assert_ptr_equal(scratch->store, first);
	scratch_reopen(scratch);
}

static void a_folder_that_cannot_be_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct store *store = NULL;
	char longest[PATH_MAX + 1];
	memset(longest, 'x', sizeof longest - 1);
	longest[PATH_MAX] = '\0';
	struct store_options options = {.folder = longest, .catalog_bytes = 1 << 20};
	assert_int_equal(store_open(&options, &store, &err), STATUS_TOO_LARGE);
	options.folder = "/dev/null/data";
	assert_int_equal(store_open(&options, &store, &err), STATUS_IO);
	assert_int_equal(err.status, STATUS_IO);
	char path[PATH_MAX];
	scratch_path(scratch, path, "nowhere/data");
	options.folder = path;
	assert_int_equal(store_open(&options, &store, &err), STATUS_NOT_FOUND);
	assert_null(store);
}

static void a_damaged_base_file_is_told_and_does_not_go_live(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct name previous;
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 1000, 1);
	scratch_sealed(scratch, "r2", 0, 1000, 2);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/2/base-1-0.mdb");
	scratch_cut(path, 5000);
	scratch_open(scratch);
	assert_true(scratch_heard(scratch, "event=damage release=r2 table=t"));
	assert_int_equal(scratch_version(scratch, "r2", 5), UINT32_MAX);
	assert_int_equal(store_release_publish(scratch->store, "r2", NULL, &previous, &err),
		STATUS_CORRUPT);
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	assert_int_equal(figures.segments_damaged, 1);
	scratch_expect(scratch, "r1", 0, 1000, 1);
	scratch_publish(scratch, "r1");
	drop(scratch, "r2");
	scratch_close(scratch);
	assert_false(scratch_exists(path));
}

static void what_the_catalog_does_not_name_is_removed(void **state)
{
	struct scratch *scratch = *state;
	static const char *const leftovers[] = {"releases/1/base-1-7.mdb", "releases/1/spill-1-x",
		"releases/2/base-1-0.mdb", "releases/1/index-1-0.mdb", "releases/3/base-1-0.mdb"};
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_release(scratch, "r2");
	scratch_chunk(scratch, "r2", "a", 0, (struct scratch_rows){0, 10, 1});
	scratch_release(scratch, "r3");
	drop(scratch, "r3");
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/3");
	assert_int_equal(mkdir(path, 0700), 0);
	/* Made, and killed before it was committed: the next number. */
	scratch_path(scratch, path, "releases/4");
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
		scratch_path(scratch, path, leftovers[i]);
		scratch_write(path, "leftover", 8);
	}
	scratch_open(scratch);
	for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
		scratch_path(scratch, path, leftovers[i]);
		assert_false(scratch_exists(path));
	}
	scratch_path(scratch, path, "releases");
	assert_int_equal(scratch_count(path, ""), 2);
	assert_true(scratch_heard(scratch, "event=leftover"));
	scratch_expect(scratch, "r1", 0, 10, 1);
	scratch_end(scratch, "r2", "a", 1, 10);
	scratch_seal(scratch, "r2");
	scratch_expect(scratch, "r2", 0, 10, 1);
	scratch_release(scratch, "r4");
}

static void what_others_put_there_stays(void **state)
{
	struct scratch *scratch = *state;
	static const char *const foreign[] = {"releases/notes.txt", "releases/1.bak/base-1-0.mdb",
		"releases/backup/base-1-0.mdb", "README"};
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_close(scratch);
	scratch_path(scratch, path, "releases/1.bak");
	assert_int_equal(mkdir(path, 0700), 0);
	scratch_path(scratch, path, "releases/backup");
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		scratch_path(scratch, path, foreign[i]);
		scratch_write(path, "mine", 4);
	}
	scratch_open(scratch);
	scratch_expect(scratch, "r1", 0, 10, 1);
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		scratch_path(scratch, path, foreign[i]);
		assert_true(scratch_exists(path));
	}
}

/* Nothing is removed when the catalog is the one that is wrong. */
static void a_lost_catalog_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char catalog[PATH_MAX];
	char current[PATH_MAX];
	char base[PATH_MAX];
	scratch_path(scratch, catalog, "catalog.mdb");
	scratch_path(scratch, current, "current");
	scratch_path(scratch, base, "releases/1/base-1-0.mdb");
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_close(scratch);
	struct scratch_file kept = scratch_read(catalog);
	for (unsigned how = 0; how < 4; how++) {
		assert_int_equal(unlink(catalog), 0);
		if (how == 1) {
			scratch_flip(current, 30);
		} else if (how == 2) {
			scratch_cut(current, 10);
		} else if (how == 3) {
			assert_int_equal(unlink(current), 0);
		}
		for (unsigned round = 0; round < 2; round++) {
			assert_int_equal(scratch_try_open(scratch, &err), STATUS_CORRUPT);
			assert_non_null(strstr(err.text, "catalog.mdb is missing or older"));
			assert_null(scratch->store);
			assert_true(scratch_exists(base));
		}
		scratch_write(catalog, kept.data, kept.len);
	}
	scratch_open(scratch);
	scratch_expect(scratch, "r1", 0, 10, 1);
	free(kept.data);
}

static void put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof value);
}

/* Writes `current` with the checksum that its bytes have. */
static void write_summed(const char *path, uint8_t *data, size_t len)
{
	const uint64_t hash = XXH3_64bits(data, len - sizeof hash);
	memcpy(data + len - sizeof hash, &hash, sizeof hash);
	scratch_write(path, data, len);
}

/* A later build has added a field, and says that readers of this version can pass over it. */
static void write_later(const char *path, const struct scratch_file *kept)
{
	static const uint8_t field[] = {0xa3, 'n', 'e', 'w', 1};
	uint8_t *data = malloc(kept->len + sizeof field);
	assert_non_null(data);
	memcpy(data, kept->data, kept->len - 8);
	memcpy(data + kept->len - 8, field, sizeof field);
	assert_int_equal(data[24], 0x82); /* a map of two */
	data[24]++;
	put_u32(data + 8, CURRENT_VERSION + 7);
	put_u32(data + 16, (uint32_t)(kept->len - 32 + sizeof field));
	write_summed(path, data, kept->len + sizeof field);
	free(data);
}

/* As version 4 had it: without readable_from, and 8 bytes less of a head. */
static void write_earlier(const char *path, const struct scratch_file *kept)
{
	uint8_t *data = malloc(kept->len);
	assert_non_null(data);
	memcpy(data, kept->data, 8);
	put_u32(data + 8, 4);
	put_u32(data + 12, (uint32_t)(kept->len - 32));
	memcpy(data + 16, kept->data + 24, kept->len - 24);
	write_summed(path, data, kept->len - 8);
	free(data);
}

/* That it was read is seen by what it says of a catalog that is older. */
static void a_current_of_another_version_is_read_when_it_says_so(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char current[PATH_MAX];
	char catalog[PATH_MAX];
	void (*const writes[])(const char *path, const struct scratch_file *kept) = {write_later,
		write_earlier};
	scratch_path(scratch, current, "current");
	scratch_path(scratch, catalog, "catalog.mdb");
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_close(scratch);
	struct scratch_file kept = scratch_read(current);
	struct scratch_file records = scratch_read(catalog);
	for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
		writes[i](current, &kept);
		assert_int_equal(unlink(catalog), 0);
		assert_int_equal(scratch_try_open(scratch, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "catalog.mdb is missing or older"));
		scratch_write(catalog, records.data, records.len);
		scratch_open(scratch);
		assert_false(scratch_heard(scratch, "event=current_rewritten"));
		scratch_expect(scratch, "r1", 0, 10, 1);
		scratch_close(scratch);
		struct scratch_file again = scratch_read(current);
		assert_int_equal(again.len, kept.len);
		assert_memory_equal(again.data, kept.data, kept.len);
		free(again.data);
	}
	free(kept.data);
	free(records.data);
}

static void a_newer_current_is_refused_and_a_damaged_one_written_again(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char current[PATH_MAX];
	scratch_path(scratch, current, "current");
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_close(scratch);
	struct scratch_file kept = scratch_read(current);
	put_u32(kept.data + 8, 9);
	put_u32(kept.data + 12, CURRENT_VERSION + 1);
	write_summed(current, kept.data, kept.len);
	assert_int_equal(scratch_try_open(scratch, &err), STATUS_UNSUPPORTED);
	assert_non_null(strstr(err.text,
		"current: format version 9, for readers of 6 or newer; this build knows 4 to 5"));
	put_u32(kept.data + 8, 3);
	put_u32(kept.data + 12, 3);
	write_summed(current, kept.data, kept.len);
	assert_int_equal(scratch_try_open(scratch, &err), STATUS_UNSUPPORTED);
	assert_non_null(strstr(err.text, "current: format version 3, "));
	put_u32(kept.data + 8, CURRENT_VERSION);
	put_u32(kept.data + 12, CURRENT_READABLE_FROM);
	write_summed(current, kept.data, kept.len);
	for (size_t at = 0; at < kept.len; at += 7) {
		if (at < 8 || at >= 16) {
			scratch_write(current, kept.data, kept.len);
			scratch_flip(current, at);
			scratch_reopen(scratch);
			assert_true(scratch_heard(scratch, "event=current_rewritten"));
			scratch_close(scratch);
			scratch->events[0] = '\0';
			struct scratch_file again = scratch_read(current);
			assert_int_equal(again.len, kept.len);
			assert_memory_equal(again.data, kept.data, kept.len);
			free(again.data);
		}
	}
	free(kept.data);
}

static void on_a_full_disk_a_change_is_undone(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct rlimit limit;
	struct store_figures figures;
	scratch_sealed(scratch, "r1", 0, 10, 1);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	const struct table_spec spec = scratch_spec("u", DTYPE_F32, KEY_U64, 4);
	scratch_release(scratch, "r2");
	unsigned full = 0;
	for (uint64_t bytes = 0; bytes < 40000; bytes += 1777) {
		const struct rlimit small = {.rlim_cur = bytes, .rlim_max = limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		const enum status status =
			store_table_create(scratch->store, "r2", &spec, NULL, &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		if (status == STATUS_OK) {
			break; /* there was room enough */
		}
		assert_int_equal(status, STATUS_DISK_FULL);
		full++;
		store_figures(scratch->store, &figures);
		assert_int_equal(figures.tables, 2);
		if (bytes > 20000) {
			scratch_reopen(scratch);
		}
	}
	assert_true(full > 0);
	const struct table_spec other = scratch_spec("v", DTYPE_F32, KEY_U64, 4);
	scratch_must(store_table_create(scratch->store, "r2", &other, NULL, &err), &err);
	scratch_reopen(scratch);
	scratch_expect(scratch, "r1", 0, 10, 1);
}

/* Writes release "r1" into the catalog with other rows: of its table, or of a segment. */
static void write_other_rows(struct scratch *scratch, bool of_table, uint32_t by)
{
	char path[PATH_MAX];
	struct error err = {0};
	struct catalog *catalog = NULL;
	struct snapshot *snapshot = NULL;
	scratch_path(scratch, path, "catalog.mdb");
	scratch_must(catalog_open(path, scratch->catalog_bytes, &catalog, &err), &err);
	scratch_must(catalog_read(catalog, &snapshot, &err), &err);
	struct table *table = snapshot->releases[0]->tables[0];
	table->rows += of_table ? by : 0;
	table->levels[0]->files[0].segments[0].rows += of_table ? 0 : by;
	snapshot->sequence++;
	const struct catalog_change change = {.after = snapshot, .put = snapshot->releases[0]};
	scratch_must(catalog_commit(catalog, &change, &err), &err);
	snapshot_drop(snapshot);
	catalog_close(catalog);
}

/* Every record is whole, but that of the table and those of its files do not fit each other. */
static void rows_that_the_files_do_not_have_are_damage(void **state)
{
	struct scratch *scratch = *state;
	struct scratch_file catalog;
	char path[PATH_MAX];
	scratch_sealed(scratch, "r1", 0, 10, 1);
	scratch_close(scratch);
	scratch_path(scratch, path, "catalog.mdb");
	catalog = scratch_read(path);
	for (unsigned i = 0; i < 2; i++) {
		struct error err = {0};
		write_other_rows(scratch, i == 0, 1);
		assert_int_equal(scratch_try_open(scratch, &err), STATUS_CORRUPT);
		assert_non_null(strstr(err.text, "catalog: a record"));
		scratch_write(path, catalog.data, catalog.len);
	}
	free(catalog.data);
	scratch_open(scratch);
	scratch_expect(scratch, "r1", 0, 10, 1);
}

int main(void)
{
	struct CMUnitTest all[] = {
		cmocka_unit_test(a_second_store_is_refused),
		cmocka_unit_test(a_folder_that_cannot_be_is_refused),
		cmocka_unit_test(a_damaged_base_file_is_told_and_does_not_go_live),
		cmocka_unit_test(what_the_catalog_does_not_name_is_removed),
		cmocka_unit_test(what_others_put_there_stays),
		cmocka_unit_test(rows_that_the_files_do_not_have_are_damage),
		cmocka_unit_test(a_lost_catalog_is_refused),
		cmocka_unit_test(on_a_full_disk_a_change_is_undone),
		cmocka_unit_test(a_current_of_another_version_is_read_when_it_says_so),
		cmocka_unit_test(a_newer_current_is_refused_and_a_damaged_one_written_again),
	};
	return fixture_run(all, sizeof all / sizeof *all, scratch_setup_store, scratch_teardown);
}
