/* source.h - where an import's rows come from: arrays (npy, npz, safetensors), msgpack or jsonl.
 *
 * An error names the file and the place in it. Arrays are checked whole before the
 * first row is handed out. The others may be pipes: they are checked as they are read.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_SOURCE_H
#define TOOLS_FORMAT_SOURCE_H

#include "repstore.h"
#include "schema/status.h"
#include "tools/format/row_time.h"

#include <stdbool.h>
#include <stdint.h>

struct source_options {
	const struct rep_table_spec *spec; /* of the table that takes the rows; copied */
	uint32_t chunk_rows;
	bool allow_nonfinite;
	bool prompt;       /* a stream that pauses: its rows are handed out within half a second */
	bool cannot_allow; /* the command has no --allow-nonfinite that an error could name */
	struct row_time_rule time; /* of arrays and jsonl; a msgpack dump has milliseconds */
	const char *path;          /* the other formats; msgpack, jsonl: "-" is standard input */
	const char *keys;          /* npy */
	const char *rows;
	const char *times;   /* or NULL */
	const char *scales;  /* or NULL */
	const char *tags;    /* or NULL */
	const char *weights; /* of an aggregating table; or NULL */
	/* Of a table with a history, whose spec's `views` are those of all places here; else NULL. */
	const char *counts;
	const char *history_times;
};

struct source {
	/* Hands out the next rows, valid until the next call. No rows: the source is at its end. */
	enum status (*next)(struct source *source, struct rep_rows *out, struct error *err);
	void (*close)(struct source *source);
	bool idle;        /* the stream has no more for now, so the next call may wait long */
	uint64_t done;    /* rows or bytes, for a progress bar */
	uint64_t total;   /* 0: not known */
	uint64_t content; /* a hash of all that it holds; 0: not known when it was opened */
};

enum status source_open_npy(const struct source_options *options, struct source **out,
	struct error *err);
enum status source_open_npz(const struct source_options *options, struct source **out,
	struct error *err);
enum status source_open_safetensors(const struct source_options *options, struct source **out,
	struct error *err);
enum status source_open_msgpack(const struct source_options *options, struct source **out,
	struct error *err);
enum status source_open_jsonl(const struct source_options *options, struct source **out,
	struct error *err);

/* Turns the times of the places that are taken into milliseconds, in place, and those of the others into
 * 0. Refuses counts that no history has. The times of `rows` are the caller's own. */
enum status source_take_histories(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err);

/* Refuses rows with weights out of range, and unless `allow_nonfinite` is set rows with NaN,
 * infinity, or a number that the table's dtype cannot hold. first: the number of the first row;
 * what: names the input. */
enum status source_check(const struct rep_rows *rows, const struct source_options *options,
	const char *what, uint64_t first, struct error *err);

/* Adds rows to the hash of what an input holds. It reads them, so it is cheap while the processor's
 * cache has them. */
uint64_t source_content(uint64_t before, const struct rep_rows *rows, size_t rows_bytes);

#endif
