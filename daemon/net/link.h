/* link.h - a place in a doubly linked list, embedded in what is listed.
 *
 * A list is a link too: an empty one points at itself, and so does a link that is in no
 * list. One may unlink twice.
 *
 * Threads: those of the list's owner.
 */
#ifndef DAEMON_NET_LINK_H
#define DAEMON_NET_LINK_H

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

/* In no list, or an empty one. */
static inline bool link_is_alone(const struct link *link)
{
	return link->next == link;
}

static inline void link_append(struct link *list, struct link *link)
{
	link->previous = list->previous;
	link->next = list;
	list->previous->next = link;
	list->previous = link;
}

static inline void link_remove(struct link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link_init(link);
}

/* Moves every member of `from` into the empty list `to`. */
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

#endif
