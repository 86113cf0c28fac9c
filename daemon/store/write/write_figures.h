/* write_figures.h - what writes and merges have done since the start. */
#ifndef DAEMON_STORE_WRITE_WRITE_FIGURES_H
#define DAEMON_STORE_WRITE_WRITE_FIGURES_H

#include "daemon/store/state/merge_steps.h"
#include "daemon/store/system/histogram.h"

#include <stdbool.h>
#include <stdint.h>

struct write_figures {
	uint64_t sequence;                       /* the newest that is visible */
	uint64_t commits;                        /* groups */
	uint64_t rows;                           /* that were put, deleted, or changed by samples */
	struct histogram_figures group_requests; /* of commits, in requests */
	struct histogram_figures sync_times;     /* in HISTOGRAM_SHORT_NS */
	uint64_t sync_us_max;                    /* the longest sync */
	uint64_t room_waits;                     /* writes that waited for merges */
	uint64_t log_files;
	uint64_t log_bytes;         /* on disk */
	uint64_t log_bytes_written; /* since the start */
	uint64_t pending_bytes;     /* of the log: of rows that are not in base files yet */
	uint64_t pending_limit;     /* setting log_size; the other limits are settings, too */
	uint64_t memtable_rows;
	uint64_t memtable_rows_limit;
	uint64_t memtable_bytes;
	uint64_t memtable_bytes_limit;
	uint64_t memtable_pinned; /* bytes that are merged, and that readers still hold */
	uint64_t merges;
	uint64_t merges_failed;
	uint64_t merge_bytes; /* of all steps */
	struct merge_step_figures steps[MERGE_STEPS];
	struct histogram_figures merge_times; /* of good ones, in HISTOGRAM_LONG_NS */
	uint64_t merge_ms;                    /* of the last one */
	bool merge_running;
	bool read_only;
};

#endif
