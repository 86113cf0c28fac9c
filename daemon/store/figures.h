/* figures.h - what is in a store, and what it has done.
 *
 * Threads: any that is registered (grace.h).
 */
#ifndef DAEMON_STORE_FIGURES_H
#define DAEMON_STORE_FIGURES_H

#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/state/options.h"
#include "daemon/store/system/histogram.h"
#include "daemon/store/write/write_figures.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

struct store_figures {
	uint64_t releases;
	uint64_t tables;
	uint64_t tensors;
	uint64_t tensor_bytes; /* of their data */
	uint64_t rows;
	bool rows_exact; /* else at most so many */
	uint64_t bytes;
	uint64_t deltas; /* of all tables */
	uint64_t delta_bytes;
	uint64_t segments;
	uint64_t segments_checked;
	uint64_t segments_away; /* the system took pages of them out of memory */
	uint64_t segments_damaged;
	uint64_t pages_checked; /* compared with their checksums since the process began */
	struct histogram_figures cold_reads; /* of look-ups (find_cold.h) */
	uint64_t files_waiting;              /* dropped, but still mapped */
	uint64_t bytes_waiting;
	uint64_t readers_pinned; /* which hold what they read, and keep nobody waiting (reader.h) */
	uint64_t seal_bytes;     /* written by seals since the start */
	uint64_t load_bytes;     /* written by loads since the start */
	uint64_t disk_reserve;   /* bytes of the disk: the setting */
	enum durability durability;
	struct backup_figures {
		bool wanted; /* backup_folder is set */
		bool running;
		uint64_t bytes; /* that it has to deal with, and has dealt with */
		uint64_t done;
		uint64_t made;
		uint64_t failed;
		uint64_t last_ms; /* when the last one was made; 0: none was, as the next */
		uint64_t last_took_ms;
		uint64_t last_bytes;
		uint64_t last_written;
		uint64_t written; /* by all since the start, and by exports */
	} backup;
	struct verify_figures {
		bool running;
		uint64_t bytes;
		uint64_t done;
		uint64_t made;
		uint64_t last_ms;
		uint64_t last_took_ms;
		uint64_t last_damaged;
	} verify;
	struct write_figures write;
	struct index_figures index;
};
void store_figures(struct store *store, struct store_figures *out);

/* Bytes that the daemon's user may still write where the data folder is. It asks the file system. */
uint64_t store_free_bytes(const struct store *store);

#endif
