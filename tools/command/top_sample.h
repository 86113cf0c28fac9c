/* top_sample.h - what the daemon says of itself at one moment, for `repstore top`: counters since its start, and figures of
 * now.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_TOP_SAMPLE_H
#define TOOLS_COMMAND_TOP_SAMPLE_H

#include "tools/command/session.h"

enum {
	TOP_BUCKETS = 20, /* of times: schema/PROTOCOL.md, stats */
	TOP_RESULTS = 6,  /* of keys */
	TOP_METHODS = 64,
	TOP_TABLES = 128,
	TOP_QUEUES = 16,
	TOP_RELEASES = 32,
	TOP_SLOWEST = 3,
	TOP_NAME_BYTES = 136,
};

extern const char *const top_results[TOP_RESULTS]; /* found is the first */

struct top_times {
	uint64_t us; /* all together */
	uint64_t counts[TOP_BUCKETS];
};

struct top_method {
	char name[TOP_NAME_BYTES];
	uint64_t count;
	uint64_t errors;
	struct top_times times;
};

struct top_table {
	char name[TOP_NAME_BYTES];
	uint64_t results[TOP_RESULTS];
};

struct top_queue {
	char name[TOP_NAME_BYTES];
	uint64_t waiting; /* now */
	struct top_times times;
};

struct top_release {
	char name[TOP_NAME_BYTES];
	char state[8];
	uint64_t rows;
	bool rows_exact; /* else at most so many */
	uint64_t bytes;
	int64_t since_ms; /* when it was published, else sealed, else created */
};

struct top_slow {
	uint64_t id;
	uint64_t us;
	char method[TOP_NAME_BYTES];
	char tables[TOP_NAME_BYTES];
	char client[TOP_NAME_BYTES];
	char trace[TOP_NAME_BYTES];
};

struct top_sample {
	uint64_t taken_us; /* monotonic clock */
	int64_t time_ms;
	uint64_t uptime_ms;
	char live[TOP_NAME_BYTES];
	uint64_t connections;
	uint64_t refused;
	uint64_t denied;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t writes; /* the newest's number */
	uint64_t commits;
	uint64_t syncs;
	uint64_t sync_us;
	uint64_t log_bytes;
	uint64_t memtable_rows;
	uint64_t memtable_bytes;
	uint64_t slow;
	bool merges;
	bool read_only;
	bool sees_slow; /* the peer may ask for the slow log */
	unsigned method_count;
	unsigned table_count;
	unsigned queue_count;
	unsigned release_count;
	unsigned slow_count;
	uint64_t slow_seen; /* the id of the newest slow request that was seen */
	struct top_method methods[TOP_METHODS];
	struct top_table tables[TOP_TABLES];
	struct top_queue queues[TOP_QUEUES];
	struct top_release releases[TOP_RELEASES];
	struct top_slow slowest[TOP_SLOWEST]; /* of those that were added since `after` */
};

/* Asks the daemon. after: the id of the last slow request that was seen. Errors: those of the calls; a
 * daemon that denies the slow log is none. */
enum rep_status top_sample_take(const struct session *session, uint64_t after,
	struct top_sample *out, struct rep_error *err);

#endif
