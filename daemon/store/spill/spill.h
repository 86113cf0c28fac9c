/* spill.h - the file of one bulk load: runs of rows, each sorted by hash.
 *
 *   file   128 bytes of head (magic "repstspl", version, owner, shape, default time, XXH3-64),
 *          then frames
 *   frame  128 bytes of head (kind, sizes, sequence, chunks, XXH3-64 of body and of head), body
 *   body   of a run: columns, each aligned to 64: hashes u64, keys (u64; or u32 ends and a
 *          blob), rows, scales, times, tags; an end frame has none
 *
 * A frame counts once it is synced. Opening cuts off a torn last frame; seal compares each
 * body with its checksum before it is used.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_SPILL_SPILL_H
#define DAEMON_STORE_SPILL_SPILL_H

#include "daemon/store/base/base.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SPILL_VERSION = 2,
	SPILL_HEAD_BYTES = 128,         /* of the file's head, and of each frame's */
	SPILL_FRAME_MAGIC = 0x6d617266, /* "fram" */
};

/* Numbers are on disk and never reused. */
enum spill_frame_kind { SPILL_FRAME_RUN = 1, SPILL_FRAME_END = 2 };

/* Where the columns of a run's body begin, and its size. */
struct spill_layout {
	uint64_t hashes;
	uint64_t keys; /* u64, or u32 ends */
	uint64_t blob;
	uint64_t rows;
	uint64_t scales;
	uint64_t times;
	uint64_t tags;
	uint64_t bytes;
};

void spill_layout(struct spill_layout *layout, const struct table_spec *spec, uint64_t rows,
	uint64_t blob_bytes);

struct spill_run {
	uint64_t sequence; /* grows over all loads of a release: the later run's row wins */
	uint64_t first_chunk;
	uint64_t chunk_count;
	uint64_t rows;
	uint64_t blob_bytes;
	uint64_t body_offset;
	uint64_t body_bytes;
	uint64_t body_hash;
};

struct spill {
	struct base_owner owner;
	int64_t default_time_ms; /* of rows without times */
	int fd;                  /* owned */
	uint64_t bytes;          /* up to the last good frame */
	size_t run_count;
	size_t run_capacity;
	struct spill_run *runs; /* owned */
	bool ended;
};

/* Creates the file and syncs it and its folder. */
enum status spill_create(const char *folder, const char *name, const struct base_owner *owner,
	int64_t default_time_ms, struct spill *out, struct error *err);

/* Opens an existing file. A torn last frame is cut off; a bad frame with a good one behind it is
 * damage. AGAIN: the file's head was never written, so nothing was acknowledged, and the file was
 * removed.
 * Errors: CORRUPT, UNSUPPORTED, IO, NO_MEMORY. */
enum status spill_open(const char *folder, const char *name, const struct base_owner *owner,
	struct spill *out, struct error *err);
void spill_close(struct spill *spill);

/* Appends a run and syncs it; the spill has not ended. The caller sets sequence, first_chunk,
 * chunk_count, rows and blob_bytes of the run; the rest is filled here. After a failure the file is
 * as it was before.
 * Errors: DISK_FULL, IO, NO_MEMORY. */
enum status spill_append(struct spill *spill, struct spill_run *run, const uint8_t *body,
	struct error *err);

/* Writes that the load is whole, and syncs that. Nothing may be appended from then on. */
enum status spill_end(struct spill *spill, struct error *err);

#endif
