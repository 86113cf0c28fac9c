/* model.h - rows in plain arrays, random writes of them, and answers of a store held against both.
 *
 * A model has releases m0, m1, and so on, with the same tables; who uses it makes them. A write is made
 * first (what it will write is chosen at random), then handed to the store, and then done to the cells.
 * What a call here finds wrong fails the test.
 *
 * Threads: one.
 */
#ifndef TESTS_UNIT_STORE_MODEL_H
#define TESTS_UNIT_STORE_MODEL_H

#include "daemon/store/write/write.h"
#include "tests/unit/store/plain.h"
#include "tests/unit/store/scratch.h"

enum {
	MODEL_RELEASES = 4,
	MODEL_TABLES = 10,
	MODEL_KEYS = 700,
	MODEL_BATCH_MAX = 64,
	MODEL_PARTS_MAX = 3,
};

/* What a key has. */
struct model_cell {
	bool there;
	uint32_t pool; /* number of its row in the plain rows */
	int64_t time_ms;
	uint64_t tags;
};

/* What every key of every table has. It holds no pointer. */
struct model_cells {
	struct model_cell at[MODEL_RELEASES][MODEL_TABLES][MODEL_KEYS];
};

struct model {
	struct scratch *scratch;   /* borrowed */
	struct model_cells *cells; /* borrowed */
	uint64_t random;
	unsigned tables;                  /* that a release has */
	uint32_t keys;                    /* of each table */
	uint32_t pool;                    /* rows to choose from; at most `keys` */
	struct plain plain[MODEL_TABLES]; /* owned */
	uint64_t operations;              /* rows written, deleted or read */
};

/* Makes the rows of its tables. The fields in front of `plain` are set. */
typedef struct table_spec model_spec_fn(unsigned table);
void model_init(struct model *model, model_spec_fn *spec_of);
void model_fini(struct model *model);

uint32_t model_below(struct model *model, uint32_t bound);
const char *model_release_name(unsigned release);

/* A batch of random keys, and their columns. It holds no pointer. */
struct model_rows {
	unsigned release;
	unsigned table;
	uint32_t count;
	uint32_t keys[MODEL_BATCH_MAX];
	uint32_t pool[MODEL_BATCH_MAX];
	int64_t times[MODEL_BATCH_MAX];
	uint64_t tags[MODEL_BATCH_MAX];
};

/* The same as a store takes it. */
struct model_batch {
	struct model_rows rows;
	float scales[MODEL_BATCH_MAX];
	struct keys packed; /* owned */
	uint8_t *data;      /* owned; the rows */
};
void model_make_batch(struct model *model, unsigned release, unsigned table,
	struct model_batch *batch);
struct row_batch model_row_batch(const struct model *model, const struct model_batch *batch);
void model_free_batch(struct model_batch *batch);

/* Batches of one release that are written together. */
struct model_write {
	size_t count;
	struct model_batch batches[MODEL_PARTS_MAX];
	struct table_write parts[MODEL_PARTS_MAX];
	struct row_write row_write;
};
void model_make_write(struct model *model, unsigned release, struct model_write *write);
void model_free_write(struct model_write *write);

/* What a write does to the cells. Both return how many rows it has changed. */
uint64_t model_put(struct model *model, const struct model_rows *rows, bool if_newer);
uint64_t model_delete(struct model *model, const struct model_rows *rows);

/* Begins a snapshot, and gives a table of it. */
const struct table *model_begin(struct model *model, unsigned release, unsigned table);

/* Fetches a random batch of a sealed release, scans a whole table, or walks through it as a search does: the
 * store must answer what the cells hold. */
void model_fetch(struct model *model, unsigned release);
void model_scan(struct model *model, unsigned release, unsigned table);
void model_walk(struct model *model, unsigned release, unsigned table);

#endif
