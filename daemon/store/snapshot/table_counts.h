/* table_counts.h - what was asked of the tables of one name, and written to them, since the start.
 *
 * The counts belong to the name and not to a table, so that they go on growing when another release
 * goes live: a client asks for `ur`, of whichever release. They are there as long as some release has
 * a table of the name.
 *
 * Threads: any may count, and read. The rest is guarded by the admin lock.
 */
#ifndef DAEMON_STORE_SNAPSHOT_TABLE_COUNTS_H
#define DAEMON_STORE_SNAPSHOT_TABLE_COUNTS_H

#include "daemon/store/system/slot.h"
#include "schema/link.h"
#include "schema/name.h"

struct snapshot;

enum {
	TABLE_RESULTS = 6, /* enum why of lookup.h */
};

enum write_kind {
	WRITE_KIND_PUT,
	WRITE_KIND_DELETE,
	WRITE_KIND_LOAD,
	WRITE_KIND_OBSERVE, /* states that samples have changed */
	WRITE_KIND_COUNT
};

/* Of the samples of a layer: its tables have the same numbers. */
enum table_samples { TABLE_SAMPLES_COUNTED, TABLE_SAMPLES_REPEATED, TABLE_SAMPLES_COUNT };

/* A line of the cache for each thread that looks up rows. */
struct table_reads {
	_Atomic uint64_t results[TABLE_RESULTS];
	uint8_t rest[SLOT_LINE_BYTES - TABLE_RESULTS * sizeof(uint64_t)];
};

struct table_counts {
	struct table_reads of_slots[SLOT_COUNT];
	_Atomic uint64_t written[WRITE_KIND_COUNT];    /* rows */
	_Atomic uint64_t samples[TABLE_SAMPLES_COUNT]; /* of tables of kind cr */
	/* Monotonic: when a search last went through rows of a memtable that no image has; 0: none did. */
	_Atomic int64_t images_wanted_ms;
	struct link all;
	struct table_name name;
	unsigned refs; /* tables */
};

/* Gives each table of a snapshot that nobody sees yet, and that has no counts, those of its name. `all`
 * is the list of all. Errors: NO_MEMORY. */
enum status table_counts_give(struct link *all, struct snapshot *snapshot);

/* For another table of the same name. NULL, which a table of no store has, gives NULL. */
struct table_counts *table_counts_share(struct table_counts *counts);

/* Gives up a reference; the last one frees the counts. NULL is fine. */
void table_counts_drop(struct table_counts *counts);

/* Counts keys that were looked up. NULL is fine. */
void table_counts_read(struct table_counts *counts, const uint32_t results[TABLE_RESULTS]);

static inline void table_counts_wrote(struct table_counts *counts, enum write_kind write,
	uint64_t rows)
{
	if (counts != NULL) {
		atomic_fetch_add_explicit(&counts->written[write], rows, memory_order_relaxed);
	}
}

/* Notes that a search went through rows that no image has, to the second: searches come often, and on many threads.
 * NULL is fine, as for the next. */
void table_counts_want_images(struct table_counts *counts, int64_t now_ms);
int64_t table_counts_images_wanted(const struct table_counts *counts);

/* How many keys had this result. */
uint64_t table_counts_result(const struct table_counts *counts, unsigned result);

#endif
