/* positions.h - how far each source of samples has been counted: the positions of one release.
 *
 * A source (say, a partition of a message log) numbers its samples. Its position in a layer, or in a
 * table with a history that is fed alone (`layer` is the table's name then), is the
 * number of the next sample that is due. It is raised when a batch is applied, and it travels in the
 * batch's frame of the log. So four things are kept of each source:
 *
 *   applied   what a batch that comes next is compared with
 *   counted   what is acknowledged: the commit thread settles it when the frame is written, and
 *             takes `applied` back to it when a group fails
 *   durable   what is on the disk; behind `counted` with durability periodic only
 *   marked    what was counted at the last cut of a merge. The catalog keeps it. All frames before
 *             the cut are on the disk; the log behind the cut has the rest, which a replay applies
 *
 * So a sample counts once, whatever ends the daemon. A source is forgotten in the same four steps.
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
	int64_t time_ms;  /* the daemon's clock, of the batch that raised it last */
	bool is_durable;  /* `durable` is set: of positions_list only */
	uint64_t durable; /* up to where it is on the disk */
};

enum position_step { POSITION_APPLIED, POSITION_COUNTED, POSITION_DURABLE, POSITION_MARKED };

/* NULL: no memory. */
struct positions *positions_new(void);
/* Counts one more holder, and one less; the last one frees it. Under the admin lock. positions_drop
 * takes NULL. */
struct positions *positions_share(struct positions *positions);
void positions_drop(struct positions *positions);

/* ---- the write path ---- */

/* What was applied. False: nothing of that source. */
bool positions_next(struct positions *positions, const char *layer, const char *source,
	uint64_t *next);
/* How many sources there are, as applied. */
size_t positions_count(struct positions *positions);

/* Raises what was applied to `to`; a position that is higher already stays. Errors: NO_MEMORY. */
enum status positions_raise(struct positions *positions, const struct source_position *to);
/* The source is as one that was never seen. */
void positions_forget(struct positions *positions, const char *layer, const char *source);

/* A frame was written that has raised a source to `to` (NULL: has forgotten it). Frames come in their
 * order. `synced`: it is on the disk, too. */
void positions_settle(struct positions *positions, const struct source_position *of,
	const uint64_t *to, bool synced);
/* What was applied counts, of all sources; it is on the disk. After a replay. */
void positions_settle_all(struct positions *positions);
/* What is counted is on the disk. */
void positions_synced(struct positions *positions);
/* What was applied of a source is again what is counted. */
void positions_undo(struct positions *positions, const char *layer, const char *source);

/* ---- merges ---- */

/* Marks what was applied by now. */
void positions_mark(struct positions *positions);
/* Whether a source was forgotten before the mark, and no positions_saved was called since. Then the
 * log that tells so may go only when the catalog has what is marked. */
bool positions_must_save(struct positions *positions);
void positions_saved(struct positions *positions);

/* Copies the positions of one step, in the order of (layer, source). *out is the caller's, who frees
 * it; NULL when there are none. Errors: NO_MEMORY. */
enum status positions_list(struct positions *positions, enum position_step step,
	struct source_position **out, size_t *count);

#endif
