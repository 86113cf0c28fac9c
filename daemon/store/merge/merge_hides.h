/* merge_hides.h - counts how many rows of older levels a new delta hides, so that the rows of a table are known exactly.
 *
 * Threads: any; the table is held.
 */
#ifndef DAEMON_STORE_MERGE_MERGE_HIDES_H
#define DAEMON_STORE_MERGE_MERGE_HIDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merged_row;
struct table;

/* Counts which of these rows and tombstones, of one segment of a new delta, hide a row of the table's oldest `below`
 * levels. False: that would have to be read from the disk first, which costs more than the figure is worth, or it is
 * damaged. */
bool merge_count_hidden(const struct table *table, size_t below, const struct merged_row *rows,
	const uint64_t *hashes, size_t count, uint64_t *hidden);

#endif
