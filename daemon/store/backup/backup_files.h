/* backup_files.h - which files a copy of releases is made of, and what else may be in its folder.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_BACKUP_FILES_H
#define DAEMON_STORE_BACKUP_BACKUP_FILES_H

#include "daemon/store/backup/backup.h"
#include "daemon/store/backup/manifest.h"
#include "daemon/store/snapshot/snapshot.h"
#include "schema/status.h"

#include <stdint.h>

struct copy;
struct cut;
struct store;

struct backup_job {
	struct store *store; /* borrowed, as the next two */
	struct copy *copy;
	const struct cut *cut;
	enum manifest_kind kind; /* an exported release has no indexes */
};

/* From the first file to the manifest; `all` copies what is between. */
enum status backup_make(const struct backup_job *job,
	enum status (*all)(const struct backup_job *job, struct error *err), struct error *err);

struct backup_result backup_result(const struct backup_job *job);

/* Checks that a folder is empty, or one of an earlier backup that no daemon has worked in. Errors:
 * CONFLICT  it is not; IO. */
enum status backup_check_folder(const char *folder, struct error *err);

/* Makes the folder of each release of the cut. */
enum status backup_make_releases(const struct backup_job *job, struct error *err);

/* Bytes of base files and tensors. */
uint64_t backup_release_bytes(const struct snapshot *snapshot);

/* Copies the base files, indexes and tensors of a release. An index that is being written is left out:
 * it is built again. */
enum status backup_copy_release(const struct backup_job *job, const struct release *release,
	struct error *err);

/* Removes what an earlier backup has left and the manifest, which is sorted, does not name. */
enum status backup_remove_others(const struct backup_job *job, struct error *err);

/* Syncs all folders of the copy. */
enum status backup_sync(const struct backup_job *job, struct error *err);

#endif
