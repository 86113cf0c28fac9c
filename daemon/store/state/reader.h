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

/* A thread has one snapshot at a time. This one is for work that takes a millisecond at most, since
 * whoever waits for a grace period waits for it. */
const struct snapshot *snapshot_begin(struct store *store);

/* The same for work that may take longer, on the release `id`; NULL: the live one. Nobody waits
 * for this reader: it counts itself in what it uses (its pin), and merges, writes and changes go on.
 * What it uses is freed, and removed from the disk, after its snapshot_end. This is bounded by the
 * threads that read: each holds one snapshot, and of the memtables what it found at its beginning and
 * what came into their active generations until the next cut. The snapshot has this release only; if
 * there is none of this name, it is as that of snapshot_begin. NULL: no memory; nothing has begun. */
const struct snapshot *snapshot_begin_long(struct store *store, const char *id);

void snapshot_end(struct store *store); /* of either */

/* The newest sequence of the log that this request may see. It is taken once a request, and after
 * snapshot_begin: in the other order a merge could put newer rows into the base files of the
 * snapshot in between. */
uint64_t store_visible(struct store *store);

/* Makes the data of a tensor of that release readable, as tensor_use does (tensor.h). */
enum status store_tensor_use(struct store *store, const struct release *release,
	struct tensor *tensor, bool may_block, struct error *err);

/* Whether a table of the snapshot at hand has its index, in a word of schema/PROTOCOL.md
 * (`index_state` of table.list). */
const char *store_index_state(struct store *store, const struct table *table);

/* The data folder, as it was given. */
const char *store_folder(const struct store *store);

#endif
