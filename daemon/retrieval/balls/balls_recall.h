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
	/* A calibration that has tried fewer queries promises nothing. */
	BALLS_QUERIES_MIN = 32,
	BALLS_RECALLS_BYTES = BALLS_METRICS * BALLS_KS * BALLS_FACTORS * (int)sizeof(float),
};

/* In rising order. */
extern const size_t balls_ks[BALLS_KS];
extern const float balls_factors[BALLS_FACTORS];

/* The recall that a calibration tells of searches for `k` hits, of the shares of these that each of its queries found: the
 * mean less two standard errors, since the queries to come are others. One query that misses one hit is counted besides:
 * that none was missed does not prove that none will be.
 *   shares, squares  sums over the queries: of the shares, and of their squares */
double balls_recall_told(double shares, double squares, uint32_t queries, size_t k);

#endif
