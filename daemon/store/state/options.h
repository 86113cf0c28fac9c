/* options.h - how a store is opened. */
#ifndef DAEMON_STORE_STATE_OPTIONS_H
#define DAEMON_STORE_STATE_OPTIONS_H

#include "schema/siphash.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum durability {
	DURABILITY_SYNC = 0, /* acknowledged when synced */
	DURABILITY_PERIODIC  /* acknowledged when written; synced every sync_interval_ms */
};

/* How writes are kept. Zero stands for the default, which each comment ends with. store_retune changes all but the
 * durability, each by itself, while others read them. */
struct write_options {
	enum durability durability;
	atomic_uint sync_interval_ms;    /* of durability periodic; 1000 */
	_Atomic uint64_t log_bytes;      /* bound: bytes of the log that wait for a merge; 1 GiB */
	_Atomic uint64_t memtable_rows;  /* bound: rows of all memtables; 1,500,000 */
	_Atomic uint64_t memtable_bytes; /* bound: memory of all memtables; 1 GiB */
	_Atomic uint64_t merge_age_ms;   /* a row waits no longer for a merge to begin; 1 h */
	_Atomic uint64_t merge_rate; /* bytes a second that a merge writes while no bound is near;
				    * 100 MB */
};

/* The defaults of struct store_sizes. */
enum {
	STORE_SEGMENT_BYTES = 32 << 20,
	STORE_FILE_BYTES = 1 << 30,
	STORE_RANGE_BYTES = 96 << 20,
	STORE_RANGE_ROWS = 1000000,
	STORE_DELTA_BASE_MIN = 32 << 20,
	STORE_DELTAS_MAX = 7,
	STORE_DELTA_SHARE = 550,
	STORE_DELTAS_SHARE = 250,
	STORE_INDEX_ROWS_MIN = 5000,
	STORE_INDEX_RETRY_MS = 60000,
	STORE_INDEX_MEMORY = 1 << 30,
	STORE_INDEX_TIME_MS = 3600 * 1000,
	STORE_LOOK_MS = 1000,
	STORE_FIRST_LOOK_MS = 100,
};

/* How large the parts of a store become, and how long it waits; zero stands for the default. The daemon has no settings for
 * them, but a test makes them small to get many parts from few rows. */
struct store_sizes {
	/* A segment that would be larger is split by one more bit of the hash. Large segments keep
	 * the directory small; small ones are checked in a few milliseconds. */
	uint64_t segment_bytes;
	/* A base file that has grown so large is followed by a new one. Not below segment_bytes. */
	uint64_t file_bytes;
	/* The hashes of a table are cut into ranges of about that size at most, each with files of its own, but into
	 * BASE_RANGES at most where these are no larger than a file. */
	uint64_t range_bytes;
	/* No range of a table with an index has fewer rows, unless it would be larger than a file. */
	uint64_t range_rows;
	/* A table whose base is smaller gets no deltas: to write it anew costs less than a second. */
	uint64_t delta_base_min;
	uint64_t deltas_max; /* of a table: at most TABLE_LEVELS_MAX - 1 */
	/* New rows of more than so many thousandths of the base's bytes go into a new base. */
	uint64_t delta_share;
	/* As long as deltas have more than so many thousandths of the base's bytes, the base takes in what they have,
	 * range by range. */
	uint64_t deltas_share;
	/* A table of fewer rows gets no index, since a search goes through all of its rows in less
	 * than a tenth of a millisecond. */
	uint64_t index_rows_min;
	uint64_t index_retry_ms; /* until a failed build is tried again */
	uint64_t index_time_ms;  /* of a build, or a calibration, at most */
	uint64_t index_memory;  /* of a build, but for the image, which is in the map of its file */
	uint64_t look_ms;       /* between two looks of the janitor at all files */
	uint64_t first_look_ms; /* from the start to the first of them */
};

struct store_options {
	const char *folder;        /* made if missing; its parent must exist */
	const char *backup_folder; /* that backups lie in; borrowed; NULL: there is none */
	struct write_options write;
	struct store_sizes sizes;
	size_t load_memory_bytes; /* bound for spill buffers and for seal, each; at least 128 MiB */
	size_t catalog_bytes;     /* largest size of catalog.mdb */
	_Atomic uint64_t
		disk_reserve_bytes; /* of the disk: stay free (reserve.h); 0: none need to */
	struct key_seed seed; /* of the releases to be; zero: random bits for each. A test names
				   * one, to know the hashes. */
	/* Is called with what a background thread has noticed (a damaged segment, a file that cannot
	 * be removed): one line without a newline. Any thread may call it. NULL: nobody listens. */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
};

#endif
