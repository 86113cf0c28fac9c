/* positions.h - how far each source of samples has been counted: the positions of one release.
 *
 * A source (say, a partition of a message log) numbers its samples. Its position in a layer is the
 * number of the next sample that is due. It is raised when a batch is applied, it is lowered again
 * if the batch fails, and it travels in the batch's frame of the log. The catalog keeps the
 * positions as they were at a merge's cut (positions_mark). All frames before the cut are on the
 * disk; the log behind the cut has the rest, of which a replay takes the highest. So a sample
 * counts once, whatever ends the daemon.
 *
 * Threads: any. Positions have a lock of their own; a thread that holds it takes no other.
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
/* Counts one more holder, and one less; the last one frees it. Under the admin lock. positions_drop
 * takes NULL. */
struct positions *positions_share(struct positions *positions);
void positions_drop(struct positions *positions);

/* False: nothing was counted of that source yet. */
bool positions_next(struct positions *positions, const char *layer, const char *source,
	uint64_t *next);

/* Raises a position to `to`; a position that is higher already stays. Errors: NO_MEMORY; TOO_LARGE
 * a new source beyond LIMIT_SOURCES. */
enum status positions_raise(struct positions *positions, const struct source_position *to);

/* Takes back a batch that was counted: the position is again what it was before, or there is none
 * again (`from_nothing`). */
void positions_lower(struct positions *positions, const struct source_position *before,
	bool from_nothing);

/* Keeps the positions of this moment, which positions_marked gives from now on. */
void positions_mark(struct positions *positions);

/* Copy the positions, in the order of (layer, source). *out is the caller's, who frees it; NULL
 * when there are none. Errors: NO_MEMORY. */
enum status positions_now(struct positions *positions, struct source_position **out, size_t *count);
enum status positions_marked(struct positions *positions, struct source_position **out,
	size_t *count);

#endif
