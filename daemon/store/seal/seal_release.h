/* seal_release.h - seals a release: builds its base files from its loads. From then on the release
 * takes no load.
 *
 * Threads: any, one at a time. The work is done in the caller's thread; admin_lock and load_lock are
 * held for the first and the last step only.
 */
#ifndef DAEMON_STORE_SEAL_SEAL_RELEASE_H
#define DAEMON_STORE_SEAL_SEAL_RELEASE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct stop;
struct store;

struct seal_result {
	uint32_t tables;
	uint64_t rows;
	uint64_t bytes;
};
/* A release that is sealed already is OK. Errors: NOT_FOUND; CONFLICT  a load has not ended; BUSY
 * another seal, or the daemon is stopping; CORRUPT  a load is damaged or lost; seal_table's; those of
 * `caller` (NULL: nothing stops it), after which the release is open as before. */
enum status store_seal(struct store *store, const char *id, const struct stop *caller,
	struct seal_result *out, struct error *err);

/* How far the seal of a release is. All rows are done some time before it ends: then its files are
 * synced, and read back. */
struct seal_progress {
	uint64_t rows; /* of its loads */
	uint64_t done; /* of these, so many are in base files */
};
/* From any thread. False: the release of that number is not being sealed. */
bool store_seal_progress(const struct store *store, uint64_t release, struct seal_progress *out);

#endif
