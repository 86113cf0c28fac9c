/* spill.h - the file of one bulk load: runs of rows, each sorted by hash.
 *
 *   file   128 bytes of head (magic "repstspl", version, owner, shape, default time, salt,
 *          XXH3-64), then frames
 *   frame  128 bytes of head (kind, sizes, sequence, chunks, XXH3-64 of body and of head), body
 *   body   of a run: columns, each aligned to 64: hashes u64, keys (u64; or u32 ends and a
 *          blob), rows, scales, times, tags, contents of its chunks; an end frame has none
 *
 * A frame counts once it is synced. Opening cuts off a torn last frame; seal compares each
 * body with its checksum before it is used. The file is opened for each of these functions and
 * closed again, which is little beside its sync: loads that nobody sends to hold no descriptors.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_SPILL_SPILL_H
#define DAEMON_STORE_SPILL_SPILL_H

#include "daemon/store/base/base.h"
#include "daemon/store/spill/chunk_content.h"
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

/* Where the columns of a run's body begin, and its size. */
struct spill_layout {
	uint64_t hashes;
	uint64_t keys; /* u64, or u32 ends */
	uint64_t blob;
	uint64_t rows;
	uint64_t scales;
	uint64_t times;
	uint64_t tags;
	uint64_t contents; /* of each chunk: CHUNK_CONTENT_BYTES */
	uint64_t bytes;
};

void spill_layout(struct spill_layout *layout, const struct table_spec *spec,
	const struct spill_run *run);

struct spill {
	struct base_owner owner;
	int64_t default_time_ms; /* of rows without times */
	uint64_t salt;           /* random; seeds the checksums of frames' heads */
	char *path;              /* owned; NULL when nothing is open */
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
 * Errors: CORRUPT  what was sent is damaged, or the disk cannot read it; UNSUPPORTED  of another
 *         version; others  the file could not be opened or cut now, which says nothing of it. */
enum status spill_open(const char *folder, const char *name, const struct base_owner *owner,
	struct spill *out, struct error *err);
void spill_close(struct spill *spill);

/* Compares the first `bytes` of a load's file, which are whole frames, with their checksums; nothing is
 * changed. `name` is for the text. Errors: CORRUPT, naming the offset; UNSUPPORTED; IO; NO_MEMORY. */
enum status spill_verify(int fd, uint64_t bytes, const char *name, const struct base_owner *owner,
	struct error *err);

/* Appends a run and syncs it; the spill has not ended. The caller sets sequence, first_chunk,
 * chunk_count, rows and blob_bytes of the run; the rest is filled here. After a failure the file is
 * as it was before.
 * Errors: DISK_FULL, IO, NO_MEMORY. */
enum status spill_append(struct spill *spill, struct spill_run *run, const uint8_t *body,
	struct error *err);

/* Writes that the load is whole, and syncs that. Nothing may be appended from then on. */
enum status spill_end(struct spill *spill, struct error *err);

/* Reads what a chunk of a run that was appended holds. Errors: CORRUPT, IO, NO_MEMORY. */
enum status spill_content(const struct spill *spill, uint64_t chunk, struct chunk_content *out,
	struct error *err);

/* Opens the file: a descriptor that the caller closes, or -1 and errno. */
int spill_file(const struct spill *spill, int flags);

/* ---- for spill_read.c ---- */

enum status spill_init(struct spill *spill, const char *folder, const char *name,
	const struct base_owner *owner, struct error *err);
enum status spill_add_run(struct spill *spill, const struct spill_run *run);
/* Cuts off what is behind the last good frame. */
enum status spill_cut(const struct spill *spill, int fd);

#endif
