/* memtable_pin.h - readers that need long hold the generations that they may see.
 *
 * A long reader begins as others do, and pins both generations as they are then. No version that it
 * may see can be anywhere else later. So no merge waits for it: a generation that a merge is done with
 * is off the usage at once (generation_free), and its memory goes with the last pin.
 *
 * Threads: any; see each function.
 */
#ifndef DAEMON_STORE_MEMTABLE_MEMTABLE_PIN_H
#define DAEMON_STORE_MEMTABLE_MEMTABLE_PIN_H

struct memtable;

/* Makes `out` a memtable of the generations that there are now, for a caller who stays inside (grace.h) and asks more than
 * once: a merge may take one out of the memtable meanwhile. Nothing is counted. */
void memtable_see(const struct memtable *memtable, struct memtable *out);

/* Counts the caller in both generations of a memtable, and in its images, and makes `out` a memtable of just these. The
 * caller is inside (grace.h), and has taken `visible` before. */
void memtable_pin(const struct memtable *memtable, struct memtable *out);

/* From anywhere, once. */
void memtable_unpin(struct memtable *pinned);

#endif
