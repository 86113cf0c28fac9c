/* heap.c - a binary heap. Source: Knuth vol. 3, 5.2.3. */
#include "daemon/net/heap.h"

#include <assert.h>
#include <stdlib.h>

enum status heap_reserve(struct heap *heap, size_t count)
{
	if (count <= heap->cap) {
		return STATUS_OK;
	}
	struct heap_node **nodes = reallocarray(heap->nodes, count, sizeof(struct heap_node *));
	if (nodes == NULL) {
		return STATUS_NO_MEMORY;
	}
	heap->nodes = nodes;
	heap->cap = count;
	return STATUS_OK;
}

void heap_fini(struct heap *heap)
{
	assert(heap->count == 0);
	free(heap->nodes);
	*heap = (struct heap){0};
}

static void put(struct heap *heap, size_t at, struct heap_node *node)
{
	heap->nodes[at] = node;
	node->place = at + 1;
}

/* Moves the node up to where it belongs, from a place that is free. */
static void rise(struct heap *heap, size_t at, struct heap_node *node)
{
	while (at > 0 && heap_is_before(node, heap->nodes[(at - 1) / 2])) {
		put(heap, at, heap->nodes[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(heap, at, node);
}

/* Moves the node down to where it belongs, from a place that is free. */
static void sink(struct heap *heap, size_t at, struct heap_node *node)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < heap->count &&
			heap_is_before(heap->nodes[child + 1], heap->nodes[child])) {
			child++;
		}
		if (child >= heap->count || !heap_is_before(heap->nodes[child], node)) {
			put(heap, at, node);
			return;
		}
		put(heap, at, heap->nodes[child]);
		at = child;
	}
}

void heap_push(struct heap *heap, struct heap_node *node)
{
	assert(node->place == 0);
	assert(heap->count < heap->cap);
	heap->count++;
	rise(heap, heap->count - 1, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	if (node->place == 0) {
		return;
	}
	const size_t at = node->place - 1;
	assert(at < heap->count && heap->nodes[at] == node);
	node->place = 0;
	struct heap_node *last = heap->nodes[--heap->count];
	if (last == node) {
		return;
	}
	if (at > 0 && heap_is_before(last, heap->nodes[(at - 1) / 2])) {
		rise(heap, at, last);
	} else {
		sink(heap, at, last);
	}
}
