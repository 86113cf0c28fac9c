/* apply.h - one write on its way: its parts are ready, and become one frame and its versions.
 *
 *     apply_begin    waits for apply_lock, takes the snapshot and finds the release
 *     apply_take     for each part, before its rows are converted or its states computed
 *     apply_end      links all parts above `visible`, puts the frame into the group, and gives
 *                    snapshot and lock back
 *
 * Between apply_begin and apply_end the caller makes each part ready (write_part.h), and nobody else
 * writes. Once apply_begin has returned OK, apply_end must follow, also after an error.
 *
 * Threads: any registered one (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_STORE_WRITE_APPLY_H
#define DAEMON_STORE_WRITE_APPLY_H

#include "daemon/store/log/frame_samples.h"
#include "daemon/store/write/write_part.h"
#include "daemon/store/write/writer.h"
#include "schema/limits.h"

struct write_ahead;

struct apply {
	struct writer *writer;         /* borrowed, as the next */
	const struct release *release; /* of the snapshot */
	int64_t now_ms;                /* the request's clock */
	enum write_kind write;         /* which figure counts its rows */
	struct write_part parts[LIMIT_PARTS];
	size_t part_count; /* parts that are set; apply_end frees them */
	/* The samples that all parts of FRAME_SAMPLES were made of, as the log gets them; NULL: there
	 * are none. */
	const struct frame_samples *samples;
	/* The position that is raised together with the parts; NULL: none. */
	const struct frame_position *position;
	/* Sources that are forgotten; NULL: none. */
	const struct source_position *forget;
	size_t forget_count;
	struct write_ticket *ticket; /* owned until it is in the group */
	uint64_t rows;               /* that were linked */
	size_t taken_bytes;          /* counted by apply_take */
	size_t taken_rows;           /* counted by apply_take */
};

/* What each write comes with. */
struct apply_given {
	const char *release;
	int64_t now_ms;          /* the request's clock */
	const struct stop *stop; /* of the wait for room; NULL: nothing stops it */
	/* Rows that it will look at: once there is room for the write, and before it has the lock, what of them is on
	 * the disk is read. NULL: none. */
	const struct write_ahead *ahead;
};
/* Errors: BUSY, READ_ONLY, NOT_FOUND, NOT_SEALED; those of given->stop. */
enum status apply_begin(struct apply *apply, struct store *store, const struct apply_given *given,
	struct error *err);

/* Counts what a part will add at most. This bounds the memory of a write, and the time for which it
 * holds apply_lock. Errors: TOO_LARGE  beyond LIMIT_WRITE_BYTES, _ROWS. */
enum status apply_take(struct apply *apply, const struct write_part *part, struct error *err);

/* In what a part will be linked. */
struct memtable_change apply_change(const struct apply *apply, const struct table *table);

/*   status       of the write so far; if it is not OK, nothing changes
 *   out, ticket  set if the write was applied (write.h)
 * Errors: `status`; TOO_LARGE, DISK_FULL, NO_MEMORY. */
enum status apply_end(struct apply *apply, enum status status, struct write_result *out,
	struct write_ticket **ticket, struct error *err);

/* Puts in front of an error's text which part it is about. Returns `status`. */
enum status apply_in_part(const struct write_part *part, enum status status, struct error *err);

#endif
