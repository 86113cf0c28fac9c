/* heap.h - the least of many: a binary heap, whose nodes stand inside the objects that it orders.
 *
 * Nodes of equal keys come in the order of `order`.
 *
 * Threads: those of the heap's owner.
 */
#ifndef DAEMON_NET_HEAP_H
#define DAEMON_NET_HEAP_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key; /* as is `order`, constant while the node is in a heap */
	uint64_t order;
	size_t place; /* in its heap, from 1 on; 0: it is in none */
};

/* Zeroed, it is empty and has no room. */
struct heap {
	struct heap_node **nodes; /* owned */
	size_t count;
	size_t cap;
};

/* The struct of `type` that embeds `node` as its `member`. */
#define HEAP_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Makes room for so many nodes together. Errors: NO_MEMORY. */
enum status heap_reserve(struct heap *heap, size_t count);
void heap_fini(struct heap *heap); /* it is empty; zeroed is fine */

/* There is room, and the node is in no heap. */
void heap_push(struct heap *heap, struct heap_node *node);

/* Takes the node out; it may be in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node of the least key. NULL: the heap is empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count == 0 ? NULL : heap->nodes[0];
}

/* Does `a` come before `b`? */
static inline bool heap_is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->order < b->order);
}

#endif
