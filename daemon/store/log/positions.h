/* positions.h - how far each source of samples has been counted: the positions of one release.
 *
 * A source (say, a partition of a message log) numbers its samples; of each layer and source the
 * number of the next one is kept. It is raised when a batch is applied, taken back with the batch
 * if that fails, and travels in the batch's frame of the log. What the catalog keeps is the state
 * of a merge's cut (positions_mark): all frames before it are on the disk, and the log behind it
 * has the rest, of which a replay takes the highest. So a sample counts once, whatever ends the
 * daemon.
 *
 * Threads: any; it has a lock of its own, which is taken last.
 */
#ifndef DAEMON_STORE_LOG_POSITIONS_H
#define DAEMON_STORE_LOG_POSITIONS_H

#include "schema/name.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct positions;

struct source_position {
	struct name layer;
	struct name source;
	uint64_t next;
};

/* NULL: no memory. */
struct positions *positions_new(void);
/* Another release that has it, and one less; under the admin lock. NULL is fine. */
struct positions *positions_share(struct positions *positions);
void positions_drop(struct positions *positions);

/* False: nothing was counted of that source yet. */
bool positions_next(struct positions *positions, const char *layer, const char *source,
	uint64_t *next);

/* Raises a position; one that is not below stays. Errors: NO_MEMORY; TOO_LARGE  a new source beyond
 * LIMIT_SOURCES. */
enum status positions_raise(struct positions *positions, const struct source_position *to);

/* Takes a batch back that was counted from `before` on, or from nothing. */
void positions_lower(struct positions *positions, const struct source_position *before,
	bool from_nothing);

/* From now on positions_marked tells what positions_now tells at this moment. */
void positions_mark(struct positions *positions);

/* Copies, in the order of (layer, source). *out: malloc'ed, NULL when there are none; free() it.
 * Errors: NO_MEMORY. */
enum status positions_now(struct positions *positions, struct source_position **out, size_t *count);
enum status positions_marked(struct positions *positions, struct source_position **out,
	size_t *count);

#endif
