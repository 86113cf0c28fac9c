/* cr_features.h - what a probe sees of a sample: CR(u), CR(i), their product, and what is missing.
 *
 * There are 3 dim + 2 features: CR(u) and CR(i) as a reader gets them; their product, element by
 * element, without which a linear probe cannot tell whether this item suits this user; and two
 * flags: the user had no sample before, the item had none. Each feature is standardised by its mean
 * and deviation over the samples of the training part that have it. A missing part counts as the
 * mean, which is 0 then. A feature that does not vary in the training part is always 0.
 *
 * Threads: any, after cr_features_fit.
 */
#ifndef TOOLS_EVALUATION_CR_FEATURES_H
#define TOOLS_EVALUATION_CR_FEATURES_H

#include "schema/status.h"
#include "tools/evaluation/cr_history.h"

#include <stddef.h>
#include <stdint.h>

/* The reads of the training part, kept for the fit. */
struct cr_reads {
	size_t dim;
	size_t count;
	size_t cap;
	float *values;  /* owned; f32[cap][2][dim]: user, item; 0 where one is missing */
	uint8_t *there; /* owned; bits CR_USER and CR_ITEM: which of the two are not missing */
};

enum { CR_USER = 1, CR_ITEM = 2 };

/* Errors: NO_MEMORY. */
enum status cr_reads_init(struct cr_reads *reads, size_t dim, size_t cap);
/* Fine for one that is zeroed. */
void cr_reads_fini(struct cr_reads *reads);
/* count < cap */
void cr_reads_add(struct cr_reads *reads, const struct cr_read *read);
/* Read i, as it was added. */
struct cr_read cr_reads_at(const struct cr_reads *reads, size_t i);

struct cr_features {
	size_t dim;
	size_t count;  /* 3 dim + 2 */
	double *mean;  /* owned; double[count] */
	double *scale; /* 1 / deviation, or 0 */
};

/* Errors: NO_MEMORY. */
enum status cr_features_fit(const struct cr_reads *reads, struct cr_features *out);
void cr_features_fini(struct cr_features *features);

/* Fills out, double[features->count]. */
void cr_features_fill(const struct cr_features *features, const struct cr_read *read, double *out);

#endif
