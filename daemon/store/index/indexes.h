/* indexes.h - the indexes of a level's files: each file has one of its own, on axes that they share.
 *
 * A search takes all of them in one pass (balls.h), so together they are as one index: what a calibration has measured on all of
 * them stands in each. A file may have none: it is not built yet, or cannot be read. Its rows are scanned meanwhile. After a crash
 * some may have other axes than most: no factor is known for these.
 *
 * Threads: constant but for the pace, and for what is constant in no index (index.h).
 */
#ifndef DAEMON_STORE_INDEX_INDEXES_H
#define DAEMON_STORE_INDEX_INDEXES_H

#include "daemon/store/index/index.h"
#include "daemon/store/index/index_pace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct indexes {
	atomic_uint refs; /* the table's, or the level's, and one of each who holds it */
	uint64_t axes;    /* those that most rows are found by (index_hash_axes) */
	struct index_pace pace;
	size_t count;       /* files of the level */
	struct index *of[]; /* of each file; held; NULL: there is none */
};

/* Takes the references of `of` over, also after a failure; what it has learnt of how long searches take comes from `before`, which
 * may be NULL. NULL: no file has an index, or no memory. */
struct indexes *indexes_new(struct index *const *of, size_t count, const struct indexes *before);
/* As index_hold and index_close. */
void indexes_hold(struct indexes *indexes);
void indexes_close(struct indexes *indexes);

/* The index of a file, if it is of use; else NULL. `indexes` may be NULL, as below. */
struct index *indexes_of(const struct indexes *indexes, size_t file);
/* The same if it has the axes of most. */
struct index *indexes_alike(const struct indexes *indexes, size_t file);
/* The first that has the axes of most: it tells axes and recalls of all. NULL: none is of use. */
struct index *indexes_lead(const struct indexes *indexes);

/* Sums over those that are of use. */
struct indexes_sums {
	uint64_t rows;
	uint64_t bytes;
	uint64_t build_ms;
	uint64_t changed;
	size_t count;
};
struct indexes_sums indexes_sum(const struct indexes *indexes);

#endif
