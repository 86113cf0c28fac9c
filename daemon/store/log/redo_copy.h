/* redo_copy.h - what a log file holds up to a sequence: for who copies or checks the log while it is
 * written.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_LOG_REDO_COPY_H
#define DAEMON_STORE_LOG_REDO_COPY_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct redo_piece {
	uint64_t number;         /* of the file, as its head says */
	uint64_t first_sequence; /* as its head says */
	uint64_t next_sequence;  /* behind the last frame that counts */
	uint64_t bytes;          /* up to the end of that frame */
	bool is_whole;           /* nothing follows in the file */
};

/* Measures the file `fd` up to the last frame whose sequence is not above `last`, each of which is
 * compared with its checksum. What follows is not looked at, so it may be written meanwhile. A file may
 * end before `last`; the next one goes on then. Errors: CORRUPT, naming the offset in `name`;
 * UNSUPPORTED; IO; NO_MEMORY. */
enum status redo_measure(int fd, const char *name, uint64_t last, struct redo_piece *out,
	struct error *err);

#endif
