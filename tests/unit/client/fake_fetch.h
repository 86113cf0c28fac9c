/* fake_fetch.h - a daemon for tests that answers fetches, rightly or with one thing wrong.
 *
 * Every part's columns count up from 1 in bytes; of each eight keys all but the second are found.
 */
#ifndef TESTS_UNIT_CLIENT_FAKE_FETCH_H
#define TESTS_UNIT_CLIENT_FAKE_FETCH_H

#include "repstore.h"
#include "tests/unit/client/fake_server.h"

enum { DIM = 3, VIEWS = 2, KEYS = 10 };

/* What the fake daemon answers wrongly. */
enum damage {
	NO_DAMAGE,
	NO_PARTS,
	ONE_PART_MORE,
	NO_RELEASE,
	LONG_RELEASE,
	NO_SEQUENCE,
	PART_IS_NIL,
	ONE_ROW_LESS,
	NO_DIM,
	DIM_ZERO,
	DIM_HUGE,
	VIEWS_HUGE,
	STRIDE_WRONG,
	STRIDE_HUGE,
	DTYPE_UNKNOWN,
	DTYPE_OTHER,
	FOUND_SHORT,
	FOUND_LONG,
	ROWS_SHORT,
	ROWS_LONG,
	ROWS_ARE_STR,
	SCALES_MISSING,
	TIMES_MISSING,
	TIMES_SHORT,
	TAGS_SHORT,
	WHY_MISSING,
	WEIGHTS_MISSING,
	WEIGHTS_LONG,
	NO_TABLE,
	LONG_TABLE,
	RESULT_IS_NIL,
	DAMAGES,
};

/* How the daemon behaves; the first request is damaged, later ones are right. */
struct fake_fetch {
	enum damage damage;
	const char *dtype;
	bool untagged;
	const char *table; /* that every name means; NULL: "ur" */
	bool *was_raw;     /* out: whether the last part asked for sums; or NULL */
};

fake_answer answer_fetch; /* arg: struct fake_fetch */

/* Room for all that a part of KEYS keys can bring. */
struct room {
	uint64_t keys[KEYS];
	uint8_t rows[KEYS * DIM * VIEWS * 4];
	uint8_t found[2];
	float scales[KEYS];
	int64_t times[KEYS];
	uint64_t tags[KEYS];
	double weights[KEYS];
	uint8_t why[KEYS];
};

/* Asks for everything, of KEYS keys. */
struct rep_part part_of(struct room *room, enum rep_dtype dtype);

/* Fails the test unless the bytes count up from 1. */
void assert_counts_up(const void *data, size_t len);

#endif
