/* memtable_merge.h - how a merge takes rows out of a memtable: what it freezes, has, and frees.
 *
 * Threads: the merge, but for memtable_freeze, which is the writer's (memtable.h).
 */
#ifndef DAEMON_STORE_MEMTABLE_MEMTABLE_MERGE_H
#define DAEMON_STORE_MEMTABLE_MEMTABLE_MERGE_H

#include "daemon/store/memtable/memtable.h"

/* Makes the active generation the frozen one, if there is an active one and no frozen one. True if
 * there is a frozen one now.
 *   visible  no version is above it: what a failed group has linked was taken back */
bool memtable_freeze(struct memtable *memtable, uint64_t visible);

/* A sequence that no version is below: from it on the log must be kept. 0: there is no version. */
uint64_t memtable_oldest(const struct memtable *memtable);
bool memtable_is_frozen(const struct memtable *memtable);
/* Its keys. */
uint64_t memtable_frozen_rows(const struct memtable *memtable);
/* Whether versions up to a cut are not in the frozen generation, since an earlier one was still there. */
bool memtable_has_left(const struct memtable *memtable, uint64_t cut);
/* The frozen generation holds all that was written to the table up to this sequence. 0: there is no
 * frozen generation. */
uint64_t memtable_frozen_last(const struct memtable *memtable);

/* Whether the frozen generation keeps the log for frames that were not applied (memtable_keep_log). */
bool memtable_frozen_keeps_log(const struct memtable *memtable);
/* The same of either generation. */
bool memtable_keeps_log(const struct memtable *memtable);

/* Gives all rows of the frozen generation, in the order of (hash, key). The caller frees *out.
 * Errors: NO_MEMORY. */
enum status memtable_collect_frozen(const struct memtable *memtable, struct memtable_row **out,
	size_t *count);

/* Takes the frozen generation out. Readers that are inside may still use it, so generation_free
 * follows after a grace period. NULL: there is none. */
struct generation *memtable_take_frozen(struct memtable *memtable);
void generation_free(struct generation *generation); /* NULL is fine; see memtable_pin.h */

#endif
