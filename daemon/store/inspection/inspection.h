/* inspection.h - looks at the files of all tables, in the background: reads in and checks what was never checked, and
 * finds what the system has taken from memory.
 *
 * It makes way for requests that read from the disk, which have half of it at least.
 *
 * Threads: one, in the background: the janitor's, or that of a reader.
 */
#ifndef DAEMON_STORE_INSPECTION_INSPECTION_H
#define DAEMON_STORE_INSPECTION_INSPECTION_H

#include <stdbool.h>
#include <stdint.h>

struct store;

struct inspection {
	struct store *store; /* borrowed */
	/* What else the thread has to do; asked between segments, since a check takes long. False: it is to stop. */
	bool (*go_on)(void *arg);
	/* Waits so many milliseconds, unless the thread is to stop. */
	void (*pause)(void *arg, uint64_t ms);
	void *arg;
	/* Its own: */
	uint64_t damaged; /* segments, when last told */
	uint64_t read_ns; /* when the piece that is read was begun */
	uint64_t cold;    /* reads of requests that had begun by then */
	uint64_t bytes;   /* that it has read */
};

/* Looks at all tables once. Where memory has no room for all, it checks a part, and more the next time. With `measures`
 * it also finds out how much of them is in memory. False: the thread is to stop. */
bool inspection_run(struct inspection *inspection, bool measures);

#endif
