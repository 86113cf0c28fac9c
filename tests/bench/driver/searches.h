/* searches.h - asks an index, of ours or of another project, and measures it: all in one way.
 *
 * Nothing here returns an error: what cannot go on says why and exits with 1.
 */
#ifndef TESTS_BENCH_DRIVER_SEARCHES_H
#define TESTS_BENCH_DRIVER_SEARCHES_H

#include "tests/bench/driver/vectors.h"

enum { SEARCHES_THREADS = 2 };
#define SEARCHES_RECALL_MIN 0.89 /* below it nobody wants to know the time */

struct searcher {
	/* Puts the numbers of the k nearest that it finds into `found`, the best first; how many.
	 * `thread`, below SEARCHES_THREADS, asks from no two threads at a time. */
	size_t (*search)(void *index, unsigned thread, const float *query, uint32_t k,
		uint32_t *found);
	/* Called in a thread before it asks: what it asks is done
	 * by it alone. NULL: it is anyway. */
	void (*alone)(void);
	void *index;
};

/* Asks all queries once, for the recall; then one after the other for so many seconds by one
 * thread, and so by two. Prints NAME_recall; NAME_rate, _p50 and what else samples_print prints,
 * and NAME_processors, of the one; NAME_by_two, queries a second of both. Returns the recall. */
void searches_measure(const struct vectors *vectors, const struct searcher *searcher,
	double seconds, const char *name);

#endif
