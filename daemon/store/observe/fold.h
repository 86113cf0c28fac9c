/* fold.h - adds the samples of one batch to the states of one aggregating table.
 *
 *     fold_init    lists each key once, however many samples it has: so many rows are written
 *     fold_run     reads the keys' states and adds the samples in their order: the part is ready
 *     fold_fini    frees a fold, also a zeroed one
 *
 * Threads: the one that holds the writer's apply lock, within one snapshot.
 */
#ifndef DAEMON_STORE_OBSERVE_FOLD_H
#define DAEMON_STORE_OBSERVE_FOLD_H

#include "daemon/aggregate/aggregate.h"
#include "daemon/store/write/write_part.h"

/* Samples in the order in which they count; borrowed. */
struct samples {
	uint32_t count;
	const float *rows;    /* f32[count, dim x views] */
	const uint8_t *times; /* i64[count] */
};

struct fold {
	const struct table *table; /* borrowed */
	uint32_t sample_count;
	uint32_t *key_of;       /* owned: of each sample its key's number among `keys` */
	struct keys keys;       /* each once, in the order of their first samples */
	uint8_t *packed;        /* owned: the bytes of `keys` */
	uint32_t *at;           /* owned: where each of `keys` begins */
	struct aggregate *rows; /* owned: of each key */
	float *states;          /* owned: the states that `rows` work on */
	int64_t *times;         /* owned: of each key the time of its newest sample */
	uint64_t *tags;         /* owned: of each key those of its row; NULL: the table has none */
	struct table_write write; /* what the part is given */
};

/* Finds the keys, and makes a part that has them and no rows yet. The part borrows from the fold.
 *   keys  of the samples, of the table's key type
 * Errors: NO_MEMORY. */
enum status fold_init(struct fold *fold, const struct table *table, const struct keys *keys,
	struct write_part *part, struct error *err);

/* Gives the part its rows: the new state of each key. Errors: BAD_REQUEST  a state would not be
 * finite; CORRUPT  a damaged segment; NO_MEMORY. */
enum status fold_run(struct fold *fold, const struct samples *samples, int64_t now_ms,
	struct write_part *part, struct error *err);

void fold_fini(struct fold *fold);

#endif
