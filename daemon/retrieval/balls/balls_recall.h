/* balls_recall.h - the numbers of hits and the factors whose recall an image holds.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_RECALL_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_RECALL_H

#include "daemon/retrieval/balls/balls.h"

enum {
	BALLS_KS = 4,
	BALLS_FACTORS = 10,
	BALLS_RECALLS_BYTES = BALLS_METRICS * BALLS_KS * BALLS_FACTORS * (int)sizeof(float),
};

/* In rising order. */
extern const size_t balls_ks[BALLS_KS];
extern const float balls_factors[BALLS_FACTORS];

#endif
