/* load_list.c - the list of loads: found at the start, linked, forgotten. */
#include "daemon/store/spill/spilled.h"

#include "daemon/store/system/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void load_file_name(char *out, size_t size, uint64_t table, const char *load)
{
	(void)snprintf(out, size, "spill-%" PRIu64 "-%s", table, load);
}

struct load *load_find(struct store *store, uint64_t release, uint64_t table, const char *name)
{
	lock_assert_held(&store->load_lock);
	for (struct load *load = store->loads; load != NULL; load = load->next) {
		if (load->spill.owner.release == release && load->spill.owner.table == table &&
			strcmp(load->name.text, name) == 0) {
			return load;
		}
	}
	return NULL;
}

enum status load_check_damage(const struct load *load, struct error *err)
{
	return load == NULL || !load->damaged
		       ? STATUS_OK
		       : error_set(err, STATUS_CORRUPT,
				 "load: '%s' of table '%s' is damaged on disk; abort it and load again",
				 load->name.text, load->table_name.text);
}

void load_free(struct load *load)
{
	spill_close(&load->spill);
	load_group_fini(&load->group);
	free(load);
}

struct load *load_link(struct store *store, struct load *load)
{
	struct load **last = &store->loads;
	lock_assert_held(&store->load_lock);
	assert(load->next == NULL);
	while (*last != NULL) {
		last = &(*last)->next;
	}
	*last = load;
	return load;
}

/* The rows that wait in memory are no longer waited for. */
static void drop_pending(struct store *store, const struct load *load)
{
	const uint64_t bytes = load_group_bytes(&load->group, &load->spill.owner.spec);
	assert(store->load_pending >= bytes);
	store->load_pending -= bytes;
}

enum status load_forget(struct store *store, struct load *load, struct error *err)
{
	char folder[PATH_MAX];
	char file[128];
	char path[PATH_MAX];
	lock_assert_held(&store->load_lock);
	store_release_folder(store, load->spill.owner.release, folder);
	load_file_name(file, sizeof file, load->spill.owner.table, load->name.text);
	enum status status = file_path(path, folder, file, err);
	if (status == STATUS_OK && file_remove(path) != 0 && errno != ENOENT) {
		status = error_set(err, status_of_errno(errno), "remove '%s': %s", path,
			file_reason(errno));
	}
	if (status != STATUS_OK) {
		return status;
	}
	drop_pending(store, load);
	struct load **at = &store->loads;
	while (*at != load) {
		assert(*at != NULL); /* it is in the list */
		at = &(*at)->next;
	}
	*at = load->next;
	load_free(load);
	return file_sync_folder(folder, err);
}

/* ---- open ---- */

/* The table and the name of the load that a spill file is called by; NULL: no such table. */
static const struct table *table_of_file(const struct release *release, const char *file,
	struct name *name)
{
	char *end;
	assert(strncmp(file, "spill-", 6) == 0); /* open_loads passes over the others */
	const uint64_t number = strtoull(file + 6, &end, 10);
	if (*end != '-' || name_check(end + 1, strlen(end + 1), "load", name, NULL) != STATUS_OK) {
		return NULL;
	}
	return release_find(release, number);
}

static enum status open_load(struct store *store, const struct release *release, const char *folder,
	const char *file, struct error *err)
{
	struct name name;
	const struct table *table = table_of_file(release, file, &name);
	if (table == NULL) {
		store_event(store, "event=unknown_file release=%s file=%s", release->id.text, file);
		return STATUS_OK;
	}
	struct load *load = calloc(1, sizeof *load);
	if (load == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open '%s'", file);
	}
	load->name = name;
	load->table_name = table->spec.name;
	const struct base_owner owner = {.release = release->number,
		.table = table->number,
		.seed = table->seed,
		.spec = table->spec};
	struct error reason;
	const enum status status = spill_open(folder, file, &owner, &load->spill, &reason);
	if (status == STATUS_OK && load->spill.run_count == 0 && !load->spill.ended) {
		/* Killed after it was created and before its first run: nothing of it was
		 * acknowledged. */
		(void)load_forget(store, load_link(store, load), NULL);
		return STATUS_OK;
	}
	if (status != STATUS_OK && status != STATUS_CORRUPT) {
		/* AGAIN: killed while it was created, so nothing of it was acknowledged. What could
		 * not be opened now, for want of descriptors or of rights, may be sound. */
		load_free(load);
		return status == STATUS_AGAIN ? STATUS_OK
					      : error_set(err, status, "%s", reason.text);
	}
	if (status != STATUS_OK) {
		store_event(store, "event=damage release=%s file=%s reason=\"%s\"",
			release->id.text, file, reason.text);
		load->damaged = true;
		load->spill = (struct spill){.owner = owner};
	}
	for (size_t i = 0; i < load->spill.run_count; i++) {
		const struct spill_run *run = &load->spill.runs[i];
		load->synced.next_chunk = run->first_chunk + run->chunk_count;
		load->synced.rows += run->rows;
		store->load_sequence =
			run->sequence > store->load_sequence ? run->sequence : store->load_sequence;
	}
	(void)load_link(store, load);
	return STATUS_OK;
}

static enum status open_loads(struct store *store, const struct release *release, struct error *err)
{
	char folder[PATH_MAX];
	store_release_folder(store, release->number, folder);
	DIR *dir = file_list(folder);
	if (dir == NULL && errno == ENOENT) {
		/* Its loads are lost, but the release can be loaded anew, or dropped. */
		store_event(store, "event=damage release=%s reason=\"its folder is gone\"",
			release->id.text);
		return file_make_folder(folder, err);
	}
	if (dir == NULL) {
		return error_set(err, STATUS_IO, "open folder '%s': %s", folder,
			file_reason(errno));
	}
	enum status status = STATUS_OK;
	const struct dirent *entry;
	while (status == STATUS_OK && (entry = readdir(dir)) != NULL) {
		/* leftovers_sweep has left nothing beside loads but what the catalog names. */
		if (strncmp(entry->d_name, "spill-", 6) == 0) {
			status = open_load(store, release, folder, entry->d_name, err);
		}
	}
	closedir(dir);
	return status;
}

enum status loads_open(struct store *store, const struct release *release, struct error *err)
{
	assert(release->state == RELEASE_OPEN);
	store_lock_load(store);
	const enum status status = open_loads(store, release, err);
	store_unlock_load(store);
	return status;
}

struct load *loads_take(struct store *store, uint64_t release)
{
	struct load *taken = NULL;
	struct load **at = &store->loads;
	lock_assert_held(&store->load_lock);
	while (*at != NULL) {
		struct load *load = *at;
		if (release != 0 && load->spill.owner.release != release) {
			at = &load->next;
			continue;
		}
		*at = load->next;
		load->next = taken;
		taken = load;
		drop_pending(store, load);
	}
	assert(store->loads != NULL || store->load_pending == 0); /* it is the sum of all groups */
	return taken;
}

void loads_free(struct load *loads)
{
	while (loads != NULL) {
		struct load *next = loads->next;
		load_free(loads);
		loads = next;
	}
}
