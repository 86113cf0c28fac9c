/* daemon.h - a repstored beside its puts: what it says of them, and merges.
 *
 * Threads: one at a time has a connection.
 */
#ifndef TESTS_BENCH_DRIVER_DAEMON_H
#define TESTS_BENCH_DRIVER_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

/* What merges write (merge_steps of `stats`). */
enum { WRITE_STEPS = 4 };
extern const char *const write_step_names[WRITE_STEPS];
struct write_step {
	uint64_t count;
	uint64_t bytes;
};

struct write_stats {
	uint64_t log_bytes; /* written to the disk for each cause, since the daemon's start */
	uint64_t merge_bytes;
	struct write_step steps[WRITE_STEPS];
	uint64_t merges;
	uint64_t merge_ms; /* of the last one */
	uint64_t memtable_bytes;
	uint64_t table_bytes; /* of all base files now */
	bool merge_running;
};

struct merge_result {
	uint64_t rows;
	uint64_t bytes;
	uint64_t elapsed_ms;
};

struct daemon; /* a connection */
struct daemon *daemon_connect(const char *address);
void daemon_close(struct daemon *daemon); /* NULL is fine */
void daemon_stats(struct daemon *daemon, struct write_stats *out);
void daemon_merge(struct daemon *daemon, struct merge_result *out);
void daemon_wait_for_merge(struct daemon *daemon); /* one that runs by itself */

#endif
