/* limits.h - every bound on what comes from outside, each with its reason.
 *
 * Sizes from sockets, files and disk are compared with one of these before
 * they are used. Bounds that an operator may change are settings
 * (daemon/settings.h); these are the ceilings of formats and wire.
 */
#ifndef SCHEMA_LIMITS_H
#define SCHEMA_LIMITS_H

/* A request or a reply is one whole message in memory. It is large enough for a chunk of a load,
 * for 65,536 rows of 1 KiB or for the largest tensor, and small enough that a few do not hurt. */
#define LIMIT_MESSAGE_BYTES (65u << 20)
/* msgpack-c allocates what a header claims, so elements are counted before it sees them. */
#define LIMIT_MESSAGE_ELEMENTS (1u << 20)
/* Our deepest message (params, map, parts, part, keys) has 6 levels. */
#define LIMIT_MESSAGE_DEPTH 16u
/* Longest method name: fits any of ours, short enough to echo in an error. */
#define LIMIT_METHOD_BYTES 64u

/* What a request may say that it belongs to: a traceparent of W3C Trace Context. */
#define LIMIT_TRACE_BYTES 55u

/* What is kept of the name that a client says in hello. */
#define LIMIT_CLIENT_BYTES 63u

/* Keys of one part of a request: 1M u64 keys are 8 MiB of it. */
#define LIMIT_KEYS (1u << 20)
/* Parts of one request: UR, CR(u), IR, CR(i) of several layers. Each costs finding a table. */
#define LIMIT_PARTS 64u
/* A byte-string key has a one-byte length; the empty key is refused. */
#define LIMIT_KEY_BYTES 255u

/* A name is part of file names, and fits a line of the journal. */
#define LIMIT_NAME_BYTES 64u
/* name@layer */
#define LIMIT_TABLE_NAME_BYTES (2u * LIMIT_NAME_BYTES + 1u)
/* Free text of a release (model, checkpoint). */
#define LIMIT_LABEL_BYTES 255u

/* The widest published outputs of towers have 4,096 elements; views multiply that. */
#define LIMIT_DIM   65536u
#define LIMIT_VIEWS 1024u
/* Vectors of a history: of a row that search and fetch take as so many views. Sequence models read some
 * hundreds of a user's last items. */
#define LIMIT_HISTORY LIMIT_VIEWS
/* Of one row: a request of 64 rows still fits a message. */
#define LIMIT_ROW_BYTES (1u << 20)

/* Of one default row, and of those of all tables together. They stand in the catalog and in `current`,
 * which are written with each change. 64 KiB are a row of 16,384 elements in f32. */
#define LIMIT_DEFAULT_BYTES  (64u << 10)
#define LIMIT_DEFAULTS_BYTES (16u << 20)

/* Releases, and tables of a release, are listed in one reply, and every snapshot has them. */
#define LIMIT_RELEASES 1024u
#define LIMIT_TABLES   256u
/* Tensors of a release: the state_dict of a few modules. Each is a file, which stays open once it
 * was used. */
#define LIMIT_TENSORS 1024u
/* Dimensions of a tensor. NumPy and PyTorch allow more, but weights do not need them. */
#define LIMIT_TENSOR_DIMS 8u
/* Of one tensor: [4096, 4096] of f32. With its names it fits a message. */
#define LIMIT_TENSOR_BYTES (64u << 20)
/* Steps of a chain: a module of five stored layers, each with its activation, needs ten. */
#define LIMIT_ADAPTER_STEPS 16u
/* Values of a row between two steps. At least 8 rows are computed at once, which take 8 MiB. */
#define LIMIT_ADAPTER_WIDTH (256u << 10)
/* Loads of one table until it is sealed, ended or not: each has a file open. */
#define LIMIT_LOADS 64u
/* Positions of one release: one for each source (say, a partition of a message log) and layer. */
#define LIMIT_SOURCES 16384u
/* Tensors of one put: the weights of a module of several layers. All are in one message. */
#define LIMIT_TENSORS_PUT 64u
/* How far a row or a sample may be in the future unless that is meant (schema/times.h). */
#define LIMIT_TIME_AHEAD_MS (INT64_C(3600) * 1000)

/* Items of one query's answer. Ranking goes on with some hundreds of them. */
#define LIMIT_TOP_K 10000u
/* Queries of one request: each row is read once for all of them. */
#define LIMIT_QUERIES 256u
/* Vectors of all queries of a request together: a block of scores stays small. */
#define LIMIT_QUERY_VECTORS 1024u
/* And bytes of their f32 values: 4M values are far more than a search can compare at once. */
#define LIMIT_QUERY_BYTES (16u << 20)
/* Items of all queries of a request together: 1M keys and scores are 12 MiB of reply. */
#define LIMIT_HITS (1u << 20)
/* Tables whose rows come with the items of an answer. */
#define LIMIT_WITH 8u
/* How long a search may wait and run together, if the request does not say; and at most. */
#define LIMIT_SEARCH_MS     30000u
#define LIMIT_SEARCH_MS_MAX 600000u
/* The same of what is no search, and waits for any time unless the request says. */
#define LIMIT_TIMEOUT_MS (UINT64_C(24) * 3600 * 1000)

/* What one write may add to the log with all of its parts; it adds about as much to memtables. This
 * is more than a message: i8 may become f32, which is four times as large, and a sample counts in
 * several tables. */
#define LIMIT_WRITE_BYTES (256u << 20)
/* Rows of one write, of all its tables. Each takes some 130 bytes of a memtable more than it
 * has. */
#define LIMIT_WRITE_ROWS (2u << 20)

/* Chunks of one load that wait for their sync: 64 MiB if a chunk has 4 MiB. */
#define LIMIT_CHUNKS_IN_FLIGHT 16u

/* A call that is expected to take longer leaves the loop (daemon/method/call/cost.h): whoever else
 * is connected there waits so long for it. */
#define LIMIT_INLINE_NS 1000000u
/* When a turn of a loop has taken so long already, for other connections, only what is expected to take
 * less than a quarter of LIMIT_INLINE_NS still runs there. */
#define LIMIT_TURN_NS 2000000u
/* The default of the setting request_work, and what holds for processes that read the folder: a call that is expected
 * to take longer is refused. What a search takes until it has found its rows does not count: it has a deadline, and
 * can end at any time. */
#define LIMIT_CALL_MS 5000u
/* Rows of one scan reply, before the reply's size bounds it. */
#define LIMIT_SCAN_ROWS 65536u
/* Shards of one scan. In which shards a key is, of all counts up to this, tells about the first 20
 * bits of its hash, by the bounds i / n; that is what the order of a million rows tells, too. */
#define LIMIT_SCAN_SHARDS 1024u

/* Times are Unix milliseconds. The bound is the year 2500, so that micro- and nanoseconds are
 * refused. */
#define LIMIT_TIME_MS INT64_C(16725225600000)
/* Ten years; longer is no TTL at all. */
#define LIMIT_TTL_MS (UINT64_C(3653) * 86400 * 1000)

#endif
