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
 * only the rounding.
 *
 * How exactly S and W are kept, the table's spec says:
 *
 *     f32    Each product, each sum and a are rounded to f32. A sum of 2^24 samples stands still.
 *     f32x2  Each product and each sum is rounded to f64, and S then to 49 bits, which are kept as
 *            two f32: the high one is S rounded to f32, the low one is the rest. W is an f64. What
 *            10^8 samples sum up to is right to 1e-9 of it, and of 10^11 to 1e-4.
 *
 * A W that would be rounded to 0 becomes the least number above it: S / W is a number then, and a
 * state that is dumped can be put back.
 *
 * A state is rounded after every sample, and each operation by itself, so a stream gives the same bits
 * however it is cut into batches, on every machine.
 *
 * Source: LFM4Ads (arXiv 2508.14948), whose code uses d = 0.99 and reads through LayerNorm. Two f32
 * for one sum: T. J. Dekker, "A floating-point technique for extending the available precision",
 * Numerische Mathematik 18 (1971).
 * Threads: any; there is no state.
 */
#ifndef DAEMON_AGGREGATE_AGGREGATE_H
#define DAEMON_AGGREGATE_AGGREGATE_H

#include "schema/spec.h"

#include <stddef.h>
#include <stdint.h>

/* A row's state, spec_stored_bytes: S f32[elements], or its high parts; W, f32 or f64; and the low
 * parts of S, f32[elements], if there are any. The time is kept beside it. */
struct aggregate {
	float *state;
	/* Borrowed: where a state of f32x2 stands, and its low parts, until a sample is added: then it is in
	 * `state`. NULL: it is there already. Aligned as f32. */
	const uint8_t *from;
	const uint8_t *from_low;
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
 * Of an S in two parts, the high one is read.
 *   state  its first spec_row_bytes, any alignment
 *   out    f32[elements], any alignment; may be `state` */
void aggregate_read(const struct table_spec *spec, const uint8_t *state, uint8_t *out);

/* S in full, f64[elements], any alignment.
 *   low  spec_low_bytes, any alignment; NULL if the state has no low parts */
void aggregate_read_sums(const struct table_spec *spec, const uint8_t *state, const uint8_t *low,
	uint8_t *out);

/* The weight W of a stored state. */
double aggregate_weight(const struct table_spec *spec, const uint8_t *state);

/* Makes a state of sums and a weight that were given. What aggregate_read_sums and aggregate_weight
 * said of a state of f32x2 makes the same sums and the same weight, to the last bit.
 *   sums  f64[elements], any alignment; NULL: they stand in `out`, as f32
 *   out   spec_stored_bytes, any alignment */
void aggregate_make(const struct table_spec *spec, const uint8_t *sums, double weight,
	uint8_t *out);

#endif
