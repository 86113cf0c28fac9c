/* seal_release.c - seals a release: its tables' base files, then one change of the catalog. */
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/admin/change.h"
#include "daemon/store/load/load_ended.h"
#include "daemon/store/seal/seal.h"
#include "daemon/store/seal/seal_mean.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct seal_result result_of(const struct release *release)
{
	struct seal_result result = {.tables = (uint32_t)release->table_count};
	for (size_t i = 0; i < release->table_count; i++) {
		result.rows += release->tables[i]->rows;
		result.bytes += release->tables[i]->bytes;
	}
	return result;
}

/* ---- begin ---- */

/* Counts the rows that the loads of the release have. */
static void begin_progress(struct store *store)
{
	uint64_t rows = 0;
	lock_assert_held(&store->load_lock);
	for (const struct load *load = store->loads; load != NULL; load = load->next) {
		rows += load->spill.owner.release == store->sealing ? load->synced.rows : 0;
	}
	atomic_store(&store->seal.done, 0);
	atomic_store(&store->seal.rows, rows);
	atomic_store(&store->seal.release, store->sealing);
}

/* Marks the release as being sealed, and makes the copy that gets its base files. *release is NULL
 * when it is sealed already. */
static enum status begin(struct store *store, const char *id, struct release **release,
	struct seal_result *result, struct error *err)
{
	const struct release *from;
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	enum status status = snapshot_release(store_current(store), id, &from, err);
	if (status != STATUS_OK) {
		return status;
	}
	*release = NULL;
	if (from->state == RELEASE_SEALED) {
		*result = result_of(from);
		return STATUS_OK;
	}
	if (store->sealing != 0) {
		return error_set(err, STATUS_BUSY, "release: another one is being sealed");
	}
	/* Later nobody could tell a row that was lost from one that was never sent. */
	status = loads_check(store, from, err);
	if (status != STATUS_OK) {
		return status;
	}
	*release = release_copy(from);
	if (*release == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "seal '%s'", from->id.text);
	}
	store->sealing = from->number;
	begin_progress(store);
	return STATUS_OK;
}

/* ---- build ---- */

/* The spills of a table. They are used without load_lock afterwards: as long as the release is being
 * sealed, nothing changes its loads. */
static size_t find_sources(struct store *store, uint64_t release, uint64_t table,
	struct seal_source *sources)
{
	size_t count = 0;
	store_lock_load(store);
	for (const struct load *load = store->loads; load != NULL; load = load->next) {
		if (load->spill.owner.release == release && load->spill.owner.table == table &&
			count < LIMIT_LOADS) {
			assert(load->group.rows == 0); /* it has ended, so all is in the spill */
			sources[count++].spill = &load->spill;
		}
	}
	store_unlock_load(store);
	return count;
}

/* Builds a table's files and returns the table that has them. */
static enum status build_table(struct store *store, const struct release *release, size_t i,
	const struct stop *stop, struct table **out, struct error *err)
{
	const struct table *from = release->tables[i];
	const struct base_owner owner = {.release = release->number,
		.table = from->number,
		.seed = from->seed,
		.spec = from->spec};
	char folder[PATH_MAX];
	struct seal_source sources[LIMIT_LOADS];
	store_release_folder(store, release->number, folder);
	const size_t count = find_sources(store, release->number, from->number, sources);
	struct seal_output output = {0};
	const struct seal_input input = {.folder = folder,
		.owner = &owner,
		.sizes = store_base_sizes(store),
		.sources = sources,
		.count = count,
		.stop = stop,
		.done = &store->seal.done};
	const enum status status = seal_table(&input, &output, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct table *table = table_new(&from->spec, from->number);
	if (table == NULL || table_set_default(table, from->default_row) != STATUS_OK) {
		table_drop(table);
		seal_output_fini(&output);
		return error_set(err, STATUS_NO_MEMORY, "seal table '%s'", from->spec.name.text);
	}
	if (output.file_count > 0 &&
		table_add_level(table, 0, output.files, output.file_count) != STATUS_OK) {
		table_drop(table);
		return error_set(err, STATUS_NO_MEMORY, "seal table '%s'", from->spec.name.text);
	}
	assert(table->rows == output.rows);
	atomic_fetch_add(&store->seal_bytes, table->bytes);
	*out = table;
	return STATUS_OK;
}

/* Opens what was built, reads it in and compares it with its checksums; finds the means of the tables
 * that are to have one. */
static enum status check_built(struct store *store, struct release *release,
	const struct stop *stop, struct error *err)
{
	enum status status = store_open_bases(store, release, err);
	for (size_t i = 0; status == STATUS_OK && i < release->table_count; i++) {
		struct base_set *set = release->tables[i]->bases;
		uint64_t rows = 0;
		for (size_t j = 0; set != NULL && j < set->segment_count; j++) {
			rows += set->segments[j]->info->rows;
			status = stop_check(stop, err);
			if (status != STATUS_OK) {
				return status;
			}
			if (base_segment_wait(set, j) != BASE_READY) {
				return error_set(err, STATUS_CORRUPT,
					"seal: table '%s' reads back otherwise than it was written",
					release->tables[i]->spec.name.text);
			}
		}
		assert(rows == release->tables[i]->rows);
		if (release->tables[i]->spec.default_kind == DEFAULT_MEAN) {
			status = seal_mean(release->tables[i], stop, err);
		}
	}
	return status;
}

/* Takes admin_lock, since the table that is replaced is shared with the current snapshot. */
static enum status put_table(struct store *store, struct release *release, struct table *table)
{
	store_lock_admin(store);
	const enum status status = release_put(release, table);
	store_unlock_admin(store);
	return status;
}

static enum status build(struct store *store, struct release *release, const struct stop *stop,
	struct error *err)
{
	for (size_t i = 0; i < release->table_count; i++) {
		struct table *table = NULL;
		enum status status = build_table(store, release, i, stop, &table, err);
		if (status == STATUS_OK) {
			status = put_table(store, release, table);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	const enum status status = file_sync_folder(folder, err);
	return status == STATUS_OK ? check_built(store, release, stop, err) : status;
}

/* ---- end ---- */

/* Swaps the sealed release in. Takes `release` over. */
static enum status commit(struct store *store, struct release *release, struct seal_result *result,
	struct error *err)
{
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	assert(store->sealing == release->number);
	assert(release->state == RELEASE_OPEN);
	/* Tensors may have been put and deleted since the copy was made. */
	const struct release *now = snapshot_find(store_current(store), release->number);
	assert(now == NULL || now->table_count == release->table_count);
	if (now == NULL || release_share_tensors(release, now) != STATUS_OK) {
		release_drop(release);
		return error_set(err, now == NULL ? STATUS_NOT_FOUND : STATUS_NO_MEMORY,
			"seal: the tensors of the release");
	}
	release->state = RELEASE_SEALED;
	release->sealed_ms = clock_unix_ms();
	*result = result_of(release);
	const struct aftermath aftermath = {.done_with = release->number};
	return change_release(store, release, &aftermath, err);
}

enum status store_seal(struct store *store, const char *id, const struct stop *caller,
	struct seal_result *out, struct error *err)
{
	const struct stop stop = store_stop_of(store, caller);
	struct release *release = NULL;
	struct seal_result result = {0};
	enum status status = reserve_check(store, RESERVE_LOAD, err);
	if (status != STATUS_OK) {
		return status;
	}
	store_lock_admin(store);
	store_lock_load(store);
	status = begin(store, id, &release, &result, err);
	store_unlock_load(store);
	store_unlock_admin(store);
	if (status == STATUS_OK && release != NULL) {
		const uint64_t number = release->number;
		status = build(store, release, &stop, err);
		store_lock_admin(store);
		store_lock_load(store);
		if (status == STATUS_OK) {
			status = commit(store, release, &result, err);
		} else {
			release_drop(release);
		}
		if (status != STATUS_OK && status != STATUS_IO) {
			/* The files are removed at once, since they may be what has filled the disk.
			 * Not after an IO error: then the catalog may name them, which only the next
			 * start can tell. */
			char folder[PATH_MAX];
			store_release_folder(store, number, folder);
			(void)file_remove_prefixed(folder, "base-", NULL);
		}
		store->sealing = 0;
		atomic_store(&store->seal.release, 0);
		store_unlock_load(store);
		store_unlock_admin(store);
	}
	if (status == STATUS_OK) {
		*out = result;
	}
	return status;
}

bool store_seal_progress(const struct store *store, uint64_t release, struct seal_progress *out)
{
	*out = (struct seal_progress){
		.rows = atomic_load(&store->seal.rows),
		.done = atomic_load(&store->seal.done),
	};
	return atomic_load(&store->seal.release) == release;
}
