/* source.h - where an import's rows come from: npy arrays, msgpack or jsonl.
 *
 * What is wrong with an input is said with file and place. npy inputs are checked
 * whole before the first row is handed out; the others, which may be pipes, as they
 * are read.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_SOURCE_H
#define TOOLS_SOURCE_H

#include "repstore.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct source_options {
	const struct rep_table_spec *spec; /* of the table that takes the rows; borrowed */
	uint32_t chunk_rows;
	bool allow_nonfinite;
	const char *path; /* msgpack, jsonl; "-": standard input */
	const char *keys; /* npy */
	const char *rows;
	const char *times;   /* or NULL */
	const char *scales;  /* or NULL */
	const char *tags;    /* or NULL */
	const char *weights; /* of an aggregating table; or NULL */
};

struct source {
	/* Hands out the next rows; none are the end. They are valid until the next call. */
	enum status (*next)(struct source *source, struct rep_rows *out, struct error *err);
	void (*close)(struct source *source);
	uint64_t done;  /* rows or bytes, for a progress bar */
	uint64_t total; /* 0: not known */
};

enum status source_open_npy(const struct source_options *options, struct source **out,
	struct error *err);
enum status source_open_msgpack(const struct source_options *options, struct source **out,
	struct error *err);
enum status source_open_jsonl(const struct source_options *options, struct source **out,
	struct error *err);

/* Refuses rows with NaN, infinities or times out of range, unless `allow_nonfinite`
 * (times always). `first` is the number of the first row, `what` names the input. */
enum status source_check(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err);

#endif
