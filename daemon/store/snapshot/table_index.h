/* table_index.h - whether a table shall have an index, and of which files.
 *
 * The index of a table is of its base: each file has one, on the same axes (index/indexes.h). So when a range of the base is
 * written anew, the other files keep theirs. The files of its deltas have images of their own, with the axes that the index had
 * then; the rows of a file without one are scanned.
 *
 * Threads: any, while the table is held.
 */
#ifndef DAEMON_STORE_SNAPSHOT_TABLE_INDEX_H
#define DAEMON_STORE_SNAPSHOT_TABLE_INDEX_H

#include "daemon/store/index/indexes.h"

#include <stdbool.h>
#include <stdint.h>

struct level;
struct table;

/* Whether a table, as it is now, shall have an index. With fewer rows than rows_min it needs
 * none. */
bool table_wants_index(const struct table *table, uint64_t rows_min);

/* Whether a file of a table that has an index shall have one, or an image: of the base each that has rows, of a delta none with
 * so few that they are scanned as fast. */
bool table_wants_image(const struct table *table, size_t level, size_t file);

/* The images of a delta, or NULL. The caller holds the table, which keeps them. */
struct indexes *table_images(const struct table *table, size_t level);

/* Whether each file of a delta that shall have an image has one in these. */
bool table_images_are_whole(const struct table *table, size_t level, const struct indexes *images);

/* The first delta that shall have images and has none yet; 0: there is none. */
size_t table_next_image(const struct table *table);

/* The owner of the index of a file, which is borrowed from the table. */
struct index_owner table_index_owner(const struct table *table, size_t level, size_t file,
	uint64_t release);

/* Whether the table has an index now, if perhaps not of each file. The caller holds the table. */
bool table_has_index(const struct table *table);

/* The table's index with a reference more, or NULL: the indexer may give the table another one at any
 * time. The caller is inside (grace.h). table_index_let_go gives the reference up; NULL is fine. */
struct indexes *table_index_hold(const struct table *table);
void table_index_let_go(struct indexes *indexes);

/* Whether a file of the base that shall have an index has none that is of use, or one on other axes than most. The caller holds the
 * table, and `indexes` are of its base. */
bool table_index_lacks(const struct table *table, const struct indexes *indexes, size_t file);
/* Whether some file does. The caller holds the table, and is inside or the only one who changes its index. */
bool table_index_is_partial(const struct table *table);

/* Whether so much has changed since the balls of an index were found that they are to be found anew: its recalls are not promised
 * any more. */
bool table_index_is_stale(const struct indexes *indexes);
/* Rows of a file that count as changed when it is not known how many have. */
uint64_t table_index_changed_at_most(uint64_t rows);

/* An index of a level's files and whose files it is of. */
struct level_indexes {
	const struct level *level;
	const struct indexes *indexes; /* NULL: there is none */
};
/* Makes an index for the files of a level of those that these have: of two that a file has the first. NULL: they have none, or no
 * memory. */
struct indexes *level_join_indexes(const struct level *level, const struct level_indexes *of,
	size_t count);
/* Gives a table that nobody sees yet the indexes of the new files of a level, or NULL; those of the other files of a delta
 * it takes from the table that it was made of, if then none is missing. Takes the reference over. */
void table_give_indexes(struct table *table, size_t level, const struct table *from,
	struct indexes *indexes);
/* Gives a table that nobody sees yet the indexes that another one has for files which both have, where it lacks them. The
 * admin lock is held. */
void table_share_indexes(struct table *table, const struct table *from);

/* Writes the name of the index file of a file of this number. */
void table_index_file_name(char *out, size_t size, const struct table *table, uint64_t file);

/* How many levels may have index files: none if the table shall have no index. */
size_t table_indexed_levels(const struct table *table, uint64_t rows_min);

#endif
