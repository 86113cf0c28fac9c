/* heap.c - a pairing heap: a tree in which no node comes after its children. A push compares once. A
 * removal takes time in the logarithm of the count, averaged over all calls; a single one may touch
 * every node.
 * Source: Fredman, Sedgewick, Sleator, Tarjan, The Pairing Heap: A New Form of Self-Adjusting Heap,
 * 1986. */
#include "daemon/net/heap.h"

#include <assert.h>

static void put(struct heap_node **at, struct heap_node *node)
{
	*at = node;
	if (node != NULL) {
		node->pointed_by = at;
	}
}

/* Makes one tree of two whose roots have no siblings, and returns its root. */
static struct heap_node *join(struct heap_node *a, struct heap_node *b)
{
	assert(a->next == NULL && b->next == NULL);
	if (heap_is_before(b, a)) {
		struct heap_node *after = a;
		a = b;
		b = after;
	}
	put(&b->next, a->child);
	put(&a->child, b);
	return a;
}

/* Makes one tree of siblings: joins pairs of them, then the pairs, from the last to the first. NULL:
 * there is none. */
static struct heap_node *join_all(struct heap_node *sibling)
{
	struct heap_node *pairs = NULL;
	while (sibling != NULL) {
		struct heap_node *a = sibling;
		struct heap_node *b = a->next;
		sibling = b != NULL ? b->next : NULL;
		a->next = NULL;
		if (b != NULL) {
			b->next = NULL;
			a = join(a, b);
		}
		a->next = pairs;
		pairs = a;
	}
	struct heap_node *root = NULL;
	while (pairs != NULL) {
		struct heap_node *pair = pairs;
		pairs = pair->next;
		pair->next = NULL;
		root = root != NULL ? join(root, pair) : pair;
	}
	return root;
}

/* Adds a tree whose root has no sibling; NULL is fine. */
static void add(struct heap *heap, struct heap_node *root)
{
	if (root != NULL) {
		put(&heap->first, heap->first != NULL ? join(heap->first, root) : root);
	}
}

void heap_push(struct heap *heap, struct heap_node *node)
{
	assert(node->heap == NULL);
	node->heap = heap;
	node->child = node->next = NULL;
	add(heap, node);
}

void heap_remove(struct heap_node *node)
{
	struct heap *heap = node->heap;
	if (heap == NULL) {
		return;
	}
	assert(*node->pointed_by == node);
	put(node->pointed_by, node->next);
	node->heap = NULL;
	add(heap, join_all(node->child));
}
