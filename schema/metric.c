/* metric.c - names of metrics. */
#include "schema/metric.h"

#include <string.h>

static const char *const names[] = {
	[METRIC_NONE] = "none",
	[METRIC_INNER_PRODUCT] = "inner_product",
	[METRIC_COSINE] = "cosine",
	[METRIC_L2] = "l2",
	[METRIC_TANIMOTO] = "tanimoto",
	[METRIC_DICE] = "dice",
	[METRIC_HAMMING] = "hamming",
};
enum { NAMES = sizeof names / sizeof *names };

const char metric_names_text[] = "inner_product, cosine, l2, tanimoto, dice or hamming";

const char *metric_name(enum metric metric)
{
	return names[(unsigned)metric < NAMES ? (unsigned)metric : METRIC_NONE];
}

enum metric metric_of_name(const char *name, size_t len)
{
	for (unsigned i = METRIC_NONE + 1; i < NAMES; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
			return (enum metric)i;
		}
	}
	return METRIC_NONE;
}

bool metric_is_of_bits(enum metric metric)
{
	return metric >= METRIC_TANIMOTO;
}
