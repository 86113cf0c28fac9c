/* cr_features.c - keeps reads, and standardises what is made of them. */
#include "tools/evaluation/cr_features.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A deviation below this share of the mean comes from rounding alone. */
static const double constant_below = 1e-9;

/* ---- reads ---- */

enum status cr_reads_init(struct cr_reads *reads, size_t dim, size_t cap)
{
	*reads = (struct cr_reads){.dim = dim, .cap = cap};
	if (cap > SIZE_MAX / 2 / dim) {
		return STATUS_NO_MEMORY;
	}
	reads->values = calloc(2 * dim * cap, sizeof *reads->values);
	reads->there = calloc(cap, sizeof *reads->there);
	if (reads->values == NULL || reads->there == NULL) {
		cr_reads_fini(reads);
		return STATUS_NO_MEMORY;
	}
	return STATUS_OK;
}

void cr_reads_fini(struct cr_reads *reads)
{
	free(reads->values);
	free(reads->there);
	*reads = (struct cr_reads){0};
}

void cr_reads_add(struct cr_reads *reads, const struct cr_read *read)
{
	assert(reads->count < reads->cap);
	float *at = reads->values + 2 * reads->dim * reads->count;
	if (read->user != NULL) {
		memcpy(at, read->user, reads->dim * sizeof *at);
		reads->there[reads->count] |= CR_USER;
	}
	if (read->item != NULL) {
		memcpy(at + reads->dim, read->item, reads->dim * sizeof *at);
		reads->there[reads->count] |= CR_ITEM;
	}
	reads->count++;
}

struct cr_read cr_reads_at(const struct cr_reads *reads, size_t i)
{
	assert(i < reads->count);
	const float *at = reads->values + 2 * reads->dim * i;
	return (struct cr_read){
		.user = (reads->there[i] & CR_USER) != 0 ? at : NULL,
		.item = (reads->there[i] & CR_ITEM) != 0 ? at + reads->dim : NULL,
	};
}

/* ---- features ---- */

/* The parts of a sample's features. Each part may be missing. */
enum { PART_USER, PART_ITEM, PART_PRODUCT, PART_FLAGS, PARTS };

struct part {
	size_t first;
	size_t count;
	bool is_there;
};

static struct part part_at(const struct cr_features *features, const struct cr_read *read, int part)
{
	const bool is_there[PARTS] = {read->user != NULL, read->item != NULL,
		read->user != NULL && read->item != NULL, true};
	return (struct part){(size_t)part * features->dim, part == PART_FLAGS ? 2 : features->dim,
		is_there[part]};
}

/* Fills the features before they are standardised; 0 where a part is missing. */
static void fill_raw(const struct cr_features *features, const struct cr_read *read, double *out)
{
	const size_t dim = features->dim;
	for (size_t i = 0; i < dim; i++) {
		const double user = read->user != NULL ? (double)read->user[i] : 0;
		const double item = read->item != NULL ? (double)read->item[i] : 0;
		out[i] = user;
		out[dim + i] = item;
		out[2 * dim + i] = user * item;
	}
	out[3 * dim] = read->user == NULL;
	out[3 * dim + 1] = read->item == NULL;
}

/* Fills `sums`, which are zeroed, with the mean of each feature over the reads that have it. With
 * `centred` it takes the square of the feature's distance from its mean instead of the feature. */
static void fill_means(const struct cr_features *features, const struct cr_reads *reads,
	bool centred, double *raw, double *sums)
{
	size_t counts[PARTS] = {0};
	for (size_t k = 0; k < reads->count; k++) {
		const struct cr_read read = cr_reads_at(reads, k);
		fill_raw(features, &read, raw);
		for (int p = 0; p < PARTS; p++) {
			const struct part part = part_at(features, &read, p);
			counts[p] += part.is_there;
			for (size_t i = part.first; part.is_there && i < part.first + part.count;
				i++) {
				const double off = raw[i] - features->mean[i];
				sums[i] += centred ? off * off : raw[i];
			}
		}
	}
	const struct cr_read none = {0};
	for (int p = 0; p < PARTS; p++) {
		const struct part part = part_at(features, &none, p);
		for (size_t i = part.first; counts[p] > 0 && i < part.first + part.count; i++) {
			sums[i] /= (double)counts[p];
		}
	}
}

enum status cr_features_fit(const struct cr_reads *reads, struct cr_features *out)
{
	assert(reads->dim > 0);
	const size_t count = 3 * reads->dim + 2;
	double *all = calloc(4 * count, sizeof *all);
	if (all == NULL) {
		return STATUS_NO_MEMORY;
	}
	*out = (struct cr_features){reads->dim, count, all, all + count};
	double *sums = all + 2 * count;
	double *raw = all + 3 * count;
	fill_means(out, reads, false, raw, sums);
	memcpy(out->mean, sums, count * sizeof *sums);
	memset(sums, 0, count * sizeof *sums);
	fill_means(out, reads, true, raw, sums);
	for (size_t i = 0; i < count; i++) {
		const double deviation = sqrt(sums[i]);
		const bool varies = deviation > constant_below * fabs(out->mean[i]);
		out->scale[i] = varies ? 1 / deviation : 0;
	}
	return STATUS_OK;
}

void cr_features_fini(struct cr_features *features)
{
	free(features->mean);
	*features = (struct cr_features){0};
}

void cr_features_fill(const struct cr_features *features, const struct cr_read *read, double *out)
{
	fill_raw(features, read, out);
	for (int p = 0; p < PARTS; p++) {
		const struct part part = part_at(features, read, p);
		for (size_t i = part.first; i < part.first + part.count; i++) {
			out[i] = part.is_there ? (out[i] - features->mean[i]) * features->scale[i]
					       : 0;
		}
	}
}
