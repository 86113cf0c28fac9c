/* seal_mean.h - the mean of the rows that were sealed, for a table whose default row it is.
 *
 * Threads: the one that seals; nobody else has the table yet.
 */
#ifndef DAEMON_STORE_SEAL_SEAL_MEAN_H
#define DAEMON_STORE_SEAL_SEAL_MEAN_H

#include "daemon/store/snapshot/snapshot.h"

struct stop;

/* Gives the table, whose base files are open and checked, its mean: of each element, in f32, over all
 * rows whose elements are finite; zeros when there are none. The sums are f64. Errors: CORRUPT  a file
 * cannot be read; NO_MEMORY; those of `stop`. */
enum status seal_mean(struct table *table, const struct stop *stop, struct error *err);

#endif
