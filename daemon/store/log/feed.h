/* feed.h - how far each source of samples has been counted: the positions of one release.
 *
 * A source (say, a partition of a message log) numbers its samples; of each layer and source the
 * number of the next one is kept. It is raised when a batch is applied, taken back with the batch
 * if that fails, and travels in the batch's frame of the log. What the catalog keeps is the state
 * of a merge's cut (feed_mark): all frames before it are on the disk, and the log behind it has the
 * rest, of which a replay takes the highest. So a sample counts once, whatever ends the daemon.
 *
 * Threads: any; it has a lock of its own, which is taken last.
 */
#ifndef DAEMON_STORE_LOG_FEED_H
#define DAEMON_STORE_LOG_FEED_H

#include "schema/name.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed;

struct feed_position {
	struct name layer;
	struct name source;
	uint64_t next;
};

/* NULL: no memory. */
struct feed *feed_new(void);
/* Another release that has it, and one less; under the admin lock. NULL is fine. */
struct feed *feed_share(struct feed *feed);
void feed_drop(struct feed *feed);

/* False: nothing was counted of that source yet. */
bool feed_next(struct feed *feed, const char *layer, const char *source, uint64_t *next);

/* Raises a position; one that is not below stays. Errors: NO_MEMORY; TOO_LARGE  a new source beyond
 * LIMIT_SOURCES. */
enum status feed_raise(struct feed *feed, const struct feed_position *to);

/* Takes a batch back that was counted from `before` on, or from nothing. */
void feed_lower(struct feed *feed, const struct feed_position *before, bool from_nothing);

/* From now on feed_marked tells what feed_now tells at this moment. */
void feed_mark(struct feed *feed);

/* Copies, in the order of (layer, source). *out: malloc'ed, NULL when there are none; free() it.
 * Errors: NO_MEMORY. */
enum status feed_now(struct feed *feed, struct feed_position **out, size_t *count);
enum status feed_marked(struct feed *feed, struct feed_position **out, size_t *count);

#endif
