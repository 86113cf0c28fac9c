/* test_heap.c - nodes come out in the order of their keys, whatever came in between. */
#include "daemon/net/heap.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 300, ROUNDS = 2000, KEYS = 40 };

/* The node that a look at all of them finds. */
static struct heap_node *least_of(struct heap_node *nodes)
{
	struct heap_node *least = NULL;
	for (unsigned i = 0; i < COUNT; i++) {
		if (nodes[i].place != 0 && (least == NULL || heap_is_before(&nodes[i], least))) {
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
	size_t count = 0;
	(void)state;
	assert_int_equal(heap_reserve(&heap, COUNT), STATUS_OK);
	for (unsigned i = 0; i < ROUNDS; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1;
		struct heap_node *node = &nodes[(seed >> 33) % COUNT];
		if (node->place != 0) {
			heap_remove(&heap, node);
			count--;
		} else {
			node->key = (seed >> 20) % KEYS;
			node->order = i;
			heap_push(&heap, node);
			count++;
		}
		assert_int_equal(heap.count, count);
		assert_ptr_equal(heap_first(&heap), least_of(nodes));
	}
	while (heap_first(&heap) != NULL) {
		struct heap_node *first = heap_first(&heap);
		assert_ptr_equal(first, least_of(nodes));
		heap_remove(&heap, first);
		heap_remove(&heap, first);
	}
	heap_fini(&heap);
}

static void refused_memory_keeps_what_there_is(void **state)
{
	struct heap heap = {0};
	struct heap_node node = {.key = 1};
	(void)state;
	assert_int_equal(heap_reserve(&heap, 1), STATUS_OK);
	heap_push(&heap, &node);
	alloc_fail_arm(0);
	assert_int_equal(heap_reserve(&heap, 1), STATUS_OK);
	assert_int_equal(heap_reserve(&heap, 2), STATUS_NO_MEMORY);
	assert_true(alloc_fail_disarm());
	assert_ptr_equal(heap_first(&heap), &node);
	heap_remove(&heap, &node);
	heap_fini(&heap);
	heap_fini(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_is_the_first_whatever_happens),
		cmocka_unit_test(refused_memory_keeps_what_there_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
