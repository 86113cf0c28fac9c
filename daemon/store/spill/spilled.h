/* spilled.h - one bulk load: chunks that wait in memory, and the spill file they go to.
 *
 * Threads: load_lock (state.h) guards all of it. While a release is being sealed its spills do not
 * change, and the seal reads them without the lock.
 */
#ifndef DAEMON_STORE_SPILL_SPILLED_H
#define DAEMON_STORE_SPILL_SPILLED_H

#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/spill/spill.h"
#include "daemon/store/state/state.h"

/* Rows taken since the last sync, as columns in the order of arrival. */
struct load_group {
	uint64_t rows;
	uint64_t chunks;
	uint64_t capacity; /* rows that the columns have room for */
	uint64_t blob_bytes;
	uint64_t blob_capacity;
	uint64_t *hashes;
	uint64_t *keys; /* u64 tables */
	uint32_t *ends; /* byte strings: where each key ends in the blob */
	uint8_t *blob;
	uint8_t *row_data;
	float *scales;
	int64_t *times;
	uint64_t *tags;
	struct chunk_content *contents; /* of each chunk */
	uint64_t content_capacity;
};

struct load {
	struct load *next;
	struct name name;
	struct table_name table_name;
	struct spill spill;
	bool damaged;                /* its file cannot be used, so it can only be aborted */
	struct load_progress synced; /* of the runs in the spill */
	struct load_group group;
};

/* The load of this name, or NULL. */
struct load *load_find(struct store *store, uint64_t release, uint64_t table, const char *name);

/* Appends to the store's list; returns `load`. */
struct load *load_link(struct store *store, struct load *load);
/* Takes a load out of the list and its file out of the folder, and frees it. */
enum status load_forget(struct store *store, struct load *load, struct error *err);
/* Closes and frees one that is in no list; its file stays. */
void load_free(struct load *load);

/* Opens the spill files of an open release, at the start. Files of which nothing was acknowledged
 * are removed; files with other names are told and stay. */
enum status loads_open(struct store *store, const struct release *release, struct error *err);
/* Takes the loads of a release (0: of all) out of the list. */
struct load *loads_take(struct store *store, uint64_t release);
/* Closes a list of loads that were taken; their files stay. */
void loads_free(struct load *loads);

/* Whether a load's file can be used; of no load (NULL) it can. Errors: CORRUPT, saying what to do. */
enum status load_check_damage(const struct load *load, struct error *err);

/* ---- files and groups ---- */

/* spill-<table>-<load> */
void load_file_name(char *out, size_t size, uint64_t table, const char *load);

/* Appends a chunk's rows, converted to the table's dtype. Errors: NO_MEMORY: the group is as
 * it was. */
enum status load_group_add(struct load_group *group, const struct base_owner *owner,
	const struct load_chunk *chunk, int64_t default_time_ms);
/* Memory that its rows take. */
uint64_t load_group_bytes(const struct load_group *group, const struct table_spec *spec);
/* The group's rows sorted by hash, as the body of a run of the spill. */
enum status load_group_body(const struct load_group *group, const struct table_spec *spec,
	struct load_body *body);
void load_group_clear(struct load_group *group);
void load_group_fini(struct load_group *group);
void load_body_fini(struct load_body *body);

#endif
