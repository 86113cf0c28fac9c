/* test_heap.c - nodes come out in the order of their keys, whatever came in between. */
#include "daemon/net/heap.h"
#include "tests/unit/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 300, ROUNDS = 20000, KEYS = 40 };

/* The node that a look at all of them finds. */
static struct heap_node *least_of(struct heap_node *nodes)
{
	struct heap_node *least = NULL;
	for (unsigned i = 0; i < COUNT; i++) {
		if (nodes[i].heap != NULL && (least == NULL || heap_is_before(&nodes[i], least))) {
			least = &nodes[i];
		}
	}
	return least;
}

static void the_least_is_the_first_whatever_happens(void **state)
{
	static struct heap_node nodes[COUNT];
	struct heap heap = {0};
	uint64_t seed = seed_from(7);
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1;
		struct heap_node *node = &nodes[(seed >> 33) % COUNT];
		if (node->heap != NULL) {
			heap_remove(node);
			assert_null(node->heap);
		} else {
			node->key = (seed >> 20) % KEYS;
			node->order = i;
			heap_push(&heap, node);
			assert_ptr_equal(node->heap, &heap);
		}
		assert_ptr_equal(heap_first(&heap), least_of(nodes));
	}
	while (heap_first(&heap) != NULL) {
		struct heap_node *first = heap_first(&heap);
		assert_ptr_equal(first, least_of(nodes));
		heap_remove(first);
		heap_remove(first);
	}
	assert_null(least_of(nodes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_is_the_first_whatever_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
