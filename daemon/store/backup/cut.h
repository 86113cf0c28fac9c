/* cut.h - the moment that a backup is of: which releases and files there are, and how far the log
 * reaches.
 *
 * A cut takes moments, and holds nobody up afterwards. Base files, tensors and indexes stay where they
 * are until the cut is let go (store_hold). Log and spill files may be removed, so they are opened; what
 * is appended to them later is not part of the cut.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_CUT_H
#define DAEMON_STORE_BACKUP_CUT_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pin;
struct release;
struct snapshot;
struct store;

enum { CUT_NAME_BYTES = 128 };

/* A file that may be gone soon. */
struct cut_file {
	int fd;                    /* owned */
	uint64_t bytes;            /* of it that are part of the cut */
	char name[CUT_NAME_BYTES]; /* its path below the data folder */
	bool is_constant;          /* nothing is appended to it any more */
	uint64_t release; /* of a load: the number of its release, and of its table; else 0 */
	uint64_t table;
};

struct cut {
	struct pin *pin;           /* owned */
	struct snapshot *snapshot; /* owned: of now, with positions of its own */
	uint64_t sequence;         /* of the last write that is part of it */
	struct cut_file *files;    /* owned: of the log, then of loads */
	size_t count;
	size_t capacity;
};

/* Takes the cut of the whole store. Errors: CORRUPT  the log; IO, NO_MEMORY. */
enum status cut_take(struct store *store, struct cut *out, struct error *err);

/* The same without the log. */
enum status cut_take_files(struct store *store, struct cut *out, struct error *err);

/* Takes one sealed release ("live": the live one), as its base files have it: nothing of the log is part of
 * the cut. Errors: NOT_FOUND, NOT_SEALED; AGAIN  a merge of the release is under way; NO_MEMORY. */
enum status cut_take_release(struct store *store, const char *id, struct cut *out,
	struct error *err);
/* Whether there is such a release now. Errors: NOT_FOUND, NOT_SEALED. */
enum status cut_check_release(struct store *store, const char *id, struct error *err);

/* A zeroed one is fine. */
void cut_let_go(struct store *store, struct cut *cut);

#endif
