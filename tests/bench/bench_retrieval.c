/* bench_retrieval.c - the index of granular balls in this process, on the vectors that others get.
 *
 *   bench_retrieval FOLDER SECONDS
 *
 * Builds it without looking at the queries: its calibration takes rows. Prints what it takes and,
 * for each recall that is asked for, what searches.h measures, as recall=R; recall=1 is the exact
 * search.
 */
#include "daemon/retrieval/building/balls_build.h"
#include "daemon/retrieval/score/scorer.h"
#include "tests/bench/driver/measure.h"
#include "tests/bench/driver/searches.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 64, AHEAD_ROWS = 16 };

/* What one thread asks with. */
struct asker {
	struct balls_space space;
	struct topk top;
	struct scorer scorer; /* of the query at hand */
	float *rows;          /* owned */
};

struct ours {
	const struct vectors *vectors;
	struct balls balls;
	enum balls_metric metric;
	float factor;
	struct asker askers[SEARCHES_THREADS];
};

/* A search and who asks. */
struct asked {
	struct ours *ours;
	struct asker *asker;
};

static void read_rows(void *arg, uint32_t first, uint32_t count, float *out)
{
	const struct vectors *vectors = arg;
	memcpy(out, vectors->row + (size_t)first * vectors->dim,
		(size_t)count * vectors->dim * sizeof *out);
}

static void prefetch(const struct vectors *vectors, uint32_t row)
{
	const char *at = (const char *)(vectors->row + (size_t)row * vectors->dim);
	for (size_t i = 0; i < vectors->dim * sizeof(float); i += LINE_BYTES) {
		__builtin_prefetch(at + i);
	}
}

/* As the daemon does: rows are gathered from their maps, then scored together. */
static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	const struct asked *asked = arg;
	const struct vectors *vectors = asked->ours->vectors;
	struct asker *asker = asked->asker;
	for (uint32_t first = 0; first < count; first += asker->scorer.rows_max) {
		const uint32_t left = count - first;
		const uint32_t some = left < asker->scorer.rows_max ? left : asker->scorer.rows_max;
		for (uint32_t i = 0; i < some && i < AHEAD_ROWS; i++) {
			prefetch(vectors, rows[first + i]);
		}
		for (uint32_t i = 0; i < some; i++) {
			if (i + AHEAD_ROWS < some) {
				prefetch(vectors, rows[first + i + AHEAD_ROWS]);
			}
			read_rows((void *)vectors, rows[first + i], 1,
				asker->rows + (size_t)i * vectors->dim);
		}
		scorer_run(&asker->scorer, asker->rows, some, scores + first);
	}
}

static int compare(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a > b) - (a < b);
}

static size_t search(void *index, unsigned thread, const float *query, uint32_t k, uint32_t *found)
{
	struct ours *ours = index;
	struct asker *asker = &ours->askers[thread];
	const struct scorer_shape shape = {
		.metric = ours->metric == BALLS_L2 ? METRIC_L2 : METRIC_INNER_PRODUCT,
		.dim = ours->vectors->dim,
		.views = 1,
		.queries = 1,
		.parts = 1,
	};
	struct asked asked = {ours, asker};
	if (topk_init(&asker->top, k, -INFINITY, compare, NULL) != STATUS_OK ||
		scorer_init(&asker->scorer, &shape, query, NULL) != STATUS_OK) {
		die("no memory");
	}
	if (asker->rows == NULL) {
		asker->rows = malloc((size_t)asker->scorer.rows_max * shape.dim * sizeof(float));
	}
	struct balls_query asking = {
		.query = query,
		.metric = ours->metric,
		.factor = ours->factor,
		.score = score,
		.arg = &asked,
		.top = &asker->top,
	};
	if (asker->rows == NULL ||
		balls_search(&ours->balls, &asking, &asker->space) != STATUS_OK) {
		die("no memory");
	}
	topk_finish(&asker->top);
	const size_t count = asker->top.count;
	for (size_t i = 0; i < count; i++) {
		found[i] = (uint32_t)asker->top.hits[i].id;
	}
	scorer_fini(&asker->scorer);
	topk_fini(&asker->top);
	return count;
}

static void *build(struct ours *ours)
{
	const struct vectors *vectors = ours->vectors;
	struct balls_source source = {
		.rows = (uint32_t)vectors->rows,
		.dim = vectors->dim,
		.read = read_rows,
		.arg = (void *)vectors,
	};
	const struct balls_options options = {.seed = 1};
	struct balls_plan *plan = NULL;
	const uint64_t start = now_ns();
	void *image = NULL;
	struct error err;
	if (balls_plan(&source, &options, &plan) != STATUS_OK ||
		posix_memalign(&image, BALLS_ALIGN, balls_plan_bytes(plan)) != 0 ||
		balls_write(plan, image) != STATUS_OK ||
		balls_open(image, balls_plan_bytes(plan), source.rows, source.dim, &ours->balls,
			&err) != STATUS_OK) {
		die("the index cannot be built");
	}
	printf("build %.2f s\n", (double)(now_ns() - start) / 1e9);
	printf("bytes %zu bytes\n", balls_plan_bytes(plan));
	balls_plan_close(plan);
	return image;
}

int main(int argc, char **argv)
{
	static const double recalls[] = {0.9, 0.95, 0.99, 0.999, 1};
	struct vectors vectors;
	if (argc != 3) {
		die("FOLDER SECONDS is asked for");
	}
	vectors_open(argv[1], &vectors);
	struct ours ours = {
		.vectors = &vectors,
		.metric = vectors.metric == VECTORS_L2 ? BALLS_L2 : BALLS_INNER_PRODUCT,
	};
	void *image = build(&ours);
	const struct searcher searcher = {.search = search, .index = &ours};
	for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) {
		char name[32];
		(void)snprintf(name, sizeof name, "recall=%g", recalls[i]);
		ours.factor = balls_factor_for(&ours.balls, ours.metric, recalls[i], vectors.k);
		searches_measure(&vectors, &searcher, strtod(argv[2], NULL), name);
	}
	for (size_t i = 0; i < SEARCHES_THREADS; i++) {
		balls_space_fini(&ours.askers[i].space);
		free(ours.askers[i].rows);
	}
	free(image);
	vectors_close(&vectors);
	return 0;
}
