/* balls_fixture.h - tables of many shapes, their indexes, and searches held against all scores.
 *
 * A table is made of a seed, so that a failure can be repeated. Scores are computed as the daemon
 * would: in f32.
 */
#ifndef TESTS_UNIT_RETRIEVAL_BALLS_FIXTURE_H
#define TESTS_UNIT_RETRIEVAL_BALLS_FIXTURE_H

#include "daemon/retrieval/balls/balls_kernels.h"
#include "daemon/retrieval/building/balls_build.h"

enum table_shape {
	TABLE_CLUSTERS,   /* Gaussian clusters */
	TABLE_NORMS,      /* of one length, times what differs much */
	TABLE_NOISE,      /* no structure */
	TABLE_EQUAL,      /* all rows the same */
	TABLE_DUPLICATES, /* few different rows */
	TABLE_ZEROS,      /* mostly zeros */
	TABLE_SCALES,     /* lengths from 1e-20 to 1e20 */
	TABLE_TINY,       /* lengths about 1e-12 */
	TABLE_NOT_FINITE, /* some NaN and infinities */
	TABLE_OFFSET,     /* far from the origin, all on one side */
	TABLE_DECAY,      /* most in the first dims */
	TABLE_INTEGERS,   /* small integers: many equal scores */
	TABLE_SHAPES
};

struct table {
	uint32_t rows;
	uint32_t dim;
	float *values;
	uint8_t *hidden; /* rows that are not to be found */
	uint32_t reads;  /* until *stop is set; UINT32_MAX: never */
	_Atomic bool stop;
	/* Of the query at hand. */
	const float *query;
	enum balls_metric metric;
	uint64_t scored;
	uint32_t scores_left; /* until `stop` is set; UINT32_MAX: never */
};

uint64_t table_random(uint64_t *state);

void table_make(struct table *table, enum table_shape shape, uint32_t rows, uint32_t dim,
	uint64_t seed);
void table_free(struct table *table);
struct balls_source table_source(struct table *table);
/* A query for it: mostly a row and noise. */
void table_query(const struct table *table, uint64_t *random, float *out);
void table_score(void *arg, const uint32_t *rows, uint32_t count, float *scores);
/* Ids are no numbers of rows: 1000 stands for the first. */
uint64_t table_id(void *arg, uint32_t row);

/* Builds and opens; the image is the caller's to free. NULL: no memory, or stopped. */
uint8_t *table_index(struct table *table, const struct balls_options *options, struct balls *balls,
	size_t *bytes);

/* Ties are decided by the larger id, so that nothing passes by its order alone. */
int table_compare(void *arg, uint64_t a, uint64_t b);

struct table_search {
	const float *query;
	enum balls_metric metric;
	uint32_t k;
	float factor;
	float min_score;
	const struct balls_kernels *kernels; /* NULL: the fastest */
	/* Of the last rows of the table, where the index is of the first alone. */
	const struct balls *const *beside;
	size_t beside_count;
	bool exact;
	uint64_t compared;
};

/* Through the index, and through all rows. */
enum status table_search(struct table *table, const struct balls *balls,
	struct table_search *search, struct topk *out);
void table_search_all(struct table *table, const struct table_search *search, struct topk *out);

/* Whether both hold the same hits; what differs goes to stderr. */
bool same_hits(const struct topk *left, const struct topk *right);

/* A query without a direction: with it as the only one there is no calibration, for time. */
extern const float no_query[300];

/* One table with an index. */
struct indexed {
	struct table table;
	struct balls balls;
	uint8_t *image;
	size_t bytes;
};

void indexed_make(struct indexed *indexed, enum table_shape shape, uint32_t rows, uint32_t dim,
	const struct balls_options *options);
void indexed_free(struct indexed *indexed);

/* One query by each metric; whenever the answer is said to be exact, it is. */
void expect_exact(struct indexed *indexed, struct table_search search);

/* Several queries, each by all metrics, for the best k. */
void expect_exact_for(struct indexed *indexed, uint32_t k, unsigned queries, uint64_t seed);

#endif
