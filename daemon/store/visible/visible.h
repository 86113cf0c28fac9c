/* visible.h - DATA/visible: one page that tells readers without the daemon how far they may read.
 *
 * It is mapped by the daemon, which stores to it, and by readers, in other processes. Its head is
 * constant. Behind it stand two copies of the same fields; a write goes to the older one, so that a
 * daemon that is killed in the middle of a write leaves the other one whole. A copy counts when its
 * checksum is right. schema/DISK.md, "visible", has every byte.
 *
 * Threads: one writes; any read meanwhile, without a lock.
 */
#ifndef DAEMON_STORE_VISIBLE_VISIBLE_H
#define DAEMON_STORE_VISIBLE_VISIBLE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	VISIBLE_VERSION = 1,
	/* Who knows this version reads what is written here. */
	VISIBLE_READABLE_FROM = 1,
	VISIBLE_BYTES = 4096,     /* of the file */
	VISIBLE_COPY_EVEN = 1024, /* where the copy stands whose seq is even */
	VISIBLE_COPY_ODD = 2048,  /* and the other one */
	VISIBLE_COPY_BYTES = 80,
};

/* What a copy says, but for its checksum. */
struct visible {
	uint64_t seq;      /* one higher at each write */
	uint64_t start;    /* a random number of this start of the daemon */
	uint64_t replayed; /* the highest sequence that this start replayed from the log */
	uint64_t visible;  /* the highest sequence that readers may see */
	uint64_t file;     /* of the log's files the one that is appended to, and up to where its */
	uint64_t offset;   /* frames are visible */
	uint64_t current;  /* so often this start has replaced DATA/current */
	uint64_t monotonic_ns; /* when this was written */
	int64_t wall_ms;       /* the same in Unix milliseconds */
};

/* Writes the head of a page whose copies do not count yet. */
void visible_begin(uint8_t page[VISIBLE_BYTES]);

/* Whether this is the head that visible_begin writes. */
bool visible_is_ours(const void *page);

/* Whether a reader of this build can read the page. Errors: CORRUPT  another magic; UNSUPPORTED. */
enum status visible_check(const void *page, struct error *err);

/* Stores to the copy that `state->seq` belongs to. */
void visible_store(void *page, const struct visible *state);

/* Reads the newer copy of those whose checksums are right. False: neither was, in so many tries as a
 * writer that goes on meanwhile can need; none was ever written, or something else writes there. */
bool visible_load(const void *page, struct visible *out);

/* Whether the daemon lived a second ago, by the clock of the page; `now_ns` is clock_monotonic_ns. A page
 * whose clock is ahead is from before a reboot. */
bool visible_is_alive(const struct visible *state, uint64_t now_ns);

#endif
