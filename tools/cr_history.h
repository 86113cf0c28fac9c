/* cr_history.h - what a reader would have got of CR(u) and CR(i) just before each sample.
 *
 * Walks through the samples in the order of time and aggregates them as the daemon does, by the
 * same functions. A sample is read before it is added, and it is added only when a sample of a
 * later time is read: so what is read holds nothing of the sample itself, of what comes after it,
 * or of what came at the same time. This is the whole guarantee against leaks: there is no other
 * way in which a sample reaches a read.
 *
 * It begins with nothing, or with the states that the layer has from before the first sample.
 *
 * Threads: one a history.
 */
#ifndef TOOLS_CR_HISTORY_H
#define TOOLS_CR_HISTORY_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>

struct cr_history;
struct cr_layer;
struct cr_samples;
struct table_spec;

/* CR(u) and CR(i) of one sample, f32[dim]; NULL: the user or item had no sample before. Valid
 * until the next one is read. */
struct cr_read {
	const float *user;
	const float *item;
};

/* The states of all users and items take (dim + 1) x 4 bytes each.
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
