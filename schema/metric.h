/* metric.h - how alike two vectors are: the larger the score, the more alike.
 *
 *   inner_product  the sum of products
 *   cosine         the inner product divided by both lengths; 0 if a vector has only zeros
 *   l2             minus the squared Euclidean distance
 *
 * Of bits, where a bits are set in one vector, b in the other, and c in both:
 *
 *   tanimoto       c / (a + b - c), which is Jaccard's index; 0 if no bit is set in either
 *   dice           2c / (a + b); 0 if no bit is set in either
 *   hamming        minus the number of bits that differ
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_METRIC_H
#define SCHEMA_METRIC_H

#include <stdbool.h>
#include <stddef.h>

enum metric {
	METRIC_NONE = 0,
	METRIC_INNER_PRODUCT = 1,
	METRIC_COSINE = 2,
	METRIC_L2 = 3,
	METRIC_TANIMOTO = 4,
	METRIC_DICE = 5,
	METRIC_HAMMING = 6
};

/* "inner_product", "cosine", ...; "none" for others. */
const char *metric_name(enum metric metric);

/* METRIC_NONE when the name is not one of them. */
enum metric metric_of_name(const char *name, size_t len);

/* Whether it compares bit rows; other metrics compare numbers. */
bool metric_is_of_bits(enum metric metric);

/* Names of all of them, for errors and help. */
extern const char metric_names_text[];

#endif
