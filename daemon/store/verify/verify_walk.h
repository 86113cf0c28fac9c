/* verify_walk.h - what live and offline verification share: files of releases, and what is told of them.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_VERIFY_VERIFY_WALK_H
#define DAEMON_STORE_VERIFY_VERIFY_WALK_H

#include "daemon/store/backup/manifest.h"
#include "daemon/store/backup/pass.h"
#include "daemon/store/verify/verify.h"

#include <stdatomic.h>

struct base_segment_info;
struct base_owner;
struct snapshot;

struct verify {
	const char *folder; /* borrowed, as the next */
	const struct verify_wish *wish;
	struct pass pass;         /* owned */
	struct manifest manifest; /* owned; empty: there is none */
	bool manifest_damaged;    /* there is one that cannot be read, which was told */
	bool *seen; /* owned; of each file of the manifest: its sum was compared, or it was told of */
	uint64_t index_rows_min; /* tables of fewer rows have no index */
	bool is_live;
	_Atomic uint64_t *done; /* bytes so far, for who watches; NULL: nobody does */
	struct verify_result result;
};

/* Names a file of a release: releases/<number>/<file>. */
enum { VERIFY_NAME_BYTES = 256 };
void verify_name(char out[VERIFY_NAME_BYTES], uint64_t release, const char *file);

/* Tells damage of a file that is of no table. */
void verify_tell(struct verify *verify, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void verify_tell_all(struct verify *verify, const struct verify_damage *damage);

/* Compares base files, tensors and indexes of all releases. Errors: NO_MEMORY; those of the pass. */
enum status verify_releases(struct verify *verify, const struct snapshot *snapshot,
	struct error *err);

/* Sums a file that nothing but the manifest knows. */
enum status verify_listed(struct verify *verify, const struct manifest_file *file,
	struct error *err);

/* Reads the keys of a damaged segment of the file `fd`, at most `most`. *data is the caller's, who frees
 * it. Errors: CORRUPT  none can be told; NO_MEMORY. */
enum status verify_read_keys(int fd, const struct base_owner *owner,
	const struct base_segment_info *info, size_t most, struct verify_keys *out, uint8_t **data);

#endif
