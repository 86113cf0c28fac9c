/* record.h - releases, tables, files and tensors as MessagePack, as catalog and `current` have
 * them.
 *
 * Each record is a map of names and values, so it can gain fields. The version is beside the
 * records: in the catalog under a key of its own, in `current` in the head. A record is valid when
 * all of its fields are there, of their types and within their limits; its checksum is for the code
 * that stores it. schema/DISK.md, "catalog.mdb", has every field.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_CATALOG_RECORD_H
#define DAEMON_STORE_CATALOG_RECORD_H

#include "daemon/store/base/base.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/tensor/tensor.h"
#include "schema/wire.h"

/* Writers are sticky (wire.h). Errors of readers: CORRUPT, NO_MEMORY. */
void record_write_release(struct wire_writer *writer, const struct release *release);
/* Fills a new release (release_copy of NULL). */
enum status record_read_release(struct wire_value value, struct release *out);

void record_write_table(struct wire_writer *writer, const struct table *table);
enum status record_read_table(struct wire_value value, struct table **out);

void record_write_file(struct wire_writer *writer, const struct base_file_info *info);
enum status record_read_file(struct wire_value value, struct base_file_info *out);

void record_write_tensor(struct wire_writer *writer, const struct tensor *tensor);
enum status record_read_tensor(struct wire_value value, struct tensor **out);

/* The same of records of version 0.1: tables have no next_file, and segments no head. Their places in what is
 * read are as in something new. */
enum status record_read_old_table(struct wire_value value, struct table **out);
enum status record_read_old_file(struct wire_value value, struct base_file_info *out);
enum status record_read_old_tensor(struct wire_value value, struct tensor **out);

/* What the state says of the other records. */
struct record_state {
	uint64_t live;    /* number of the live release; 0: none, since numbers begin at 1 */
	uint64_t records; /* how many there are of all kinds, so that a lost one is missed */
};

/* The state of a snapshot: what is not of one release. */
void record_write_state(struct wire_writer *writer, const struct snapshot *snapshot);
enum status record_read_state(struct wire_value value, struct snapshot *out,
	struct record_state *state);

/* Releases, tables, files and tensors of a snapshot together. */
uint64_t record_count(const struct snapshot *snapshot);

#endif
