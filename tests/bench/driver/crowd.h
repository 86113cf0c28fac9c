/* crowd.h - samples of users and items by their popularity, and the sums that they must come to.
 *
 * Users and items are numbers from 0 on, by falling popularity. Samples are drawn beforehand, since
 * that costs more than sending them, and begin again at their end. The vector of a request's sample
 * i is the made row i; its time is the clock's.
 *
 * What aggregates the samples starts with the loaded rows: of key k the made row k, weight 1, a day
 * old. It halves sums and weights each crowd_half_life_ms and by nothing else, so that the order of
 * requests that are under way together does not matter. A tally keeps the sums of some users and
 * items in f64.
 *
 * Threads: one at a time has a tally; any the crowd.
 */
#ifndef TESTS_BENCH_DRIVER_CROWD_H
#define TESTS_BENCH_DRIVER_CROWD_H

#include "tests/bench/driver/put.h"

#include <stddef.h>
#include <stdint.h>

static const int64_t crowd_half_life_ms = INT64_C(7) * 86400 * 1000;

enum crowd_side { CROWD_USERS, CROWD_ITEMS, CROWD_SIDES };

struct crowd {
	uint64_t counts[CROWD_SIDES];
	uint32_t *draws[CROWD_SIDES]; /* owned */
	const uint8_t *rows;          /* borrowed: MEASURE_ROWS_MADE made ones */
	int64_t loaded_ms;            /* the time of the loaded rows */
};

/* How users or items are drawn. */
struct crowd_law {
	double exponent; /* of Zipf's law; 0: all alike */
	bool has_hot;    /* half of all draws are of one that is watched */
};

void crowd_init(struct crowd *crowd, const uint64_t counts[CROWD_SIDES],
	const struct crowd_law laws[CROWD_SIDES], const uint8_t *rows);
void crowd_fini(struct crowd *crowd);
static inline const uint8_t *crowd_loaded_row(const struct crowd *crowd, uint64_t key)
{
	return crowd->rows + key % MEASURE_ROWS_MADE * MEASURE_ROW_BYTES;
}

/* What a system has been given. */
struct tally;
struct tally *tally_new(const struct crowd *crowd);
void tally_free(struct tally *tally); /* NULL is fine */

/* Makes a request the next samples. Its rows are there already. */
void tally_send(struct tally *tally, struct put_request *request);

/* A row as a system has it. */
struct crowd_state {
	float sum[MEASURE_DIM];
	double weight;
};
typedef void crowd_read_fn(void *arg, enum crowd_side side, uint64_t key, struct crowd_state *out);

/* Dies unless the rows of some users and items are what the samples come to, by a thousandth. All
 * that was sent is acknowledged. */
void tally_check(const struct tally *tally, const char *system, crowd_read_fn *read, void *arg);

#endif
