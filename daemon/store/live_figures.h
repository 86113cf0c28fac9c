/* live_figures.h - the live release with its tables, and all releases, as who watches the daemon asks
 * for them.
 *
 * Threads: any that is registered (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_STORE_LIVE_FIGURES_H
#define DAEMON_STORE_LIVE_FIGURES_H

#include "daemon/store/snapshot/level_figures.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_counts.h"
#include "schema/limits.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct live_table {
	struct table_name name;
	uint64_t rows;    /* of its files */
	bool rows_exact;  /* else at most so many */
	uint64_t bytes;   /* of its files */
	uint64_t present; /* so many bytes of its segments are in memory */
	uint64_t segment_bytes;
	uint64_t segments;
	uint64_t unchecked; /* segments */
	uint64_t damaged;   /* segments */
	uint64_t deltas;    /* above its base */
	uint64_t delta_bytes;
	uint64_t images; /* of the deltas */
	uint64_t image_bytes;
	size_t level_count;
	struct level_figures levels[TABLE_LEVELS_MAX]; /* the base first */
	uint64_t pending;                              /* rows that no merge has taken over */
	int64_t written_ms; /* the last write, or when the release was sealed */
	uint64_t index_bytes;
	bool wants_index;
	bool has_index;
	const char *index_state;         /* a word of schema/PROTOCOL.md */
	uint64_t results[TABLE_RESULTS]; /* of keys that were looked up, as enum why counts them */
	uint64_t written[WRITE_KIND_COUNT];
	uint64_t samples[TABLE_SAMPLES_COUNT];
};

struct release_figures {
	struct name id;
	uint64_t number;
	char model[LIMIT_LABEL_BYTES + 1];
	char checkpoint[LIMIT_LABEL_BYTES + 1];
	const char *state; /* open, sealed, live */
	struct name layer; /* the chosen one; "": none */
	int64_t created_ms;
	int64_t sealed_ms;    /* 0: never */
	int64_t published_ms; /* the last time; 0: never */
	uint64_t rows;        /* of the files, as the bytes */
	bool rows_exact;      /* else at most so many */
	uint64_t bytes;
	uint64_t tables;
};

struct live_figures {
	size_t release_count;
	struct release_figures *releases;   /* owned, in the order of their numbers */
	const struct release_figures *live; /* one of these; NULL: none is live */
	const struct release_figures
		*rollback; /* what a rollback would lead to; NULL: there is none */
	size_t table_count;
	struct live_table *tables; /* owned: of the live release */
};

/* Errors: NO_MEMORY. */
enum status store_live_figures(struct store *store, struct live_figures *out);
void live_figures_fini(struct live_figures *figures);

#endif
