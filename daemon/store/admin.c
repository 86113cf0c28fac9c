/* admin.c - changes of the catalog: create, publish, roll back, drop. */
#include "daemon/store/base.h"
#include "daemon/store/clock.h"
#include "daemon/store/current.h"
#include "daemon/store/file.h"
#include "daemon/store/janitor.h"
#include "daemon/store/layer.h"
#include "daemon/store/state.h"
#include "daemon/store/tensor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- one change ---- */

enum status store_change(struct store *store, struct snapshot *next, struct catalog_change change,
	const struct aftermath *aftermath, struct error *err)
{
	static const struct aftermath nothing;
	const struct aftermath *after = aftermath == NULL ? &nothing : aftermath;
	if (atomic_load(&store->catalog_unknown)) {
		snapshot_drop(next);
		return error_set(err, STATUS_IO,
			"a change of the catalog could not be written; nothing changes until a restart");
	}
	struct janitor_job *job = calloc(1, sizeof *job);
	if (job == NULL) {
		snapshot_drop(next);
		return error_set(err, STATUS_NO_MEMORY, "change of the catalog");
	}
	struct snapshot *before = store_current(store);
	next->sequence = before->sequence + 1;
	change.after = next;
	const enum status status = catalog_commit(store->catalog, &change, err);
	if (status != STATUS_OK) {
		if (status == STATUS_IO) {
			atomic_store(&store->catalog_unknown, true);
		}
		snapshot_drop(next);
		free(job);
		return status;
	}
	struct error reason;
	if (current_write(store->folder, next, &reason) != STATUS_OK) {
		/* The change is durable and stays: the next one, or a start, writes the file. */
		store_event(store, "event=current_not_written reason=\"%s\"", reason.text);
	}
	atomic_store_explicit(&store->current, next, memory_order_release);
	bell_ring(&store->index_bell);
	job->retired = before;
	for (size_t i = 0; change.remove != 0 && i < before->release_count; i++) {
		const struct release *release = before->releases[i];
		for (size_t j = 0; release->number == change.remove && j < release->table_count;
			j++) {
			job->files += release->tables[j]->file_count;
			job->bytes += release->tables[j]->bytes;
		}
		for (size_t j = 0; release->number == change.remove && j < release->tensor_count;
			j++) {
			job->files++;
			job->bytes += release->tensors[j]->file.bytes;
		}
	}
	job->dropped = change.remove;
	job->sealed = change.remove == 0 ? after->done_with : 0;
	job->loads = after->done_with == 0 ? NULL : loads_take(store, after->done_with);
	if (after->replaced != NULL) {
		job->replaced = after->replaced;
		job->replaced->refs++;
		job->owner = after->owner;
		job->files += job->replaced->file_count;
		job->bytes += job->replaced->bytes;
	}
	if (after->tensor != NULL) {
		job->tensor = after->tensor;
		job->tensor->refs++;
		job->owner = after->owner;
		job->files++;
		job->bytes += job->tensor->file.bytes;
	}
	janitor_add(store->janitor, job);
	return STATUS_OK;
}

/* A copy of the current snapshot to change. */
static enum status begin(struct store *store, struct snapshot **next, struct error *err)
{
	*next = snapshot_copy(store_current(store));
	return *next == NULL ? error_set(err, STATUS_NO_MEMORY, "change of the catalog")
			     : STATUS_OK;
}

/* Puts a changed release into a new snapshot and makes that current. Takes both over. */
static enum status put_release(struct store *store, struct snapshot *next, struct release *release,
	const struct aftermath *aftermath, struct error *err)
{
	if (release == NULL) {
		snapshot_drop(next);
		return error_set(err, STATUS_NO_MEMORY, "change of the catalog");
	}
	const enum status status = snapshot_put(next, release);
	if (status != STATUS_OK) {
		snapshot_drop(next);
		return error_set(err, status, "change of the catalog");
	}
	return store_change(store, next, (struct catalog_change){.put = release}, aftermath, err);
}

enum status store_put_release(struct store *store, struct release *release,
	const struct aftermath *aftermath, struct error *err)
{
	struct snapshot *next = NULL;
	const enum status status = begin(store, &next, err);
	if (status != STATUS_OK) {
		release_drop(release);
		return status;
	}
	return put_release(store, next, release, aftermath, err);
}

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

static enum status create_release(struct store *store, const struct name *id,
	const struct release_labels *labels, uint64_t *number, struct error *err)
{
	const struct snapshot *now = store_current(store);
	const struct release *taken;
	if (snapshot_release(now, id->text, &taken, NULL) == STATUS_OK) {
		return error_set(err, STATUS_EXISTS, "release: '%s' exists", id->text);
	}
	if (now->release_count >= LIMIT_RELEASES) {
		return error_set(err, STATUS_TOO_LARGE,
			"release: there are %zu, at most %u allowed; drop one first",
			now->release_count, LIMIT_RELEASES);
	}
	struct snapshot *next = NULL;
	enum status status = begin(store, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct release *release = release_copy(NULL);
	if (release != NULL) {
		release->id = *id;
		release->number = next->next_release++;
		release->created_ms = clock_unix_ms();
		release->next_table = 1;
		release->next_tensor = 1;
		copy_label(release->model, labels->model);
		copy_label(release->checkpoint, labels->checkpoint);
		*number = release->number;
		char folder[PATH_MAX];
		store_release_folder(store, release->number, folder);
		/* A folder that nothing names yet: a leftover, if this is not committed. */
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
	return put_release(store, next, release, NULL, err);
}

enum status store_release_create(struct store *store, const struct name *id,
	const struct release_labels *labels, uint64_t *number, struct error *err)
{
	enum status status = check_labels(labels, err);
	if (status != STATUS_OK) {
		return status;
	}
	lock_take(&store->admin_lock);
	status = create_release(store, id, labels, number, err);
	lock_release(&store->admin_lock);
	return status;
}

static enum status create_table(struct store *store, const char *id, const struct table_spec *spec,
	struct error *err)
{
	const struct release *from;
	const struct table *taken;
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
	/* A name without @layer may mean another table. */
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
	if (status != STATUS_OK) {
		return status;
	}
	struct release *release = release_copy(from);
	if (release != NULL) {
		layer_choose_first(release, spec);
		struct table *table = table_new(spec, release->next_table++);
		if (table == NULL || release_put(release, table) != STATUS_OK) {
			release_drop(release);
			release = NULL;
		}
	}
	return store_put_release(store, release, NULL, err);
}

enum status store_table_create(struct store *store, const char *release,
	const struct table_spec *spec, struct error *err)
{
	lock_take(&store->admin_lock);
	lock_take(&store->load_lock);
	const enum status status = create_table(store, release, spec, err);
	lock_release(&store->load_lock);
	lock_release(&store->admin_lock);
	return status;
}

/* ---- layer ---- */

static enum status choose_layer(struct store *store, const char *id, const char *layer,
	struct name *chosen_in, struct name *previous, struct error *err)
{
	const struct release *from;
	struct layer_shape shape;
	struct name name;
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
	return store_put_release(store, release, NULL, err);
}

enum status store_layer_choose(struct store *store, const char *release, const char *layer,
	struct name *chosen_in, struct name *previous, struct error *err)
{
	lock_take(&store->admin_lock);
	const enum status status = choose_layer(store, release, layer, chosen_in, previous, err);
	lock_release(&store->admin_lock);
	return status;
}

/* ---- publish ---- */

static enum status warm_tensors(struct store *store, const struct release *release,
	struct error *err)
{
	char folder[PATH_MAX];
	struct error reason;
	store_release_folder(store, release->number, folder);
	for (size_t i = 0; i < release->tensor_count; i++) {
		if (atomic_load(&store->stop)) {
			return error_set(err, STATUS_BUSY, "the daemon is stopping");
		}
		const enum status status = tensor_use(release->tensors[i], folder, true, &reason);
		if (status != STATUS_OK) {
			return error_set(err, status, "release '%s': %s", release->id.text,
				reason.text);
		}
	}
	return STATUS_OK;
}

/* Reads every segment and tensor in and checks it: the first request must not wait for the disk,
 * and a damaged release must not go live. */
static enum status warm(struct store *store, const struct release *release, struct error *err)
{
	for (size_t i = 0; i < release->table_count; i++) {
		struct base_set *set = release->tables[i]->bases;
		for (size_t j = 0; set != NULL && j < set->segment_count; j++) {
			if (atomic_load(&store->stop)) {
				return error_set(err, STATUS_BUSY, "the daemon is stopping");
			}
			if (base_segment_wait(set, j) != BASE_READY) {
				return error_set(err, STATUS_CORRUPT,
					"release '%s': table '%s' has a damaged segment",
					release->id.text, release->tables[i]->spec.name.text);
			}
		}
	}
	return warm_tensors(store, release, err);
}

static void push_history(struct snapshot *snapshot, uint64_t number)
{
	if (snapshot->history_count == SNAPSHOT_HISTORY_MAX) {
		memmove(snapshot->history, snapshot->history + 1,
			(SNAPSHOT_HISTORY_MAX - 1) * sizeof *snapshot->history);
		snapshot->history_count--;
	}
	snapshot->history[snapshot->history_count++] = number;
}

/* The same for a release that becomes the live one. */
static enum status put_live(struct store *store, struct snapshot *next, struct release *release,
	struct error *err)
{
	if (release != NULL) {
		release->published_ms = clock_unix_ms();
		next->live = release;
	}
	return put_release(store, next, release, NULL, err);
}

static void set_previous(struct name *previous, const struct snapshot *snapshot)
{
	*previous = snapshot->live == NULL ? (struct name){0} : snapshot->live->id;
}

static enum status publish(struct store *store, const char *id, struct name *previous,
	struct error *err)
{
	const struct snapshot *now = store_current(store);
	const struct release *from;
	enum status status = snapshot_release(now, id, &from, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (from->state != RELEASE_SEALED) {
		return error_set(err, STATUS_NOT_SEALED,
			"release: '%s' is open; seal it before it is published", from->id.text);
	}
	set_previous(previous, now);
	if (now->live == from) {
		return STATUS_OK;
	}
	status = warm(store, from, err);
	struct snapshot *next = NULL;
	if (status == STATUS_OK) {
		status = begin(store, &next, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	if (next->live != NULL) {
		push_history(next, next->live->number);
	}
	return put_live(store, next, release_copy(from), err);
}

enum status store_release_publish(struct store *store, const char *id, struct name *previous,
	struct error *err)
{
	lock_take(&store->admin_lock);
	const enum status status = publish(store, id, previous, err);
	lock_release(&store->admin_lock);
	return status;
}

static enum status rollback(struct store *store, struct name *now_live, struct name *previous,
	struct error *err)
{
	const struct snapshot *now = store_current(store);
	const struct release *from =
		now->history_count == 0 ? NULL
					: snapshot_find(now, now->history[now->history_count - 1]);
	if (from == NULL) {
		return error_set(err, STATUS_NOT_FOUND, "rollback: no release was live before");
	}
	set_previous(previous, now);
	*now_live = from->id;
	enum status status = warm(store, from, err);
	struct snapshot *next = NULL;
	if (status == STATUS_OK) {
		status = begin(store, &next, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	next->history_count--;
	return put_live(store, next, release_copy(from), err);
}

enum status store_release_rollback(struct store *store, struct name *now, struct name *previous,
	struct error *err)
{
	lock_take(&store->admin_lock);
	const enum status status = rollback(store, now, previous, err);
	lock_release(&store->admin_lock);
	return status;
}

/* ---- drop ---- */

static enum status drop(struct store *store, const char *id, struct error *err)
{
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
	status = begin(store, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	const uint64_t number = release->number;
	snapshot_remove(next, number);
	const struct aftermath aftermath = {.done_with = number};
	return store_change(store, next, (struct catalog_change){.remove = number}, &aftermath,
		err);
}

enum status store_release_drop(struct store *store, const char *id, struct error *err)
{
	lock_take(&store->admin_lock);
	lock_take(&store->load_lock);
	const enum status status = drop(store, id, err);
	lock_release(&store->load_lock);
	lock_release(&store->admin_lock);
	if (status == STATUS_OK) {
		atomic_store(&store->release_dropped, true);
		bell_ring(&store->merge_bell);
	}
	return status;
}
