/* fuzz_balls.c - any bytes are an index or are not, and one that is never leads outside itself.
 *
 * Rows and dim are taken from the image's own header, so that what comes after it is reached; the
 * first byte says which metric, factor and k.
 */
#include "daemon/retrieval/balls/balls.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More take too long to be searched so often. */
enum { ROWS_MAX = 1 << 16, DIM_MAX = 256 };

static uint32_t rows_max;

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void score(void *arg, const uint32_t *rows, uint32_t count, float *scores)
{
	(void)arg;
	for (uint32_t i = 0; i < count; i++) {
		require(rows[i] < rows_max);
		scores[i] = rows[i] % 7 == 0 ? NAN : (float)rows[i];
	}
}

static int compare_ids(void *arg, uint64_t a, uint64_t b)
{
	(void)arg;
	return (a > b) - (a < b);
}

static void search(const struct balls *balls, uint8_t choice)
{
	static float values[DIM_MAX];
	struct topk top;
	struct balls_space space = {0};
	for (size_t i = 0; i < DIM_MAX; i++) {
		values[i] = (float)(i % 5) - 1.5f;
	}
	struct balls_query query = {
		.query = values,
		.metric = (enum balls_metric)(choice % BALLS_METRICS),
		.factor = (float)(choice & 0xf0) / 240,
		.score = score,
		.top = &top,
		.beside = &balls,
		.beside_count = choice & 1,
	};
	rows_max = balls->rows * (1 + (choice & 1));
	require(topk_init(&top, (choice & 8) != 0 ? 500 : 3, -INFINITY, compare_ids, NULL) ==
		STATUS_OK);
	const enum status status = balls_search(balls, &query, &space);
	require(status == STATUS_OK || status == STATUS_NO_MEMORY);
	topk_finish(&top);
	topk_fini(&top);
	balls_space_fini(&space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	const size_t len = size - 1;
	void *image = NULL;
	uint32_t rows = 1;
	uint32_t dim = 1;
	require(posix_memalign(&image, BALLS_ALIGN, len > 0 ? len : 1) == 0);
	memcpy(image, data + 1, len);
	if (len >= 20) {
		memcpy(&dim, data + 1 + 12, 4);
		memcpy(&rows, data + 1 + 16, 4);
	}
	struct balls balls;
	struct error err = {0};
	const enum status status = balls_open(image, len, rows, dim, &balls, &err);
	require(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
	require(status == STATUS_OK || err.status == status);
	if (status == STATUS_OK && rows <= ROWS_MAX && dim <= DIM_MAX) {
		uint32_t *ball_of = malloc((rows + 1) * sizeof *ball_of);
		require(ball_of != NULL);
		balls_members(&balls, ball_of);
		for (uint32_t i = 0; i < rows; i++) {
			require(ball_of[i] < balls.balls || ball_of[i] == UINT32_MAX);
		}
		free(ball_of);
		const float factor = balls_factor_for(&balls, BALLS_COSINE, 0.9, 10);
		require(!(factor > 1) && !(factor < 0));
		search(&balls, data[0]);
	}
	free(image);
	return 0;
}
