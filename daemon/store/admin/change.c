/* change.c - one change of the catalog, from the commit to what is removed after it. */
#include "daemon/store/admin/change.h"

#include "daemon/store/admin/janitor.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/spill/spilled.h"
#include "daemon/store/state/state.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <stdlib.h>

/* Asserts what no change takes back: numbers only grow, so none is used again; a release is sealed
 * for good; base files hold the log up to a sequence that only grows. */
static void assert_release_follows(const struct release *before, const struct release *next)
{
	assert(next->refs > 0);
	assert(next->state >= before->state);
	assert(next->next_table >= before->next_table);
	assert(next->next_tensor >= before->next_tensor);
	assert(next->positions == before->positions);
	for (size_t i = 0; i < before->table_count; i++) {
		const struct table *old = before->tables[i];
		const struct table *table = release_find(next, old->number);
		assert(table != NULL); /* tables go with their release only */
		assert(table->refs > 0);
		assert(table->merged_to >= old->merged_to);
		assert(table->next_file >= old->next_file);
		assert(table->memtable == old->memtable || before->state == RELEASE_OPEN);
	}
}

static void assert_follows(const struct snapshot *before, const struct snapshot *next)
{
	assert(next != before);
	assert(next->sequence == before->sequence + 1);
	assert(next->next_release >= before->next_release);
	assert(next->log_first_file >= before->log_first_file);
	assert(next->written >= before->written);
	assert(next->history_count <= SNAPSHOT_HISTORY_MAX);
	for (size_t i = 0; i < next->release_count; i++) {
		const struct release *release = next->releases[i];
		const struct release *old = snapshot_find(before, release->number);
		if (old != NULL) {
			assert_release_follows(old, release);
		}
	}
}

/* Counts the files of a release that is dropped. */
static void count_dropped(struct janitor_job *job, const struct release *release)
{
	for (size_t i = 0; i < release->table_count; i++) {
		job->files += table_file_count(release->tables[i]);
		job->bytes += release->tables[i]->bytes;
	}
	for (size_t i = 0; i < release->tensor_count; i++) {
		job->files++;
		job->bytes += release->tensors[i]->file.bytes;
	}
}

/* Notes the files that the table which was put in the place of `replaced` does not have. */
static void fill_left(struct janitor_job *job, struct table *replaced, const struct table *by)
{
	assert(replaced->refs > 0);
	job->replaced = replaced;
	replaced->refs++;
	for (size_t i = 0; i < table_file_count(replaced); i++) {
		const struct base_file_info *info = table_file(replaced, i);
		if (!table_has_file(by, info->number)) {
			job->left[job->left_count++] = info->number;
			job->files++;
			job->bytes += info->bytes;
		}
	}
}

/* Makes the janitor's job for what the change leaves behind. NULL: no memory. */
static struct janitor_job *make_job(const struct aftermath *after)
{
	struct janitor_job *job = calloc(1, sizeof *job);
	if (job != NULL && after->replaced != NULL) {
		job->left = calloc(table_file_count(after->replaced) + 1, sizeof *job->left);
		if (job->left == NULL) {
			free(job);
			return NULL;
		}
	}
	return job;
}

static void free_job(struct janitor_job *job)
{
	if (job != NULL) {
		free(job->left);
		free(job);
	}
}

/* Tells the janitor's job what the change has made superfluous. job->retired is set. */
static void fill_job(struct store *store, struct janitor_job *job,
	const struct catalog_change *change, const struct aftermath *after)
{
	if (change->remove != 0) {
		const struct release *dropped = snapshot_find(job->retired, change->remove);
		assert(dropped != NULL);
		count_dropped(job, dropped);
	}
	job->dropped = change->remove;
	job->sealed = change->remove == 0 ? after->done_with : 0;
	job->loads = after->done_with == 0 ? NULL : loads_take(store, after->done_with);
	if (after->replaced != NULL) {
		const struct release *owner = snapshot_find(change->after, after->owner);
		job->owner = after->owner;
		fill_left(job, after->replaced, release_find(owner, after->replaced->number));
	}
	for (size_t i = 0; i < after->tensor_count; i++) {
		struct tensor *tensor = after->tensors[i];
		assert(tensor->refs > 0);
		tensor->refs++;
		job->tensors[job->tensor_count++] = tensor;
		job->owner = after->owner;
		job->files++;
		job->bytes += tensor->file.bytes;
	}
}

enum status change_commit(struct store *store, struct snapshot *next, struct catalog_change change,
	const struct aftermath *aftermath, struct error *err)
{
	static const struct aftermath nothing;
	const struct aftermath *after = aftermath == NULL ? &nothing : aftermath;
	lock_assert_held(&store->admin_lock);
	assert(after->done_with == 0 || lock_is_held(&store->load_lock));
	assert(after->owner != 0 || (after->replaced == NULL && after->tensor_count == 0));
	if (atomic_load(&store->catalog_unknown)) {
		snapshot_drop(next);
		return error_set(err, STATUS_IO,
			"a change of the catalog could not be written; nothing changes until a restart");
	}
	struct janitor_job *job = make_job(after);
	if (job == NULL || table_counts_give(&store->table_counts, next) != STATUS_OK) {
		free_job(job);
		snapshot_drop(next);
		return error_set(err, STATUS_NO_MEMORY, "change of the catalog");
	}
	struct snapshot *before = store_current(store);
	next->sequence = before->sequence + 1;
	change.after = next;
	assert_follows(before, next);
	const enum status status = catalog_commit(store->catalog, &change, err);
	if (status != STATUS_OK) {
		if (status == STATUS_IO) {
			atomic_store(&store->catalog_unknown, true);
		}
		snapshot_drop(next);
		free_job(job);
		return status;
	}
	struct error reason;
	if (store_renew_current(store, next, &reason) != STATUS_OK) {
		/* The change is durable and stays: the next one, or a start, writes the file. */
		store_event(store, "event=current_not_written reason=\"%s\"", reason.text);
	}
	atomic_store_explicit(&store->current, next, memory_order_release);
	bell_ring(&store->index_bell);
	job->retired = before;
	fill_job(store, job, &change, after);
	janitor_add(store->janitor, job);
	return STATUS_OK;
}

enum status change_begin(struct store *store, struct snapshot **next, struct error *err)
{
	lock_assert_held(&store->admin_lock);
	*next = snapshot_copy(store_current(store));
	return *next == NULL ? error_set(err, STATUS_NO_MEMORY, "change of the catalog")
			     : STATUS_OK;
}

enum status change_put(struct store *store, struct snapshot *next, struct release *release,
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
	return change_commit(store, next, (struct catalog_change){.put = release}, aftermath, err);
}

enum status change_release(struct store *store, struct release *release,
	const struct aftermath *aftermath, struct error *err)
{
	struct snapshot *next = NULL;
	const enum status status = change_begin(store, &next, err);
	if (status != STATUS_OK) {
		release_drop(release);
		return status;
	}
	return change_put(store, next, release, aftermath, err);
}
