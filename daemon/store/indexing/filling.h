/* filling.h - the indexes of the files of a level, as the indexer opens and builds them.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_INDEXING_FILLING_H
#define DAEMON_STORE_INDEXING_FILLING_H

#include <stdbool.h>
#include <stddef.h>

struct index;
struct indexes;

struct filling {
	size_t count;
	struct index **of; /* held; NULL: none yet */
	bool *has_failed;  /* what is on the disk is not to be opened again */
	bool *is_built;
};

/* For so many files, none of which has an index. False: no memory. Its caller ends it all the same. */
bool filling_begin(struct filling *filling, size_t count);
void filling_end(struct filling *filling);

/* What it has come to, as indexes_new; the filling has none then. */
struct indexes *filling_take(struct filling *filling, const struct indexes *before);

#endif
