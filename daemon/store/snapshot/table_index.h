/* table_index.h - whether a table shall have an index, and of which files.
 *
 * The index of a table is of its base. Its deltas have images of their own, with the axes that the index had then;
 * the rows of a delta without one are scanned.
 *
 * Threads: any, while the table is held.
 */
#ifndef DAEMON_STORE_SNAPSHOT_TABLE_INDEX_H
#define DAEMON_STORE_SNAPSHOT_TABLE_INDEX_H

#include "daemon/store/index/index.h"

#include <stdbool.h>
#include <stdint.h>

struct table;

/* Whether a table, as it is now, shall have an index. With fewer rows than rows_min it needs
 * none. */
bool table_wants_index(const struct table *table, uint64_t rows_min);

/* Whether a delta shall have an image. Fewer rows are scanned as fast. */
bool table_wants_image(const struct table *table, size_t level);

/* The image of a delta, if it is of use; else NULL. The caller holds the table, which keeps it. */
struct index *table_image(const struct table *table, size_t level);

/* The first delta that shall have an image and has none yet; 0: there is none. */
size_t table_next_image(const struct table *table);

/* The owner of the index of a level, 0 for the base: its files, borrowed from the table. */
struct index_owner table_index_owner(const struct table *table, size_t level, uint64_t release);

/* Whether the table has an index now. The caller holds the table. */
bool table_has_index(const struct table *table);

/* The table's index with a reference more, or NULL: the indexer may give the table another one at any
 * time. The caller is inside (grace.h). table_index_let_go gives the reference up; NULL is fine. */
struct index *table_index_hold(const struct table *table);
void table_index_let_go(struct index *index);

/* Whether the index has failed since it was opened. The caller holds the table; any thread. */
bool table_index_is_damaged(const struct table *table);

/* Whether so much has changed since the balls of an index were found that they are to be found anew. */
bool table_index_is_stale(const struct index *index);
bool table_index_is_stale_at(uint64_t changed, uint64_t rows);

/* Writes the name of the index file of a level; false: a table without such a level has none. */
bool table_index_file_name(char *out, size_t size, const struct table *table, size_t level);

/* The name of an index file whose newest file has this number. */
void table_index_file_name_of(char *out, size_t size, const struct table *table, uint64_t newest);

/* How many levels may have index files: none if the table shall have no index. */
size_t table_indexed_levels(const struct table *table, uint64_t rows_min);

#endif
