/* options.h - how a store is opened. */
#ifndef DAEMON_STORE_STATE_OPTIONS_H
#define DAEMON_STORE_STATE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum durability {
	DURABILITY_SYNC = 0, /* acknowledged when synced */
	DURABILITY_PERIODIC  /* acknowledged when written; synced every sync_interval_ms */
};

/* How writes are kept; zeros stand for the defaults. */
struct write_options {
	enum durability durability;
	unsigned sync_interval_ms; /* 1000 */
	uint64_t log_bytes;        /* that wait for a merge, at most; 512 MiB */
	uint64_t memtable_rows;    /* at most; 1,500,000 */
	uint64_t memtable_bytes;   /* at most; 1 GiB */
	uint64_t merge_age_ms;     /* what was written is merged after so long; 1 h */
	uint64_t merge_rate;       /* bytes a second while there is time; 100 MB */
};

/* The defaults of struct store_sizes. */
enum {
	STORE_SEGMENT_BYTES = 32 << 20,
	STORE_FILE_BYTES = 1 << 30,
	STORE_INDEX_ROWS_MIN = 5000,
	STORE_INDEX_RETRY_MS = 60000,
};

/* What decides how large the parts of a store become; zeros stand for the defaults. The daemon has
 * no settings for them: tests that need many parts of few rows make them small. */
struct store_sizes {
	/* What a segment grows to before its rows are split by one more bit of their hash: large
	 * enough for few look-ups in the directory, small enough to check in a few milliseconds. */
	uint64_t segment_bytes;
	/* A new base file is begun when one has grown so large: merges and drops work file by file.
	 * Not below segment_bytes. */
	uint64_t file_bytes;
	/* Tables of fewer rows get no index: they are gone through in less than a tenth of a
	 * millisecond anyway. */
	uint64_t index_rows_min;
	uint64_t index_retry_ms; /* until a failed build is tried again */
};

struct store_options {
	const char *folder; /* made if missing; its parent must exist */
	struct write_options write;
	struct store_sizes sizes;
	size_t load_memory_bytes; /* bound for spill buffers and for seal, each; at least 128 MiB */
	size_t catalog_bytes;     /* largest size of catalog.mdb */
	/* What a background thread noticed (a damaged segment, a file that cannot be removed),
	 * one line without newline; may be called from any thread. NULL: nobody listens. */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
};

#endif
