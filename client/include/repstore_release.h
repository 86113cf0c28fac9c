/* repstore_release.h - the part of repstore.h that is about releases: their tables and tensors, the
 * loads that fill them, their merges, repairs and backups.
 *
 * It comes with repstore.h, whose words on threads, memory and errors are its own too.
 */
#ifndef CLIENT_INCLUDE_REPSTORE_RELEASE_H
#define CLIENT_INCLUDE_REPSTORE_RELEASE_H

#include "repstore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- releases and tables ---- */

enum rep_entity { REP_USER = 1, REP_ITEM = 2 };
/* REP_CR: aggregated cross representations, which the daemon keeps from samples. */
enum rep_kind { REP_UR = 1, REP_IR = 2, REP_CR = 3 };
/* What a fetch of an aggregated row gives. S is the decayed sum, W the decayed count of samples:
 * S, S / W, or (S - mean of S) / deviation of S. */
enum rep_reading { REP_SUM = 1, REP_MEAN = 2, REP_LAYER_NORM = 3 };

/* How exactly an aggregated row keeps its sums. REP_STATE_F32: in f32, for some 100,000 samples that
 * count at a time; sums of more stand still. REP_STATE_F32X2: in two f32 each, 49 bits, for 10^11; a
 * row takes twice the memory and disk. A fetch reads f32 of both, and costs the same. */
enum rep_state { REP_STATE_F32 = 1, REP_STATE_F32X2 = 2 };

/* REP_INDEX_BALLS: granular balls, built in the background after a seal and after each merge. */
enum rep_index { REP_INDEX_NONE = 0, REP_INDEX_BALLS = 1 };

/* Which row a fetch with REP_MISSING_DEFAULT gives for a key without one: zeros; the mean of the rows
 * that were sealed, as f32, not of REP_BIT and REP_CR; or a row that is given here. */
enum rep_default {
	REP_DEFAULT_NONE = 0, /* such a fetch is refused */
	REP_DEFAULT_ZEROS = 1,
	REP_DEFAULT_MEAN = 2,
	REP_DEFAULT_ROW = 3
};

struct rep_table_spec {
	char name[136];
	enum rep_entity entity;
	enum rep_kind kind;
	enum rep_dtype dtype;       /* REP_DTYPE_TABLE in a create: f32 */
	enum rep_key_type key_type; /* 0 in a create: u64 */
	uint32_t dim;
	uint32_t views; /* 0 in a create: 1 */
	uint64_t ttl_ms;
	/* of REP_CR, whose name is name@layer, and which sums its samples in f32, without `history` */
	double decay_events;      /* each sample multiplies the sum by it; 0 in a create: 1 with a
				   * half-life, 0.99 without */
	uint64_t half_life_ms;    /* 0: none */
	enum rep_reading reading; /* 0 in a create: REP_LAYER_NORM */
	bool tags;
	enum rep_index index; /* for rep_retrieve */
	const void
		*default_row; /* of REP_DEFAULT_ROW, in a create: one row of `dtype`; else NULL */
	size_t default_row_bytes; /* 64 KiB at most */
	enum rep_default default_kind;
	float default_scale;  /* of a default_row of i8 */
	enum rep_state state; /* of REP_CR without history; 0 in a create: REP_STATE_F32X2 */
	/* The row of a key is its newest so many vectors, oldest first; 0: one row of views, or a sum. Of
	 * REP_UR and REP_CR, of REP_F32, REP_F16 and REP_BF16. */
	uint32_t history;
	uint64_t reserved[4];
};

struct rep_table {
	struct rep_table_spec spec;
	uint64_t rows;
	uint64_t bytes;
	uint64_t segments;
	uint64_t damaged;        /* segments */
	uint64_t index_bytes;    /* 0: there is none, or none yet */
	uint64_t index_build_ms; /* how long it took to build */
	uint64_t pending;        /* rows written since the last merge: not yet in the base files */
	uint64_t rows_at_most;   /* not 0: some of `rows` may be hidden by rows of deltas */
	uint64_t deltas;         /* levels above the base */
	uint64_t delta_bytes;
	uint64_t image_bytes; /* of their images for searches, beside index_bytes */
	uint64_t reserved[4];
};

struct rep_release {
	char id[72];
	char model[256];
	char checkpoint[256];
	char state[8]; /* "open", "sealed" or "live" */
	uint64_t number;
	int64_t created_ms;
	int64_t sealed_ms;    /* 0: never */
	int64_t published_ms; /* 0: never */
	uint64_t tables;
	uint64_t rows;
	uint64_t bytes; /* of its tables */
	uint64_t tensors;
	uint64_t tensor_bytes; /* of their data */
	uint64_t rows_at_most; /* as that of its tables */
	uint64_t reserved[7];
};

REP_API enum rep_status rep_release_create(rep_client *client, const char *release,
	const char *model, const char *checkpoint, struct rep_error *err);
/* out: malloc'ed array; free() it. */
REP_API enum rep_status rep_release_list(rep_client *client, struct rep_release **out,
	size_t *count, struct rep_error *err);
REP_API enum rep_status rep_release_show(rep_client *client, const char *release,
	struct rep_release *out, struct rep_error *err);
/* These three take as long as the work takes: the client's time-out does not apply. A publish and a
 * rollback read the release in first. Over a Unix socket each ends, with nothing changed, when the
 * program ends. */
REP_API enum rep_status rep_release_seal(rep_client *client, const char *release,
	struct rep_error *err);
REP_API enum rep_status rep_release_publish(rep_client *client, const char *release,
	struct rep_error *err);
/* now: out, char[72], the release that is live now; may be NULL. */
REP_API enum rep_status rep_release_rollback(rep_client *client, char *now, struct rep_error *err);
REP_API enum rep_status rep_release_drop(rep_client *client, const char *release,
	struct rep_error *err);
REP_API enum rep_status rep_table_create(rep_client *client, const char *release,
	const struct rep_table_spec *spec, struct rep_error *err);
/* out: malloc'ed array; free() it. */
REP_API enum rep_status rep_table_list(rep_client *client, const char *release,
	struct rep_table **out, size_t *count, struct rep_error *err);
REP_API enum rep_status rep_table_show(rep_client *client, const char *release, const char *table,
	struct rep_table *out, struct rep_error *err);

/* The default row of a table: the one that was given, or the mean, which is f32 and there from the seal on. */
struct rep_default_row {
	enum rep_default kind;
	enum rep_dtype dtype; /* of the row; REP_DTYPE_TABLE: there is none, or it is zeros */
	float scale;          /* of i8 */
	void *row;            /* malloc'ed: free() it; or NULL */
	size_t row_bytes;
	uint64_t reserved[8];
};
REP_API enum rep_status rep_table_default(rep_client *client, const char *release,
	const char *table, struct rep_default_row *out, struct rep_error *err);

/* ---- merges and repairs ---- */

struct rep_merged {
	uint64_t tables;
	uint64_t rows;
	uint64_t bytes;
	uint64_t elapsed_ms;
	uint64_t reserved[8];
};

/* Merges all written rows that wait in the daemon's log into base files; `out` may be
 * NULL. It takes as long as the work takes: the client's time-out does not apply. */
REP_API enum rep_status rep_merge(rep_client *client, struct rep_merged *out,
	struct rep_error *err);

/* Which tables are merged. Zero it before you fill it. */
struct rep_merging {
	const char *release;       /* NULL: the live one */
	const char *const *tables; /* names */
	size_t count;              /* 0: all tables of the release */
	bool full;                 /* each becomes one base */
	uint64_t reserved[8];
};
/* The same of these tables alone: the others, and what waits for them in the log, stay. Errors: NOT_FOUND, NOT_SEALED. */
REP_API enum rep_status rep_merge_tables(rep_client *client, const struct rep_merging *what,
	struct rep_merged *out, struct rep_error *err);

/* Of all ranges together; schema/PROTOCOL.md, "repair", says what the entries are. */
struct rep_repaired {
	uint64_t ranges; /* that are damaged */
	uint64_t kept;
	uint64_t partial;
	uint64_t lost;
	uint64_t given_up;
	uint64_t unreadable;
	uint64_t elapsed_ms;
	uint64_t reserved[8];
};
/* Writes the damaged ranges of a table anew, without what cannot be read; with dry_run it only says so. `release`
 * NULL: the live one; `out` may be NULL. It takes as long as the work takes. Errors: NOT_FOUND, NOT_SEALED,
 * CORRUPT  a page was damaged meanwhile. */
REP_API enum rep_status rep_repair(rep_client *client, const char *release, const char *table,
	bool dry_run, struct rep_repaired *out, struct rep_error *err);

/* ---- backups ---- */

struct rep_backup_made {
	uint64_t sequence; /* of the last write that is in it */
	uint64_t files;
	uint64_t bytes;
	uint64_t written; /* of these bytes, those that were copied now */
	uint64_t linked;  /* those of links that were made now */
	uint64_t kept;    /* those that were there, of an earlier backup in this folder */
	uint64_t elapsed_ms;
	uint64_t reserved[8];
};

/* Copies the whole store, as of one moment, into the folder `dir` below the daemon's `backup_folder`.
 * copy: no file is a link to one of the store. `out` may be NULL. It takes as long as the work takes: the
 * client's time-out does not apply. Over a Unix socket it ends when the program ends; the same call goes
 * on. */
REP_API enum rep_status rep_backup(rep_client *client, const char *dir, bool copy,
	struct rep_backup_made *out, struct rep_error *err);

/* ---- one release as a folder ---- */

struct rep_exported {
	char release[72];
	uint64_t files;
	uint64_t bytes;
	uint64_t written; /* as of rep_backup_made, as the next two */
	uint64_t linked;
	uint64_t kept;
	uint64_t elapsed_ms;
	uint64_t reserved[8];
};

/* Copies a sealed release, or the live one (NULL), into the folder `dir` below the daemon's `backup_folder`:
 * all that was written to it before the call. copy: as of rep_backup. `out` may be NULL. Time as rep_backup. */
REP_API enum rep_status rep_release_export(rep_client *client, const char *release, const char *dir,
	bool copy, struct rep_exported *out, struct rep_error *err);

struct rep_adopted {
	char release[72];
	uint64_t number; /* which it has from now on */
	uint64_t tables;
	uint64_t rows;
	uint64_t bytes;
	uint64_t elapsed_ms;
	uint64_t reserved[8];
};

/* Takes an exported release, in the folder `dir` below `backup_folder`, as a sealed one of this daemon: by the name
 * `release`, or by its own (NULL). Every byte is copied, and compared with its checksum. `out` may be NULL. Time as
 * rep_backup. */
REP_API enum rep_status rep_release_adopt(rep_client *client, const char *dir, const char *release,
	struct rep_adopted *out, struct rep_error *err);

/* ---- tensors ---- */

enum rep_tensor_dtype {
	REP_TENSOR_F32 = 1,
	REP_TENSOR_F16 = 2,
	REP_TENSOR_BF16 = 3,
	REP_TENSOR_F64 = 4,
	REP_TENSOR_I8 = 5,
	REP_TENSOR_I16 = 6,
	REP_TENSOR_I32 = 7,
	REP_TENSOR_I64 = 8,
	REP_TENSOR_U8 = 9,
	REP_TENSOR_U16 = 10,
	REP_TENSOR_U32 = 11,
	REP_TENSOR_U64 = 12
};
enum { REP_TENSOR_DIMS = 8 };

/* A small named array of a release: a projection, an adapter, the weights of a module. */
struct rep_tensor {
	char name[72];
	enum rep_tensor_dtype dtype;
	uint32_t dims; /* 0: a scalar */
	uint64_t shape[REP_TENSOR_DIMS];
	uint64_t bytes; /* filled: of its data */
	uint64_t reserved[8];
};

/* Puts a tensor into a release, open, sealed or live (NULL), over one of the same name. data:
 * little-endian, in C order, at most 64 MiB; durable when it returns. */
REP_API enum rep_status rep_tensor_put(rep_client *client, const char *release,
	const struct rep_tensor *tensor, const void *data, size_t data_bytes,
	struct rep_error *err);
/* data: out, malloc'ed, out->bytes; free() it. */
REP_API enum rep_status rep_tensor_get(rep_client *client, const char *release, const char *tensor,
	struct rep_tensor *out, void **data, struct rep_error *err);
/* out: malloc'ed array; free() it. */
REP_API enum rep_status rep_tensor_list(rep_client *client, const char *release,
	struct rep_tensor **out, size_t *count, struct rep_error *err);
REP_API enum rep_status rep_tensor_delete(rep_client *client, const char *release,
	const char *tensor, struct rep_error *err);

/* ---- load ---- */

typedef struct rep_load rep_load;

/* Begins a load, or goes on with the one of this name. next_chunk: out, the number of the
 * first chunk that the daemon does not have (0 for a new load); may be NULL. */
REP_API enum rep_status rep_load_begin(rep_client *client, const char *release, const char *table,
	const char *load, rep_load **out, uint64_t *next_chunk, struct rep_error *err);
/* Sends the next chunk: at most 65 MiB with its columns; 4 MiB is best. Up to 16 chunks are under
 * way; when there are so many it waits for the oldest. Other calls may not use the client between
 * rep_load_begin and rep_load_end. An error may be that of an earlier chunk. */
REP_API enum rep_status rep_load_chunk(rep_load *load, const struct rep_rows *rows,
	struct rep_error *err);
/* Waits for every chunk and tells the daemon that the load is whole. Frees `load`,
 * whatever it returns. rows: out, how many the load holds; may be NULL. */
REP_API enum rep_status rep_load_end(rep_load *load, uint64_t *rows, struct rep_error *err);
/* Leaves the load in the daemon, so that rep_load_begin can go on with it, and frees it here; NULL
 * is fine. */
REP_API void rep_load_leave(rep_load *load);
/* Makes the daemon forget the load and its rows, and frees it here. */
REP_API enum rep_status rep_load_abort(rep_load *load, struct rep_error *err);

#ifdef __cplusplus
}
#endif

#endif
