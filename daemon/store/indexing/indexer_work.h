/* indexer_work.h - what the indexer has found to do, and does.
 *
 * Threads: the indexer's, but for what is atomic.
 */
#ifndef DAEMON_STORE_INDEXING_INDEXER_WORK_H
#define DAEMON_STORE_INDEXING_INDEXER_WORK_H

#include "schema/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_job;
struct indexes;
struct store;
struct table;

struct indexer {
	struct store *store; /* borrowed */
	pthread_t thread;
	_Atomic bool stop;
	_Atomic bool give_up; /* the work at hand is to end: in time, or since the indexer stops */
	_Atomic uint64_t builds[2]; /* of indexes, and of images */
	_Atomic uint64_t bytes[2];
	_Atomic uint64_t failed;
	_Atomic bool running;
	bool unnamed; /* tables were given indexes that `current` does not name; its thread's alone */
};

/* A table that wants an index, or images of a delta. Both tables are held. */
struct wish {
	uint64_t release;
	struct table *table;
	size_t level;          /* whose images are wanted; 0: the index of the base */
	struct table *queries; /* whose rows calibrate it; NULL: its own do */
};

/* Whether axes and balls of all files are to be found: there are none, or they do not fit any more. */
bool indexer_wants_all(const struct table *table, const struct indexes *indexes);

/* Does the work for a wish. */
void indexer_work(struct indexer *indexer, const struct wish *wish, const struct index_job *job);

/* ---- indexer.c ---- */

/* Notes what has become of a try, also in the table that a merge has made meanwhile. Damage is of the files: who has
 * others, as after a repair, is to be tried. */
void indexer_note_try(struct store *store, const struct wish *wish, enum status status);
/* Tells why there is no index yet, and puts it off. */
void indexer_fail(struct indexer *indexer, const struct wish *wish, enum status status,
	struct error *err);
/* Lets `current` name the indexes that the tables were given. After a failed commit of the catalog it stays
 * as it is. */
void indexer_name_indexes(struct indexer *indexer);

#endif
