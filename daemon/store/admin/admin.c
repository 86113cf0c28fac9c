/* admin.c - releases and tables: create, choose a layer, drop. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/admin/change.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- create ---- */

static void copy_label(char *out, const char *label)
{
	if (label != NULL) {
		(void)strncpy(out, label, LIMIT_LABEL_BYTES);
	}
}

static enum status check_labels(const struct release_labels *labels, struct error *err)
{
	if (labels->model != NULL && strlen(labels->model) > LIMIT_LABEL_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"model: %zu bytes given, at most %u allowed", strlen(labels->model),
			LIMIT_LABEL_BYTES);
	}
	if (labels->checkpoint != NULL && strlen(labels->checkpoint) > LIMIT_LABEL_BYTES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"checkpoint: %zu bytes given, at most %u allowed",
			strlen(labels->checkpoint), LIMIT_LABEL_BYTES);
	}
	return STATUS_OK;
}

/* Says what can be done, since who comes here again was often interrupted before. */
static enum status refuse_taken(const struct snapshot *now, const struct release *taken,
	struct error *err)
{
	if (now->live == taken) {
		return error_set(err, STATUS_EXISTS,
			"release: '%s' exists and is live; take another name", taken->id.text);
	}
	if (taken->state == RELEASE_SEALED) {
		return error_set(err, STATUS_EXISTS,
			"release: '%s' exists and is sealed; publish it, or drop it and load again",
			taken->id.text);
	}
	return error_set(err, STATUS_EXISTS,
		"release: '%s' exists and is open; go on loading it, or drop it", taken->id.text);
}

static enum status create_release(struct store *store, const struct name *id,
	const struct release_labels *labels, uint64_t *number, struct error *err)
{
	lock_assert_held(&store->admin_lock);
	const struct snapshot *now = store_current(store);
	const struct release *taken;
	if (snapshot_release(now, id->text, &taken, NULL) == STATUS_OK) {
		return refuse_taken(now, taken, err);
	}
	if (now->release_count >= LIMIT_RELEASES) {
		return error_set(err, STATUS_TOO_LARGE,
			"release: there are %zu, at most %u allowed; drop one first",
			now->release_count, LIMIT_RELEASES);
	}
	struct key_seed seed = store->options.seed;
	if (key_seed_is_zero(&seed) && !key_seed_draw(&seed)) {
		return error_set(err, STATUS_IO, "release: no random bits: %s", strerror(errno));
	}
	struct snapshot *next = NULL;
	enum status status = change_begin(store, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct release *release = release_copy(NULL);
	if (release != NULL) {
		release->id = *id;
		release->seed = seed;
		release->number = next->next_release++;
		release->created_ms = clock_unix_ms();
		release->next_table = 1;
		release->next_tensor = 1;
		copy_label(release->model, labels->model);
		copy_label(release->checkpoint, labels->checkpoint);
		*number = release->number;
		char folder[PATH_MAX];
		store_release_folder(store, release->number, folder);
		/* Nothing names the folder yet. If the change is not committed, it is a leftover. */
		status = file_remove_folder(folder, err);
		if (status == STATUS_OK) {
			status = file_make_folder(folder, err);
		}
		if (status != STATUS_OK) {
			release_drop(release);
			snapshot_drop(next);
			return status;
		}
	}
	return change_put(store, next, release, NULL, err);
}

enum status store_release_create(struct store *store, const struct name *id,
	const struct release_labels *labels, uint64_t *number, struct error *err)
{
	enum status status = check_labels(labels, err);
	if (status != STATUS_OK) {
		return status;
	}
	store_lock_admin(store);
	status = create_release(store, id, labels, number, err);
	store_unlock_admin(store);
	return status;
}

/* A mean counts before it is there: a seal is not to fail for it. */
static enum status check_defaults(const struct snapshot *snapshot, const struct table_spec *spec,
	struct error *err)
{
	size_t bytes = default_row_bytes(spec);
	if (bytes == 0) {
		return STATUS_OK;
	}
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			bytes += default_row_bytes(&release->tables[j]->spec);
		}
	}
	return bytes <= LIMIT_DEFAULTS_BYTES
		       ? STATUS_OK
		       : error_set(err, STATUS_TOO_LARGE,
				 "default: the rows of all tables would take %zu bytes, at most %u "
				 "allowed; drop a release first, or choose zeros",
				 bytes, LIMIT_DEFAULTS_BYTES);
}

static struct table *new_table(const struct table_spec *spec, uint64_t number,
	const struct default_row *row)
{
	struct table *table = table_new(spec, number);
	if (table != NULL && table_set_default(table, row) != STATUS_OK) {
		table_drop(table);
		table = NULL;
	}
	return table;
}

static enum status create_table(struct store *store, const char *id, const struct table_spec *spec,
	const struct default_row *row, struct error *err)
{
	assert((row != NULL) == (spec->default_kind == DEFAULT_ROW));
	const struct release *from;
	const struct table *taken;
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	enum status status = snapshot_release(store_current(store), id, &from, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (from->state != RELEASE_OPEN) {
		return error_set(err, STATUS_SEALED,
			"release: '%s' is sealed, its tables are fixed", from->id.text);
	}
	if (store->sealing == from->number) {
		return error_set(err, STATUS_CONFLICT, "release: '%s' is being sealed",
			from->id.text);
	}
	/* release_table may also find the table of the chosen layer, which has another name. */
	if (release_table(from, spec->name.text, &taken, NULL) == STATUS_OK &&
		strcmp(taken->spec.name.text, spec->name.text) == 0) {
		return error_set(err, STATUS_EXISTS, "table: '%s' exists in release '%s'",
			spec->name.text, from->id.text);
	}
	if (from->table_count >= LIMIT_TABLES) {
		return error_set(err, STATUS_TOO_LARGE, "table: '%s' has %zu, at most %u allowed",
			from->id.text, from->table_count, LIMIT_TABLES);
	}
	status = layer_check_table(from, spec, err);
	if (status == STATUS_OK) {
		status = check_defaults(store_current(store), spec, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	struct release *release = release_copy(from);
	if (release != NULL) {
		layer_choose_first(release, spec);
		struct table *table = new_table(spec, release->next_table++, row);
		if (table == NULL || release_put(release, table) != STATUS_OK) {
			release_drop(release);
			release = NULL;
		}
	}
	return change_release(store, release, NULL, err);
}

enum status store_table_create(struct store *store, const char *release,
	const struct table_spec *spec, const struct default_row *row, struct error *err)
{
	store_lock_admin(store);
	store_lock_load(store);
	const enum status status = create_table(store, release, spec, row, err);
	store_unlock_load(store);
	store_unlock_admin(store);
	return status;
}

/* ---- layer ---- */

static enum status choose_layer(struct store *store, const char *id, const char *layer,
	struct name *chosen_in, struct name *previous, struct error *err)
{
	const struct release *from;
	struct layer_shape shape;
	struct name name;
	lock_assert_held(&store->admin_lock);
	enum status status = snapshot_release(store_current(store), id, &from, err);
	if (status == STATUS_OK) {
		status = layer_find(from, layer, &shape, err);
	}
	if (status == STATUS_OK) {
		status = name_check(layer, strlen(layer), "layer", &name, err);
	}
	if (status == STATUS_OK && store->sealing == from->number) {
		status = error_set(err, STATUS_CONFLICT, "release: '%s' is being sealed",
			from->id.text);
	}
	if (status != STATUS_OK) {
		return status;
	}
	*previous = from->layer;
	*chosen_in = from->id;
	if (strcmp(from->layer.text, layer) == 0) {
		return STATUS_OK;
	}
	struct release *release = release_copy(from);
	if (release != NULL) {
		release->layer = name;
	}
	return change_release(store, release, NULL, err);
}

enum status store_layer_choose(struct store *store, const char *release, const char *layer,
	struct name *chosen_in, struct name *previous, struct error *err)
{
	store_lock_admin(store);
	const enum status status = choose_layer(store, release, layer, chosen_in, previous, err);
	store_unlock_admin(store);
	return status;
}

/* ---- drop ---- */

static enum status drop(struct store *store, const char *id, struct error *err)
{
	lock_assert_held(&store->admin_lock);
	lock_assert_held(&store->load_lock);
	const struct snapshot *now = store_current(store);
	const struct release *release;
	enum status status = snapshot_release(now, id, &release, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (now->live == release) {
		return error_set(err, STATUS_CONFLICT,
			"release: '%s' is live; publish another or roll back first",
			release->id.text);
	}
	if (store->sealing == release->number) {
		return error_set(err, STATUS_CONFLICT, "release: '%s' is being sealed",
			release->id.text);
	}
	struct snapshot *next = NULL;
	status = change_begin(store, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t number = release->number;
	snapshot_remove(next, number);
	assert(snapshot_find(next, number) == NULL);
	assert(next->live == now->live);
	const struct aftermath aftermath = {.done_with = number};
	return change_commit(store, next, (struct catalog_change){.remove = number}, &aftermath,
		err);
}

enum status store_release_drop(struct store *store, const char *id, struct error *err)
{
	store_lock_admin(store);
	store_lock_load(store);
	const enum status status = drop(store, id, err);
	store_unlock_load(store);
	store_unlock_admin(store);
	if (status == STATUS_OK) {
		atomic_store(&store->release_dropped, true);
		bell_ring(&store->merge_bell);
	}
	return status;
}
