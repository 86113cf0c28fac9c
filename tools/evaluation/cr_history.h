/* cr_history.h - the CR(u) and CR(i) that a reader would have got just before each sample.
 *
 * Walks through the samples in the order of time and aggregates them by the functions that the
 * daemon uses. A sample is added to the states only when a sample of a later time is read. So a
 * read holds nothing of the sample itself, of later samples, or of samples of the same time. There
 * is no other way from a sample into a read: this is the whole guarantee against leaks.
 *
 * Aggregation begins with nothing, or with states from before the first sample (layer->start).
 *
 * Threads: one a history.
 */
#ifndef TOOLS_EVALUATION_CR_HISTORY_H
#define TOOLS_EVALUATION_CR_HISTORY_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>

struct cr_history;
struct cr_layer;
struct cr_samples;
struct table_spec;

/* CR(u) and CR(i) of one sample, f32[dim]; NULL: the user or item had no sample before. Valid
 * until the next sample is read. */
struct cr_read {
	const float *user;
	const float *item;
};

/* Takes memory of (dim + 1) x 4 bytes for each user and each item.
 *   samples, layer  borrowed
 *   spec            dim, decay and reading of the tables; copied
 * Errors: NO_MEMORY. */
enum status cr_history_open(const struct cr_samples *samples, const struct cr_layer *layer,
	const struct table_spec *spec, struct cr_history **out);
/* Fine for NULL. */
void cr_history_close(struct cr_history *history);

/* Reads the next sample. False: there is none. */
bool cr_history_next(struct cr_history *history, struct cr_read *out);

#endif
