/* imaging.h - makes images of what is written to tables with an index: in memory, of rows that no merge has taken yet.
 *
 * Searches stream over rows that were just written; once some hundreds have no image, a look makes one. An
 * image takes in older ones that are not much larger, so there are a few of each generation, each more
 * than twice as large as all that follow. When little is written they become one, after a pause that
 * makes this a small part of the time. The looks take half of the time at most; what is written faster is
 * streamed over meanwhile.
 *
 * Images go with the generation, soon after a merge has taken it over.
 *
 * No file is made or changed: so a program that only reads a folder does the same with its own memtables.
 *
 * Threads: one thread looks, which is registered or was lent a reader (grace.h), and outside.
 */
#ifndef DAEMON_STORE_IMAGING_IMAGING_H
#define DAEMON_STORE_IMAGING_IMAGING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

enum imaging_of {
	IMAGING_OF_ALL, /* of each table with an index */
	IMAGING_OF_SEARCHED, /* of those alone whose searches went through rows without an image lately */
};

struct imaging {
	struct store *store;      /* borrowed, as the next */
	const _Atomic bool *stop; /* ends a build that is under way */
	enum imaging_of of;
	/* Of memtables with their images. No image is made that would go beyond half of it, with what making it takes, and
	 * beyond three quarters those that there are are given up, since rows come first. 0: no bound. */
	uint64_t memory_max;
	/* What the looks have done; any thread reads it. */
	_Atomic uint64_t made; /* images */
	_Atomic uint64_t rows; /* in these, of each time that they were in a new one */
	_Atomic uint64_t ns;   /* that it took to make them */
};

/* Looks at all tables once. Returns after how many milliseconds the next look is due. */
uint64_t imaging_look(struct imaging *imaging);

#endif
