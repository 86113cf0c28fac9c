/* aggregate.h - cross representations of samples summed with decay, one row at a time.
 *
 * A row's state is the decayed sum S of its samples' vectors, their decayed count W, and the time
 * `last` of the newest one. On a sample (t, x), with d the factor of each event, h the half-life,
 * and a = 2^(-|t - last| / h):
 *
 *     t >= last      S <- (d * a) * S + x         W <- (d * a) * W + 1        last <- t
 *     t < last       S <- d * S + a * x           W <- d * W + a
 *
 * Without decay by events d is 1. Without a half-life a is 1: then late samples count as much as
 * others, in the order in which they arrive. With a half-life alone, the order of arrival changes
 * only the rounding. Each product, each sum and a are rounded to f32, so a stream gives the same
 * bits however it is cut into batches.
 *
 * Source: LFM4Ads (arXiv 2508.14948), whose code uses d = 0.99 and reads through LayerNorm.
 * Threads: any; there is no state.
 */
#ifndef DAEMON_AGGREGATE_AGGREGATE_H
#define DAEMON_AGGREGATE_AGGREGATE_H

#include "schema/spec.h"

#include <stddef.h>
#include <stdint.h>

/* A row's state: S f32[elements], then W. The time is kept beside it. */
struct aggregate {
	float *state;    /* f32[elements + 1] */
	int64_t last_ms; /* of its newest sample */
	bool is_there;   /* false: it has no sample yet, and the rest is not read */
};

/* Adds one sample to a row of a table of kind cr.
 *   sample  f32[dim x views] */
void aggregate_add(struct aggregate *row, const struct table_spec *spec, int64_t time_ms,
	const float *sample);

/* What a reader gets of a stored state:
 *     sum         S
 *     mean        S / W, element by element
 *     layer_norm  (S - mean of S) / sqrt(variance of S + 1e-5), over all elements of the row, in
 *                 f64, rounded to f32 at the end
 *   state  f32[elements + 1], any alignment
 *   out    f32[elements], any alignment; may be `state` */
void aggregate_read(const struct table_spec *spec, const uint8_t *state, uint8_t *out);

/* The weight W of a stored state. */
float aggregate_weight(const struct table_spec *spec, const uint8_t *state);

#endif
