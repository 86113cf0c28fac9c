/* tensor_admin.c - puts tensors into a release and takes them out.
 *
 * A put first writes and syncs its file, of up to 64 MiB, without admin_lock. Then one change of the
 * catalog names the file, and last the file that it replaces is removed.
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
	struct name release;
	uint64_t owner;        /* the release's number */
	uint64_t number;       /* the tensor's */
	struct tensor *tensor; /* owned until a release has it; then NULL */
	char folder[PATH_MAX];
};

/* Finds the release, and the number that the tensor gets. */
static enum status begin(struct tensor_put *put, const char *id, const struct tensor_spec *spec,
	struct error *err)
{
	const struct release *release;
	struct tensor *known;
	lock_assert_held(&put->store->tensor_lock); /* so that nobody else gets the number */
	lock_assert_held(&put->store->admin_lock);
	const enum status status = snapshot_release(store_current(put->store), id, &release, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (release->tensor_count >= LIMIT_TENSORS &&
		release_tensor(release, spec->name.text, &known, NULL) != STATUS_OK) {
		return error_set(err, STATUS_TOO_LARGE,
			"tensor: release '%s' has %zu, at most %u allowed", release->id.text,
			release->tensor_count, LIMIT_TENSORS);
	}
	put->release = release->id;
	put->owner = release->number;
	put->number = release->next_tensor + put->store->tensors_unknown;
	store_release_folder(put->store, put->owner, put->folder);
	return STATUS_OK;
}

static enum status write_file(struct tensor_put *put, const struct tensor_spec *spec,
	const uint8_t *data, struct error *err)
{
	put->tensor = tensor_new(spec, put->number);
	if (put->tensor == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "tensor '%s'", spec->name.text);
	}
	const enum status status = tensor_create(put->tensor, put->folder, data, err);
	return status == STATUS_OK ? file_sync_folder(put->folder, err) : status;
}

/* Names the file in the catalog. */
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
	assert(put->number >= from->next_tensor);
	struct aftermath aftermath = {.owner = put->owner};
	(void)release_tensor(from, put->tensor->spec.name.text, &aftermath.tensor, NULL);
	struct release *release = release_copy(from);
	if (release != NULL) {
		release->next_tensor = put->number + 1;
		struct tensor *tensor = put->tensor;
		put->tensor = NULL;
		if (release_put_tensor(release, tensor) != STATUS_OK) {
			release_drop(release);
			release = NULL;
		}
	}
	return change_release(store, release, &aftermath, err);
}

static void undo(struct tensor_put *put, enum status status)
{
	char name[64];
	char path[PATH_MAX];
	lock_assert_held(&put->store->tensor_lock);
	if (status == STATUS_IO) {
		/* The catalog may name the file all the same, which only the next start can tell.
		 * Until then nothing else gets its number. */
		put->store->tensors_unknown++;
		return;
	}
	tensor_file_name(name, sizeof name, put->number);
	if (file_path(path, put->folder, name, NULL) == STATUS_OK) {
		(void)unlink(path);
	}
}

static enum status put_tensor(struct tensor_put *put, const char *release,
	const struct tensor_spec *spec, const uint8_t *data, struct error *err)
{
	struct store *store = put->store;
	store_lock_admin(store);
	enum status status = begin(put, release, spec, err);
	store_unlock_admin(store);
	if (status != STATUS_OK) {
		return status;
	}
	status = write_file(put, spec, data, err);
	const bool is_written = status == STATUS_OK;
	store_lock_admin(store);
	if (is_written) {
		status = commit(put, err);
	}
	tensor_drop(put->tensor);
	store_unlock_admin(store);
	if (status != STATUS_OK) {
		undo(put, is_written ? status : STATUS_CORRUPT);
	}
	return status;
}

enum status store_tensor_put(struct store *store, const char *release,
	const struct tensor_spec *spec, const uint8_t *data, struct name *resolved,
	struct error *err)
{
	struct tensor_put put = {.store = store};
	store_lock_tensor(store);
	const enum status status = put_tensor(&put, release, spec, data, err);
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
		status = release_tensor(from, name, &aftermath.tensor, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	*resolved = from->id;
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
