/* follower.h - the background thread of a daemon that makes images of what is written to tables with an index
 * (imaging.h).
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
