/* load.c - bulk loads into open releases: chunks in, synced runs on disk. */
#include "daemon/store/load/load.h"

#include "daemon/store/load/load_ended.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/state/reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A group that has grown so large is written: it becomes a run of the spill file. */
enum { GROUP_BYTES_MAX = 64 << 20 };

static uint64_t group_bytes_max(const struct store *store)
{
	const uint64_t quarter = store->options.load_memory_bytes / 4;
	return quarter < GROUP_BYTES_MAX ? quarter : GROUP_BYTES_MAX;
}

/* ---- find ---- */

/* The open release and table that a chunk names, as an owner. */
static enum status find_owner(struct store *store, const struct load_chunk *chunk,
	struct base_owner *out, struct error *err)
{
	const struct release *release;
	const struct table *table;
	lock_assert_held(&store->load_lock); /* so that no seal begins */
	const struct snapshot *snapshot = snapshot_begin(store);
	enum status status = snapshot_release(snapshot, chunk->release, &release, err);
	if (status == STATUS_OK && release->state != RELEASE_OPEN) {
		status = error_set(err, STATUS_SEALED,
			"release: '%s' is sealed; a load goes into an open one", release->id.text);
	}
	if (status == STATUS_OK) {
		status = release_table(release, chunk->table, &table, err);
	}
	if (status == STATUS_OK) {
		*out = (struct base_owner){.release = release->number,
			.table = table->number,
			.seed = table->seed,
			.spec = table->spec};
	}
	snapshot_end(store);
	if (status == STATUS_OK && store->sealing == out->release) {
		status = error_set(err, STATUS_CONFLICT, "release: '%s' is being sealed",
			chunk->release);
	}
	return status;
}

static enum status no_such_load(const struct load_chunk *which, struct error *err)
{
	return error_set(err, STATUS_NOT_FOUND,
		"load: table '%s' of release '%s' has none named '%s'", which->table,
		which->release, which->load.text);
}

static enum status find_load(struct store *store, const struct load_chunk *which, struct load **out,
	struct error *err)
{
	struct base_owner owner;
	const enum status status = find_owner(store, which, &owner, err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = load_find(store, owner.release, owner.table, which->load.text);
	return *out == NULL ? no_such_load(which, err) : STATUS_OK;
}

/* ---- chunk ---- */

/* Appends a chunk to the group. If one of its values becomes infinite in the table's dtype, the chunk
 * is taken back. */
static enum status add_rows(struct store *store, struct load *load, const struct load_chunk *chunk,
	struct error *err)
{
	const struct table_spec *spec = &load->spill.owner.spec;
	struct load_group *group = &load->group;
	const uint64_t first = group->rows;
	const uint64_t blob_bytes = group->blob_bytes;
	const uint64_t held_bytes = load_group_bytes(group, spec);
	enum status status =
		load_group_add(group, &load->spill.owner, chunk, load->spill.default_time_ms);
	if (status != STATUS_OK) {
		return error_set(err, status, "load: %" PRIu32 " rows", chunk->batch.keys.count);
	}
	status = batch_check_stored(&chunk->batch, spec,
		group->row_data + first * spec_stored_bytes(spec),
		spec->dtype == DTYPE_I8 ? group->scales + first : NULL, err);
	if (status != STATUS_OK) {
		group->rows = first;
		group->blob_bytes = blob_bytes;
		group->chunks--;
		return status;
	}
	assert(load_group_bytes(group, spec) >= held_bytes);
	store->load_pending += load_group_bytes(group, spec) - held_bytes;
	return STATUS_OK;
}

static enum status begin_load(struct store *store, const struct base_owner *owner,
	const struct load_chunk *chunk, struct load **out, struct error *err)
{
	unsigned count = 0;
	for (const struct load *load = store->loads; load != NULL; load = load->next) {
		count += load->spill.owner.release == owner->release &&
			 load->spill.owner.table == owner->table;
	}
	if (count >= LIMIT_LOADS) {
		return error_set(err, STATUS_TOO_LARGE,
			"load: table '%s' has %u, at most %u allowed", chunk->table, count,
			LIMIT_LOADS);
	}
	struct load *load = calloc(1, sizeof *load);
	if (load == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "load: begin '%s'", chunk->load.text);
	}
	load->name = chunk->load;
	load->table_name = owner->spec.name;
	char folder[PATH_MAX];
	char file[128];
	store_release_folder(store, owner->release, folder);
	load_file_name(file, sizeof file, owner->table, chunk->load.text);
	const enum status status =
		spill_create(folder, file, owner, chunk->now_ms, &load->spill, err);
	if (status != STATUS_OK) {
		free(load);
		return status;
	}
	*out = load_link(store, load);
	return STATUS_OK;
}

/* A chunk that came before counts once, if it is the same. Were another one acknowledged, its rows
 * would be lost without a word. */
static enum status check_repeated(const struct load *load, const struct load_chunk *chunk,
	struct error *err)
{
	struct chunk_content known;
	const struct chunk_content given = chunk_content_of(&chunk->batch);
	if (chunk->chunk >= load->synced.next_chunk) {
		assert(chunk->chunk - load->synced.next_chunk < load->group.chunks);
		known = load->group.contents[chunk->chunk - load->synced.next_chunk];
	} else {
		const enum status status = spill_content(&load->spill, chunk->chunk, &known, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return chunk_content_same(&known, &given)
		       ? STATUS_OK
		       : error_set(err, STATUS_CONFLICT,
				 "chunk: %" PRIu64
				 " of load '%s' came before with other rows; abort "
				 "the load and send all of it again, or take another name for the load",
				 chunk->chunk, load->name.text);
}

static void count_rows(struct store *store, const struct base_owner *owner, uint64_t rows)
{
	const struct snapshot *snapshot = snapshot_begin(store);
	const struct table *table =
		release_find(snapshot_find(snapshot, owner->release), owner->table);
	if (table != NULL) {
		table_counts_wrote(table->counts, WRITE_KIND_LOAD, rows);
	}
	snapshot_end(store);
}

/* Adds the next chunk of a load; the load begins with its first one. */
static enum status add_chunk(struct store *store, const struct base_owner *owner,
	const struct load_chunk *chunk, struct load **load, struct error *err)
{
	const bool begins = *load == NULL;
	enum status status = STATUS_OK;
	if (begins) {
		status = begin_load(store, owner, chunk, load, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	assert(*load != NULL); /* there was one, or it was begun */
	status = add_rows(store, *load, chunk, err);
	if (status != STATUS_OK && begins) {
		/* A load that has no chunk yet must not keep a seal from beginning. */
		(void)load_forget(store, *load, NULL);
	}
	if (status == STATUS_OK) {
		count_rows(store, owner, chunk->batch.keys.count);
	}
	return status;
}

static enum status take_chunk(struct store *store, const struct load_chunk *chunk,
	struct load_progress *out, struct error *err)
{
	struct base_owner owner;
	enum status status = find_owner(store, chunk, &owner, err);
	if (status == STATUS_OK) {
		status = batch_check(&chunk->batch, &owner.spec, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	struct load *load = load_find(store, owner.release, owner.table, chunk->load.text);
	status = load_check_damage(load, err);
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t expected = load == NULL ? 0 : load->synced.next_chunk + load->group.chunks;
	if (chunk->chunk > expected) {
		return error_set(err, STATUS_GAP, "chunk: %" PRIu64 " given, %" PRIu64 " expected",
			chunk->chunk, expected);
	}
	if (load != NULL && load->spill.ended && chunk->chunk == expected) {
		return error_set(err, STATUS_CONFLICT, "load: '%s' has ended", chunk->load.text);
	}
	if (chunk->chunk < expected) {
		assert(load != NULL); /* else 0 is expected */
		status = check_repeated(load, chunk, err);
	} else {
		status = add_chunk(store, &owner, chunk, &load, err);
	}
	if (status == STATUS_OK) {
		out->next_chunk = load->synced.next_chunk + load->group.chunks;
		out->rows = load->synced.rows + load->group.rows;
	}
	return status;
}

enum status store_load_chunk(struct store *store, const struct load_chunk *chunk,
	struct load_progress *out, struct error *err)
{
	enum status status = reserve_check(store, RESERVE_LOAD, err);
	if (status != STATUS_OK) {
		return status;
	}
	store_lock_load(store);
	status = take_chunk(store, chunk, out, err);
	store_unlock_load(store);
	return status;
}

bool store_load_is_full(struct store *store)
{
	store_lock_load(store);
	const bool full = store->load_pending >= group_bytes_max(store);
	store_unlock_load(store);
	return full;
}

/* ---- sync ---- */

static enum status sync_load(struct store *store, struct load *load, struct error *err)
{
	struct load_group *group = &load->group;
	assert(!load->damaged);
	assert(!load->spill.ended);
	struct spill_run run = {
		.sequence = store->load_sequence + 1,
		.first_chunk = load->synced.next_chunk,
		.chunk_count = group->chunks,
		.rows = group->rows,
		.blob_bytes = group->blob_bytes,
	};
	struct load_body *body = &store->load_body;
	enum status status = load_group_body(group, &load->spill.owner.spec, body);
	if (status != STATUS_OK) {
		return error_set(err, status, "load: sort %" PRIu64 " rows", group->rows);
	}
	status = spill_append(&load->spill, &run, body->data, err);
	if (status == STATUS_OK) {
		assert(run.chunk_count > 0);
		store->load_sequence = run.sequence;
		atomic_fetch_add(&store->load_bytes, run.body_bytes);
		load->synced.next_chunk += group->chunks;
		load->synced.rows += group->rows;
	}
	return status;
}

static enum status sync_all(struct store *store, struct error *err)
{
	enum status status = STATUS_OK;
	struct load *next;
	lock_assert_held(&store->load_lock);
	for (struct load *load = store->loads; load != NULL; load = next) {
		next = load->next;
		if (load->group.chunks == 0) {
			assert(load->group.rows == 0);
			continue;
		}
		if (status == STATUS_OK) {
			status = sync_load(store, load, err);
		}
		/* A single load keeps its memory. Several do not, since their sum would be too much. */
		load_group_clear(&load->group);
		if (load->next != NULL || load != store->loads) {
			load_group_fini(&load->group);
		}
		if (status != STATUS_OK && load->synced.next_chunk == 0) {
			/* It was begun by the chunks that are lost. */
			(void)load_forget(store, load, NULL);
		}
	}
	store->load_pending = 0;
	return status;
}

/* Syncs the chunks that wait, before another step. If they are lost, the next store_load_sync fails
 * too, since their callers wait for it. */
static enum status sync_early(struct store *store, struct error *err)
{
	struct error reason;
	const enum status status = sync_all(store, &reason);
	if (status != STATUS_OK) {
		store->load_lost = reason;
		return error_set(err, status, "%s", reason.text);
	}
	return STATUS_OK;
}

enum status store_load_sync(struct store *store, struct error *err)
{
	store_lock_load(store);
	enum status status = sync_all(store, err);
	if (status == STATUS_OK && store->load_lost.status != STATUS_OK) {
		status = error_set(err, store->load_lost.status, "%s", store->load_lost.text);
	}
	store->load_lost.status = STATUS_OK;
	store_unlock_load(store);
	return status;
}

/* ---- end, abort ---- */

static enum status end_load(struct store *store, const struct load_chunk *which, uint64_t chunks,
	uint64_t rows, struct error *err)
{
	struct load *load;
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	enum status status = sync_early(store, err);
	if (status == STATUS_OK) {
		status = find_load(store, which, &load, err);
	}
	if (status == STATUS_OK) {
		status = load_check_damage(load, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	if (load->synced.next_chunk != chunks || load->synced.rows != rows) {
		return error_set(err, STATUS_CONFLICT,
			"load: '%s' has %" PRIu64 " chunks and %" PRIu64 " rows, not %" PRIu64
			" and %" PRIu64,
			which->load.text, load->synced.next_chunk, load->synced.rows, chunks, rows);
	}
	assert(load->group.chunks == 0); /* all are synced */
	load_group_fini(&load->group);
	load_body_fini(&store->load_body);
	if (!load->spill.ended) {
		status = spill_end(&load->spill, err);
	}
	const struct ended_load *known =
		load_find_ended(store, &load->spill.owner, load->name.text);
	if (status != STATUS_OK ||
		(known != NULL && known->chunks == chunks && known->rows == rows)) {
		return status;
	}
	const struct ended_load ended = {.load = load->name, .chunks = chunks, .rows = rows};
	return load_put_ended(store, &load->spill.owner, &ended, err);
}

enum status store_load_end(struct store *store, const struct load_chunk *which, uint64_t chunks,
	uint64_t rows, struct error *err)
{
	store_lock_admin(store);
	store_lock_load(store);
	const enum status status = end_load(store, which, chunks, rows, err);
	store_unlock_load(store);
	store_unlock_admin(store);
	return status;
}

/* The catalog forgets the load first. If the daemon is killed then, a file is there that the catalog
 * does not know, and the load can be aborted again. In the other order the catalog would know a load
 * without a file, and the release could not be sealed. */
static enum status abort_load(struct store *store, const struct load_chunk *which, uint64_t *rows,
	struct error *err)
{
	struct base_owner owner;
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	enum status status = find_owner(store, which, &owner, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct load *load = load_find(store, owner.release, owner.table, which->load.text);
	const struct ended_load *known = load_find_ended(store, &owner, which->load.text);
	if (load == NULL && known == NULL) {
		return no_such_load(which, err);
	}
	*rows = load != NULL ? load->synced.rows + load->group.rows : 0;
	load_body_fini(&store->load_body);
	if (known != NULL) {
		status = load_remove_ended(store, &owner, which->load.text, err);
	}
	return status != STATUS_OK || load == NULL ? status : load_forget(store, load, err);
}

enum status store_load_abort(struct store *store, const struct load_chunk *which, uint64_t *rows,
	struct error *err)
{
	store_lock_admin(store);
	store_lock_load(store);
	const enum status status = abort_load(store, which, rows, err);
	store_unlock_load(store);
	store_unlock_admin(store);
	return status;
}

/* ---- list ---- */

/* Whether both the load's file and the catalog say that it is whole. If the daemon was killed in
 * between, only the file says so, and the load has to be ended again. */
static bool has_ended(const struct release *release, const struct load *load)
{
	const struct table *table = release_find(release, load->spill.owner.table);
	return table != NULL && load->spill.ended &&
	       table_find_ended(table, load->name.text) != NULL;
}

static enum status list_loads(const struct store *store, const struct release *release,
	struct load_state **out, size_t *count)
{
	size_t found = 0;
	lock_assert_held(&store->load_lock);
	for (const struct load *load = store->loads; load != NULL; load = load->next) {
		found += load->spill.owner.release == release->number;
	}
	*count = 0;
	*out = found == 0 ? NULL : calloc(found, sizeof **out);
	if (found > 0 && *out == NULL) {
		return STATUS_NO_MEMORY;
	}
	for (const struct load *load = store->loads; load != NULL; load = load->next) {
		if (load->spill.owner.release == release->number) {
			(*out)[(*count)++] = (struct load_state){
				.table = load->table_name,
				.load = load->name,
				.progress = load->synced,
				.ended = has_ended(release, load),
			};
		}
	}
	assert(*count == found);
	return STATUS_OK;
}

enum status store_loads(struct store *store, const char *id, struct load_state **out, size_t *count,
	struct error *err)
{
	const struct release *release;
	store_lock_load(store);
	const struct snapshot *snapshot = snapshot_begin(store);
	enum status status = snapshot_release(snapshot, id, &release, err);
	if (status == STATUS_OK) {
		status = list_loads(store, release, out, count);
		if (status != STATUS_OK) {
			error_set(err, status, "list the loads of '%s'", id);
		}
	}
	snapshot_end(store);
	store_unlock_load(store);
	return status;
}
