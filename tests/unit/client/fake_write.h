/* fake_write.h - a daemon for tests that takes writes and samples, rightly or with one thing wrong,
 * and notes what came.
 */
#ifndef TESTS_UNIT_CLIENT_FAKE_WRITE_H
#define TESTS_UNIT_CLIENT_FAKE_WRITE_H

#include "tests/unit/client/fake_fetch.h"

enum { COLUMN_BYTES = 64 };

/* A bin that came. */
struct column {
	bool there;
	size_t len;
	uint8_t data[COLUMN_BYTES]; /* its first bytes */
};

/* One of a put's parts. */
struct seen_part {
	char table[16];
	size_t fields;
	struct column keys;
	struct column rows;
};

/* What came last, changed by the server's thread. */
struct seen {
	char method[16];
	char release[16];
	char table[16];
	char dtype[16];
	size_t fields;
	bool if_newer;
	bool allow_nonfinite;
	bool any_time;
	bool first;
	struct column keys;
	struct column rows;
	struct column scales;
	struct column times;
	struct column tags;
	struct column weights;
	uint64_t row_sum; /* of all bytes of all rows */
	size_t part_count;
	struct seen_part parts[4];
	/* of samples */
	char layer[16];
	char source[16];
	bool has_position;
	uint64_t position;
	struct column users;
	struct column items;
};

/* A daemon that takes writes, with one thing wrong. */
struct writer {
	enum status refuse;
	const char *without; /* a field that its answers lack */
	unsigned close_at;   /* the request, from 1, that it does not answer; 0: none */
	bool slow;           /* answers byte by byte */
	struct seen *seen;   /* or NULL */
};

fake_answer answer_writes; /* arg: struct writer */

/* Two rows of f32, and their keys. */
extern const uint64_t two_keys[2];
extern const float two_rows[2 * DIM];
struct rep_rows rows_of_two(void);

void assert_column(const struct column *column, const void *data, size_t len);

#endif
