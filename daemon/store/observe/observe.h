/* observe.h - adds samples to cross representations, and counts each sample once.
 *
 * Threads: as store_put (write.h).
 */
#ifndef DAEMON_STORE_OBSERVE_OBSERVE_H
#define DAEMON_STORE_OBSERVE_OBSERVE_H

#include "daemon/store/write/write.h"
#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/name.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* A batch of samples, in the order in which they count, of one layer or for one table with a history;
 * borrowed. */
struct observation {
	const char *release;
	const char *layer; /* NULL: they are for one table */
	const char *table; /* which it is; else NULL */
	uint32_t count;
	/* Of each sample; a type of KEY_NONE: not given, since the layer has no such tables. For one
	 * table: both are its keys. */
	struct keys users;
	struct keys items;
	const uint8_t *times; /* i64[count], Unix ms */
	enum dtype dtype;
	const uint8_t *rows;   /* [count, views x dim] of the layer's tables */
	size_t rows_bytes;     /* of all of them */
	const uint8_t *scales; /* f32[count] of i8 */
	const char *source;    /* that numbers its samples; NULL: none */
	uint64_t position;     /* the number of the first one */
	bool first;            /* the source may begin there, if it is not known yet */
	int64_t now_ms;        /* the request's clock */
	/* As of a row_write. */
	const struct stop *stop;
};

struct observe_result {
	struct write_result write; /* count: samples that were counted */
	uint64_t next;             /* the position of the source: the number of its next sample */
};

/* Adds samples to all tables of kind cr of a layer, under their users and under their items, in one
 * write; or to one table with a history. Samples of a source that were counted before are skipped. A batch may not begin behind the
 * number that is due next: of a source that is not known that is 0, unless the batch is `first`. So
 * samples cannot go missing when a pipeline goes on with a new release. Ticket, threads and errors
 * are those of store_put; and GAP  the position is behind the one that is due; NOT_FOUND  the
 * layer or the table. */
enum status store_observe(struct store *store, const struct observation *samples,
	struct observe_result *out, struct write_ticket **ticket, struct error *err);

#endif
