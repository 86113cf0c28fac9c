/* options.h - how a store is opened.
 */
#ifndef DAEMON_STORE_OPTIONS_H
#define DAEMON_STORE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum durability {
	DURABILITY_SYNC = 0, /* acknowledged when synced */
	DURABILITY_PERIODIC  /* acknowledged when written; synced every sync_interval_ms */
};

/* How writes are kept; zeros stand for the defaults. */
struct write_options {
	enum durability durability;
	unsigned sync_interval_ms; /* 1000 */
	uint64_t log_bytes;        /* that wait for a merge, at most; 512 MiB */
	uint64_t memtable_rows;    /* at most; 1,500,000 */
	uint64_t memtable_bytes;   /* at most; 1 GiB */
	uint64_t merge_age_ms;     /* what was written is merged after so long; 1 h */
	uint64_t merge_rate;       /* bytes a second while there is time; 100 MB */
};

struct store_options {
	const char *folder; /* made if missing; its parent must exist */
	struct write_options write;
	size_t load_memory_bytes; /* bound for spill buffers and for seal, each; at least 128 MiB */
	size_t catalog_bytes;     /* largest size of catalog.mdb */
	/* What a background thread noticed (a damaged segment, a file that cannot be removed),
	 * one line without newline; may be called from any thread. NULL: nobody listens. */
	void (*on_event)(void *arg, const char *line);
	void *on_event_arg;
};

#endif
