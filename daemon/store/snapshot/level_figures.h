/* level_figures.h - what is known of one level of a table, for whoever watches.
 *
 * Threads: any, while the table is held.
 */
#ifndef DAEMON_STORE_SNAPSHOT_LEVEL_FIGURES_H
#define DAEMON_STORE_SNAPSHOT_LEVEL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table;

struct level_figures {
	uint64_t number; /* 0: the base */
	uint64_t files;
	uint64_t rows;
	uint64_t deleted; /* tombstones */
	uint64_t hides;   /* rows of older levels, if is_counted */
	bool is_counted;
	uint64_t bytes; /* of the files */
	uint64_t segments;
	uint64_t unchecked; /* segments, as the next two */
	uint64_t away;
	uint64_t damaged;
	uint64_t segment_bytes;
	uint64_t
		resident_bytes; /* of the segments, as of the last look at all files, as the next */
	uint64_t checked_bytes;
	uint64_t
		index_bytes; /* of the index of the base, or the images of a delta; 0: there is none */
};

void level_figures(const struct table *table, size_t level, struct level_figures *out);

#endif
