/* write.h - puts and deletes of rows of sealed releases.
 *
 * Threads: see each function.
 */
#ifndef DAEMON_STORE_WRITE_WRITE_H
#define DAEMON_STORE_WRITE_WRITE_H

#include "daemon/store/row/batch.h"
#include "schema/name.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stop;
struct store;

/* Rows or keys for one table. */
struct table_write {
	const char *where; /* what an error puts before the argument, "parts[1]."; NULL: nothing */
	const char *table;
	struct row_batch batch; /* a delete looks at its keys only; rows without times get now_ms */
};

/* One write to tables of one sealed release. Its parts become durable, and visible, together.
 * Borrowed. */
struct row_write {
	const char *release;
	const struct table_write *parts; /* in this order; a table may come twice */
	size_t part_count;               /* 1 to LIMIT_PARTS */
	bool if_newer;                   /* only rows that are newer than what is there */
	int64_t now_ms;                  /* the request's clock */
	const struct stop *stop;         /* ends its wait for room; NULL: nothing does */
};

struct write_result {
	struct name release; /* which it was */
	uint64_t sequence;   /* a reader whose store_visible is not below it sees the write */
	uint64_t count;      /* rows applied, or keys deleted that were there, of all parts */
};

/* A write that was applied and is not durable yet. */
struct write_ticket;

/* Both apply a write; nobody sees it before it is durable. *ticket must be handed to store_write_then
 * or store_write_wait. They may wait for a merge to free memory, and for the disk. If a batch has a
 * key twice, its last row wins. Registered threads (grace.h) only, outside of a snapshot.
 * Errors, after which nothing has changed: BAD_REQUEST, NOT_FOUND, NOT_SEALED; BUSY  the log is full;
 * CORRUPT  a segment of the table is damaged; TOO_LARGE  LIMIT_WRITE_BYTES, _ROWS; DISK_FULL;
 * READ_ONLY; NO_MEMORY; those of `stop`, while it waits for room. */
enum status store_put(struct store *store, const struct row_write *put, struct write_result *out,
	struct write_ticket **ticket, struct error *err);
enum status store_delete(struct store *store, const struct row_write *which,
	struct write_result *out, struct write_ticket **ticket, struct error *err);

/* Are the bounds near at which all writers wait, or is much not durable yet? Then who has written most
 * should wait. Any thread; takes no lock. */
bool store_write_is_crowded(struct store *store);

/* Takes the ticket over and calls `done` once: from here if the outcome is known already, else from
 * the commit thread. Errors that `done` gets: DISK_FULL, IO  the write was taken back; READ_ONLY  only
 * a restart tells whether the write is on the disk. */
typedef void write_done_fn(void *arg, enum status status, const struct error *err);
void store_write_then(struct write_ticket *ticket, write_done_fn *done, void *arg);
/* The same, waiting for it. */
enum status store_write_wait(struct write_ticket *ticket, struct error *err);

#endif
