/* balls_few.h - recognises rows that have few directions, before much time is spent on them.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_FEW_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_FEW_H

#include "daemon/retrieval/building/balls_train.h"

enum { BALLS_FEW_MAX = 64 };

/* If the rows of a sample have no more than `most` directions, up to BALLS_FEW_MAX, and all others are
 * the same but for rounding: writes one row of each to axes [most, dim], sets sample->axis, and returns
 * how many there are. Else returns 0, as a rule after a few more rows than `most`. */
uint32_t balls_few(const struct balls_sample *sample, uint32_t most, float *axes);

#endif
