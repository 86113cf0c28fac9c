/* test_index_axes.c - which indexes, and images, are on the same axes: those whose codes are in the same basis, too. */
#include "daemon/store/index/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/retrieval/balls_fixture.h"

enum { DIM = 64 }; /* more dims than are taken as they are */

static const struct balls_options options = {.seed = 3,
	.granularity = 64,
	.query_count = 1,
	.queries = no_query};

/* The axes are the rows, however many there are; the basis is drawn. */
static void the_same_axes_with_another_basis_are_others(void **state)
{
	(void)state;
	struct indexed few;
	struct indexed many;
	indexed_make(&few, TABLE_EQUAL, 2000, DIM, &options);
	indexed_make(&many, TABLE_EQUAL, 3000, DIM, &options);
	assert_true(balls_are_alike(&few.balls, &many.balls));
	const size_t dim_bytes = DIM * sizeof(float);
	assert_memory_equal(few.balls.axes, many.balls.axes, few.balls.balls * dim_bytes);
	assert_non_null(few.balls.basis);
	assert_memory_not_equal(few.balls.basis, many.balls.basis, few.balls.prefix * dim_bytes);
	assert_true(index_hash_axes(&few.balls) != index_hash_axes(&many.balls));
	indexed_free(&few);
	indexed_free(&many);
}

static void what_is_built_on_the_axes_of_another_has_them(void **state)
{
	(void)state;
	struct indexed first;
	struct indexed next;
	indexed_make(&first, TABLE_CLUSTERS, 2000, DIM, &options);
	struct balls_options kept = options;
	kept.previous = &first.balls;
	indexed_make(&next, TABLE_CLUSTERS, 700, DIM, &kept);
	assert_true(index_hash_axes(&first.balls) == index_hash_axes(&next.balls));
	indexed_free(&first);
	indexed_free(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_axes_with_another_basis_are_others),
		cmocka_unit_test(what_is_built_on_the_axes_of_another_has_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
