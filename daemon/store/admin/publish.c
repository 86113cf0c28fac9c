/* publish.c - which release is live: publish and roll back. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/admin/change.h"
#include "daemon/store/base/base.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <string.h>

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

/* Reads every segment and every tensor in and checks it. So the first request does not wait for the
 * disk, and a damaged release does not go live. */
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
	assert(snapshot->history_count < SNAPSHOT_HISTORY_MAX);
	snapshot->history[snapshot->history_count++] = number;
}

/* change_put for a release that becomes the live one. */
static enum status put_live(struct store *store, struct snapshot *next, struct release *release,
	struct error *err)
{
	if (release != NULL) {
		assert(release->state == RELEASE_SEALED);
		release->published_ms = clock_unix_ms();
		next->live = release;
	}
	return change_put(store, next, release, NULL, err);
}

static void set_previous(struct name *previous, const struct snapshot *snapshot)
{
	*previous = snapshot->live == NULL ? (struct name){0} : snapshot->live->id;
}

static enum status publish(struct store *store, const char *id, struct name *previous,
	struct error *err)
{
	lock_assert_held(&store->admin_lock);
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
		status = change_begin(store, &next, err);
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
	store_lock_admin(store);
	const enum status status = publish(store, id, previous, err);
	store_unlock_admin(store);
	return status;
}

static enum status rollback(struct store *store, struct name *now_live, struct name *previous,
	struct error *err)
{
	lock_assert_held(&store->admin_lock);
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
		status = change_begin(store, &next, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	assert(next->history_count > 0);
	next->history_count--;
	return put_live(store, next, release_copy(from), err);
}

enum status store_release_rollback(struct store *store, struct name *now, struct name *previous,
	struct error *err)
{
	store_lock_admin(store);
	const enum status status = rollback(store, now, previous, err);
	store_unlock_admin(store);
	return status;
}
