/* arena_stock.h - blocks of memory that are ready when an arena asks for one.
 *
 * The first touch of a huge page takes the system 0.2 ms, and 4.7 ms on a virtual machine whose host gives memory out as it
 * is touched, and takes back what is free: measured for 2 MiB. Whoever fills an arena does not wait for that while a thread
 * keeps blocks at hand whose pages have been touched. There are none before the first was asked for, so that a process
 * that never fills an arena of this size holds none.
 *
 * Threads: any takes; one serves.
 */
#ifndef DAEMON_STORE_SYSTEM_ARENA_STOCK_H
#define DAEMON_STORE_SYSTEM_ARENA_STOCK_H

#include "daemon/store/system/bell.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Two: one is taken while the next is made. */
enum { ARENA_STOCK_BLOCKS = 2, ARENA_STOCK_BLOCK_BYTES = 4 << 20 };

struct arena_stock {
	_Atomic(void *) blocks[ARENA_STOCK_BLOCKS]; /* owned; NULL: an empty place */
	struct bell wanted;
	atomic_bool stop;
};

void arena_stock_init(struct arena_stock *stock);
/* Frees what it has; nobody serves by then, and nobody takes. */
void arena_stock_fini(struct arena_stock *stock);

/* A block of ARENA_STOCK_BLOCK_BYTES of memory_map_huge, which becomes the caller's. NULL: none is ready; then one is made
 * ready for the next time. */
void *arena_stock_take(struct arena_stock *stock);

/* Body of the thread that makes blocks ready, until arena_stock_stop; `arg`: a struct arena_stock. */
void *arena_stock_serve(void *arg);
/* Tells it to return; the caller joins it. */
void arena_stock_stop(struct arena_stock *stock);

#endif
