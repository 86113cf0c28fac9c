/* write_ahead.h - reads what a write needs from the disk before the write has the writer's lock.
 *
 * Threads: any registered one (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_STORE_WRITE_WRITE_AHEAD_H
#define DAEMON_STORE_WRITE_WRITE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

struct keys;
struct release;
struct stop;
struct store;
struct table;

/* Keys of which the rows of a table's files are needed. Borrowed. */
struct write_ahead_part {
	const struct table *table; /* NULL: there is no such table, or nothing of it is needed */
	const struct keys *keys;   /* of the table's key type */
};

/* Part i of what a write needs, for i = 0, 1, ... until it says false: there are no more. */
typedef bool write_ahead_fn(const void *write, const struct release *release, size_t i,
	struct write_ahead_part *part);

struct write_ahead {
	const char *release;
	write_ahead_fn *at;
	const void *write;       /* its argument */
	unsigned wants;          /* enum find_wants, or'ed */
	const struct stop *stop; /* ends it early; NULL: nothing does */
};

/* Whether something of a table whose rows are needed is not in memory. */
bool write_is_cold(struct store *store, const struct write_ahead *ahead);

/* May block for the disk. Whatever is wrong with the write is told when it is applied. */
void write_read_ahead(struct store *store, const struct write_ahead *ahead);

#endif
