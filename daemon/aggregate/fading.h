/* fading.h - the share of a state that is left after some half-lives: 2^y for y <= 0.
 *
 * The same bits on every machine. exp2 of libm is another one in each library and on each processor,
 * by a last place or two, which a state would keep.
 *
 * Threads: any; there is no state.
 * Source: P. T. P. Tang, "Table-driven implementation of the exponential function in IEEE
 * floating-point arithmetic", ACM TOMS 15 (1989).
 */
#ifndef DAEMON_AGGREGATE_FADING_H
#define DAEMON_AGGREGATE_FADING_H

/* 2^y within 4e-16 of it; exactly 2^y for whole y; 0 below -1000.
 *   y  at most 0, no NaN */
double fading(double y);

#endif
