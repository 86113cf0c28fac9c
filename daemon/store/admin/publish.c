/* publish.c - which release is live: publish and roll back. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/admin/change.h"
#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <string.h>

static enum status warm_tensors(struct store *store, const struct release *release,
	const struct stop *stop, struct error *err)
{
	char folder[PATH_MAX];
	struct error reason;
	store_release_folder(store, release->number, folder);
	for (size_t i = 0; i < release->tensor_count; i++) {
		enum status status = stop_check(stop, err);
		if (status != STATUS_OK) {
			return status;
		}
		status = tensor_use(release->tensors[i], folder, true, &reason);
		if (status != STATUS_OK) {
			return error_set(err, status, "release '%s': %s", release->id.text,
				reason.text);
		}
	}
	return STATUS_OK;
}

static enum status damaged(const struct release *release, const struct table *table,
	struct error *err)
{
	return error_set(err, STATUS_CORRUPT, "release '%s': table '%s' has a damaged segment",
		release->id.text, table->spec.name.text);
}

static enum status warm_level(const struct release *release, const struct table *table,
	struct base_set *set, const struct stop *stop, struct error *err)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		const enum status status = stop_check(stop, err);
		if (status != STATUS_OK) {
			return status;
		}
		if (base_segment_wait(set, i) != BASE_READY) {
			return damaged(release, table, err);
		}
	}
	return STATUS_OK;
}

/* Reads every segment and every tensor in and checks it. So the first request does not wait for the
 * disk, and a damaged release does not go live. */
static enum status warm(struct store *store, const struct release *release, const struct stop *stop,
	struct error *err)
{
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		for (size_t j = 0; j < table->level_count; j++) {
			const enum status status =
				warm_level(release, table, table->levels[j]->set, stop, err);
			if (status != STATUS_OK) {
				return status;
			}
		}
	}
	return warm_tensors(store, release, stop, err);
}

static enum status check_warm_level(const struct release *release, const struct table *table,
	const struct base_set *set, bool is_first, struct error *err)
{
	for (size_t i = 0; i < set->segment_count; i++) {
		const enum base_segment_state state = base_segment_state(set->segments[i]);
		if (state == BASE_UNCHECKED || (state == BASE_AWAY && is_first)) {
			return STATUS_AGAIN;
		}
		if (state == BASE_DAMAGED) {
			return damaged(release, table, err);
		}
	}
	return STATUS_OK;
}

/* Whether `warm` would find something to read; what was read once and has left the memory again
 * counts in the first round only. Errors: AGAIN  it would; CORRUPT. */
static enum status check_warm(struct store *store, const struct release *release, bool is_first,
	struct error *err)
{
	char folder[PATH_MAX];
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		for (size_t j = 0; j < table->level_count; j++) {
			const enum status status = check_warm_level(release, table,
				table->levels[j]->set, is_first, err);
			if (status != STATUS_OK) {
				return status;
			}
		}
	}
	store_release_folder(store, release->number, folder);
	for (size_t i = 0; i < release->tensor_count; i++) {
		const enum status status = tensor_use(release->tensors[i], folder, false, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

/* The release that is to become the live one, as of now. */
typedef enum status find_release_fn(const struct snapshot *now, const char *id,
	const struct release **out, struct error *err);

/* Finds it and reads it in, with admin_lock let go meanwhile: a cold release takes minutes to read,
 * and whoever has published a bad one must be able to roll back within them. Then it is found
 * again, since it may have been dropped, merged or published meanwhile, and what is new of it is
 * read. A release that changes again and again is read under the lock at last. */
static enum status find_warm(struct store *store, find_release_fn *find, const char *id,
	const struct stop *stop, const struct release **out, struct error *err)
{
	enum { ROUNDS_MAX = 8 };
	for (unsigned round = 0;; round++) {
		const struct snapshot *now = store_current(store);
		enum status status = find(now, id, out, err);
		assert(status != STATUS_OK || *out != NULL);
		if (status != STATUS_OK || now->live == *out) {
			return status;
		}
		status = check_warm(store, *out, round == 0, err);
		if (status != STATUS_AGAIN) {
			return status;
		}
		if (round == ROUNDS_MAX) {
			return warm(store, *out, stop, err);
		}
		struct release *held = snapshot_find(now, (*out)->number);
		assert(held == *out);
		held->refs++;
		store_unlock_admin(store);
		struct error reason;
		status = warm(store, held, stop, &reason);
		store_lock_admin(store);
		const bool dropped = snapshot_find(store_current(store), held->number) == NULL;
		release_drop(held);
		if (status != STATUS_OK && !dropped) {
			return error_set(err, status, "%s", reason.text);
		}
	}
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

static enum status find_sealed(const struct snapshot *now, const char *id,
	const struct release **out, struct error *err)
{
	const enum status status = snapshot_release(now, id, out, err);
	return status != STATUS_OK || (*out)->state == RELEASE_SEALED
		       ? status
		       : error_set(err, STATUS_NOT_SEALED,
				 "release: '%s' is open; seal it before it is published",
				 (*out)->id.text);
}

static enum status publish(struct store *store, const char *id, const struct stop *stop,
	struct name *previous, struct error *err)
{
	const struct release *from;
	struct snapshot *next = NULL;
	lock_assert_held(&store->admin_lock);
	enum status status = find_warm(store, find_sealed, id, stop, &from, err);
	if (status != STATUS_OK) {
		return status;
	}
	set_previous(previous, store_current(store));
	if (store_current(store)->live == from) {
		return STATUS_OK;
	}
	status = change_begin(store, &next, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (next->live != NULL) {
		push_history(next, next->live->number);
	}
	return put_live(store, next, release_copy(from), err);
}

enum status store_release_publish(struct store *store, const char *id, const struct stop *caller,
	struct name *previous, struct error *err)
{
	const struct stop stop = store_stop_of(store, caller);
	store_lock_admin(store);
	const enum status status = publish(store, id, &stop, previous, err);
	store_unlock_admin(store);
	return status;
}

static enum status find_previous(const struct snapshot *now, const char *id,
	const struct release **out, struct error *err)
{
	(void)id;
	*out = now->history_count == 0 ? NULL
				       : snapshot_find(now, now->history[now->history_count - 1]);
	return *out != NULL
		       ? STATUS_OK
		       : error_set(err, STATUS_NOT_FOUND, "rollback: no release was live before");
}

static enum status rollback(struct store *store, const struct stop *stop, struct name *now_live,
	struct name *previous, struct error *err)
{
	const struct release *from;
	struct snapshot *next = NULL;
	lock_assert_held(&store->admin_lock);
	enum status status = find_warm(store, find_previous, NULL, stop, &from, err);
	if (status == STATUS_OK) {
		status = change_begin(store, &next, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	set_previous(previous, store_current(store));
	assert(from != NULL);
	*now_live = from->id;
	assert(next->history_count > 0);
	assert(store_current(store)->live != from); /* snapshot_remove sees to it */
	next->history_count--;
	return put_live(store, next, release_copy(from), err);
}

enum status store_release_rollback(struct store *store, const struct stop *caller, struct name *now,
	struct name *previous, struct error *err)
{
	const struct stop stop = store_stop_of(store, caller);
	store_lock_admin(store);
	const enum status status = rollback(store, &stop, now, previous, err);
	store_unlock_admin(store);
	return status;
}
