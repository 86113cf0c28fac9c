/* balls_calibration.h - measures the share of the best rows that searches find, by factor.
 *
 * Threads: any.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_CALIBRATION_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_CALIBRATION_H

#include "daemon/retrieval/building/balls_build.h"

/* Searches the parts of an index, which have the rows of the source one behind the other, in one pass: with queries of the
 * options, or else with rows, by each metric, k and factor. Writes
 * recalls [BALLS_METRICS][BALLS_KS][BALLS_FACTORS]: 0 where nothing can be won, so that no recall is
 * promised and searches are exact. The work is bounded. Errors: NO_MEMORY; BUSY. */
enum status balls_calibrate(const struct balls *const *parts, size_t count,
	const struct balls_source *source, const struct balls_options *options, float *recalls);

#endif
