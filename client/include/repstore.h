/* repstore.h - the client library of repstored, a store of the representations of a foundation
 * model.
 *
 * A client is one connection. It blocks: each call sends a request, waits for the
 * answer (or its time-out) and returns. Fetches may be pipelined with rep_fetch_send
 * and rep_fetch_receive, writes with rep_put_send, rep_delete_send and
 * rep_write_receive; loads pipeline by themselves.
 *
 * Threads: a client is used by one thread at a time; any number of clients in a
 * process; there is no global state. Memory: what a call fills belongs to the caller;
 * what the library returns is freed by the function named beside it.
 *
 * Errors: every call that can fail returns an enum rep_status; REP_OK is 0. It fills
 * `err` (may be NULL) with a status and a text, either the daemon's or its own. A name that is NULL
 * where none may be left out is REP_BAD_REQUEST. After REP_TIMEOUT, REP_CLOSED or REP_PROTOCOL the
 * connection is gone, and it is not known whether a write was done. The next call connects again,
 * unless rep_options.no_reconnect is set.
 *
 * Growth: structs end with reserved words. Zero them, as designated initialisers do: a later version
 * gives some a meaning, and zero is what was before. Other words are BAD_REQUEST.
 *
 *     rep_client *client = NULL;
 *     struct rep_error err;
 *     if (rep_connect(NULL, &client, &err) != REP_OK)
 *             errx(1, "%s", err.text);
 *     uint64_t users[1] = {7};
 *     float ur[64];
 *     uint8_t found[1];
 *     struct rep_part part = {
 *             .table = "ur", .keys = rep_keys_u64(users, 1), .dtype = REP_F32,
 *             .rows = ur, .rows_bytes = sizeof ur, .found = found};
 *     if (rep_fetch(client, NULL, &part, 1, NULL, &err) != REP_OK) ...
 *     rep_close(client);
 */
#ifndef CLIENT_INCLUDE_REPSTORE_H
#define CLIENT_INCLUDE_REPSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REP_API __attribute__((visibility("default")))

/* ---- errors ---- */

enum rep_status {
	REP_OK = 0,
	REP_BAD_REQUEST = 1,
	REP_NOT_FOUND = 2,
	REP_EXISTS = 3,
	REP_CONFLICT = 4,
	REP_NOT_SEALED = 5,
	REP_SEALED = 6,
	REP_TOO_LARGE = 7,
	REP_BUSY = 8,
	REP_GAP = 9,
	REP_DENIED = 10,
	REP_CORRUPT = 11,
	REP_DISK_FULL = 12,
	REP_READ_ONLY = 13,
	REP_NO_MEMORY = 14,
	REP_IO = 15,
	REP_UNSUPPORTED = 16,
	REP_PROTOCOL = 17,
	REP_TIMEOUT = 18,
	REP_CLOSED = 19,
	REP_INTERNAL = 20
};

struct rep_error {
	enum rep_status status;
	char text[480]; /* for a person; NUL-terminated */
};

/* The stable name of a status: "NOT_FOUND". */
REP_API const char *rep_status_name(enum rep_status status);

REP_API const char *rep_version(void);

/* ---- connection ---- */

typedef struct rep_client rep_client;

struct rep_options {
	const char *address;         /* unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a path; NULL:
				      * $REPSTORE, else /run/repstore/repstore.sock */
	unsigned connect_timeout_ms; /* 0: 5,000; of the time of a call at most */
	unsigned timeout_ms;         /* of each call, for its answer; 0: 30,000 */
	bool no_reconnect;           /* a lost connection stays lost: calls return REP_CLOSED */
	/* Other addresses that serve the same releases: they are tried in turn where the one before
	 * cannot be connected. */
	const char *const *others;
	size_t others_count;
	/* Asked when a signal comes while a call waits for the daemon, and twice a second: true ends the call with
	 * REP_CLOSED, and its connection. Of a client of repstore_async.h nothing waits. NULL: none. */
	bool (*interrupted)(void *context);
	void *interrupted_context;
	/* How many microseconds a call looks for its answer before it sleeps: for one who has a processor
	 * to spend, since waking a thread takes longer than a small request. It is left where answers take
	 * longer, or where the process has one processor. 0: not at all. At most 10,000. */
	unsigned spin_us;
	/* For addresses of tls:, which need the first three: files of PEM, read at each connect. NULL:
	 * $REPSTORE_TLS_AUTHORITY, _CERTIFICATE, _KEY and _SERVER_NAME. */
	const char *tls_authority; /* who signs the daemon's certificate */
	const char *
		tls_certificate; /* the client's, and behind it those between it and its authority */
	const char *tls_key;     /* its private key, without a passphrase */
	const char *
		tls_server_name; /* what the daemon's certificate names; NULL: HOST of the address */
	/* What the daemon shows this client as, up to 63 bytes: "ranker". NULL: the program's name. */
	const char *client;
	uint64_t reserved[6];
};

/* options may be NULL; they are copied. Errors: BAD_REQUEST, IO, TIMEOUT, UNSUPPORTED (protocol version, or a
 * library without TLS), DENIED (the certificate of one side is not valid for the other), NO_MEMORY. */
REP_API enum rep_status rep_connect(const struct rep_options *options, rep_client **out,
	struct rep_error *err);
REP_API void rep_close(rep_client *client); /* NULL is fine */
/* Sets how long later calls wait for an answer; 0: without end. The daemon is told a sixteenth less and
 * gives up by then, unless a change has begun; of a pipeline it counts from the send. This does not
 * apply to loads, rep_call, rep_merge, rep_merge_tables, rep_repair, rep_backup, and the seal, publish, rollback,
 * export and adopt of a release. */
REP_API void rep_set_timeout(rep_client *client, unsigned timeout_ms);
/* What later calls belong to, until another is set: a traceparent of W3C Trace Context, at most 55 bytes. The
 * daemon keeps it with a request that was slow, or that failed by its fault; one that is too old for it is
 * not told. NULL: nothing. Errors: BAD_REQUEST. */
REP_API enum rep_status rep_set_trace(rep_client *client, const char *trace, struct rep_error *err);
REP_API enum rep_status rep_ping(rep_client *client, struct rep_error *err);

/* What a caller may do. The operator of the daemon gives roles to users, groups and certificates. */
enum rep_role {
	REP_ROLE_READ = 1,
	REP_ROLE_WRITE = 2,   /* and read */
	REP_ROLE_PUBLISH = 4, /* and read */
	REP_ROLE_ADMIN = 8    /* everything */
};

struct rep_identity {
	unsigned
		roles; /* of enum rep_role; 0: none, every call but this one and rep_ping is REP_DENIED */
	char peer
		[200]; /* the caller as the daemon sees it: "uid:1001", "tcp:loopback", "cert:CN=..." */
	uint64_t reserved[4];
};

/* Errors: UNSUPPORTED  the daemon is of version 0.2 or older, which lets everybody do everything. */
REP_API enum rep_status rep_whoami(rep_client *client, struct rep_identity *out,
	struct rep_error *err);

/* ---- keys and rows ---- */

enum rep_dtype {
	REP_DTYPE_TABLE = 0,
	REP_F32 = 1,
	REP_F16 = 2,
	REP_BF16 = 3,
	REP_I8 = 4,
	REP_BIT = 5,
	REP_F64 = 6 /* of sums that are fetched, scanned or written in full; of no table */
};
enum rep_key_type { REP_KEY_U64 = 1, REP_KEY_BYTES = 2 };

/* A borrowed batch of keys: uint64_t[count] (little-endian machines only), or byte
 * strings. Those are packed one behind the other, each as a length byte and its bytes. */
struct rep_keys {
	enum rep_key_type type;
	uint32_t count;
	const void *data;
	size_t bytes;
};

static inline struct rep_keys rep_keys_u64(const uint64_t *keys, uint32_t count)
{
	struct rep_keys out = {REP_KEY_U64, count, keys, (size_t)count * 8};
	return out;
}

static inline struct rep_keys rep_keys_bytes(const void *packed, size_t bytes, uint32_t count)
{
	struct rep_keys out = {REP_KEY_BYTES, count, packed, bytes};
	return out;
}

/* Rows to be written, borrowed. Every column has keys.count entries. Rows without times
 * get the time of the daemon's clock, at the put or at the first chunk of the load. */
struct rep_rows {
	struct rep_keys keys;
	enum rep_dtype dtype; /* of `rows`; REP_DTYPE_TABLE: the table's */
	const void *rows;     /* [count, views x dim] */
	size_t rows_bytes;    /* of all rows; 0 in a load: as many as the table's rows have */
	const float *scales;  /* i8 */
	const int64_t *times; /* Unix ms; or NULL */
	const uint64_t *tags; /* NULL: 0 */
	/* The weights of an aggregating table's rows, which are decayed sums; NULL: 1. */
	const double *weights;
	bool allow_nonfinite;
	bool if_newer; /* writes only over an older row, or where there is none; not in a load */
	bool any_time; /* else a time over an hour ahead of the daemon's clock is refused */
	/* Of a table with a history, whose rows are [history, views x dim], the oldest vector first, and have
	 * no `times`: places of a row, how many of each are taken, and the times of all, [count, history]. A
	 * row replaces the history of its key. */
	uint64_t history;
	const uint32_t *history_counts;
	const int64_t *history_times;
	uint64_t reserved[5];
};

/* Bytes of one row without its scale. REP_BIT packs each view into whole bytes. */
REP_API size_t rep_row_bytes(enum rep_dtype dtype, uint32_t dim, uint32_t views);

/* ---- fetch ---- */

/* What a key gets that has no row, or only an expired or a too old one: zeros; or the default row of
 * the table's spec, which is BAD_REQUEST where it has none. `found` is false in both. */
enum rep_missing { REP_MISSING_ZERO = 0, REP_MISSING_DEFAULT = 1 };

/* The keys of one table, and where their rows go. Every array has keys.count entries, or
 * is NULL when it is not wanted. Rows that were not found are zero unless `missing` says otherwise. */
struct rep_part {
	/* asked */
	const char *table;
	struct rep_keys keys;
	enum rep_dtype dtype; /* REP_DTYPE_TABLE: as stored */
	/* Of an aggregating table: the sums, whatever its spec reads. In REP_F64 they come in full, as a
	 * put or a load of them as REP_F64 takes them; else rounded to f32. */
	bool raw;
	bool has_max_age;    /* else max_age_ms is 0 and rows of any age are found */
	uint64_t max_age_ms; /* older rows are not found */
	/* Stored layers that the daemon sends the rows through, in f32, one after the other.
	 * `dtype` is that of the result, f32 for REP_DTYPE_TABLE. "NAME": a linear layer, tensors
	 * NAME.weight [out, in] and, if it exists, NAME.bias [out], as PyTorch's state_dict names
	 * them; "relu", "silu", "sigmoid", "tanh"; "gate:NAME": row * sigmoid(W row + b). */
	const char *const *through;
	size_t through_count; /* 0: rows stay as they are */
	/* where to */
	void *rows;        /* [count, views x dim]; or NULL */
	size_t rows_bytes; /* room at `rows`; too little is REP_TOO_LARGE, which fills the shape */
	uint8_t *found;    /* (count + 7) / 8 bytes, key 0 in the lowest bit of the first */
	float *scales;     /* i8 only */
	int64_t *times;    /* Unix ms */
	uint64_t *tags;
	double *weights; /* of an aggregating table */
	uint8_t *why;    /* 0 found, 1 absent, 2 expired, 3 too old, 4 corrupt, 5 defaulted */
	/* filled: the shape of the rows */
	size_t stride; /* bytes of a row */
	uint32_t dim;
	uint32_t views;
	enum rep_dtype row_dtype;
	/* filled */
	uint32_t found_count;
	char resolved[136]; /* which table it was: "cr_user@mlp2" for "cr_user" */
	/* asked, too */
	enum rep_missing missing;
	/* Of a table with a history, whose rows are [history, views x dim] with the oldest vector first, and
	 * whose `views` here are those of all places together. */
	uint32_t *
		history_counts; /* how many places of each row are taken: the first ones. The others are
				   * zero. Of another table: 0 */
	int64_t *history_times; /* [count, history] Unix ms, 0 of empty places; else refused */
	/* Asked: of how many places a row `history_times` has room; too few is REP_TOO_LARGE, which fills
	 * the shape. Filled: places of a row; 0: the table has no histories. */
	uint64_t history;
	uint64_t reserved[4];
};

struct rep_fetched {
	char release[72];
	uint64_t sequence;
	/* Writes that were acknowledged so long ago are in it. 0 of a daemon; of a reader in this process
	 * (repstore_local.h) UINT64_MAX if nobody knows. */
	uint64_t lag_ms;
	uint64_t reserved[7];
};

/* Fetches all parts from one snapshot of one release (NULL: the live one); `out` may be NULL. With spin_us
 * large rows that fill `rows_bytes` are received straight into `rows`: after an error what stands there is
 * anything. Errors: UNSUPPORTED  the daemon is too old for REP_MISSING_DEFAULT. */
REP_API enum rep_status rep_fetch(rep_client *client, const char *release, struct rep_part *parts,
	size_t count, struct rep_fetched *out, struct rep_error *err);

/* Pipelining: send up to 65,536 fetches, then receive each, in the order sent. The parts
 * must stay as they are in between. Each rep_fetch_receive takes one fetch off the
 * pipeline, whatever it returns. A fetch whose connection was lost returns REP_CLOSED. */
REP_API enum rep_status rep_fetch_send(rep_client *client, const char *release,
	const struct rep_part *parts, size_t count, struct rep_error *err);
REP_API enum rep_status rep_fetch_receive(rep_client *client, struct rep_part *parts, size_t count,
	struct rep_fetched *out, struct rep_error *err);

/* ---- write ---- */

struct rep_written {
	char release[72]; /* the one that was written */
	uint64_t sequence;
	uint64_t count; /* rows applied, rows deleted, or samples counted */
	uint64_t next;  /* the position of the source's next sample; 0 without a source */
	uint64_t reserved[8];
};

/* Writes rows into a sealed or live release (NULL: the live one), over those of the same
 * keys. When it returns REP_OK the rows are durable, and every fetch that begins
 * afterwards finds them; `out` may be NULL. After REP_TIMEOUT, REP_CLOSED or
 * REP_PROTOCOL it is not known whether they were written. The library does not repeat a
 * write; the caller may, for putting the same rows again is safe.
 * Errors: NOT_FOUND; NOT_SEALED  an open release takes loads; BUSY  may pass later;
 * DISK_FULL, READ_ONLY, CORRUPT, TOO_LARGE, BAD_REQUEST. */
REP_API enum rep_status rep_put(rep_client *client, const char *release, const char *table,
	const struct rep_rows *rows, struct rep_written *out, struct rep_error *err);

/* One table's rows of a put; borrowed. */
struct rep_put_part {
	const char *table;
	const struct rep_rows *rows;
	uint64_t reserved[8];
};

/* Writes rows of several tables (64 at most) as one write: a fetch, or a restart, sees all parts or
 * none. `if_newer` must be the same in all. Else as rep_put. */
REP_API enum rep_status rep_put_parts(rep_client *client, const char *release,
	const struct rep_put_part *parts, size_t count, struct rep_written *out,
	struct rep_error *err);

/* Deletes the rows of keys; a key without a row is passed over. Else as rep_put. */
REP_API enum rep_status rep_delete(rep_client *client, const char *release, const char *table,
	struct rep_keys keys, struct rep_written *out, struct rep_error *err);

/* Pipelining: send puts and deletes, then receive each, in the order sent. The daemon applies them
 * in that order; when it refuses one, it still applies the later ones. Rows and keys are the caller's
 * again when a send returns. Each rep_write_receive takes one write off the pipeline, whatever it
 * returns. A write whose connection was lost returns REP_CLOSED. Fetches may be under way on the
 * same client: each kind is received by its own function, and either may be received first. */
REP_API enum rep_status rep_put_send(rep_client *client, const char *release, const char *table,
	const struct rep_rows *rows, struct rep_error *err);
REP_API enum rep_status rep_put_parts_send(rep_client *client, const char *release,
	const struct rep_put_part *parts, size_t count, struct rep_error *err);
REP_API enum rep_status rep_delete_send(rep_client *client, const char *release, const char *table,
	struct rep_keys keys, struct rep_error *err);
REP_API enum rep_status rep_write_receive(rep_client *client, struct rep_written *out,
	struct rep_error *err);

/* Samples of one layer's cross representations, CR(u,i), in the order in which they count;
 * borrowed. Every column has `count` entries. */
struct rep_samples {
	const char *layer;
	uint32_t count;
	struct rep_keys users; /* all zero: not given, for a layer without a table of users */
	struct rep_keys items;
	const int64_t *times; /* Unix ms */
	enum rep_dtype dtype; /* of `rows`; any but REP_DTYPE_TABLE and REP_BIT */
	bool any_time;        /* as in rep_rows */
	const void *rows;     /* [count, views x dim] */
	size_t rows_bytes;    /* of all of them */
	const float *scales;  /* i8 */
	const char *source;   /* numbers its samples, so that each counts once; NULL: none */
	uint64_t position;    /* the number of the first one */
	bool first;           /* an unknown source may begin there; else it must begin at 0 */
	uint64_t reserved[8];
};

/* Adds samples to the aggregated rows of their users and items, in all tables of the layer, in one
 * durable write. After REP_TIMEOUT, REP_CLOSED or REP_PROTOCOL it is not known whether they were
 * counted. With a source they may be sent again and count once; without one they may count twice.
 * Errors: as rep_put; NOT_FOUND  no such layer; GAP  samples before `position` are missing. */
REP_API enum rep_status rep_observe(rep_client *client, const char *release,
	const struct rep_samples *samples, struct rep_written *out, struct rep_error *err);
/* Sends samples along the pipeline of puts and deletes; rep_write_receive gets the answer. */
REP_API enum rep_status rep_observe_send(rep_client *client, const char *release,
	const struct rep_samples *samples, struct rep_error *err);

/* Vectors for one table with a history, in the order in which they come; borrowed. Every column has
 * keys.count entries. */
struct rep_vectors {
	const char *table;
	struct rep_keys keys;
	const int64_t *times; /* Unix ms */
	enum rep_dtype dtype; /* of `rows`; any but REP_DTYPE_TABLE and REP_BIT */
	bool any_time;        /* as in rep_rows */
	const void *rows;     /* [count, views x dim] of the table's spec: one place each */
	size_t rows_bytes;    /* of all of them */
	const float *scales;  /* i8 */
	/* As in rep_samples; the position is kept of this table. */
	const char *source;
	uint64_t position;
	bool first;
	uint64_t reserved[8];
};

/* Adds each vector to the history of its key, in one durable write. What is not known after which error,
 * and how a source counts each vector once, is as of rep_observe. Errors: as there; BAD_REQUEST  the
 * table has no histories; UNSUPPORTED  the daemon is too old for them. */
REP_API enum rep_status rep_append(rep_client *client, const char *release,
	const struct rep_vectors *vectors, struct rep_written *out, struct rep_error *err);
/* Sends them along the pipeline of puts and deletes; rep_write_receive gets the answer. */
REP_API enum rep_status rep_append_send(rep_client *client, const char *release,
	const struct rep_vectors *vectors, struct rep_error *err);

struct rep_position {
	char layer[72]; /* or the table with a history that was appended to */
	char source[72];
	uint64_t next; /* the position of the next sample */
	uint64_t
		durable; /* up to where it is on the disk; 0: not yet. Below `next` with periodic syncs */
	int64_t counted_ms; /* when its last batch came */
	uint64_t reserved[8];
};
/* Up to which position the samples of each source are counted. out: malloc'ed array; free() it. */
REP_API enum rep_status rep_positions(rep_client *client, const char *release,
	struct rep_position **out, size_t *count, struct rep_error *err);

/* Chooses the layer that a table name without @layer means, for users and items at once. */
REP_API enum rep_status rep_layer_choose(rep_client *client, const char *release, const char *layer,
	struct rep_error *err);

/* ---- scan ---- */

/* One reply of a walk through a table. Its arrays are valid until the next step or
 * rep_scan_free. */
struct rep_scan {
	char release[72];
	uint64_t sequence;
	bool raw;        /* set before the first step: the sums of an aggregating table */
	uint64_t cursor; /* set by each reply, read by the next step */
	bool more;       /* another reply follows */
	struct rep_keys keys;
	enum rep_dtype dtype;
	uint32_t dim;
	uint32_t views;
	size_t stride; /* bytes of a row */
	const void *rows;
	const float *scales; /* NULL unless i8 */
	const int64_t *times;
	const uint64_t *tags;  /* NULL unless the table has them */
	const double *weights; /* NULL unless raw, of an aggregating table */
	void *memory;          /* the library's */
	/* Set before the first step: part `shard` of `shards` of the table alone, from 0. Readers that
	 * take one each read every row once. 0 of 0: the whole table. */
	uint32_t shard;
	uint32_t shards;
	/* Of a table with a history, as in rep_part; else 0 and NULL. */
	uint64_t history;
	const uint32_t *history_counts;
	const int64_t *history_times;
	uint64_t reserved[4];
};

/* Takes the next step; go on while scan->more. Zero `scan` (all but `raw` and the shard) before the
 * first step and pass the same one to each. The walk stays on the release that it began on, also when that
 * was the live one (NULL) and another becomes live. dtype REP_DTYPE_TABLE: as stored; limit 0: the
 * daemon chooses. Errors: UNSUPPORTED  the daemon is too old for shards. */
REP_API enum rep_status rep_scan_next(rep_client *client, const char *release, const char *table,
	enum rep_dtype dtype, uint32_t limit, struct rep_scan *scan, struct rep_error *err);
REP_API void rep_scan_free(struct rep_scan *scan);

/* ---- any method ---- */

/* Calls a method with one MessagePack map (NULL: empty) and hands back the result as
 * MessagePack, malloc'ed; free() it. For what has no function of its own: stats, info. */
REP_API enum rep_status rep_call(rep_client *client, const char *method, const void *params,
	size_t params_len, void **result, size_t *result_len, struct rep_error *err);

#ifdef __cplusplus
}
#endif

#include "repstore_release.h" /* the rest */
#include "repstore_retrieve.h"

#endif
