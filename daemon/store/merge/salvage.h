/* salvage.h - a walk through the levels of a range of which some pages cannot be read: the rows that count all the same.
 *
 * A row is kept where its key, its data and its scale are on good pages, as a fetch needs them, and no newer level may
 * have the key on a bad one. A time (of a table whose rows neither expire nor fade), tags and low parts that cannot be read are 0.
 * What a newer level has on a bad page is known as far as its other pages tell: rows stand in the order of their
 * hashes, so keys that cannot be read lie between those that can; and of those the slots, where they can be read,
 * tell which are not there. An older row whose key a newer level may have is given up, since it may have been replaced
 * or deleted: it must not come back as if it were current.
 *
 * Slots alone lose nothing, since they are made anew of the keys.
 *
 * Threads: one at a time a walk; the table is held.
 */
#ifndef DAEMON_STORE_MERGE_SALVAGE_H
#define DAEMON_STORE_MERGE_SALVAGE_H

#include "daemon/store/read/merged.h"
#include "daemon/store/snapshot/level_range.h"

/* Keys of a level that cannot be read: their hashes are not outside of this. */
struct salvage_gap {
	struct hash_range hashes;
};

struct salvage_level {
	struct base_set *set;         /* borrowed */
	uint64_t from;                /* where the next segment is entered */
	struct base_segment *segment; /* NULL: the one of `from` is not entered yet */
	bool ended;
	uint32_t row; /* of the segment: the next one */
	bool found;   /* `hash` and `key` are those of `row` */
	uint64_t hash;
	const uint8_t *key;
	size_t key_len;
	size_t gap_count;
	size_t gap_capacity;
	struct salvage_gap *gaps; /* owned: of the segments that were entered */
};

struct salvage {
	const struct table *table;
	struct hash_range range;
	uint64_t damaged; /* pages, when the walk began; a segment without any counts as one */
	size_t level_count;
	struct salvage_level levels[TABLE_LEVELS_MAX]; /* the newest first */
	/* As in struct repair_range; merge_rows sets kept. */
	uint64_t kept;
	uint64_t partial;
	uint64_t lost;
	uint64_t given_up;
	uint64_t unreadable;
};

/* Reads all pages of a range in, and counts those that are damaged. */
uint64_t salvage_look(const struct table *table, const struct hash_range *range);

/* Begins a walk. salvage_fini ends it, also after a failure. */
void salvage_begin(struct salvage *salvage, const struct table *table,
	const struct hash_range *range);
void salvage_fini(struct salvage *salvage);

/* The next row that is kept, in front of the hash `behind` (0: 2^64); *more is false behind the last. A tombstone comes,
 * too. Errors: NO_MEMORY. */
enum status salvage_next(struct salvage *salvage, uint64_t behind, struct merged_row *out,
	bool *more);

/* Whether no page was damaged since the walk began: else a row that was taken may be of zeros. */
bool salvage_holds(const struct salvage *salvage);

#endif
