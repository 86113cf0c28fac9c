/* follower.h - the background thread that makes images of what is written to tables with an index.
 *
 * Searches stream over rows that were just written; once some hundreds have no image, the follower makes one. An
 * image takes in older ones that are not much larger, so there are a few of each generation, each more
 * than twice as large as all that follow. When little is written they become one, after a pause that
 * makes this a small part of the time. It works for half of the time at most; what is written faster is
 * streamed over meanwhile.
 *
 * Images go with the generation, soon after a merge has taken it over.
 *
 * Threads: the functions may be called from any thread.
 */
#ifndef DAEMON_STORE_INDEXING_FOLLOWER_H
#define DAEMON_STORE_INDEXING_FOLLOWER_H

#include "schema/status.h"

struct follower;
struct index_figures;
struct store;

enum status follower_start(struct store *store, struct follower **out, struct error *err);
/* Ends a build that is under way. NULL is fine. */
void follower_stop(struct follower *follower);
/* Fills what it has done; nothing when there is none. */
void follower_figures(const struct follower *follower, struct index_figures *out);

#endif
