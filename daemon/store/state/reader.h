/* reader.h - what readers ask of a store: the current snapshot, and what they may see of it.
 *
 * Threads: any that has called grace_register (grace.h); no lock is taken.
 */
#ifndef DAEMON_STORE_STATE_READER_H
#define DAEMON_STORE_STATE_READER_H

#include "daemon/store/snapshot/snapshot.h"

#include <stdint.h>

struct store;
struct tensor;

/* A thread has one snapshot at a time. */
const struct snapshot *snapshot_begin(struct store *store);
void snapshot_end(struct store *store);

/* The newest sequence of the log that this request may see. It is taken once a request, and after
 * snapshot_begin: in the other order a merge could put newer rows into the base files of the
 * snapshot in between. */
uint64_t store_visible(struct store *store);

/* Makes the data of a tensor of that release readable, as tensor_use does (tensor.h). */
enum status store_tensor_use(struct store *store, const struct release *release,
	struct tensor *tensor, bool may_block, struct error *err);

/* The data folder, as it was given. */
const char *store_folder(const struct store *store);

#endif
