/* sources.h - how far the sources of samples are counted in a release, and how one is forgotten.
 *
 * Threads: see each function.
 */
#ifndef DAEMON_STORE_OBSERVE_SOURCES_H
#define DAEMON_STORE_OBSERVE_SOURCES_H

#include "daemon/store/write/write.h"
#include "schema/name.h"
#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct source_position;
struct store;

struct position_list {
	struct name release;         /* which it was */
	struct source_position *all; /* malloc'ed; free() it */
	size_t count;
};

/* Lists how far each source of a sealed release (NULL: the live one) is counted, in the order of
 * (layer, source): whatever was acknowledged is in it. It waits for no write and for no disk.
 * Registered threads (grace.h), outside of a snapshot. Errors: NOT_FOUND, NOT_SEALED, NO_MEMORY. */
enum status store_positions(struct store *store, const char *release, struct position_list *out,
	struct error *err);

/* Which sources are to be forgotten; borrowed. */
struct forget {
	const char *release;
	const char *layer;  /* NULL: in each layer */
	const char *source; /* NULL: those that have sent nothing for longest */
	uint64_t oldest;    /* so many of them, at most */
	int64_t now_ms;     /* the request's clock */
	/* As of a row_write. */
	const struct stop *stop;
};

/* Forgets sources: each is as one that was never seen, and its sums stay. out->count: how many they
 * were. Ticket and threads are those of store_put. Errors: NOT_FOUND  the release, or the source;
 * NOT_SEALED, BUSY, READ_ONLY, DISK_FULL, NO_MEMORY. */
enum status store_forget(struct store *store, const struct forget *which, struct write_result *out,
	struct write_ticket **ticket, struct error *err);

#endif
