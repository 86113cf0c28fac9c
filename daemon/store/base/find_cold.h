/* find_cold.h - finds keys whose pages may have to be read from the disk first.
 *
 * Threads: any, while a snapshot or a reference holds the base set.
 */
#ifndef DAEMON_STORE_BASE_FIND_COLD_H
#define DAEMON_STORE_BASE_FIND_COLD_H

#include "daemon/store/base/find.h"
#include "daemon/store/system/histogram.h"

/* Finds those of the block whose row is FIND_PENDING: it reads the pages that they need, all keys' side by side, a
 * step of the probe at a time. Arguments and errors as those of find_rows; AGAIN if something would have to
 * be read and find->may_block is false. */
enum status find_cold(const struct find *find, uint32_t first, uint32_t count,
	struct found_row *rows);

/* How long look-ups have read from the disk since the process began: a count for each time that one did, for up to
 * FIND_BLOCK keys side by side. In HISTOGRAM_SHORT_NS. */
void find_cold_figures(struct histogram_figures *out);

/* Such reads that have begun. Who reads much in the background makes way when it grows. */
uint64_t find_cold_begun(void);

/* Whether the pages of a row's key and of what is wanted of it may be used. */
bool find_row_is_at_hand(const struct find *find, struct base_segment *segment, uint32_t row);

#endif
