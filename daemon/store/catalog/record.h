/* record.h - releases, tables, files and tensors as MessagePack: what catalog and `current` hold.
 *
 * Each record is a map of names and values, so it can gain fields; the formats' version
 * stands beside them, in the catalog's state and in the head of `current`.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_CATALOG_RECORD_H
#define DAEMON_STORE_CATALOG_RECORD_H

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/tensor/tensor.h"
#include "schema/wire.h"

/* Writers are sticky (wire.h). Readers: CORRUPT, NO_MEMORY. */
void record_write_release(struct wire_writer *writer, const struct release *release);
/* `out` is a new one (release_copy of NULL). */
enum status record_read_release(struct wire_value value, struct release *out);

void record_write_table(struct wire_writer *writer, const struct table *table);
enum status record_read_table(struct wire_value value, struct table **out);

void record_write_file(struct wire_writer *writer, const struct base_file_info *info);
enum status record_read_file(struct wire_value value, struct base_file_info *out);

void record_write_tensor(struct wire_writer *writer, const struct tensor *tensor);
enum status record_read_tensor(struct wire_value value, struct tensor **out);

/* What a state says of the other records. */
struct record_state {
	uint64_t live;    /* number of the live release; 0: none, since they are numbered from 1 */
	uint64_t records; /* of all kinds together: none may be lost */
};

/* Sequence, next release, history, and a record_state. */
void record_write_state(struct wire_writer *writer, const struct snapshot *snapshot);
enum status record_read_state(struct wire_value value, struct snapshot *out,
	struct record_state *state);

/* Releases, tables, files and tensors of a snapshot together. */
uint64_t record_count(const struct snapshot *snapshot);

#endif
