/* store.h - one data folder: opens and closes it, and everything in it.
 *
 * What can be done with an open store has a header each: admin.h (releases, tables, tensors),
 * seal_release.h, load.h, write.h, observe.h, merge.h, figures.h; readers use reader.h, lookup.h
 * and scan.h.
 *
 * Threads: store_open and store_close from one thread, with no call under way.
 */
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include "daemon/store/state/options.h"
#include "schema/status.h"

struct store;

/* Errors: BUSY  another process holds the folder (its pid is named); UNSUPPORTED  a newer
 * format; CORRUPT; IO; DISK_FULL; NO_MEMORY. Leftovers of a killed process are removed. */
enum status store_open(const struct store_options *options, struct store **out, struct error *err);
void store_close(struct store *store);

/* Takes other bounds and rates of writes, and other bytes of the disk that stay free, for what begins from now on. The
 * durability stays. Any thread may call it. */
void store_retune(struct store *store, const struct write_options *write,
	uint64_t disk_reserve_bytes);

/* From now on every seal, publish and merge ends soon with BUSY, also one that is under way, and
 * so does a write that waits for room. Any thread may call it. */
void store_interrupt(struct store *store);

#endif
