/* scratch.h - a folder of a test's own, and a store in it that is quickly filled and read.
 *
 * What a call here cannot do fails the test, unless it returns a status. The table of the short
 * forms is "t": u64 keys, rows of SCRATCH_DIM f32 that say which key and which version they are of.
 */
#ifndef TESTS_UNIT_STORE_SCRATCH_H
#define TESTS_UNIT_STORE_SCRATCH_H

#include "daemon/store/base/base.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/options.h"

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the releases of a scratch store, so that a test knows the hashes. */
extern const struct key_seed scratch_seed;

enum { SCRATCH_DIM = 4, SCRATCH_NOW_MS = 1000000 };

struct table;

struct scratch {
	char folder[64]; /* removed at the end */
	char data[72];   /* the store's, in it */
	size_t catalog_bytes;
	struct write_options write;
	struct store_sizes sizes;
	bool indexed;        /* tables "t" that are made from now on want an index */
	struct store *store; /* NULL: closed */
	pthread_mutex_t lock;
	char events[8192]; /* guarded by lock: what the store told */
	/* Who tells an event with this text waits until it is NULL again. */
	const char *_Atomic held;
};

/* Fixtures of cmocka: *state is a struct scratch. */
int scratch_setup(void **state);       /* no store */
int scratch_setup_quiet(void **state); /* none; its janitor will look at no pages */
int scratch_setup_store(void **state); /* an open one */
/* The same with small segments and files: few rows make several of each, and want an index. */
int scratch_setup_small(void **state);
int scratch_setup_small_store(void **state);
int scratch_teardown(void **state);

enum status scratch_try_open(struct scratch *scratch, struct error *err);
void scratch_open(struct scratch *scratch);
void scratch_close(struct scratch *scratch);
void scratch_reopen(struct scratch *scratch);

/* Whether the store told an event with this text in it. */
bool scratch_heard(struct scratch *scratch, const char *text);

/* Fails the test with the error's text, unless `status` is OK. */
void scratch_must(enum status status, const struct error *err);

/* ---- files ---- */

struct scratch_file {
	uint8_t *data; /* malloc'ed */
	size_t len;
};

/* A path in the store's folder. */
void scratch_path(const struct scratch *scratch, char out[PATH_MAX], const char *name);
bool scratch_exists(const char *path);
struct scratch_file scratch_read(const char *path);
void scratch_write(const char *path, const void *data, size_t len);
void scratch_cut(const char *path, size_t len);
void scratch_flip(const char *path, uint64_t offset);
/* Files of a folder whose names begin so; 0 when there is no folder. */
size_t scratch_count(const char *folder, const char *prefix);

/* ---- tables and rows ---- */

struct table_spec scratch_spec(const char *name, enum dtype dtype, enum key_type key_type,
	uint32_t dim);
void scratch_row(uint64_t key, uint32_t version, float row[SCRATCH_DIM]);

/* Creates a release with table "t". */
void scratch_release(struct scratch *scratch, const char *id);
/* Keys [from, from + count). */
struct scratch_rows {
	uint64_t from;
	uint32_t count;
	uint32_t version;
};

/* Loads rows as one chunk and syncs it. Of `chunk`, load and chunk are used. */
enum status scratch_try_chunk(struct scratch *scratch, const char *release, struct load_chunk chunk,
	struct scratch_rows what, struct error *err);
void scratch_chunk(struct scratch *scratch, const char *release, const char *load, uint64_t chunk,
	struct scratch_rows rows);
void scratch_end(struct scratch *scratch, const char *release, const char *load, uint64_t chunks,
	uint64_t rows);
void scratch_seal(struct scratch *scratch, const char *release);
void scratch_publish(struct scratch *scratch, const char *release);
/* All of these: a sealed release with keys [from, from + count). */
void scratch_sealed(struct scratch *scratch, const char *id, uint64_t from, uint32_t count,
	uint32_t version);

/* Writes rows of these keys into table "t", and waits until they are durable; version 0 deletes. */
enum status scratch_try_put(struct scratch *scratch, const char *release, const uint64_t *keys,
	uint32_t count, uint32_t version, struct error *err);
void scratch_put(struct scratch *scratch, const char *release, struct scratch_rows rows);

/* Makes all pages of a segment, and the segment, what they are said to be. */
void scratch_mark(struct base_segment *segment, enum base_page_state pages,
	enum base_segment_state state);

/* A table of the release "r1", of a snapshot that is begun here. */
const struct table *scratch_table(struct scratch *scratch, const char *name);

/* The version of a key's row; 0 when it is absent, UINT32_MAX when its segment is damaged. The second
 * is for a table of a snapshot that is begun. */
uint32_t scratch_version_in(struct scratch *scratch, const struct table *table, uint64_t key);
uint32_t scratch_version(struct scratch *scratch, const char *id, uint64_t key);
void scratch_expect(struct scratch *scratch, const char *release, uint64_t from, uint32_t count,
	uint32_t version);

#endif
