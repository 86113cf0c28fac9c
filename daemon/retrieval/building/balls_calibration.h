/* balls_calibration.h - what share of the best rows searches find, by their factor.
 *
 * Threads: any.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_CALIBRATION_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_CALIBRATION_H

#include "daemon/retrieval/building/balls_build.h"

/* Searches for queries of the source or of the options by each metric, k and factor, and writes
 * recalls [BALLS_METRICS][BALLS_KS][BALLS_FACTORS]. Errors: NO_MEMORY; BUSY. */
enum status balls_calibrate(const struct balls *balls, const struct balls_source *source,
	const struct balls_options *options, float *recalls);

#endif
