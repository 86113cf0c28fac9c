/* written.h - images of rows that a memtable holds: which of them may be among the best for a query.
 *
 * An index is of base files. Rows that were written since get images of their own, in memory: granular
 * balls on the axes of the index, so that its calibration tells of both. Each image has the rows of some places
 * of a generation's order of writing (memtable_stream.h), as a reader of its `visible` sees them; rows
 * that were superseded before are left out, so a reader of less must not use it. Older images are
 * larger; what is behind the newest one has no image yet.
 *
 * Entries and versions belong to the generation, and an image may outlive it: only who has found the generation in
 * the memtable, or has pinned it, may read them.
 *
 * Threads: an image is constant. The images of a memtable are replaced as a whole, by one thread; who
 * is inside (grace.h) may hold them.
 */
#ifndef DAEMON_STORE_INDEX_WRITTEN_H
#define DAEMON_STORE_INDEX_WRITTEN_H

#include "daemon/retrieval/balls/balls.h"
#include "schema/status.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct memtable_entry;
struct row_version;

/* Of a memtable: half of them of each generation. */
enum { WRITTEN_IMAGES_MAX = 16 };

/* A row of an image. */
struct written_row {
	const struct memtable_entry *entry;
	const struct row_version *version;
};

struct written_image {
	uint64_t generation; /* its number */
	uint64_t from;       /* places [from, end) */
	uint64_t end;
	uint64_t visible;
	uint64_t axes;             /* the hash of those of the index (index.h) */
	uint64_t built_ms;         /* monotonic */
	struct balls balls;        /* without rows: none is left of these places */
	void *data;                /* owned, as the next */
	struct written_row *rows;  /* [balls.rows] */
	uint64_t bytes;            /* of all this */
	_Atomic uint64_t *counted; /* borrowed: what its bytes were added to */
	atomic_uint refs;
};

/* The images of a memtable: of each generation those of earlier places first. */
struct written_images {
	atomic_uint refs;
	size_t count;
	struct written_image *images[];
};

/* An image with room for so many rows, and none yet; its caller holds it. Its bytes are added to
 * `counted` for as long as it is there. NULL: no memory. */
struct written_image *written_image_new(_Atomic uint64_t *counted, size_t rows);
/* Makes room for so many bytes of balls, aligned as these need it. Errors: NO_MEMORY. */
enum status written_image_make_room(struct written_image *image, size_t bytes);
void written_image_drop(struct written_image *image); /* gives up a reference; NULL is fine */

/* Holds the images. NULL: no memory. */
struct written_images *written_images_new(struct written_image *const *images, size_t count);
void written_images_hold(struct written_images *images); /* NULL is fine, as for the next */
void written_images_drop(struct written_images *images);

#endif
