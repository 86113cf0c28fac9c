/* arena.h - memory that is given out piece by piece and freed all at once, or from a mark on.
 *
 * Threads: one at a time; what was given out may be read by any.
 */
#ifndef DAEMON_STORE_SYSTEM_ARENA_H
#define DAEMON_STORE_SYSTEM_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block;
struct arena_stock;

/* Zeroed it is empty. */
struct arena {
	struct arena_block *blocks; /* owned list, the newest first */
	uint64_t bytes;             /* of all blocks */
	struct arena_stock *stock;  /* borrowed: of its large blocks; NULL: the system alone */
};

/* Gives out `bytes`, aligned to 8 and not initialised. NULL: no memory. */
void *arena_get(struct arena *arena, size_t bytes);

/* How far an arena is filled. */
struct arena_mark {
	struct arena_block *block;
	size_t used;
};
struct arena_mark arena_mark(const struct arena *arena);
/* Takes back what was given out since. */
void arena_cut(struct arena *arena, const struct arena_mark *mark);

void arena_fini(struct arena *arena);

#endif
