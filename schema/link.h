/* link.h - a doubly linked list, whose links stand inside the objects that it lists.
 *
 * The list itself is a link too. An empty list points at itself, and so does a link that is in no
 * list. So a link may be removed twice.
 *
 * Threads: those of the list's owner.
 */
#ifndef SCHEMA_LINK_H
#define SCHEMA_LINK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *previous;
	struct link *next;
};

/* The struct of `type` that embeds `place` as its `member`. */
#define LINK_OWNER(place, type, member) ((type *)(void *)((char *)(place)-offsetof(type, member)))

static inline void link_init(struct link *link)
{
	link->previous = link;
	link->next = link;
}

/* Whether a link is in no list, or a list is empty. */
static inline bool link_is_alone(const struct link *link)
{
	return link->next == link;
}

/* The link must be in no list. */
static inline void link_append(struct link *list, struct link *link)
{
	assert(link_is_alone(link));
	link->previous = list->previous;
	link->next = list;
	list->previous->next = link;
	list->previous = link;
}

static inline void link_remove(struct link *link)
{
	assert(link->previous->next == link);
	assert(link->next->previous == link);
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link_init(link);
}

/* Moves all members of `from` to `to`, which need not be initialised. */
static inline void link_move_all(struct link *from, struct link *to)
{
	link_init(to);
	if (link_is_alone(from)) {
		return;
	}
	*to = *from;
	to->previous->next = to;
	to->next->previous = to;
	link_init(from);
}

/* Moves all members of `from` to the end of `to`. */
static inline void link_append_all(struct link *to, struct link *from)
{
	if (link_is_alone(from)) {
		return;
	}
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	link_init(from);
}

#endif
