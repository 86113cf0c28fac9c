/* indexer.h - the background thread that opens and builds the indexes of tables.
 *
 * It looks at the start, and whenever index_bell rings, which every change of the catalog does. For
 * each table that wants an index and has none it opens the file, or builds it. It also builds one anew
 * of which a quarter of the rows has changed since its balls were found; the old one serves meanwhile. A file of the base whose
 * index could not be read (the janitor rings then), or that a merge has given none, gets one on the axes of the others. Deltas of a table
 * with an index get images on its axes, where the merge has made none. An index that its own rows have calibrated is
 * calibrated anew once there are rows of users (index_users.h); while a table of users has too few, it
 * looks once a second. A failure is told,
 * and tried again after a minute, then each time after twice as long, up to an hour. A table with a
 * damaged segment is tried again only when it has new base files.
 *
 * Threads: the functions may be called from any thread.
 */
#ifndef DAEMON_STORE_INDEXING_INDEXER_H
#define DAEMON_STORE_INDEXING_INDEXER_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>

struct index;
struct index_figures;
struct indexer;
struct store;
struct table;

enum status indexer_start(struct store *store, struct indexer **out, struct error *err);
/* Ends a build that is under way. NULL is fine. */
void indexer_stop(struct indexer *indexer);

/* A merge has made `table` of `from`: its index is tried when that of `from` would have been, but for one
 * that was put off because of damage, since the files are new. It gets the indexes of the files that both have.
 * The caller holds the admin lock. */
void indexer_take_over(struct table *table, const struct table *from);
/* Counts what a merge has kept: the index of the base, level 0, or the image of a delta. */
void indexer_count(struct indexer *indexer, const struct index *index, size_t level);

/* Fills what the indexer has done; nothing when there is none. */
void indexer_figures(struct indexer *indexer, struct index_figures *out);

#endif
