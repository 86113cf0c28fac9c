/* limits.h - every bound on what comes from outside, each with its reason.
 *
 * Sizes from sockets, files and disk are compared with one of these before
 * they are used. Bounds that an operator may change are settings
 * (daemon/settings.h); these are the ceilings of formats and wire.
 */
#ifndef SCHEMA_LIMITS_H
#define SCHEMA_LIMITS_H

/* A request or reply is one whole message in memory: big enough for a load
 * chunk, 65,536 rows of 1 KiB or the largest tensor, small enough that a few do not hurt. */
#define LIMIT_MESSAGE_BYTES (65u << 20)
/* msgpack-c allocates what a header claims; elements are counted before it sees them. */
#define LIMIT_MESSAGE_ELEMENTS (1u << 20)
/* params -> map -> parts -> part -> keys needs 6. */
#define LIMIT_MESSAGE_DEPTH 16u
/* Longest method name: fits any of ours, short enough to echo in an error. */
#define LIMIT_METHOD_BYTES 64u

/* Keys a request part: 1M u64 keys are 8 MiB of request. */
#define LIMIT_KEYS (1u << 20)
/* Parts of one fetch: UR, CR(u), IR, CR(i) of several layers; each costs a snapshot look-up. */
#define LIMIT_PARTS 64u
/* A byte-string key has a one-byte length; the empty key is refused. */
#define LIMIT_KEY_BYTES 255u

/* Names are file-system safe and fit a log line. */
#define LIMIT_NAME_BYTES 64u
/* name@layer */
#define LIMIT_TABLE_NAME_BYTES (2u * LIMIT_NAME_BYTES + 1u)
/* Free text of a release (model, checkpoint). */
#define LIMIT_LABEL_BYTES 255u

/* Widest published tower outputs are 4,096 wide; views multiply it. */
#define LIMIT_DIM   65536u
#define LIMIT_VIEWS 1024u
/* One row: a request of 64 rows still fits a message. */
#define LIMIT_ROW_BYTES (1u << 20)

/* Releases and tables are listed in one reply and held in every snapshot. */
#define LIMIT_RELEASES 1024u
#define LIMIT_TABLES   256u
/* Tensors of a release: a few modules' state_dict. Each is a file, and open once it was used. */
#define LIMIT_TENSORS 1024u
/* NumPy and PyTorch have more; nothing that is kept here does. */
#define LIMIT_TENSOR_DIMS 8u
/* One tensor: [4096, 4096] of f32. With its names it fits a message. */
#define LIMIT_TENSOR_BYTES (64u << 20)
/* Steps that a fetch's rows go through: a module of five layers, each with its activation. */
#define LIMIT_ADAPTER_STEPS 16u
/* Values of a row on its way: 8 of them, which is the least at once, take 8 MiB. */
#define LIMIT_ADAPTER_WIDTH (256u << 10)
/* Loads of one table, ended or not, until it is sealed: each holds a file open. */
#define LIMIT_LOADS 64u
/* Sources of samples of one release, each counted by layer: partitions of a message log. */
#define LIMIT_SOURCES 16384u
/* Clocks differ; a sample from further ahead is a mistake, and would make all others late. */
#define LIMIT_SAMPLE_AHEAD_MS (INT64_C(3600) * 1000)

/* Items of one query's answer; ranking takes some hundreds of them on. */
#define LIMIT_TOP_K 10000u
/* Queries of one request: each row is read once for all of them. */
#define LIMIT_QUERIES 256u
/* Vectors of all queries of a request together: a block of scores stays small. */
#define LIMIT_QUERY_VECTORS 1024u
/* And their f32 values: 4M, far more than a search of any table can go through at once. */
#define LIMIT_QUERY_BYTES (16u << 20)
/* Items of all queries of a request together: 1M keys and scores are 12 MiB of reply. */
#define LIMIT_HITS (1u << 20)
/* Tables whose rows come with the items of an answer. */
#define LIMIT_WITH 8u
/* Of a search, waiting and running, unless it is told; and at most. */
#define LIMIT_SEARCH_MS     30000u
#define LIMIT_SEARCH_MS_MAX 600000u

/* What one write may add to the log, and about as much to a memtable, with all its parts: a message
 * may hold i8 that become f32, four times as large, and samples that count in several tables. */
#define LIMIT_WRITE_BYTES (256u << 20)
/* Rows of one write, of all its tables: each takes some 130 bytes of a memtable beside its own. */
#define LIMIT_WRITE_ROWS (2u << 20)

/* Chunks of one load that wait for their sync (64 MiB of 4 MiB chunks). */
#define LIMIT_CHUNKS_IN_FLIGHT 16u

/* A fetch of more rows leaves the loop: 4096 gathers take about 200 us. */
#define LIMIT_INLINE_ROWS 4096u
/* So does one whose rows are larger together: copying this much takes about 1 ms. */
#define LIMIT_INLINE_BYTES (4u << 20)
/* So does one whose rows go through more multiply-adds: with AVX2 about 1 ms. */
#define LIMIT_INLINE_WORK (16u << 20)
/* And a search of more rows, each of which costs a little whatever its size. */
#define LIMIT_INLINE_SEARCH_ROWS 65536u
/* And one by an index, beside whose rows there are more that were written since the last merge; or
 * that is expected to take longer. */
#define LIMIT_INLINE_SEARCH_WRITTEN 1024u
#define LIMIT_INLINE_SEARCH_NS      250000u
/* A search that was expected to be short ends on a loop after
 * so long, and begins again elsewhere. */
#define LIMIT_INLINE_SEARCH_END_NS 1000000u
/* Of one fetch: a second or two of a thread. */
#define LIMIT_FETCH_WORK (UINT64_C(1) << 35)
/* Rows of one scan reply, before the reply's size bounds it. */
#define LIMIT_SCAN_ROWS 65536u

/* Times are Unix milliseconds; the year 2500 tells milliseconds from micro- and nanoseconds. */
#define LIMIT_TIME_MS INT64_C(16725225600000)
/* Ten years; longer is no TTL at all. */
#define LIMIT_TTL_MS (UINT64_C(3653) * 86400 * 1000)

#endif
