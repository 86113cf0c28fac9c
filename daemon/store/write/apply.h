/* apply.h - one write on its way: its parts are ready, and become one frame and its versions.
 *
 *     apply_begin    waits for its turn, takes the snapshot and finds the release
 *     apply_take     of each part, before its rows are converted or its states computed
 *     apply_end      links all parts above `visible`, puts the frame into the group, lets go
 *
 * Between the two the caller makes each part ready (write_part.h), and nobody else writes. Once
 * apply_begin has returned OK, apply_end must follow, also after an error.
 *
 * Threads: any registered one (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_STORE_WRITE_APPLY_H
#define DAEMON_STORE_WRITE_APPLY_H

#include "daemon/store/write/write_part.h"
#include "daemon/store/write/writer.h"
#include "schema/limits.h"

struct apply {
	struct writer *writer;         /* borrowed, as the next */
	const struct release *release; /* of the snapshot */
	int64_t now_ms;                /* the request's clock */
	struct write_part parts[LIMIT_PARTS];
	size_t part_count; /* that are set, and are freed by apply_end */
	/* Is raised with the parts; NULL: none. */
	const struct frame_position *position;
	struct write_ticket *ticket; /* owned until it is in the group */
	uint64_t rows;               /* that were linked */
	size_t taken_bytes;          /* by apply_take, as the next */
	size_t taken_rows;
};

/* Errors: BUSY, READ_ONLY, NOT_FOUND, NOT_SEALED. */
enum status apply_begin(struct apply *apply, struct store *store, const char *release,
	int64_t now_ms, struct error *err);

/* Counts what a part will add at most, so that all that a write holds, which goes on under the lock
 * and so is one at a time, is bounded. Errors: TOO_LARGE  beyond LIMIT_WRITE_BYTES, _ROWS. */
enum status apply_take(struct apply *apply, const struct write_part *part, struct error *err);

/*   status  so far: but for OK all is left as it was
 *   out, ticket  of a write that was applied (store.h)
 * Errors: `status`; TOO_LARGE, DISK_FULL, NO_MEMORY. */
enum status apply_end(struct apply *apply, enum status status, struct write_result *out,
	struct write_ticket **ticket, struct error *err);

/* Says in an error which part it is about. */
enum status apply_in_part(const struct write_part *part, enum status status, struct error *err);

#endif
