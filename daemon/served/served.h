/* served.h - the log of served rows: what a share of the fetches was answered, for training to compare
 * with what it computes.
 *
 * A fetch is in by the hash of its first key, so that all fetches of a user are in, or none. It is copied
 * into a queue of bounded memory; a thread writes it into files, which are of bounded size together. A
 * fetch waits for nothing of it: what has no room in the queue, or comes faster than it may be written,
 * is dropped and counted.
 *
 * Threads: any for served_wants, served_add and served_figures; the main one for the others.
 */
#ifndef DAEMON_SERVED_SERVED_H
#define DAEMON_SERVED_SERVED_H

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct served;

enum { SERVED_RATE_ALL = 1000000 };

/* What may change while it runs. */
struct served_limits {
	unsigned rate_ppm;  /* fetches of a million, by their first keys; 0: none */
	bool rows;          /* the rows, too, not only what was found */
	uint64_t bytes;     /* of all files; one has an eighth of it */
	uint64_t byte_rate; /* that may be written in a second */
};

struct served_options {
	const char *
		file; /* the beginning of the files' names, with their folder: FILE.1, FILE.2, ... */
	/* Folders that the files must not lie in, nor below; NULL ends them. */
	const char *const *kept_out;
	struct served_limits limits;
	/* Tells that writing has failed, and that it goes on. Thread: that of the log. */
	void (*on_event)(void *arg, const char *line);
	void *arg;
};

/* Takes the folder, which must be there, and begins a new file.
 * Errors: BAD_REQUEST  the path is not absolute, or leads where such files must not lie; CONFLICT  another
 * daemon writes into that folder; those of the system. */
enum status served_open(const struct served_options *options, struct served **out,
	struct error *err);
/* Checks the path alone. */
enum status served_check(const char *file, const char *const *kept_out, struct error *err);
/* Writes what is in the queue, and ends. Fine for NULL. */
void served_close(struct served *served);

void served_set_limits(struct served *served, const struct served_limits *limits);

/* ---- a fetch ---- */

/* The rows of one table. What is NULL was not given. */
struct served_part {
	const char *table;
	struct keys keys;
	enum dtype dtype;
	uint32_t dim;
	uint32_t views;
	bool raw;     /* sums */
	bool through; /* rows that went through stored layers */
	const uint8_t *found;
	const uint8_t *rows;
	size_t rows_bytes;
	const uint8_t *scales; /* f32[keys], of i8 */
};

/* Nothing is owned. */
struct served_fetch {
	int64_t time_ms;
	const char *release;
	uint64_t sequence;
	const char *client; /* what its hello said; "": nothing */
	const struct served_part *parts;
	size_t part_count;
};

/* Is a fetch with this first key in? */
bool served_wants(const struct served *served, const struct keys *keys);

/* Copies the fetch into the queue, or drops it. */
void served_add(struct served *served, const struct served_fetch *fetch);

/* ---- figures ---- */

struct served_figures {
	struct served_limits limits;
	uint64_t written;      /* fetches */
	uint64_t dropped;      /* for want of room in the queue, or of rate */
	uint64_t failed;       /* could not be written */
	uint64_t rows_written; /* keys of these fetches */
	uint64_t rows_dropped;
	uint64_t rows_failed;
	uint64_t bytes;      /* written since the start */
	uint64_t file_bytes; /* of all files that there are */
	uint64_t files;
};

/* Fine for NULL: all zero. */
void served_figures(struct served *served, struct served_figures *out);

#endif
