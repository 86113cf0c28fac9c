/* slow_log.h - the requests that took longer than a threshold: the last of them, and how many there were.
 *
 * What a peer has said of itself, and what it has named, is text that it chose: it is made printable before it
 * comes here. Never keys, never rows.
 *
 * Threads: any.
 */
#ifndef DAEMON_METHOD_CALL_SLOW_LOG_H
#define DAEMON_METHOD_CALL_SLOW_LOG_H

#include "daemon/store/system/lock.h"
#include "schema/limits.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
	SLOW_LOG_ENTRIES = 256,
	SLOW_LOG_TABLES_BYTES = 200,
	SLOW_LOG_PEER_BYTES = 128,
};

struct slow_entry {
	uint64_t id;     /* they are numbered from 1 on */
	int64_t time_ms; /* when it was answered: Unix ms */
	/* From its last byte that came in to its reply that was given to the socket; of these it waited for
	 * a thread, and ran. What is left it waited for the disk, or for its loop. */
	uint64_t total_us;
	uint64_t queued_us;
	uint64_t work_us;
	const char *method; /* constant */
	enum status status;
	char release[LIMIT_NAME_BYTES + 1];
	char layer[LIMIT_NAME_BYTES + 1];
	char tables[SLOW_LOG_TABLES_BYTES]; /* apart by commas, as far as there is room */
	uint32_t table_count;
	uint64_t keys;
	uint64_t bytes_in;
	uint64_t bytes_out;
	char peer[SLOW_LOG_PEER_BYTES]; /* as identity_text has it */
	char client[LIMIT_CLIENT_BYTES + 1];
	char trace[LIMIT_TRACE_BYTES + 1];
};

struct slow_log {
	struct lock lock;              /* guards all below */
	uint64_t count;                /* since the start: the last one's id */
	uint64_t sum_us;               /* of all of them */
	uint64_t from;                 /* ids from here on are shown */
	_Atomic uint64_t threshold_ns; /* UINT64_MAX: no request is slow; takes no lock */
	struct slow_entry entries[SLOW_LOG_ENTRIES]; /* id i at i % SLOW_LOG_ENTRIES */
};

/* threshold_ms: 0: no request is slow. */
void slow_log_init(struct slow_log *log, unsigned threshold_ms);
void slow_log_fini(struct slow_log *log);
void slow_log_set_threshold(struct slow_log *log, unsigned threshold_ms);

unsigned slow_log_threshold_ms(const struct slow_log *log); /* 0: no request is slow */

/* Does a request that took so long belong here? */
static inline bool slow_log_wants(const struct slow_log *log, uint64_t ns)
{
	return ns >= atomic_load_explicit(&log->threshold_ns, memory_order_relaxed);
}

/* Copies the entry, and gives it its id. */
void slow_log_add(struct slow_log *log, struct slow_entry *entry);

/* Copies the newest of those that are shown, at most `cap`, the newest first; returns how many. */
unsigned slow_log_read(struct slow_log *log, struct slow_entry *out, unsigned cap);

/* Shows none of those that there are any more; the counts go on. */
void slow_log_reset(struct slow_log *log);

/* Writes what the entry is about as `method=... code=... release="..."`: what is known of it. What has no room is
 * left out whole. */
void slow_entry_text(const struct slow_entry *entry, char *out, size_t size);

void slow_log_figures(struct slow_log *log, uint64_t *count, uint64_t *sum_us);

#endif
