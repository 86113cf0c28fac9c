/* argument.h - numbers, durations, steps and places as they are written on a command line.
 *
 * When the text is something else, each returns false or an error and leaves `out` as it is.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_COMMAND_ARGUMENT_H
#define TOOLS_COMMAND_ARGUMENT_H

#include "schema/limits.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits alone, below 2^64. */
bool argument_count(const char *text, uint64_t *out);

/* Decimal digits, or hexadecimal digits after 0x; below 2^64. */
bool argument_bits(const char *text, uint64_t *out);

/* A decimal fraction, perhaps with an exponent, that f64 can hold: 1, -0.5, 1e-3. */
bool argument_number(const char *text, double *out);

/* The same for f32. A number too small for f32 becomes the nearest one that f32 has. */
bool argument_float(const char *text, float *out);

/* A number and a unit: 500ms, 30s, 5m, 1h, 7d; 0 may stand without one. */
bool argument_duration(const char *text, uint64_t *out_ms);

/* events=D, half_life=TIME, or both with a comma between. A
 * field that is not given stays as it is. */
struct decay_argument {
	bool has_events;
	double events;
	uint64_t half_life_ms;
};
bool argument_decay(const char *text, struct decay_argument *out);

/* STEP,STEP,...: 1 to LIMIT_ADAPTER_STEPS of them, none empty. A zeroed one holds none. */
struct steps_argument {
	char *list; /* owned: the text, cut at its commas */
	const char *steps[LIMIT_ADAPTER_STEPS];
	uint32_t count;
};
/* Errors: BAD_REQUEST  an empty step, or too many; NO_MEMORY. */
enum status argument_steps(const char *text, struct steps_argument *out, struct error *err);
void steps_argument_fini(struct steps_argument *steps);

/* I/N: part I of N, from 0/N to N-1/N. How many there may be is left to the daemon. */
struct shard_argument {
	uint32_t number;
	uint32_t count;
};
bool argument_shard(const char *text, struct shard_argument *out);

/* RELEASE/TABLE. Which characters names may have is left to the daemon. */
struct place {
	char release[72];
	char table[136];
};
bool argument_place(const char *text, struct place *out);

#endif
