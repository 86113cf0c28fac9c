/* snapshot.h - what readers see: releases, their tables, and which is live, as of one moment.
 *
 * A snapshot and all that it points to is immutable but for the state of segments
 * (base.h). The admin thread makes a new one at each change of the catalog and
 * publishes its address; a reader takes it between snapshot_begin and snapshot_end
 * and keeps no pointer of it longer. No lock is taken to read.
 *
 * Threads: any that has called grace_register (grace.h).
 */
#ifndef DAEMON_STORE_SNAPSHOT_H
#define DAEMON_STORE_SNAPSHOT_H

#include "schema/name.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct base_set;

struct table {
	struct table_spec spec;
	uint64_t number;        /* never used again within the release */
	uint64_t rows;          /* in the base files */
	uint64_t bytes;         /* of the base files */
	struct base_set *bases; /* NULL while the release is open, and for an empty table */
};

enum release_state { RELEASE_OPEN, RELEASE_SEALED };

struct release {
	struct name id;
	uint64_t number;
	char model[LIMIT_LABEL_BYTES + 1];
	char checkpoint[LIMIT_LABEL_BYTES + 1];
	enum release_state state;
	int64_t created_ms;
	int64_t sealed_ms;    /* 0: never */
	int64_t published_ms; /* the last time; 0: never */
	size_t table_count;
	struct table *const *tables; /* in the order of their names */
};

struct snapshot {
	uint64_t sequence; /* of the catalog; grows with every change */
	const struct release *live; /* NULL: none was published */
	size_t release_count;
	struct release *const *releases; /* in the order of their numbers */
};

const struct snapshot *snapshot_begin(struct store *store);
void snapshot_end(struct store *store);

/* The named release; NULL or "live" as the name mean the live one.
 * Errors: NOT_FOUND, naming it. */
enum status snapshot_release(const struct snapshot *snapshot, const char *id,
	const struct release **out, struct error *err);

/* Errors: NOT_FOUND, naming table and release. */
enum status release_table(const struct release *release, const char *name,
	const struct table **out, struct error *err);

#endif
