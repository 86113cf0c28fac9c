/* tensor_admin.c - puts tensors into a release and takes them out.
 *
 * A put first writes and syncs its files, of up to 64 MiB together, without admin_lock. Then one
 * change of the catalog names them all, and last the files that they replace are removed.
 */
#include "daemon/store/admin/admin.h"
#include "daemon/store/admin/change.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <unistd.h>

/* A put that is under way. */
struct tensor_put {
	struct store *store;
	const struct tensor_given *given;
	size_t count;
	struct name release;
	uint64_t owner;                            /* the release's number */
	uint64_t first;                            /* number of the first tensor */
	struct tensor *tensors[LIMIT_TENSORS_PUT]; /* owned until a release has it; then NULL */
	char folder[PATH_MAX];
};

/* Finds the release, and the numbers that the tensors get. */
static enum status begin(struct tensor_put *put, const char *id, struct error *err)
{
	const struct release *release;
	struct tensor *known;
	size_t more = 0;
	lock_assert_held(&put->store->tensor_lock); /* so that nobody else gets the numbers */
	lock_assert_held(&put->store->admin_lock);
	const enum status status = snapshot_release(store_current(put->store), id, &release, err);
	if (status != STATUS_OK) {
		return status;
	}
	for (size_t i = 0; i < put->count; i++) {
		const char *name = put->given[i].spec.name.text;
		more += release_tensor(release, name, &known, NULL) != STATUS_OK ? 1 : 0;
	}
	if (more > 0 && release->tensor_count + more > LIMIT_TENSORS) {
		return error_set(err, STATUS_TOO_LARGE,
			"tensor: release '%s' has %zu, at most %u allowed", release->id.text,
			release->tensor_count, LIMIT_TENSORS);
	}
	put->release = release->id;
	put->owner = release->number;
	put->first = release->next_tensor + put->store->tensors_unknown;
	store_release_folder(put->store, put->owner, put->folder);
	return STATUS_OK;
}

static enum status write_files(struct tensor_put *put, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < put->count; i++) {
		const struct tensor_given *given = &put->given[i];
		put->tensors[i] = tensor_new(&given->spec, put->first + i);
		status = put->tensors[i] == NULL
				 ? error_set(err, STATUS_NO_MEMORY, "tensor '%s'",
					   given->spec.name.text)
				 : tensor_create(put->tensors[i], put->folder, given->data, err);
	}
	return status == STATUS_OK ? file_sync_folder(put->folder, err) : status;
}

/* Moves the tensors into the release. */
static enum status move(struct tensor_put *put, struct release *release)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < put->count; i++) {
		struct tensor *tensor = put->tensors[i];
		put->tensors[i] = NULL;
		status = release_put_tensor(release, tensor);
	}
	return status;
}

/* Names the files in the catalog. */
static enum status commit(struct tensor_put *put, struct error *err)
{
	struct store *store = put->store;
	lock_assert_held(&store->tensor_lock);
	lock_assert_held(&store->admin_lock);
	const struct release *from = snapshot_find(store_current(store), put->owner);
	if (from == NULL) {
		return error_set(err, STATUS_NOT_FOUND, "release: '%s' was dropped meanwhile",
			put->release.text);
	}
	assert(put->first >= from->next_tensor);
	struct aftermath aftermath = {.owner = put->owner};
	for (size_t i = 0; i < put->count; i++) {
		struct tensor **replaced = &aftermath.tensors[aftermath.tensor_count];
		const char *name = put->given[i].spec.name.text;
		if (release_tensor(from, name, replaced, NULL) == STATUS_OK) {
			aftermath.tensor_count++;
		}
	}
	struct release *release = release_copy(from);
	if (release != NULL) {
		release->next_tensor = put->first + put->count;
		if (move(put, release) != STATUS_OK) {
			release_drop(release);
			release = NULL;
		}
	}
	return change_release(store, release, &aftermath, err);
}

static void undo(struct tensor_put *put, enum status status)
{
	lock_assert_held(&put->store->tensor_lock);
	if (status == STATUS_IO) {
		/* The catalog may name the files all the same, which only the next start can tell.
		 * Until then nothing else gets their numbers. */
		put->store->tensors_unknown += put->count;
		return;
	}
	for (size_t i = 0; i < put->count; i++) {
		char name[64];
		char path[PATH_MAX];
		tensor_file_name(name, sizeof name, put->first + i);
		if (file_path(path, put->folder, name, NULL) == STATUS_OK) {
			(void)file_remove(path);
		}
	}
}

static enum status put_tensors(struct tensor_put *put, const char *release, struct error *err)
{
	struct store *store = put->store;
	store_lock_admin(store);
	enum status status = begin(put, release, err);
	store_unlock_admin(store);
	if (status != STATUS_OK) {
		return status;
	}
	status = write_files(put, err);
	const bool is_written = status == STATUS_OK;
	store_lock_admin(store);
	if (is_written) {
		status = commit(put, err);
	}
	for (size_t i = 0; i < put->count; i++) {
		tensor_drop(put->tensors[i]);
	}
	store_unlock_admin(store);
	if (status != STATUS_OK) {
		undo(put, is_written ? status : STATUS_CORRUPT);
	}
	return status;
}

enum status store_tensors_put(struct store *store, const char *release,
	const struct tensor_given *given, size_t count, struct name *resolved, struct error *err)
{
	struct tensor_put put = {.store = store, .given = given, .count = count};
	assert(count > 0 && count <= LIMIT_TENSORS_PUT);
	enum status status = reserve_check(store, RESERVE_LOAD, err);
	if (status != STATUS_OK) {
		return status;
	}
	store_lock_tensor(store);
	status = put_tensors(&put, release, err);
	store_unlock_tensor(store);
	if (status == STATUS_OK) {
		*resolved = put.release;
	}
	return status;
}

static enum status delete_tensor(struct store *store, const char *id, const char *name,
	struct name *resolved, struct error *err)
{
	const struct release *from;
	struct aftermath aftermath = {0};
	lock_assert_held(&store->admin_lock);
	enum status status = snapshot_release(store_current(store), id, &from, err);
	if (status == STATUS_OK) {
		status = release_tensor(from, name, &aftermath.tensors[0], err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	*resolved = from->id;
	aftermath.tensor_count = 1;
	aftermath.owner = from->number;
	struct release *release = release_copy(from);
	if (release != NULL) {
		release_remove_tensor(release, name);
	}
	return change_release(store, release, &aftermath, err);
}

enum status store_tensor_delete(struct store *store, const char *release, const char *tensor,
	struct name *resolved, struct error *err)
{
	store_lock_admin(store);
	const enum status status = delete_tensor(store, release, tensor, resolved, err);
	store_unlock_admin(store);
	return status;
}
