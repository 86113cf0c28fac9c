/* heap.h - the least of many: a heap whose nodes stand inside the objects that it orders, so that it
 * needs no memory of its own.
 *
 * Nodes of equal keys come in the order of `order`.
 *
 * Threads: those of the heap's owner.
 */
#ifndef DAEMON_NET_HEAP_H
#define DAEMON_NET_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

/* Zeroed, it is in no heap. Only `key` and `order` are the owner's. */
struct heap_node {
	uint64_t key; /* as is `order`, constant while the node is in a heap */
	uint64_t order;
	struct heap *heap;       /* NULL: it is in none */
	struct heap_node *child; /* the first of those that come after it */
	struct heap_node *next;  /* sibling */
	struct heap_node **pointed_by;
};

/* Zeroed, it is empty. */
struct heap {
	struct heap_node *first;
};

/* The struct of `type` that embeds `node` as its `member`. */
#define HEAP_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The node is in no heap. */
void heap_push(struct heap *heap, struct heap_node *node);

/* Takes the node out of its heap; it may be in none. */
void heap_remove(struct heap_node *node);

/* The node of the least key. NULL: the heap is empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->first;
}

/* Does `a` come before `b`? */
static inline bool heap_is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key < b->key || (a->key == b->key && a->order < b->order);
}

#endif
