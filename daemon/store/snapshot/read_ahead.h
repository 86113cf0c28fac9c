/* read_ahead.h - reads the pages of many keys in, before somebody looks at their rows who should not wait for the
 * disk: a write, while it has the writer's lock.
 *
 * Threads: any, within a snapshot that was begun with snapshot_begin_long.
 */
#ifndef DAEMON_STORE_SNAPSHOT_READ_AHEAD_H
#define DAEMON_STORE_SNAPSHOT_READ_AHEAD_H

#include "schema/key.h"

#include <stdint.h>

struct stop;
struct table;

/* So many threads at most read for one batch, the caller's among them. */
enum { READ_AHEAD_THREADS = 4 };

/* Reads in and checks the pages that a look-up of the keys needs and that are not in memory. Keys that the memtable has
 * need none. With more than FIND_BLOCK such keys threads are started for the time of the call; where that is refused,
 * the caller reads alone. What is damaged is told to who looks it up. May block for the disk.
 *   visible  store_visible, of the snapshot
 *   wants    enum find_wants, or'ed
 *   stop     ends it early. NULL: nothing does
 * Where there is no memory for it nothing is read. */
void table_read_ahead(const struct table *table, const struct keys *keys, uint64_t visible,
	unsigned wants, const struct stop *stop);

#endif
