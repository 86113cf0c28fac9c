/* fold.h - adds the samples of one batch to the states of one table: to sums or to
 * histories.
 *
 *     fold_init    lists each key once, however many samples it has: so many rows are written
 *     fold_run     reads the keys' states and adds the samples of each in their order: the rows are
 *                  ready, in memory of the memtable, and memtable_room_link makes them the newest
 *     fold_end     gives that memory back, if it was not linked; under the lock. That of a write write_part_end gives back
 *     fold_fini    frees a fold, also a zeroed one
 *
 * A write does this, and a replay does it again, with the same bits: what the states become depends
 * on the states that there are, on the samples, and on the clock of the write.
 *
 * Threads: the one that holds the writer's apply lock, within one snapshot; at a start the only one.
 */
#ifndef DAEMON_STORE_FOLD_FOLD_H
#define DAEMON_STORE_FOLD_FOLD_H

#include "daemon/aggregate/aggregate.h"
#include "daemon/store/memtable/memtable_room.h"
#include "daemon/store/snapshot/snapshot.h"

/* Samples in the order in which they count; borrowed. */
struct samples {
	uint32_t count;
	const float *rows;    /* f32[count, dim x views] */
	const uint8_t *times; /* i64[count] */
};

/* A key's state on its way. */
struct fold_row {
	struct aggregate state;
	bool is_lost; /* its state is in a damaged segment */
};

struct fold {
	const struct table *table; /* borrowed */
	bool passes_damage; /* a key whose state is damaged is lost; else it refuses the batch */
	uint32_t sample_count;
	uint32_t *key_of; /* owned: of each sample its key's number among `keys` */
	uint32_t *order;  /* owned: the numbers of the samples, those of a key together */
	uint32_t *ends;   /* owned: of each key where its samples end there */
	struct keys keys; /* each once, in the order of their first samples */
	/* Whose keys these are; NULL: it owns key_of, order, ends, packed and at */
	const struct fold *like;
	uint8_t *packed;           /* owned: the bytes of `keys` */
	uint32_t *at;              /* owned: where each of `keys` begins */
	struct fold_row *rows;     /* owned: of each key */
	struct memtable_room room; /* where the rows are, without those that are lost */
	bool has_lost;             /* some */
};

/* Finds the keys.
 *   keys  of the samples, of the table's key type
 * Errors: NO_MEMORY. */
enum status fold_init(struct fold *fold, const struct table *table, const struct keys *keys,
	struct error *err);

/* Gives fold->room the new state of each key, with times and tags.
 *   change  in which they will be linked
 *   now_ms  the write's clock
 * Errors: BAD_REQUEST  a state would not be finite; CORRUPT  a damaged segment, unless these are
 * passed; NO_MEMORY. */
enum status fold_run(struct fold *fold, const struct memtable_change *change,
	const struct samples *samples, int64_t now_ms, struct error *err);

void fold_end(struct fold *fold);

/* The same for another table of the same samples and of the same side: it has the keys of `like`, which
 * outlives it. */
void fold_init_like(struct fold *fold, const struct table *table, const struct fold *like);

void fold_fini(struct fold *fold);

#endif
