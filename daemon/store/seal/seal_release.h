/* seal_release.h - seals a release: builds its base files, and takes no load from then on.
 *
 * Threads: any. It works in its caller's thread and takes the admin turn only for its first and its
 * last step.
 */
#ifndef DAEMON_STORE_SEAL_SEAL_RELEASE_H
#define DAEMON_STORE_SEAL_SEAL_RELEASE_H

#include "schema/status.h"

#include <stdint.h>

struct store;

struct seal_result {
	uint32_t tables;
	uint64_t rows;
	uint64_t bytes;
};
enum status store_seal(struct store *store, const char *id, struct seal_result *out,
	struct error *err);

#endif
